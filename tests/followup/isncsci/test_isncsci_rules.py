"""The rules at their edges, on examinations made by hand from the text of the standard."""

from __future__ import annotations

import isncsci_exams as exams
import pytest
from isncsci_exams import injured, normal, put

from kypho.followup.isncsci import classify


def with_values(exam: dict, **paths: str | None) -> dict:
    """Several changes at once; dots in the path are written as double underscores, S4-5 as S4_5."""
    for path, written in paths.items():
        exam = put(exam, path.replace("__", ".").replace("S4_5", "S4-5"), written)
    return exam


def legs(exam: dict, right: str, left: str) -> dict:
    """Set the five key muscles of both legs, L2 to S1, from strings of single digits."""
    for side, grades in (("right", right), ("left", left)):
        for muscle, grade in zip(["L2", "L3", "L4", "L5", "S1"], grades, strict=True):
            exam = put(exam, f"{side}.motor.{muscle}", grade)
    return exam


# --- levels -----------------------------------------------------------------------------------------------


def test_a_normal_examination_is_intact_and_e():
    result = classify(normal())
    assert result.right.sensory_level == result.left.motor_level == result.neurological_level == "INT"
    assert result.asia_impairment_scale == "E"
    assert result.injury_complete == "I"
    assert result.right.sensory_zpp == result.right.motor_zpp == "NA"
    assert (result.right.motor_total, result.upper_motor_total, result.light_touch_total) == (
        "50",
        "50",
        "112",
    )


def test_abnormal_c2_gives_c1():
    result = classify(put(normal(), "right.pin_prick.C2", "1"))
    assert result.right.sensory_level == "C1"
    assert result.right.motor_level == "C1"  # above C5 the motor level follows sensation
    assert result.left.sensory_level == "INT"
    assert result.neurological_level == "C1"


def test_one_modality_is_enough_to_end_the_sensory_level():
    assert classify(put(normal(), "left.light_touch.T9", "1")).left.sensory_level == "T8"


@pytest.mark.parametrize(
    ("c6", "c7", "level"),
    [
        ("5", "2", "C6"),
        ("5", "3", "C7"),
        ("4", "5", "C6"),
        ("3", "5", "C6"),
        ("2", "5", "C5"),
        ("5", "5", "T1"),
    ],
)
def test_the_motor_level_is_the_lowest_grade_three_below_normal_muscles(c6, c7, level):
    exam = with_values(injured("T1"), right__motor__C6=c6, right__motor__C7=c7)
    assert classify(exam).right.motor_level == level


@pytest.mark.parametrize("level", ["T2", "T6", "T10", "T12", "L1"])
def test_from_t2_to_l1_the_motor_level_follows_sensation(level):
    result = classify(injured(level))
    assert result.right.motor_level == result.right.sensory_level == level


def test_the_motor_level_does_not_follow_sensation_past_a_weak_hand():
    exam = put(injured("T10"), "right.motor.T1", "4")
    result = classify(exam)
    assert (result.right.motor_level, result.left.motor_level) == ("T1", "T10")
    assert result.neurological_level == "T1"


def test_normal_arms_with_a_sensory_level_in_the_arm_give_t1():
    result = classify(injured("C6", "T1"))
    assert result.right.motor_level == "T1"
    assert result.neurological_level == "C6"


def test_normal_legs_with_a_sensory_level_in_the_leg_give_s1():
    assert classify(injured("L4", "S1")).right.motor_level == "S1"


def test_strong_hip_flexors_do_not_lift_the_motor_level_over_a_thoracic_sensory_level():
    exam = legs(injured("T10"), "55555", "55555")
    assert classify(exam).right.motor_level == "T10"


@pytest.mark.parametrize(("contraction", "level"), [("Yes", "INT"), ("No", "S3"), ("NT", "S3,INT")])
def test_the_anal_contraction_is_the_muscle_of_s4_5(contraction, level):
    exam = {**normal(), "voluntary_anal_contraction": contraction}
    assert classify(exam).right.motor_level == level


# --- completeness and AIS ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"voluntary_anal_contraction": "Yes"},
        {"deep_anal_pressure": "Yes"},
        {"right__pin_prick__S4_5": "1"},
        {"left__light_touch__S4_5": "2"},
    ],
)
def test_any_function_at_s4_5_makes_the_injury_incomplete(change):
    assert classify(injured("T7")).injury_complete == "C"
    assert classify(injured("T7")).asia_impairment_scale == "A"
    key, written = next(iter(change.items()))
    exam = (
        {**injured("T7"), key: written}
        if key.endswith(("contraction", "pressure"))
        else with_values(injured("T7"), **change)
    )
    assert classify(exam).injury_complete == "I"


def test_motor_function_without_sacral_sparing_stays_complete():
    exam = legs(injured("T10"), "44444", "44444")
    assert classify(exam).asia_impairment_scale == "A"


@pytest.mark.parametrize(("muscle", "grade"), [("C8", "B"), ("T1", "C")])
def test_more_than_three_levels_below_the_motor_level_means_four(muscle, grade):
    exam = put(injured("C5", pressure="Yes"), f"right.motor.{muscle}", "1")  # C8 is 3 below C5, T1 is 4
    assert classify(exam).asia_impairment_scale == grade


def test_b_against_c_counts_from_the_motor_level_of_the_same_side():
    # Right motor level C5, left C8. Left L2 is far below both; left T1 far below the right level only.
    exam = injured("C5", pressure="Yes")
    for muscle in ("C6", "C7", "C8"):
        exam = put(exam, f"left.motor.{muscle}", "5")
    assert classify(exam).left.motor_level == "C8"
    assert classify(put(exam, "left.motor.T1", "1")).asia_impairment_scale == "B"
    assert classify(put(exam, "left.motor.L2", "1")).asia_impairment_scale == "C"


@pytest.mark.parametrize(("muscle", "grade"), [("C8", "B"), ("T1", "C"), ("L3", "C"), (None, "B")])
def test_non_key_muscles_count_for_b_against_c(muscle, grade):
    exam = put(injured("C5", pressure="Yes"), "right.lowest_non_key_muscle", muscle)
    assert classify(exam).asia_impairment_scale == grade


def test_non_key_muscles_do_not_make_a_complete_injury_incomplete():
    exam = put(injured("C5"), "right.lowest_non_key_muscle", "L3")
    assert classify(exam).asia_impairment_scale == "A"


@pytest.mark.parametrize(
    ("right", "left", "grade"),
    [("33333", "00000", "D"), ("33332", "00000", "C"), ("33322", "33222", "D"), ("33322", "32222", "C")],
)
def test_exactly_half_of_the_muscles_below_the_level_is_d(right, left, grade):
    exam = legs(injured("T10", contraction="Yes"), right, left)
    assert classify(exam).asia_impairment_scale == grade


def test_c_against_d_counts_below_the_single_neurological_level_on_both_sides():
    # Neurological level C6 by the right sensation: C7 to S1 count on both sides, 8 muscles each.
    exam = legs(injured("T10", contraction="Yes"), "00000", "00000")
    assert classify(exam).asia_impairment_scale == "C"  # 0 of 10 below T10
    assert classify(put(exam, "right.light_touch.C7", "1")).asia_impairment_scale == "C"  # 6 of 16
    assert (
        classify(put(legs(exam, "33000", "00000"), "right.light_touch.C7", "1")).asia_impairment_scale == "D"
    )


def test_anal_contraction_alone_makes_the_injury_motor_incomplete():
    assert classify(injured("T10", contraction="Yes")).asia_impairment_scale == "C"


def test_all_muscles_normal_but_no_contraction_is_not_e():
    exam = {**normal(), "voluntary_anal_contraction": "No"}
    assert classify(exam).asia_impairment_scale == "B"


def test_only_sensation_lost_low_is_d_with_contraction():
    exam = put(normal(), "both.light_touch.S2", "1")
    result = classify(exam)
    assert (result.neurological_level, result.asia_impairment_scale) == ("S1", "D")


# --- zones of partial preservation, 2019 -------------------------------------------------------------------


def test_the_motor_zone_applies_in_incomplete_injuries_without_contraction():
    exam = put(injured("T10", pressure="Yes"), "right.motor.L3", "1")
    result = classify(exam)
    assert result.injury_complete == "I"
    assert (result.right.motor_zpp, result.left.motor_zpp) == ("L3", "T10")
    assert result.right.sensory_zpp == result.left.sensory_zpp == "NA"


def test_the_motor_zone_ends_at_the_motor_level_if_nothing_moves_below():
    assert classify(injured("C6")).right.motor_zpp == "C6"
    assert classify(injured("C6", "T1")).right.motor_zpp == "T1"


def test_the_sensory_zone_is_one_for_each_side():
    exam = with_values(injured("T6"), right__pin_prick__T9="1", left__light_touch__S4_5="1")
    result = classify(exam)
    assert (result.right.sensory_zpp, result.left.sensory_zpp) == ("T9", "NA")


def test_the_sensory_zone_skips_gaps_and_begins_at_the_level():
    assert classify(put(injured("T6"), "right.light_touch.L4", "1")).right.sensory_zpp == "L4"
    assert classify(injured("T6")).right.sensory_zpp == "T6"
    nothing = injured("C2")
    for column in ("light_touch", "pin_prick"):
        nothing = put(nothing, f"right.{column}.C2", "0")
    assert classify(nothing).right.sensory_zpp == "C1"


def test_non_key_muscles_lengthen_the_motor_zone_only_where_they_make_it_c():
    exam = put(injured("T4", pressure="Yes"), "right.lowest_non_key_muscle", "L4")
    result = classify(exam)
    assert (result.asia_impairment_scale, result.right.motor_zpp, result.left.motor_zpp) == ("C", "L4", "T4")
    assert classify({**exam, "deep_anal_pressure": "No"}).right.motor_zpp == "T4"


@pytest.mark.parametrize(
    ("finding", "key"), [("voluntary_anal_contraction", "motor_zpp"), ("deep_anal_pressure", "sensory_zpp")]
)
def test_an_untested_anal_finding_leaves_na_and_the_zone(finding, key):
    result = classify({**injured("T6"), finding: "NT"}).to_dict()
    assert result["right"][key] == "NA,T6"
    assert result["asia_impairment_scale"].startswith("A")


# --- missing values ----------------------------------------------------------------------------------------


def test_missing_values_give_every_possible_level_head_to_tail():
    result = classify(put(injured("T6"), "right.light_touch.T4", "NT"))
    assert (result.right.sensory_level, result.right.motor_level) == ("T3,T6", "T3,T6")
    assert (result.left.sensory_level, result.neurological_level) == ("T6", "T3,T6")
    assert (result.right.light_touch_total, result.light_touch_total) == ("ND", "ND")
    assert result.right.pin_prick_total == result.left.light_touch_total


def test_a_missing_value_below_a_finding_changes_nothing_above():
    exam = put(injured("T6"), "both.pin_prick.T12", "NT")
    assert classify(exam).neurological_level == "T6"
    assert classify(exam).right.sensory_zpp == "T6,T12"


def test_a_missing_motor_score_between_two_levels():
    exam = put(injured("C7"), "right.motor.C7", "NT")
    assert classify(exam).right.motor_level == "C6,C7"


def test_missing_values_may_leave_several_grades():
    exam = put(injured("T6"), "right.light_touch.S4-5", "NT")
    assert classify(exam).injury_complete == "C,I"
    assert classify(exam).asia_impairment_scale == "A,B"
    assert classify({**exam, "voluntary_anal_contraction": "NT"}).asia_impairment_scale == "A,B,C"


# --- tags --------------------------------------------------------------------------------------------------


def test_a_tag_above_the_level_considered_normal_stars_the_level():
    result = classify(put(injured("T6"), "right.motor.C7", "2**"))
    assert (result.right.motor_level, result.right.sensory_level) == ("T6*", "T6")
    assert result.neurological_level == "T6*"


def test_a_tag_considered_not_normal_leaves_the_level_above_and_its_own():
    result = classify(put(injured("T6"), "right.motor.C7", "2*"))
    assert result.right.motor_level == "C6,C7*"
    assert classify(put(injured("T6"), "right.motor.C7", "3*")).right.motor_level == "C7"
    assert classify(put(injured("T6"), "right.motor.C7", "NT*")).right.motor_level == "C6,C7*"


def test_tagged_sensation():
    exam = injured("T6")
    assert classify(put(exam, "left.light_touch.T3", "1*")).left.sensory_level == "T2"
    assert classify(put(exam, "left.light_touch.T3", "1**")).left.sensory_level == "T6*"
    assert classify(put(exam, "left.light_touch.T3", "NT*")).left.sensory_level == "T2*"
    assert classify(put(exam, "left.light_touch.T3", "NT**")).left.sensory_level == "T6*"


def test_tags_do_not_change_the_totals():
    plain = classify(put(injured("T6"), "right.motor.C7", "2"))
    for tag in ("*", "**"):
        tagged = classify(put(injured("T6"), "right.motor.C7", "2" + tag))
        assert tagged.right.motor_total == plain.right.motor_total
    assert classify(put(injured("T6"), "right.motor.C7", "NT**")).right.motor_total == "ND"


def test_tagged_absence_at_s4_5():
    exam = injured("T6")
    tagged = classify(put(exam, "right.light_touch.S4-5", "0*"))
    assert (tagged.injury_complete, tagged.asia_impairment_scale) == ("C*,I*", "A*,B*")
    assert tagged.right.sensory_zpp == "NA,T6"
    taken_as_normal = classify(put(exam, "right.light_touch.S4-5", "0**"))
    assert (taken_as_normal.injury_complete, taken_as_normal.asia_impairment_scale) == ("I*", "B*")
    assert taken_as_normal.right.sensory_zpp == "NA"


def test_a_tag_that_decides_c_against_d():
    exam = legs(injured("T10", contraction="Yes"), "33333", "00000")
    assert classify(exam).asia_impairment_scale == "D"
    assert classify(put(exam, "right.motor.S1", "2")).asia_impairment_scale == "C"
    assert classify(put(exam, "right.motor.S1", "2*")).asia_impairment_scale == "C*,D*"
    assert classify(put(exam, "right.motor.S1", "2**")).asia_impairment_scale == "D*"


def test_a_tagged_zero_in_the_motor_zone():
    exam = put(injured("T10"), "right.motor.L4", "0*")
    assert classify(exam).right.motor_zpp == "T10,L4*"
    assert classify(put(injured("T10"), "right.motor.L4", "0**")).right.motor_zpp == "L4*"


def test_intact_by_tag_is_starred():
    result = classify(put(normal(), "right.light_touch.T5", "1**"))
    assert (result.right.sensory_level, result.neurological_level) == ("INT*", "INT*")
    assert result.asia_impairment_scale == "E*"


def test_results_are_frozen_text():
    result = classify(injured("T6"))
    with pytest.raises(AttributeError):
        result.neurological_level = "T7"  # type: ignore[misc]
    flat = result.to_dict()
    assert list(flat)[:2] == list(exams.SIDES)
    assert all(isinstance(item, str) for side in exams.SIDES for item in flat[side].values())


# --- where a star stands, rule by rule (docs/isncsci.md) ---------------------------------------------------


@pytest.mark.parametrize(
    ("light_touch", "pin_prick", "level"),
    [
        ("NT", "2", "T2,T6"),
        ("NT", "NT**", "T2,T6"),
        ("NT", "1**", "T2,T6*"),
        ("2", "NT**", "T6*"),
        ("NT*", "2", "T2*"),
        ("NT*", "NT", "T2*"),
        ("NT*", "0", "T2"),
        ("0*", "1**", "T2"),
    ],
)
def test_stars_of_the_sensory_level(light_touch, pin_prick, level):
    exam = with_values(injured("T6"), right__light_touch__T3=light_touch, right__pin_prick__T3=pin_prick)
    assert classify(exam).right.sensory_level == level


@pytest.mark.parametrize(
    ("c6", "c7", "c8", "level"),
    [
        ("5", "2**", "2", "C7*"),
        ("5", "3**", "2", "C7"),
        ("NT", "2**", "2", "C5,C6,C7"),
        ("NT", "2**", "NT", "C5,C6,C7*,C8*,T6*"),
        ("NT", "3**", "NT", "C5,C6,C7,C8*,T6*"),
        ("5", "3**", "4", "C8*"),
        ("5", "3*", "4", "C7"),
        ("5", "1*", "4", "C6,C7*"),
    ],
)
def test_stars_of_the_motor_level(c6, c7, c8, level):
    exam = with_values(injured("T6"), right__motor__C6=c6, right__motor__C7=c7, right__motor__C8=c8)
    assert classify(exam).right.motor_level == level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"right__light_touch__C7": "1**"}, "T6*"),
        ({"right__light_touch__C7": "1**", "right__light_touch__C8": "NT"}, "T1,T6"),
        ({"right__motor__T1": "2*"}, "C8,T1*"),
        ({"right__motor__T1": "4**"}, "T6*"),
        ({"right__motor__C8": "NT", "right__motor__T1": "2**", "right__light_touch__T2": "0"}, "C7,C8,T1*"),
        ({"right__motor__C8": "NT", "right__motor__T1": "3**", "right__light_touch__T2": "0"}, "C7,C8,T1"),
    ],
)
def test_stars_at_the_end_of_a_limb(changes, level):
    assert classify(with_values(injured("T6"), **changes)).right.motor_level == level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"right__light_touch__T3": "NT*"}, "T2"),
        ({"both__light_touch__T3": "NT*"}, "T2*"),
        ({"right__light_touch__T3": "1**"}, "T6*"),
        ({"right__motor__C7": "2*"}, "C6,C7"),
        ({"right__motor__C7": "2*", "left__motor__C7": "NT"}, "C6,C7*"),
        ({"both__motor__C7": "3"}, "C7"),
    ],
)
def test_stars_of_the_neurological_level(changes, level):
    assert classify(with_values(injured("T6"), **changes)).neurological_level == level


@pytest.mark.parametrize(
    ("contraction", "l4", "grades"),
    [("No", "0", "B"), ("No", "0*", "B*,C"), ("NT", "0*", "B,C"), ("No", "0**", "C*"), ("No", "1**", "C")],
)
def test_stars_of_motor_function_far_below(contraction, l4, grades):
    exam = injured("T6", contraction=contraction, pressure="Yes")
    assert classify(put(exam, "right.motor.L4", l4)).asia_impairment_scale == grades


def test_c_is_starred_if_it_rests_on_a_level_lowered_by_tags():
    exam = legs(injured("T10", contraction="Yes"), "33222", "33000")
    assert classify(exam).asia_impairment_scale == "C"
    # As seen: C5, and 12 of 18 muscles below are strong. Considered normal: T10, and 4 of 10.
    assert classify(put(exam, "right.motor.C5", "3**")).asia_impairment_scale == "C*"


@pytest.mark.parametrize(
    ("changes", "zone"),
    [
        ({"right__motor__C7": "2**"}, "T6*"),
        ({"right__light_touch__T4": "NT", "right__light_touch__T6": "1**"}, "T3,T6*"),
        ({"right__light_touch__T4": "NT", "right__light_touch__T6": "NT**"}, "T3,T6"),
        ({"right__motor__L4": "NT*"}, "T6,L4"),
        ({"right__motor__L4": "0*"}, "T6,L4*"),
        ({"right__motor__L4": "1*"}, "L4"),
    ],
)
def test_stars_of_the_motor_zone(changes, zone):
    assert classify(with_values(injured("T6"), **changes)).right.motor_zpp == zone


@pytest.mark.parametrize(("t9", "zone"), [("0*", "T6*,T9*"), ("NT*", "T6,T9"), ("1*", "T9"), ("0**", "T9")])
def test_stars_of_the_sensory_zone(t9, zone):
    assert classify(put(injured("T6"), "right.light_touch.T9", t9)).right.sensory_zpp == zone
