"""The short forms in which people type findings on a command line, read into fields.

right L2=5 L3=4        scores of one side; "both" for both sides, "legs=5" for all five leg muscles
hypochondrium 6 girdle new radiating     a pain: site, 0-10, quality, trend, in any order after the site
crp=14.3 mg/L [<=5]    a laboratory value with its unit and the laboratory's range
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from kypho.errors import RecordError
from kypho.followup.findings import Pain
from kypho.followup.segments import LEG_MUSCLES, SIDES

__all__ = ["imaging_from_check", "read_lab", "read_pain", "read_scores"]

LAB = re.compile(r"^\s*([^=]+?)\s*=\s*([^\[]+?)\s*(?:\[(.*)\])?\s*$")
NUMBER = re.compile(r"^([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?![+\d])(.*)$")
RANGE = re.compile(r"^([\d.]+)\s*(?:-|\.\.|to)\s*([\d.]+)$")
BOUND = re.compile(r"^(<=?|>=?|≤|≥)\s*([\d.]+)$")


def read_scores(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Scores by side and level.

    Raises:
        RecordError: a piece that is no ``LEVEL=SCORE``, or no side before the scores.
    """
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        side, *pieces = text.replace(",", " ").split() or [""]
        if side not in (*SIDES, "both"):
            raise RecordError(f"scores {text!r} begin with no side; write 'right L2=5 L3=4', or both")
        for piece in pieces:
            level, equals, score = piece.partition("=")
            if not equals:
                raise RecordError(f"score {piece!r} is not LEVEL=SCORE; write 'right L2=5 L3=4'")
            for one_side in SIDES if side == "both" else (side,):
                for one in LEG_MUSCLES if level == "legs" else (level,):
                    found.setdefault(one_side, {})[one] = score
    return found


def read_pain(text: str) -> dict[str, Any]:
    """A pain typed as words.

    Raises:
        RecordError: a word that is neither score, side, quality nor trend.
    """
    site, *words = text.split() or [""]
    pain: dict[str, Any] = {"site": site}
    for word in words:
        if re.fullmatch(r"-?\d+", word):
            pain["score"] = int(word)
        elif word == "radiating":
            pain["radiating"] = "yes"
        else:
            pain[_which(word)] = word
    return pain


def _which(word: str) -> str:
    for name in ("side", "quality", "trend"):
        if word in get_args(Pain.model_fields[name].annotation):
            return name
    allowed = [
        choice
        for name in ("side", "quality", "trend")
        for choice in get_args(Pain.model_fields[name].annotation)
        if choice != "unknown"
    ]
    raise RecordError(f"pain word {word!r} is unknown; use a score or {', '.join(allowed)}, radiating")


def read_lab(text: str) -> dict[str, Any]:
    """A laboratory value typed as ``name=value unit [range]``; a value in words has no unit.

    Raises:
        RecordError: it cannot be read that way.
    """
    found = LAB.match(text)
    if not found:
        raise RecordError(f"lab {text!r} is not NAME=VALUE UNIT [RANGE]; write 'crp=14.3 mg/L [<=5]'")
    name, amount, reference = found.groups()
    lab: dict[str, Any] = {"analyte": name.strip().lower()}
    if number := NUMBER.match(amount):
        lab["value"] = float(number[1])
        lab["unit"] = number[2].strip() or None
    elif amount.split()[0].lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise RecordError(f"lab {text!r}: {amount!r} is no number; write the value, or words such as 'trace'")
    else:
        lab["text"] = amount
    if reference:
        lab.update(_reference(reference.strip(), text))
    return lab


def _reference(text: str, whole: str) -> dict[str, Any]:
    try:
        if span := RANGE.match(text):
            return {"reference_low": float(span[1]), "reference_high": float(span[2])}
        if bound := BOUND.match(text):
            name = "reference_high" if bound[1][0] in "<≤" else "reference_low"
            return {name: float(bound[2])}
    except ValueError:
        raise RecordError(f"lab {whole!r}: range {text!r} is no number; write [208-428] or [<=5]") from None
    return {"reference_text": text}


def imaging_from_check(result: dict[str, Any], level: str | None = None) -> dict[str, Any]:
    """Fields of an imaging event from the result of the check of a post-operative CT.

    Args:
        result: the content of its `leakage.json`, schema ``kypho.leakage/1``.
        level: where the cement is, unless the result says so.

    No cement in a canal that could not be read, or that holds something doubtful, is unknown, not no.

    Raises:
        RecordError: another schema, or no canal in it.
    """
    schema = str(result.get("schema"))
    canal = result.get("canal")
    if not schema.startswith("kypho.leakage/1") or not isinstance(canal, dict):
        raise RecordError(f"the file has schema {schema!r}, not kypho.leakage/1; give a leakage.json")
    state = str(canal.get("state"))
    inside = {"epidural", "intradural", "both", "undetermined"}
    quality = result.get("quality")
    readable = isinstance(quality, dict) and quality.get("readable") is True
    clear = state == "none" and readable and not canal.get("doubts")
    cement = "yes" if state in inside else "no" if clear else "unknown"
    percent = canal.get("max_encroachment_percent") or {}
    fields: dict[str, Any] = {
        "modality": "CT",
        "canal_cement": cement,
        "compartment": state if state in inside else "unknown",
        "side": _side(canal.get("side")),
        "encroachment_percent": percent.get("value") if cement == "yes" else None,
        "encroachment_high_percent": percent.get("high") if cement == "yes" else None,
        "text": "from the check of the post-operative CT",
    }
    where = level or canal.get("level") or result.get("level")
    if where:
        fields["levels"] = [where]
    return fields


def _side(side: Any) -> str:
    return side if side in ("left", "right", "both") else "unknown"
