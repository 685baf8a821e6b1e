"""What is refused at the door, the bedside examination, and the command."""

from __future__ import annotations

import json
import sys
from copy import deepcopy

import pytest
from isncsci_exams import injured, normal, put
from typer.testing import CliRunner

from kypho.cli.isncsci import isncsci
from kypho.cli.main import app
from kypho.errors import RecordError, UnreadableFileError
from kypho.followup.isncsci import Examination, classify, from_partial, verdict


def run(*arguments: str, stdin: str | bytes | None = None):
    return CliRunner().invoke(app, ["isncsci", *arguments], input=stdin)


def without(path: str) -> dict:
    exam = deepcopy(normal())
    *way, last = path.split(".")
    place = exam
    for step in way:
        place = place[step]
    del place[last]
    return exam


@pytest.mark.parametrize(
    ("exam", "path"),
    [
        (put(normal(), "right.motor.C5", "6"), "right.motor.C5"),
        (put(normal(), "left.motor.S1", "-1"), "left.motor.S1"),
        (put(normal(), "left.motor.S1", "3***"), "left.motor.S1"),
        (put(normal(), "left.motor.S1", 3), "left.motor.S1"),
        (put(normal(), "left.motor.S1", None), "left.motor.S1"),
        (put(normal(), "left.motor.S1", ["3"]), "left.motor.S1"),
        (put(normal(), "right.light_touch.T4", "3"), "right.light_touch.T4"),
        (put(normal(), "right.pin_prick.S4-5", "nt"), "right.pin_prick.S4-5"),
        (put(normal(), "right.motor.T2", "5"), "right.motor.T2"),
        (put(normal(), "right.light_touch.S4", "2"), "right.light_touch.S4"),
        (put(normal(), "right.motor", "5"), "right.motor"),
        (put(normal(), "right.lowest_non_key_muscle", "T6"), "right.lowest_non_key_muscle"),
        (put(normal(), "right.lowest_non_key_muscle", 4), "right.lowest_non_key_muscle"),
        (put(normal(), "right.lowest_nonkey_muscle", "L4"), "right.lowest_nonkey_muscle"),
        (without("right.motor.L3"), "right.motor.L3"),
        (without("left.light_touch.S4-5"), "left.light_touch.S4-5"),
        (without("left.pin_prick"), "left.pin_prick"),
        (without("left"), "left"),
        (without("deep_anal_pressure"), "deep_anal_pressure"),
        ({**normal(), "voluntary_anal_contraction": "yes"}, "voluntary_anal_contraction"),
        ({**normal(), "deep_anal_pressure": True}, "deep_anal_pressure"),
        ({**normal(), "right": None}, "right"),
        ([], "examination"),
        (None, "examination"),
    ],
)
def test_bad_input_is_refused_with_the_path_of_the_bad_value(exam, path):
    with pytest.raises(RecordError) as caught:
        classify(exam)
    assert str(caught.value).startswith(f"{path}:")
    assert "\n" not in str(caught.value)


def test_the_non_key_muscle_may_be_left_out_and_notes_may_stand_at_the_top():
    exam = without("right.lowest_non_key_muscle")
    assert classify({**exam, "comments": "left ankle in a cast"}) == classify(normal())


def test_an_examination_can_be_kept_and_classified_later():
    kept = Examination.from_dict(injured("T9"))
    assert classify(kept) == classify(kept.to_dict())


# --- bedside ----------------------------------------------------------------------------------------------


def test_legs_only_never_yields_a_single_invented_grade():
    legs = {"motor": dict.fromkeys(["L2", "L3", "L4", "L5", "S1"], "0")}
    result = classify(from_partial({"right": legs, "left": legs}))
    # D stays open: with untested arms and a level in the neck, strong arms are half of the muscles below.
    assert verdict(result) == "cannot classify: 4 possible AIS grades (A, B, C, D)"
    strong = {"motor": dict.fromkeys(["L2", "L3", "L4", "L5", "S1"], "5")}
    result = classify(from_partial({"right": strong, "left": strong}))
    # C is excluded: strong legs are at least half of the muscles below any level.
    assert verdict(result) == "cannot classify: 4 possible AIS grades (A, B, D, E)"


def test_a_bedside_examination_that_settles_the_grade_says_so():
    assert verdict(classify(from_partial(injured("T9")))) == "AIS A"
    assert verdict(classify(from_partial(normal()))) == "AIS E"


@pytest.mark.parametrize(
    "partial",
    [
        {"right": {"motor": {"L9": "3"}}},
        {"right": {"motor": {"L2": "7"}}},
        {"rihgt": {}},
        {"left": 3},
        None,
        3,
        "x",
    ],
)
def test_a_bedside_examination_is_checked_like_any_other(partial):
    with pytest.raises(RecordError):
        from_partial(partial)


# --- the command ------------------------------------------------------------------------------------------


def test_one_examination_in_one_out_an_array_in_an_array_out(tmp_path):
    file = tmp_path / "exam.json"
    file.write_text(json.dumps(injured("T7")), encoding="utf-8")
    expected = classify(injured("T7")).to_dict()
    assert json.loads(run(str(file)).stdout) == expected
    assert json.loads(run("-", stdin=json.dumps([injured("T7"), normal()])).stdout) == [
        expected,
        classify(normal()).to_dict(),
    ]
    assert json.loads(run("-", stdin="[]").stdout) == []


def test_the_bedside_option_fills_gaps_and_says_what_remains():
    """A clinician reads one sentence; a program asks for JSON."""
    legs = '{"right": {"motor": {"L2": "3"}}}'
    said = (
        "Cannot classify: 4 possible AIS grades (A, B, C, D); neurological level not settled, from C1 to L2."
    )
    assert run("--bedside", "-", stdin=legs).stdout.splitlines() == [said]
    assert json.loads(run("--bedside", "--json", "-", stdin=legs).stdout)["injury_complete"] == "C,I"
    several = run("--bedside", "-", stdin=f"[{legs}, {json.dumps(injured('T7'))}]").stdout.splitlines()
    assert several == [f"[0] {said}", "[1] AIS A; neurological level T7."]


def test_a_byte_order_mark_is_no_obstacle():
    text = json.dumps(normal()).encode("utf-8-sig")
    assert json.loads(run("-", stdin=text).stdout)["asia_impairment_scale"] == "E"


def test_a_bad_examination_in_an_array_is_named_and_nothing_is_printed():
    out = run("-", stdin=json.dumps([normal(), put(normal(), "left.motor.L2", "9")]))
    assert isinstance(out.exception, RecordError)
    assert str(out.exception).startswith("standard input: [1].left.motor.L2: '9'")
    assert out.stdout == ""


@pytest.mark.parametrize("text", ["", "{", "\x00", b"\xff\xfe{"])
def test_what_is_no_json_is_unreadable(text):
    assert isinstance(run("-", stdin=text).exception, UnreadableFileError)


def test_a_closed_standard_input_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UnreadableFileError, match="standard input: closed"):
        isncsci("-")


def test_a_missing_file_is_named(tmp_path):
    out = run(str(tmp_path / "none.json"))
    assert isinstance(out.exception, UnreadableFileError)
    assert "none.json" in str(out.exception)


def test_a_muscle_given_twice_is_refused():
    text = json.dumps(normal()).replace('"C5": "5"', '"C5": "5", "C5": "0"', 1)
    out = run("-", stdin=text)
    assert isinstance(out.exception, RecordError)
    assert "'C5'" in str(out.exception)
