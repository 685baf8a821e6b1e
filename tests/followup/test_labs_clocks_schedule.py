"""Laboratory units, clocks and the schedule."""

from datetime import UTC, datetime, timedelta

import pytest
from follow_case import legs
from hypothesis import given
from hypothesis import strategies as st

from kypho.errors import RecordError
from kypho.evidence import value
from kypho.followup import clocks, facts_of
from kypho.followup.events import Lab
from kypho.followup.labs import convert, flag, loinc, ucum
from kypho.followup.segments import DERMATOMES, pain_sites, segment_index
from kypho.followup.times import duration


@given(
    st.floats(1e-3, 1e4),
    st.sampled_from([("triglyceride", "mmol/L"), ("creatinine", "umol/L"), ("uric_acid", "umol/L")]),
)
def test_converting_there_and_back(amount, what):
    """Two multiplications by a factor and its inverse: four roundings, so 1e-15 x 4 is ample."""
    analyte, unit = what
    assert convert(analyte, convert(analyte, amount, unit, "mg/dL"), "mg/dL", unit) == pytest.approx(
        amount, rel=4e-15
    )


def test_known_conversions():
    """Creatinine 1 mg/dL is 88.4 umol/L; the founding case's 229 umol/L is 2.59 mg/dL as far as given."""
    assert convert("creatinine", 1, "mg/dL", "µmol/l") == pytest.approx(88.4)
    assert convert("creatinine", 229, "umol/L", "mg/dL") == pytest.approx(2.59, abs=0.005)
    assert convert("triglyceride", 3.94, "mmol/L", "mg/dL") == pytest.approx(349, abs=0.5)
    assert convert("crp", 1.43, "mg/dL", "mg/L") == pytest.approx(14.3)
    with pytest.raises(RecordError, match="cannot be converted"):
        convert("esr", 1, "mm/h", "mg/L")


def test_codes_only_where_verified():
    assert loinc("creatinine", "mg/dL") == "2160-0"
    assert loinc("creatinine", "umol/L") is None
    assert loinc("urine_protein", None) is None
    assert ucum(" µmol/l ") == "umol/L"


@pytest.mark.parametrize(
    ("given_value", "low", "high", "stands"),
    [
        (5, None, 5, "normal"),
        (5.01, None, 5, "high"),
        (208, 208, 428, "normal"),
        (207.9, 208, 428, "low"),
        (7, None, None, "unknown"),
    ],
)
def test_flag_at_the_edges(given_value, low, high, stands):
    lab = Lab(analyte="crp", value=given_value, unit="mg/L", reference_low=low, reference_high=high)
    assert flag(lab) == stands


def test_flag_of_words():
    assert flag(Lab(analyte="urine_protein", text="1+", reference_text="negative")) == "abnormal"
    assert flag(Lab(analyte="urine_protein", text="Negative", reference_text="negative")) == "normal"
    assert flag(Lab(analyte="urine_protein", text="1+")) == "unknown"


def test_pain_sites_run_from_head_to_tail():
    for first, last in pain_sites().values():
        assert segment_index(first) <= segment_index(last)
        assert {first, last} <= set(DERMATOMES)


def deficit_case(case):
    case.add("symptom", "2024-02-02T08:00", symptom="leg_weakness", side="both")
    return case


def test_clocks_run_until_the_second_event(case):
    deficit_case(case)
    now = datetime(2024, 2, 2, 10, 30, tzinfo=UTC)
    (image, cut) = clocks(case.record, facts_of(case.record), now)
    assert (image.name, image.running, image.low_h, image.verdict) == ("onset to image", True, 2.5, "beyond")
    assert (cut.name, cut.running, cut.verdict) == ("onset to decompression", True, "within")
    assert "ACT NOW" in image.words()


def test_clocks_stop_and_derive(case):
    deficit_case(case)
    case.add("encounter", "2024-02-02T09:00", move="admitted")
    case.add("imaging", "2024-02-02T12:00", modality="MRI", cord_compression="yes")
    case.add("operation", "2024-02-02T19:00", operation="laminectomy", decompression=True)
    found = {
        clock.name: clock
        for clock in clocks(case.record, facts_of(case.record), datetime(2024, 3, 1, tzinfo=UTC))
    }
    hours = {name: clock.low_h for name, clock in found.items()}
    assert hours == {
        "onset to image": 4.0,
        "door to image": 3.0,
        "image to decompression": 7.0,
        "onset to decompression": 11.0,
    }
    assert not any(clock.running for clock in found.values())


def test_a_vague_onset_gives_an_interval(case):
    case.add("symptom", "2024-02-02", symptom="leg_weakness", side="both")
    case.add("imaging", "2024-02-03T12:00", modality="CT")
    image = clocks(case.record, facts_of(case.record), datetime(2024, 3, 1, tzinfo=UTC))[0]
    assert (image.low_h, image.high_h) == (12.0, 36.0)


def test_no_deficit_no_clock(case):
    assert clocks(case.record, facts_of(case.record), datetime(2024, 3, 1, tzinfo=UTC)) == ()


@pytest.mark.parametrize(("pvr_ml", "runs"), [(199, False), (200, True)])
def test_a_large_residual_starts_the_clocks(case, pvr_ml, runs):
    case.exam("2024-02-02T08:00", bladder={"pvr_ml": pvr_ml})
    found = clocks(case.record, facts_of(case.record), datetime(2024, 2, 2, 9, tzinfo=UTC))
    assert bool(found) is runs


@pytest.mark.parametrize(("levels", "runs"), [(["T8"], False), (["T8", "T9"], True)])
def test_one_dermatome_on_both_sides_is_no_deficit_two_are(case, levels, runs):
    lost = {side: dict.fromkeys(levels, "1") for side in ("right", "left")}
    case.exam("2024-02-02T08:00", light_touch=lost)
    assert bool(clocks(case.record, facts_of(case.record), datetime(2024, 2, 2, 9, tzinfo=UTC))) is runs


def test_every_verdict_leaves_the_way_open(case):
    deficit_case(case)
    for days in (0.1, 1, 30, 3000):
        now = datetime(2024, 2, 2, 8, tzinfo=UTC) + timedelta(days=days)
        for clock in clocks(case.record, facts_of(case.record), now):
            assert "too late" not in clock.words().lower()


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.25, None, "15 min"),
        (1, None, "1 h"),
        (48, None, "48 h"),
        (168, 360, "7 to 15 days"),
        (336, None, "2 weeks"),
        (2190, None, "3 months"),
        (8760, None, "12 months"),
        (24610.2, None, "2.8 years"),
        (0, 48, "0 to 48 h"),
        (36.4, 36.41, "36 h"),
    ],
)
def test_durations_are_said_in_units_people_count_in(low, high, words):
    assert duration(low, high) == words


def test_a_longer_duration_is_never_said_in_a_smaller_unit():
    """From a minute to ten years the unit only grows."""
    units = ["min", "h", "day", "days", "month", "months", "year", "years"]
    hours = [1 / 60 * 1.3**n for n in range(58)]
    said = [units.index(duration(hour).split()[-1]) for hour in hours]
    assert said == sorted(said)


def test_schedule_from_the_injection_on(case):
    at = datetime(2024, 2, 1, 10, 16, tzinfo=UTC)
    slots = case.status(at).slots
    assert [slot.state for slot in slots[:3]] == ["due", "ahead", "ahead"]
    assert slots[0].name == "15 min"
    assert len(slots) == len(value("followup.schedule_h"))


def test_an_examination_serves_its_slot_only(case):
    case.exam("2024-02-01T11:00", motor=legs(5))
    slots = case.status(datetime(2024, 2, 1, 12, 50, tzinfo=UTC)).slots
    by_name = {slot.name: slot.state for slot in slots}
    assert by_name["1 h"] == "done"
    assert by_name["15 min"] == "missed"
    assert by_name["2 h"] == "overdue"
    assert by_name["3 h"] == "ahead"


def test_cement_in_the_canal_asks_for_hourly_examinations(case):
    case.add("imaging", "2024-02-02T08:00", modality="CT", canal_cement="yes", levels=["T7"])
    state = case.status(datetime(2024, 2, 2, 9, 10, tzinfo=UTC))
    assert any("cement in the canal" in slot.why and slot.name == "1 h" for slot in state.due)


def test_all_examined_leaves_nothing_overdue(case):
    for hour in value("followup.schedule_h"):
        at = datetime(2024, 2, 1, 10, tzinfo=UTC) + timedelta(hours=hour)
        if at < datetime(2024, 2, 20, tzinfo=UTC):
            case.exam(at.isoformat(), motor=legs(5))
    assert case.status(datetime(2024, 2, 20, tzinfo=UTC)).overdue == ()


def test_a_vague_procedure_is_watched_from_its_entry_on(bare):
    """Some time this year, entered now: the examinations do not wait for the end of the year."""
    done = bare.add("procedure", "2024", level="T7")
    later = done.recorded + timedelta(minutes=20)
    assert [slot.name for slot in bare.status(later).due] == ["15 min"]
