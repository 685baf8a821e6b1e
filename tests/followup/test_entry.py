"""The door: what cannot be is refused in one line that names the field, the value and the way out."""

from datetime import UTC, datetime

import pytest
from follow_case import NOW, legs

from kypho.errors import RecordError
from kypho.followup import check_pseudonym, make_event

DURA = {"modality": "CT", "canal_cement": "no", "compartment": "intradural"}
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
    ("a control character", "note", {"text": "pain\x0bhere"}, "no text"),
    ("half a character", "note", {"text": "pain \udcff"}, "no text"),
    ("no cement inside the dura", "imaging", DURA, "contradicts"),
    ("requested tomorrow", "imaging", {"modality": "CT", "requested": "2030"}, "requested.*future"),
    ("corrects a list", "note", {"text": "x", "corrects": ["a"]}, "corrects"),
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
    ("2024-02-01..2099", "future"),
    ("2024-02-01..2024-03-02", "future"),
    ("0001..2024-01", "before 1900"),
    ("1949", "birth year 1950"),
    ("1901-05-05", "birth year 1950"),
    ("1899-05-05", "before 1900"),
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


WHO = [
    *("", "Anna Muster", "1234567", "x1234567", "a@b", "ä", "a" * 41),
    *("Hans.Mueller.1950", "mueller1950", "Mueller-1950-b", "MRN12345", "x.PatientID_123"),
    *("case1950-mueller1960", "case1950mueller1960", "Li1966", "pt-Wu_1966"),
]


@pytest.mark.parametrize("name", WHO)
def test_what_is_no_pseudonym_is_refused(name):
    with pytest.raises(RecordError, match="pseudonym"):
        make_event(name, {"kind": "enrolment", "at": "2024-01-01", "role": "nurse"}, now=NOW)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "founding-case",
        "pkp-2024",
        "cohort2024-001",
        "case-1950",
        "T7-1950",
        "s01.2019",
        "kypho-17",
        "pt1950",
        "case1950-pt1960",
    ],
)
def test_a_pseudonym_with_a_number_passes(name):
    assert check_pseudonym(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "born 04.03.1950",
        "born 1950-03-04",
        "She was born on the 4th of March 1950.",
        "born March 4, 1950",
        "Geburtsdatum 4. März 1950",
        "geb. 4.3.50",
        "geboren am 04.03.1950",
        "née le 4 mars 1950",
        "birth date unknown to us",
        "MRN12345",
        "PatientID=12345",
        "patient-id: 7",
        "Patient no. 12345",
        "Fallnummer 4711",
        "DOB 4/3/50",
    ],
)
def test_what_tells_who_it_is_is_refused(case, text):
    for kind, fields in (("note", {"text": text}), ("note", {"text": "x", "source": text})):
        with pytest.raises(RecordError, match="identifies"):
            case.add(kind, "2024-02-10", **fields)


@pytest.mark.parametrize(
    "text",
    [
        "Laminectomy 2024-02-01, born 1950.",
        "operated 04.02.2024 and 6. März 2024",
        "the patient no longer walks; patient number of steps falls",
        "admitted on 4 March 2024 to a hospital nearby",
        "a newborn grandchild visited 04.03.2024",
        "identical to 2024-02-01",
    ],
)
def test_what_tells_only_what_happened_passes(case, text):
    assert case.add("note", "2024-02-10", text=text).body.text == text


def test_today_is_not_the_future(case):
    """Vague times that have begun: today, this month, this year, and until today."""
    for at in ("2024-02-29", "2024-02", "2024", "2024-02-01..2024-02-29"):
        assert case.add("note", at, text=at)


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
