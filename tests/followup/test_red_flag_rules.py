"""Every rule at its edge: the last value that stays silent, the first that fires."""

import re
import tomllib
from importlib.resources import files

import pytest
from follow_case import NOW, SURGERY, legs
from pydantic import ValidationError

from kypho.errors import InternalError
from kypho.evidence import value
from kypho.followup import When, rules
from kypho.followup.facts import DEFICIT_FACTS
from kypho.followup.facts_base import FACT_NAMES, fact
from kypho.followup.rules import Condition

SLOT_RULES = {"R11"}


def findings(case):
    return case.fired() - SLOT_RULES


def test_a_well_patient_raises_nothing(case):
    case.exam(
        motor=legs(5), light_touch={"right": {"T8": "2"}, "left": {"T8": "2"}}, bladder={"voiding": "normal"}
    )
    assert findings(case) == set()
    assert case.status().findings_tier == "none"


def test_nothing_is_judged_before_a_procedure(bare):
    bare.exam(motor=legs(1))
    state = bare.status()
    assert not state.watching
    assert state.alarms == ()
    assert any("procedure" in gap for gap in state.unknown)


@pytest.mark.parametrize(
    ("grade", "fires"), [("5", False), ("4", True), ("NT", False), ("4**", False), ("4*", True)]
)
def test_r1_one_muscle_one_grade(case, grade, fires):
    case.exam(motor={"right": {"L3": grade}})
    assert ("R1" in findings(case)) is fires


def test_r1_counts_against_the_baseline(bare):
    bare.exam("2024-01-31T09:00", motor=legs(5, left_L4=4))
    bare.add("procedure", SURGERY, level="T7")
    bare.exam(motor=legs(5, left_L4=4))
    assert "R1" not in findings(bare)
    bare.exam("2024-02-03T10:00", motor=legs(5, left_L4=3))
    assert {"R1", "R4"} <= findings(bare)


def test_r1_without_a_baseline_takes_full_strength(bare):
    bare.add("procedure", SURGERY, level="T7")
    bare.exam(motor={"left": {"L2": "4"}})
    assert "R1" in findings(bare)


def test_r1_leaves_out_what_pain_limits(case):
    case.exam(motor=legs(5, right_L2=3), pain_limited=["right L2"])
    assert not findings(case) & {"R1", "R4"}


def test_r1_in_words(case):
    case.exam(legs="weak")
    assert "R1" in findings(case)
    assert "R4" not in findings(case)


@pytest.mark.parametrize("trend", ["new", "progressive", "unknown"])
def test_r1r_weakness_that_is_only_reported_is_red(case, trend):
    case.add("symptom", "2024-02-02", symptom="leg_weakness", side="both", trend=trend)
    assert "R1r" in findings(case)
    assert case.status().findings_tier == "red"


@pytest.mark.parametrize(
    ("right", "left", "fires"),
    [
        ({"T8": "1", "T9": "1"}, {"T8": "1", "T9": "0"}, True),
        ({"T8": "1"}, {"T8": "1"}, False),
        ({"T8": "1", "T9": "1"}, {"T9": "1", "T10": "1"}, False),
        ({"T8": "1", "T10": "1"}, {"T8": "1", "T10": "1"}, False),
        ({"T8": "NT", "T9": "NT"}, {"T8": "NT", "T9": "NT"}, False),
        ({"S3": "0", "S4-5": "0"}, {"S3": "0", "S4-5": "0"}, True),
    ],
)
def test_r2_two_adjacent_dermatomes_on_both_sides(case, right, left, fires):
    case.exam(pin_prick={"right": right, "left": left})
    assert ("R2" in findings(case)) is fires


def test_r2_a_sensory_level(case):
    case.exam(sensory_level="T7")
    assert "R2" in findings(case)


@pytest.mark.parametrize(("side", "rule"), [("both", "R2r"), ("left", "R2u")])
def test_r2_numbness_reported(case, side, rule):
    case.add("symptom", "2024-02-02", symptom="numbness", side=side)
    assert rule in findings(case)
    assert ("R2r" in findings(case)) is (side == "both")


@pytest.mark.parametrize(("pvr_ml", "fires"), [(199.9, False), (200, True), (700, True)])
def test_r3_residual(case, pvr_ml, fires):
    case.exam(motor=legs(5), bladder={"voiding": "normal", "pvr_ml": pvr_ml})
    assert ("R3" in findings(case)) is fires


@pytest.mark.parametrize(
    "finding",
    [
        {"bladder": {"voiding": "retention"}},
        {"bladder": {"voiding": "incontinent"}},
        {"saddle": "reduced"},
        {"voluntary_anal_contraction": "No"},
        {"deep_anal_pressure": "No"},
        {"light_touch": {"left": {"S4-5": "1"}}},
    ],
)
def test_r3_bladder_saddle_anus(case, finding):
    case.exam(**finding)
    assert "R3" in findings(case)


def test_r3v_difficulty_asks_for_a_residual(case):
    case.exam(bladder={"voiding": "difficult"})
    assert findings(case) == {"R3v"}


@pytest.mark.parametrize(("grade", "fires"), [("4", False), ("3", True), ("0", True)])
def test_r4_grade_three(case, grade, fires):
    case.exam(motor={"left": {"S1": grade}})
    assert ("R4" in findings(case)) is fires
    assert (case.status().findings_tier == "red+") is fires


def test_r4_falling_between_two_examinations(bare):
    bare.add("procedure", SURGERY, level="T7")
    bare.exam("2024-02-01T11:00", motor=legs(5))
    bare.exam("2024-02-01T12:00", motor=legs(5, left_L5=4))
    assert "R4" in findings(bare)


def test_r4_two_vague_examinations_are_in_no_order(bare):
    """Grade 4 and grade 5 some time on the same day: the weakness is red, a fall is not shown."""
    bare.add("procedure", SURGERY, level="T7")
    bare.exam("2024-02-02", motor={"left": {"L5": "5"}})
    bare.exam("2024-02-02", motor={"left": {"L5": "4"}})
    assert "R4" not in findings(bare)
    assert "R1" in findings(bare)


def test_r4_no_sacral_sparing(case):
    none = {side: {"S4-5": "0"} for side in ("right", "left")}
    case.exam(light_touch=none, pin_prick=none, voluntary_anal_contraction="No", deep_anal_pressure="No")
    assert "R4" in findings(case)


@pytest.mark.parametrize(("ais", "fires"), [("A", True), ("C", True), ("D", False), ("E", False)])
def test_r4_ais(case, ais, fires):
    case.add("diagnosis", "2024-02-03", diagnosis="spinal cord injury", ais=ais)
    assert ("R4" in findings(case)) is fires


@pytest.mark.parametrize(
    ("site", "fires"),
    [
        ("hypochondrium", True),
        ("lower_abdomen", True),
        ("leg", True),
        ("T7", True),
        ("T6", False),
        ("back", False),
    ],
)
def test_r5_pain_at_or_below_the_treated_level(case, site, fires):
    case.add("symptom", "2024-02-01T18:00", symptom="pain", pain={"site": site, "trend": "new"})
    assert ("R5" in findings(case)) is fires


def test_r5_old_pain_that_stays_is_silent(bare):
    bare.add("symptom", "2024-01-25", symptom="pain", pain={"site": "leg", "score": 5})
    bare.add("procedure", SURGERY, level="T7")
    bare.add("symptom", "2024-02-02", symptom="pain", pain={"site": "leg", "score": 5})
    assert findings(bare) == set()
    bare.add("symptom", "2024-02-03", symptom="pain", pain={"site": "leg", "score": 5, "trend": "worse"})
    assert "R5" in findings(bare)


@pytest.mark.parametrize(("score", "fires"), [(4, False), (5, True)])
def test_r5_rise_with_radiation(bare, score, fires):
    bare.add("symptom", "2024-01-25", symptom="pain", pain={"site": "back", "score": 2})
    bare.add("procedure", SURGERY, level="T7")
    pain = {"site": "back", "score": score, "radiating": "yes", "trend": "same"}
    bare.add("symptom", "2024-02-02", symptom="pain", pain=pain)
    assert ("R5" in findings(bare)) is fires


@pytest.mark.parametrize(("quality", "fires"), [("electric", True), ("girdle", True), ("aching", False)])
def test_r5_during_injection(bare, quality, fires):
    bare.add("procedure", SURGERY, level="L3")
    bare.add(
        "symptom",
        SURGERY,
        symptom="pain",
        pain={"site": "back", "quality": quality, "trend": "same"},
        during_injection=True,
    )
    assert ("R5" in findings(bare)) is fires


def test_r5d_girdle_pain_with_a_deficit_is_red(case):
    case.add("symptom", "2024-02-01T18:00", symptom="pain", pain={"site": "hypochondrium", "trend": "new"})
    assert case.status().findings_tier == "amber"
    case.add("symptom", "2024-02-03", symptom="numbness", side="both")
    assert "R5d" in findings(case)


@pytest.mark.parametrize(
    ("levels", "rule"), [(["T1"], "R6"), (["L1"], "R6"), (["L2"], "R6l"), ([], "R6"), (["L1", "L2"], "R6")]
)
def test_r6_cement_in_the_canal_without_symptoms(case, levels, rule):
    case.add("imaging", "2024-02-02", modality="CT", canal_cement="yes", levels=levels)
    assert findings(case) == {rule}


@pytest.mark.parametrize("state", ["no", "unknown"])
def test_r6_no_cement_no_alarm(case, state):
    case.add("imaging", "2024-02-02", modality="CT", canal_cement=state)
    assert findings(case) == set()


@pytest.mark.parametrize(
    ("level", "percent", "fires"),
    [
        ("T12", 34.9, False),
        ("T12", 35, True),
        ("L1", 44.9, False),
        ("L1", 45, True),
        ("L2", 54.9, False),
        ("L2", 55, True),
    ],
)
def test_r7_share_of_the_canal(case, level, percent, fires):
    case.add("imaging", "2024-02-02", modality="CT", levels=[level], encroachment_percent=percent)
    assert ("R7" in findings(case)) is fires


def test_r7_takes_the_high_end_of_an_interval_and_the_strictest_level_if_unknown(case):
    case.add("imaging", "2024-02-02", modality="CT", encroachment_percent=30, encroachment_high_percent=36)
    assert "R7" in findings(case)


@pytest.mark.parametrize("compartment", ["intradural", "both"])
def test_r7_inside_the_dura(case, compartment):
    case.add("imaging", "2024-02-02", modality="MRI", compartment=compartment)
    assert "R7" in findings(case)


def test_r8_no_compression_does_not_clear_a_deficit(case):
    case.exam(motor=legs(4))
    before = case.status()
    case.add("imaging", "2024-02-03", modality="MRI", canal_cement="no", cord_compression="no")
    after = case.status()
    assert "R8" in {alarm.rule.id for alarm in after.alarms}
    assert before.findings_tier == after.findings_tier == "red"


def test_r8_no_compression_without_deficit_is_no_alarm(case):
    case.add("imaging", "2024-02-03", modality="MRI", cord_compression="no")
    assert findings(case) == set()


@pytest.mark.parametrize("symptom", ["dyspnoea", "chest_pain", "syncope"])
def test_r9_embolism(case, symptom):
    case.add("symptom", "2024-02-01T12:00", symptom=symptom)
    assert "R9" in findings(case)


@pytest.mark.parametrize(("spo2", "fires"), [(92, False), (91.9, True)])
def test_r9_saturation(case, spo2, fires):
    case.exam(spo2_percent=spo2)
    assert ("R9" in findings(case)) is fires


@pytest.mark.parametrize(("temperature", "fires"), [(37.9, False), (38.0, True)])
def test_r10_fever(case, temperature, fires):
    case.exam(temperature_c=temperature)
    assert ("R10" in findings(case)) is fires


@pytest.mark.parametrize(
    ("day", "amount", "fires"),
    [("2024-02-02", 40, False), ("2024-02-05", 40, True), ("2024-02-05", 4, False)],
)
def test_r10_crp_raised_after_day_three(case, day, amount, fires):
    case.add("lab", day, analyte="crp", value=amount, unit="mg/L", reference_high=5)
    assert ("R10" in findings(case)) is fires


def test_r10_rising_without_a_reference_and_across_units(case):
    case.add("lab", "2024-02-04T12:00", analyte="crp", value=9, unit="mg/L")
    case.add("lab", "2024-02-06", analyte="crp", value=0.8, unit="mg/dL")
    assert "R10" not in findings(case)
    case.add("lab", "2024-02-08", analyte="crp", value=1.2, unit="mg/dL")
    assert "R10" in findings(case)


def test_r11_missing_and_untestable(case):
    from datetime import UTC, datetime

    now = datetime(2024, 2, 1, 22, tzinfo=UTC)
    assert "R11" in case.fired(now)
    case.exam("2024-02-01T21:00", untestable="sedated", motor={"left": {"L2": "NT"}})
    assert "R11" in case.fired(now)
    case.exam("2024-02-01T21:30", motor=legs(5))
    assert "R11" not in case.fired(now)


def test_r12_a_value_outside_its_range_is_noted(case):
    case.add("lab", "2024-02-02", analyte="triglyceride", value=3.94, unit="mmol/L", reference_high=1.7)
    assert findings(case) == {"R12"}
    assert case.status().findings_tier == "note"


def test_every_rule_explains_itself():
    for rule in rules():
        assert rule.what
        assert rule.action
        assert rule.clears
        assert rule.source
        assert rule.within_h > 0
        for alternative in rule.when:
            for condition in alternative:
                for bound in (condition.at_least, condition.at_most, condition.below):
                    assert bound is None or value(bound) is not None


@pytest.mark.parametrize(
    "condition",
    [
        {"fact": "strenght.drop"},
        {"fact": "strength.drop", "at_least": "followup.mrc_drop", "at_most": "followup.mrc_grave"},
    ],
)
def test_a_condition_that_could_not_be_met_as_written_is_refused(condition):
    with pytest.raises(ValidationError, match=r"never fire|keep one"):
        Condition.model_validate(condition)


def test_facts_and_rules_speak_of_the_same():
    """Every fact is asked for by a rule, and what counts as a deficit is one."""
    asked = {condition.fact for rule in rules() for line in rule.when for condition in line}
    assert asked == FACT_NAMES
    assert set(DEFICIT_FACTS) < FACT_NAMES
    with pytest.raises(InternalError):
        fact("strenght.drop", 1, "x", When(start=NOW, end=NOW, written="now"))


def test_limits_in_words_are_the_records_computed_with():
    """No number with a unit is spelled out in a rule; each comes from its record."""
    path = files("kypho.evidence").joinpath("rules", "red_flags.toml")
    for rule in tomllib.loads(path.read_text())["rule"]:
        for name in ("what", "action", "clears", "source"):
            assert not re.search(r"\d ?(h|min|mL|days?|weeks?|%)\b|(day|grade) \d", rule[name]), rule["id"]
    said = {rule.id: f"{rule.what} {rule.action}" for rule in rules()}
    assert not any("{" in text for text in said.values())
    assert "MRI within 4 h of the request" in said["R1"]
    assert "above 600 mL" in said["R3"]
    assert "goal 8 h from onset" in said["R4"]
    assert "1 to 48 h after the image" in said["R6"]
    assert "from 3 days after the procedure" in said["R10"]


def test_too_late_is_never_said():
    text = files("kypho.evidence").joinpath("rules", "red_flags.toml").read_text().lower()
    assert "too late" not in text
