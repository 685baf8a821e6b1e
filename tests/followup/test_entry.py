"""The door: what cannot be is refused in one line that names the field, the value and the way out."""

from datetime import UTC, datetime

import pytest
from follow_case import NOW, legs

from kypho.errors import RecordError
from kypho.followup import make_event

BAD = [
    ("unknown muscle", "examination", {"motor": {"right": {"L6": "5"}}}, "L6.*L2, L3"),
    ("grade six", "examination", {"motor": {"right": {"L2": 6}}}, "right L2 '6'.*0 to 5"),
    ("half a grade", "examination", {"motor": {"right": {"L2": "4-"}}}, "4-"),
    ("unknown side", "examination", {"motor": {"middle": {"L2": "5"}}}, "middle.*right, left"),
    ("sensory three", "examination", {"light_touch": {"left": {"T8": "3"}}}, "left T8 '3'"),
    ("unknown dermatome", "examination", {"pin_prick": {"left": {"S4": "2"}}}, "S4.*S4-5"),
    ("pain eleven", "examination", {"pains": [{"site": "leg", "score": 11}]}, "pain 11.*0-10"),
    ("pain nowhere", "examination", {"pains": [{"site": "elbow"}]}, "elbow.*hypochondrium"),
    ("unknown reflex", "examination", {"reflexes": {"left": {"nose": "normal"}}}, "nose.*patellar"),
    ("pain limits nothing", "examination", {"pain_limited": ["L2"]}, "right L2"),
    ("boiling", "examination", {"temperature_c": 98.6}, "98.6.*25 to 45"),
    ("saturation", "examination", {"spo2_percent": 101}, "101.*0 to 100"),
    ("residual", "examination", {"bladder": {"pvr_ml": -1}}, "pvr_ml -1"),
    ("not finite", "examination", {"temperature_c": float("nan")}, "nan"),
    ("unknown field", "examination", {"mood": "good"}, "no field 'mood'"),
    ("scores not by side", "examination", {"motor": {"L2": 5}}, "right and left"),
    ("no level", "procedure", {}, "needs 'level'"),
    ("no such level", "procedure", {"level": "T13"}, "T13.*T12"),
    ("too much cement", "procedure", {"level": "T7", "volume_ml": 300}, "volume_ml 300"),
    ("unit missing", "lab", {"analyte": "crp", "value": 14.3}, "no unit.*mg/L"),
    ("unit of another", "lab", {"analyte": "crp", "value": 14.3, "unit": "mm/h"}, "mm/h.*mg/L"),
    (
        "unknown analyte",
        "lab",
        {"analyte": "kryptonite", "value": 1, "unit": "mg/L"},
        "kryptonite.*other:NAME",
    ),
    ("negative", "lab", {"analyte": "crp", "value": -1, "unit": "mg/L"}, "-1"),
    ("no value", "lab", {"analyte": "crp"}, "neither value nor text"),
    (
        "range upside down",
        "lab",
        {"analyte": "crp", "value": 1, "unit": "mg/L", "reference_low": 5, "reference_high": 1},
        "upside",
    ),
    ("no such symptom", "symptom", {"symptom": "hiccup"}, "hiccup"),
    ("no such rule", "decision", {"decision": "x", "closes": ["R99"]}, "R99"),
    ("unknown kind", "seance", {}, "seance.*examination"),
    ("an e-mail address", "note", {"text": "write to someone@example.org"}, "identifies"),
    ("a telephone number", "note", {"text": "call 0151 234 567 89"}, "identifies"),
    ("a record number", "note", {"text": "MRN 12"}, "identifies"),
    ("retracts nothing", "retraction", {"reason": "x"}, "needs 'corrects'"),
    ("corrects a stranger", "note", {"text": "x", "corrects": "0" * 20}, "not in this case"),
]

BAD_TIMES = [
    ("2024-02-30", "no date"),
    ("2024-13", "no date"),
    ("yesterday", "no date"),
    ("30.01.2024", "no date"),
    ("2024-01-30T25:00", "no date"),
    ("2024-02-03..2024-02-01", "ends before"),
    ("2025-01-01", "future"),
    ("2024-03-01T00:00:01", "future"),
    ("1949", "birth year 1950"),
    ("1901-05-05", "birth year 1950"),
    (None, "no time"),
]


@pytest.mark.parametrize(("kind", "fields", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_fields_are_refused(case, kind, fields, says):
    stood = len(case.events)
    with pytest.raises(RecordError, match=says) as caught:
        case.add(kind, "2024-02-10", **fields)
    assert "\n" not in str(caught.value)
    assert len(case.events) == stood


@pytest.mark.parametrize(("at", "says"), BAD_TIMES)
def test_bad_times_are_refused(case, at, says):
    case.clock = NOW
    raw = {"kind": "note", "at": at, "role": "nurse", "text": "x"}
    with pytest.raises(RecordError, match=says):
        make_event("case-a", raw, record=case.record, now=NOW)


@pytest.mark.parametrize(
    ("at", "says"), [("2024-03-31T02:30", "skipped"), ("2024-10-27T02:30", "came twice")]
)
def test_hours_the_clock_skipped_or_showed_twice_need_an_offset(at, says):
    now = datetime(2025, 1, 1, tzinfo=UTC)
    berlin = {"kind": "enrolment", "role": "nurse", "zone": "Europe/Berlin"}
    with pytest.raises(RecordError, match=says):
        make_event("a", {**berlin, "at": at}, now=now)
    assert make_event("a", {**berlin, "at": at + "+02:00"}, now=now).when.start.utcoffset().seconds == 7200


def test_an_unknown_zone_is_refused():
    with pytest.raises(RecordError, match="Mars"):
        make_event(
            "a", {"kind": "enrolment", "at": "2024-01-01", "role": "nurse", "zone": "Mars/Olympus"}, now=NOW
        )


@pytest.mark.parametrize("name", ["", "Anna Muster", "1234567", "x1234567", "a@b", "ä", "a" * 41])
def test_what_is_no_pseudonym_is_refused(name):
    with pytest.raises(RecordError, match="pseudonym"):
        make_event(name, {"kind": "enrolment", "at": "2024-01-01", "role": "nurse"}, now=NOW)


def test_a_whole_birth_date_is_refused():
    raw = {"kind": "enrolment", "at": "2024-01-01", "role": "nurse", "birth_date": "1950-04-05"}
    with pytest.raises(RecordError, match="birth_date"):
        make_event("a", raw, now=NOW)


def test_a_nurse_cannot_close_an_alarm(case):
    with pytest.raises(RecordError, match="surgeon or physician"):
        case.add("decision", "2024-02-03", role="nurse", decision="fine", closes=["R1"])


def test_nobody_speaks_for_the_patient(case):
    with pytest.raises(RecordError, match="only the patient"):
        case.add("perspective", "2024-02-03", role="surgeon", text="I am very happy")


def test_a_correction_must_be_of_the_same_kind(case):
    wrong = case.exam(motor=legs(5))
    with pytest.raises(RecordError, match="retract it"):
        case.add("note", "2024-02-02", text="x", corrects=wrong.id)


def test_vague_times_stay_intervals(case):
    event = case.add("note", "2024-02-05..2024-02-11", text="the following week")
    assert event.when.vague
    assert [day.isoformat() for day in event.when.days] == ["2024-02-05", "2024-02-11"]
    month = case.add("note", "2024-01", text="in January")
    assert [day.isoformat() for day in month.when.days] == ["2024-01-01", "2024-01-31"]


def test_order_of_vague_times(case):
    day = case.add("note", "2024-02-05", text="a").when
    after = case.add("note", "2024-02-06", text="b").when
    inside = case.add("note", "2024-02-05T12:00", text="c").when
    midnight = case.add("note", "2024-02-06T00:00", text="d").when
    assert day.before(after)
    assert not after.before(day)
    assert day.overlaps(inside)
    assert day.before(midnight)
    assert midnight.overlaps(after)
    assert not midnight.before(midnight)
