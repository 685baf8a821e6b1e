"""The door: what is typed becomes an event, or is refused with one clear line and nothing is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, TypeAdapter, ValidationError

from kypho.errors import RecordError
from kypho.evidence import value
from kypho.followup import events as ev
from kypho.followup.entry_fields import check_body, normal_body
from kypho.followup.identity import check_pseudonym, identifies
from kypho.followup.record import Record
from kypho.followup.times import When, parse_when, parse_zone, utc_now

__all__ = ["BROKEN", "make_event"]

BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""What no document can hold: control characters, halves of characters."""
HEAD = ("kind", "at", "role", "source", "corrects", "recorded")

_BODY: TypeAdapter[Any] = TypeAdapter(ev.Body)


def make_event(
    case: str, raw: Mapping[str, Any], *, record: Record | None = None, now: datetime | None = None
) -> ev.Event:
    """Check what was typed against the case so far and make the event of it.

    Args:
        case: pseudonym.
        raw: `kind`, `at`, `role`, `source`, optional `corrects` and `recorded`, and the fields of the kind.
        record: the case so far; None before its enrolment.
        now: the present, for tests.

    Raises:
        RecordError: one line saying which field, which value, and what to write instead.
    """
    now = now or utc_now()
    check_pseudonym(case)
    fields = {key: item for key, item in raw.items() if key not in HEAD and item is not None}
    zone = parse_zone(str(fields.get("zone", record.enrolment.zone if record else "UTC")))
    kind = str(raw.get("kind", ""))
    if not raw.get("at"):
        raise RecordError(f"{kind or 'event'} has no time; add --at, e.g. 2023-09-04T10:30")
    when = parse_when(raw["at"], zone)
    if kind == "imaging" and fields.get("requested"):
        fields["requested"] = parse_when(fields["requested"], zone)
        _happened("requested", fields["requested"], zone, now)
    body = _body(kind, fields, zone_now=now)
    _screen(body)
    _happened("time", when, zone, now)
    _after_birth(when.days[1].year, when.written, body, record)
    role, source = str(raw.get("role", "")), str(raw.get("source") or "typed")
    _screen_text("source", source)
    corrects = raw.get("corrects")
    if not isinstance(corrects, str | None):
        raise RecordError(f"corrects {corrects!r} is no id; write one of kypho follow timeline")
    _check_correction(body, corrects, record)
    _check_roles(body, role)
    if kind == "enrolment" and record is not None and not corrects:
        raise RecordError(
            f"case {case!r} exists already; correct its enrolment with --corrects, or take another name"
        )
    recorded = parse_when(raw["recorded"], zone).start if raw.get("recorded") else now
    if not when.start <= recorded <= now:
        raise RecordError(f"recorded {raw.get('recorded')!r} must lie between the event and the present")
    made = {
        "id": ev.event_id(case, when, role, source, corrects, body),
        "case": case,
        "when": when,
        "recorded": recorded,
        "role": role,
        "source": source,
        "corrects": corrects,
        "body": body,
    }
    try:
        return ev.Event.model_validate(made)
    except ValidationError as problem:
        raise RecordError(_one_line(problem, kind)) from None


def _body(kind: str, fields: dict[str, Any], *, zone_now: datetime) -> BaseModel:
    try:
        body: BaseModel = _BODY.validate_python({"kind": kind, **normal_body(kind, fields)})
    except ValidationError as problem:
        raise RecordError(_one_line(problem, kind)) from None
    check_body(body, year_now=zone_now.year)
    return body


def _one_line(problem: ValidationError, kind: str) -> str:
    """The first complaint of pydantic in the words of the record."""
    first = problem.errors()[0]
    if first["type"].startswith("union_tag"):
        kinds = sorted(_BODY.json_schema()["discriminator"]["mapping"])
        return f"kind {kind!r} is unknown; use one of {', '.join(kinds)}"
    where = ".".join(str(part) for part in first["loc"] if part != kind) or kind
    if first["type"] == "missing":
        return f"{kind} needs {where!r}; add it"
    if first["type"] == "extra_forbidden":
        return f"{kind} has no field {where!r}; see kypho follow --help"
    return f"{kind} {where} {first.get('input')!r}: {first['msg'].lower()}"


def _happened(name: str, when: When, zone: ZoneInfo, now: datetime) -> None:
    """Refuse a time whose end has not begun, or before anyone alive was born."""
    ends = [parse_when(end, zone) for end in when.written.split("..")]
    if ends[-1].start > now:
        raise RecordError(f"{name} {when.written!r} lies in the future; record what has happened")
    earliest = value("followup.limits")["birth_year"][0]
    if ends[0].start.year < earliest:
        raise RecordError(f"{name} {when.written!r} lies before {earliest}; check the year")


def _after_birth(last_year: int, written: str, body: BaseModel, record: Record | None) -> None:
    enrolment = body if isinstance(body, ev.Enrolment) else (record.enrolment if record else None)
    born = enrolment.birth_year if enrolment else None
    if born is not None and last_year < born:
        raise RecordError(f"time {written!r} lies before the birth year {born}; check the date")


def _check_correction(body: BaseModel, corrects: str | None, record: Record | None) -> None:
    kind = str(getattr(body, "kind", ""))
    if kind == "retraction" and not corrects:
        raise RecordError(
            "retraction needs 'corrects', the id of the event it takes back; see kypho follow timeline"
        )
    if not corrects:
        return
    if record is None:
        raise RecordError(f"event {corrects!r} cannot be corrected before the case is enrolled")
    known = {event.id: event for event in record.history}
    target = known.get(corrects)
    if target is None:
        raise RecordError(f"event {corrects!r} is not in this case; see kypho follow timeline for the ids")
    if isinstance(body, ev.Enrolment) and body.zone != record.enrolment.zone:
        raise RecordError(f"zone {body.zone!r}: times were read in {record.enrolment.zone}; start a new case")
    if kind not in ("retraction", target.kind):
        raise RecordError(
            f"event {corrects!r} is a {target.kind}, not a {kind}; retract it and add the other"
        )


def _check_roles(body: BaseModel, role: str) -> None:
    if isinstance(body, ev.Perspective) and role not in ("patient", "relative"):
        raise RecordError(f"perspective by role {role!r}: only the patient or a relative can give it")
    if isinstance(body, ev.Decision) and body.closes and role not in ev.ANSWERABLE:
        raise RecordError(
            f"decision by role {role!r} cannot close an alarm; a surgeon or physician answers for it"
        )


def _screen(body: BaseModel) -> None:
    """Refuse text that identifies a person, anywhere in the body."""
    stack: list[tuple[str, Any]] = [("", body.model_dump())]
    while stack:
        name, item = stack.pop()
        if isinstance(item, str):
            _screen_text(name, item)
        elif isinstance(item, dict):
            stack.extend((str(key), part) for key, part in item.items() if key != "requested")
        elif isinstance(item, tuple | list):
            stack.extend((name, part) for part in item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise RecordError(f"{name} {item!r} is no number; write the measured value or leave it out")


def _screen_text(name: str, text: str) -> None:
    if len(text) > value("followup.text_length"):
        raise RecordError(f"{name} is longer than {value('followup.text_length')} characters; shorten it")
    if BROKEN.search(text):
        raise RecordError(f"{name} {text[:30]!r} holds a character that is no text; write it again")
    if identifies(text):
        raise RecordError(f"{name} seems to hold what identifies a person ({text[:30]!r}); write it without")
