"""Check one event's own fields: known muscles, grades, sites, units, ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from kypho.errors import RecordError
from kypho.evidence import value
from kypho.followup import events as ev
from kypho.followup.facts import LOCAL_SITES
from kypho.followup.findings import Pain, Scores
from kypho.followup.labs import analytes, ucum
from kypho.followup.rules import rules
from kypho.followup.segments import DERMATOMES, KEY_MUSCLES, SIDES, VERTEBRAE, pain_sites

__all__ = ["REFLEXES", "check_body", "normal_body"]

MOTOR = re.compile(r"^([0-5]|NT)\*{0,2}$")
SENSORY = re.compile(r"^([0-2]|NT)\*{0,2}$")
CARE = re.compile(r"^(1|2|3[a-d]|4|5[a-d]|6|7|8[a-d]|9[a-c]|10[a-d]|11[a-d])$")
RANGES = "write [0-20], [<=5], [>=60] or [up to 5], with or without the value's unit"
REFLEXES = ("biceps", "brachioradialis", "triceps", "abdominal", "patellar", "achilles", "plantar", "anal")


def normal_body(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Bring what YAML and the command line give into one form: scores as text, units in UCUM."""
    fields = dict(fields)
    if kind == "examination":
        for name in ("motor", "light_touch", "pin_prick"):
            if name in fields:
                fields[name] = _scores_as_text(name, fields[name])
        for name in ("voluntary_anal_contraction", "deep_anal_pressure"):
            if isinstance(fields.get(name), bool):
                fields[name] = "Yes" if fields[name] else "No"
    if kind == "lab" and isinstance(fields.get("unit"), str):
        fields["unit"] = ucum(fields["unit"])
    return _yes_no(fields)


def _scores_as_text(name: str, scores: Any) -> Any:
    if not isinstance(scores, dict) or not all(isinstance(part, dict) for part in scores.values()):
        raise RecordError(f"examination {name} {scores!r} must be right and left, each level: score")
    return {side: {level: str(score) for level, score in part.items()} for side, part in scores.items()}


def _yes_no(item: Any) -> Any:
    """YAML reads a bare yes as true; give the word back."""
    if isinstance(item, dict):
        keep = ("decompression", "during_injection", "synthetic")
        return {key: part if key in keep else _yes_no(part) for key, part in item.items()}
    if isinstance(item, list):
        return [_yes_no(part) for part in item]
    if isinstance(item, bool):
        return "yes" if item else "no"
    return item


def check_body(body: BaseModel, *, year_now: int) -> None:
    """Refuse values that no patient and no worksheet can have.

    Raises:
        RecordError: naming field, value and what is allowed.
    """
    _ranges(body)
    if isinstance(body, ev.Enrolment) and body.birth_year is not None and body.birth_year > year_now:
        raise RecordError(f"birth year {body.birth_year} lies in the future; check it")
    if isinstance(body, ev.Procedure):
        _one_of("level", body.level, VERTEBRAE)
    elif isinstance(body, ev.Examination):
        _examination(body)
    elif isinstance(body, ev.Lab):
        _lab(body)
    elif isinstance(body, ev.Imaging | ev.Operation):
        for level in body.levels:
            _one_of("levels", level, VERTEBRAE)
        if isinstance(body, ev.Imaging) and body.canal_cement == "no" and body.compartment != "unknown":
            raise RecordError(
                f"canal_cement 'no' contradicts compartment {body.compartment!r}; write yes, or leave one out"
            )
    elif isinstance(body, ev.Symptom) and body.pain is not None:
        _pain(body.pain)
    elif isinstance(body, ev.Note) and body.care is not None and not CARE.match(body.care):
        raise RecordError(
            f"care {body.care!r} is no CARE item for a note; use 1 to 11d (12 is perspective, 13 consent)"
        )
    elif isinstance(body, ev.Decision):
        known = [rule.id for rule in rules()]
        for rule_id in body.closes:
            _one_of("closes", rule_id, known)


def _ranges(body: BaseModel) -> None:
    for name, (low, high) in value("followup.limits").items():
        amount = getattr(body, name, None)
        if isinstance(amount, int | float) and not (math.isfinite(amount) and low <= amount <= high):
            raise RecordError(f"{name} {amount!r} is outside {low} to {high}; check the number and its unit")


def _examination(body: ev.Examination) -> None:
    _grid("motor", body.motor, KEY_MUSCLES, MOTOR, "a grade 0 to 5 or NT, with * or ** where tagged")
    for name in ("light_touch", "pin_prick"):
        _grid(
            name, getattr(body, name), DERMATOMES, SENSORY, "a score 0, 1, 2 or NT, with * or ** where tagged"
        )
    for side, found in body.reflexes.items():
        _one_of("reflexes side", side, SIDES)
        for reflex in found:
            _one_of("reflex", reflex, REFLEXES)
    for muscle in body.pain_limited:
        side, _, level = muscle.partition(" ")
        if side not in SIDES or level not in KEY_MUSCLES:
            raise RecordError(f"pain_limited {muscle!r} is no muscle; write it as 'right L2'")
    if body.sensory_level is not None:
        _one_of("sensory_level", body.sensory_level, DERMATOMES)
    for pain in body.pains:
        _pain(pain)
    if body.bladder is not None:
        _ranges(body.bladder)


def _grid(name: str, scores: Scores, levels: Iterable[str], pattern: re.Pattern[str], allowed: str) -> None:
    for side, part in scores.items():
        _one_of(f"{name} side", side, SIDES)
        for level, score in part.items():
            _one_of(name, level, levels)
            if not pattern.match(score):
                raise RecordError(f"{name} {side} {level} {score!r} is no score; write {allowed}")


def _pain(pain: Pain) -> None:
    low, high = value("followup.limits")["pain"]
    if pain.score is not None and not low <= pain.score <= high:
        raise RecordError(f"pain {pain.score} is outside {low} to {high}; use the 0-10 scale")
    _one_of("pain site", pain.site, (*pain_sites(), *LOCAL_SITES, *DERMATOMES))


def _lab(body: ev.Lab) -> None:
    own = body.analyte.startswith("other:") and len(body.analyte) > len("other:")
    if not own:
        _one_of("analyte", body.analyte, (*analytes(), "other:NAME"))
    units = analytes().get(body.analyte, {}).get("units", ())
    if body.value is None and body.text is None:
        raise RecordError(f"lab {body.analyte} has neither value nor text; add one")
    if body.value is None:
        _lab_in_words(body, units)
        return
    if body.value < 0 or not math.isfinite(body.value):
        raise RecordError(f"lab {body.analyte} {body.value!r} cannot be; check the number")
    if body.reference_text is not None:
        raise RecordError(f"lab {body.analyte} range {body.reference_text!r} is no range; {RANGES}")
    if body.unit is None:
        raise RecordError(
            f"lab {body.analyte} {body.value:g} has no unit; add one of {', '.join(units) or 'UCUM'}"
        )
    if re.search(r"[\s<>≤≥]", body.unit):
        raise RecordError(f"lab {body.analyte} unit {body.unit!r} is no unit; write 14.3 mg/L [<=5]")
    if not own and body.unit not in units:
        raise RecordError(
            f"lab {body.analyte} unit {body.unit!r} is unknown; use {', '.join(units) or 'text'}"
        )
    low, high = body.reference_low, body.reference_high
    if low is not None and high is not None and low > high:
        raise RecordError(f"lab {body.analyte} reference {low:g} to {high:g} is upside down; swap the two")


def _lab_in_words(body: ev.Lab, units: Sequence[str]) -> None:
    """Words cannot be compared with numbers: then nothing would be raised, and nobody would know."""
    if units:
        raise RecordError(
            f"lab {body.analyte} {body.text!r} is no number; write it in {units[0]}, or as >100 or <5"
        )
    if body.reference_low is not None or body.reference_high is not None:
        raise RecordError(
            f"lab {body.analyte} {body.text!r} is in words, its range in numbers; write both alike"
        )


def _one_of(name: str, given: str, allowed: Iterable[str]) -> None:
    allowed = tuple(allowed)
    if given not in allowed:
        raise RecordError(f"{name} {given!r} is unknown; use one of {', '.join(allowed)}")
