"""A plan.json that was changed by hand, or is of something else, is refused by the field that is wrong."""

import copy
import json
from pathlib import Path

import pytest

from kypho.case.plan.read import read_plan
from kypho.case.plan.schema import PlanDocument
from kypho.errors import UnreadableFileError

PLAN = json.loads((Path(__file__).parents[1] / "cli" / "t7_plan.json").read_text())


def put(*places, value):
    """The plan with one field changed."""
    plan = copy.deepcopy(PLAN)
    part = plan
    for place in places[:-1]:
        part = part[place]
    part[places[-1]] = value
    return plan


def needle(**fields):
    plan = copy.deepcopy(PLAN)
    plan["approaches"][0]["needles"][0] |= fields
    return plan


def without(name):
    return {key: part for key, part in PLAN.items() if key != name}


FIRST = PLAN["approaches"][0]["needles"][0]
ENTRY, TIP = FIRST["bone_entry_lps_mm"], FIRST["tip_lps_mm"]
FRONT = [TIP[0], TIP[1] - 12, TIP[2]]
SHORT = [0.7 * e + 0.3 * t for e, t in zip(ENTRY, TIP, strict=True)]
FAULTS = {
    "another version": (put("schema", value="kypho.plan/9"), "schema"),
    "another document": (put("schema", value="kypho.leakage/1"), "schema"),
    "no schema": (without("schema"), "schema"),
    "a field too many": (PLAN | {"extra": 1}, "extra"),
    "counted from the end": (put("recommended", value=-1), "recommended"),
    "past the end": (put("recommended", value=9), "recommended"),
    "a truth for a number": (put("recommended", value=True), "recommended"),
    "not feasible": (put("approaches", 0, "feasible", value=False), "recommended"),
    "no approach": (put("approaches", value=[]), "approaches"),
    "no needle": (put("approaches", 0, "needles", value=[]), r"approaches\[0\]\.needles"),
    "the other side": (needle(side="right"), r"approaches\[0\]\.needles"),
    "two numbers": (needle(tip_lps_mm=TIP[:2]), r"needles\[0\]\.tip_lps_mm"),
    "a word": (needle(tip_lps_mm=[*TIP[:2], "1"]), r"needles\[0\]\.tip_lps_mm\[2\]"),
    "nan": (needle(tip_lps_mm=[*TIP[:2], float("nan")]), r"needles\[0\]\.tip_lps_mm\[2\]: nan"),
    "infinity": (put("vertebra", "body_hu", value=float("inf")), r"vertebra\.body_hu: inf"),
    "a flat body": (put("vertebra", "body_depth_mm", value=0.0), r"vertebra\.body_depth_mm"),
    "a pipe": (needle(outer_diameter_mm=300.0), r"needles\[0\]\.outer_diameter_mm: 300 mm"),
    "unknown device": (needle(device="7G"), r"needles\[0\]\.device: '7G'"),
    "from the front": (needle(bone_entry_lps_mm=FRONT), r"needles\[0\]\.bone_entry_lps_mm"),
    "swapped": (needle(bone_entry_lps_mm=TIP, tip_lps_mm=ENTRY), r"needles\[0\]\.bone_entry_lps_mm"),
    "short of the body": (needle(tip_lps_mm=SHORT), r"needles\[0\]\.tip_lps_mm"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_plan_is_refused_by_its_field(tmp_path, fault):
    plan, field = FAULTS[fault]
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match=rf"plan\.json is no plan of kypho: .*{field}") as caught:
        read_plan(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "1" * 5000, "[" * 100_000, '{"a":' * 100_000, "\udcff"])
def test_what_is_no_plan_at_all_is_refused(tmp_path, text):
    (tmp_path / "plan.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnreadableFileError, match=r"plan\.json is no plan of kypho"):
        read_plan(tmp_path)


def test_a_plan_is_read_as_it_was_written_by_its_file_or_folder(tmp_path):
    document = PlanDocument.model_validate(PLAN)
    (tmp_path / "plan.json").write_text(document.model_dump_json(by_alias=True), encoding="utf-8")
    assert read_plan(tmp_path) == read_plan(tmp_path / "plan.json") == document
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_plan(tmp_path / "none")
