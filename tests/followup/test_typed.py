"""What people type is read in one way or refused; nothing typed is dropped."""

from itertools import permutations

import pytest

from kypho.case.followup.plain_data import parse_json, parse_yaml
from kypho.errors import RecordError
from kypho.followup.events import Lab
from kypho.followup.labs import flag
from kypho.followup.typed import read_scores
from kypho.followup.typed_lab import read_lab


@pytest.mark.parametrize("order", list(permutations(["both legs=5", "right legs=4", "right L3=2"])))
def test_what_names_more_closely_overrides_in_any_order(order):
    found = read_scores(order)
    assert found["left"] == dict.fromkeys(("L2", "L3", "L4", "L5", "S1"), "5")
    assert found["right"] == {**dict.fromkeys(("L2", "L4", "L5", "S1"), "4"), "L3": "2"}


@pytest.mark.parametrize(
    "texts",
    [
        ["right L3=0 L3=5"],
        ["right L3=0", "right L3=5"],
        ["both legs=0", "both legs=5"],
        ["both patellar=absent patellar=normal"],
        ["right legs=5", "both L3=2"],
    ],
)
def test_two_scores_for_one_item_are_refused(texts):
    with pytest.raises(RecordError, match="keep one score"):
        read_scores(texts)


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        ("crp=140 mg/L [<=5,0]", "high"),
        ("crp=5,1 mg/L [<= 5.0 mg/l]", "high"),
        ("esr=90 mm/h [0\u201320]", "high"),
        ("esr=90 mm/h [0 \u2014 20 mm/h]", "high"),
        ("esr=90 mm/h [0 to 20]", "high"),
        ("crp=140 mg/L [up to 5]", "high"),
        ("hs_crp=>100 mg/L [<=5]", "high"),
        ("crp=>5 mg/L [<=5]", "high"),
        ("crp=>=5 mg/L [<=5]", "unknown"),
        ("crp=>100 mg/L [<=200]", "unknown"),
        ("crp=<0,3 mg/L [<=5]", "normal"),
        ("haemoglobin=<50 g/L [120-160]", "low"),
        ("creatinine=<100 umol/L [57-97]", "unknown"),
        ("crp=>100 mg/L", "unknown"),
        ("crp=4 mg/L [<=5]", "normal"),
        ("urine_protein=1+ [negative]", "abnormal"),
    ],
)
def test_a_range_is_read_however_it_is_written(case, text, stands):
    event = case.add("lab", "2024-02-10", **read_lab(text))
    assert flag(event.body) == stands
    assert ("R12" in case.fired()) is (stands in ("high", "low", "abnormal"))


@pytest.mark.parametrize(
    "text",
    [
        "crp=140 mg/L [5]",
        "crp=140 mg/L [normal]",
        "crp=140 mg/L []",
        "crp=140 mg/L [<=0.5 mg/dL]",
        "crp=140 mg/L (<=5)",
        "crp=140 mg/L [<=5] fasting",
        "crp=1,234 mg/L",
        "crp=elevated",
        "crp=elevated [<=5]",
        "urine_protein=1+ [<=5]",
        "crp= [x]",
        "other:x=3 mg/L (0-2)",
    ],
)
def test_a_value_or_range_that_cannot_be_read_is_refused(case, text):
    with pytest.raises(RecordError):
        case.add("lab", "2024-02-10", **read_lab(text))


def test_a_value_beyond_the_assay_rises_only_from_what_is_surely_lower(case):
    for day, text in ((4, "crp=90 mg/L"), (5, "crp=>100 mg/L"), (6, "crp=>80 mg/L"), (7, "crp=<200 mg/L")):
        case.add("lab", f"2024-02-0{day + 1}", **read_lab(text))
        rising = [fact.text for fact in case.status().facts if fact.name == "lab.inflammation_rising"]
        assert rising == ([] if day == 4 else ["CRP >100 mg/L, up from CRP 90 mg/L"])


def test_bounds_of_a_value():
    assert Lab(analyte="crp", value=3, unit="mg/L").bounds == (3, 3)
    assert Lab(analyte="crp", value=3, unit="mg/L", comparator="<").bounds == (0, 3)


@pytest.mark.parametrize(
    ("parse", "text", "place"),
    [
        (parse_yaml, "motor:\n  right: {L2: 0, L2: 5}", "line 2.*'L2'"),
        (parse_yaml, "a: 1\nb: 2\na: 1", "line 3.*'a'"),
        (parse_json, '{"right": {"L2": 0, "L2": 5}}', "'L2'"),
    ],
)
def test_a_name_that_stands_twice_is_refused_with_its_place(parse, text, place):
    with pytest.raises(RecordError, match=place):
        parse(text)


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize("depth", [101, 400, 100_000])
def test_what_is_nested_without_end_is_refused(parse, depth):
    with pytest.raises(ValueError, match="deep"):
        parse("[" * depth + "]" * depth)


@pytest.mark.parametrize("text", ["&a [*a]", "a: &x 1\nb: *x", "&a {k: *a}"])
def test_an_alias_is_refused(text):
    with pytest.raises(ValueError, match="alias"):
        parse_yaml(text)
