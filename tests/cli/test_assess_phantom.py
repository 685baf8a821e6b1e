"""`kypho assess` and `kypho phantom` as a user meets them."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from kypho.case.layout import WRITES
from kypho.case.schemas import json_schema
from kypho.cli.main import app
from kypho.errors import ChoiceNeededError, LevelError, SettingsError
from kypho.formats import read_ct
from kypho.fracture import FACTORS

SAMPLE = files("kypho.formats") / "sample"
CT, LABELS = str(SAMPLE / "t5-t9_ct.nii.gz"), str(SAMPLE / "t5-t9_labels.nii.gz")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def assessed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assess") / "T7"
    result = run("assess", CT, "--labels", LABELS, "--level", "t7", "--viscosity", "low", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.output, json.loads((folder / "assessment.json").read_text())


def test_the_document_follows_its_schema(assessed):
    jsonschema.validate(assessed[2], json_schema("assessment"))
    assert assessed[2]["schema"] == "kypho.assessment/1"


def test_every_factor_is_there_with_a_state(assessed):
    states = {f["factor"]: f["state"] for f in assessed[2]["findings"]}
    assert set(FACTORS) == set(states)
    assert set(states.values()) <= {"present", "absent", "not_assessable"}


def test_height_genant_and_risk_have_their_places(assessed):
    document = assessed[2]
    assert set(document["height_loss_percent"]) == {"anterior", "middle", "posterior"}
    assert set(document["genant"]) >= {"type", "grade"}
    risk = document["risk"]
    assert risk["interval"]["low"] < risk["any"]["probability"] < risk["interval"]["high"]
    assert set(risk["routes"]) >= {"venous", "intradiscal", "paravertebral", "spinal_canal"}
    assert risk["inputs"]["low_viscosity"] is True
    assert len(risk["not_claimed"]) >= 9


def test_the_page_stands_alone_and_says_what_it_is(assessed):
    page = (assessed[0] / "assessment.html").read_text()
    assert "not a medical device" in page
    assert "Not claimed" in page
    assert 'src="http' not in page
    assert page.count("data:image/png") == 2


def test_the_terminal_says_it_in_a_few_lines(assessed):
    assert assessed[1].startswith("T7:")
    assert "not a medical device" in assessed[1]
    assert len(assessed[1].splitlines()) <= 5


def test_what_is_stated_of_the_patient_reaches_the_models(tmp_path):
    stated = ("--metastasis", "rapid", "--treated-levels", "2", "--fracture-age", "10")
    run("assess", CT, "--labels", LABELS, "--level", "T7", *stated, "--out", tmp_path / "out")
    risk = json.loads((tmp_path / "out/assessment.json").read_text())["risk"]
    assert risk["any"] is None
    assert risk["routes"]["venous"]["probability"] is not None
    assert (risk["inputs"]["treated_levels"], risk["inputs"]["fracture_age_days"]) == (2, 10)


def test_without_a_level_the_levels_are_listed():
    result = run("assess", CT, "--labels", LABELS)
    assert isinstance(result.exception, ChoiceNeededError)
    assert "T7" in str(result.exception)


def test_a_report_on_a_made_up_ct_says_so(tmp_path, assessed):
    made, out = tmp_path / "v", tmp_path / "a"
    run("phantom", CT, "--labels", LABELS, "--level", "T7", "--collapse", "wedge=30", "--out", made)
    result = run(
        "assess", made / "ct.nii.gz", "--labels", made / "labels.nii.gz", "--level", "T7", "--out", out
    )
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" in (out / "assessment.html").read_text()
    assert "SYNTHETIC" not in (assessed[0] / "assessment.html").read_text()


def test_an_earlier_ct_says_how_tall_the_body_was(tmp_path):
    made, out = tmp_path / "made", tmp_path / "out"
    run("phantom", CT, "--labels", LABELS, "--level", "T7", "--collapse", "wedge=30", "--out", made)
    scan, truth = next(made.glob("*ct.nii.gz")), json.loads((made / "truth.json").read_text())
    drawn = next(made.glob("*labels.nii.gz"))
    before = ("--earlier", CT, "--earlier-labels", LABELS)
    result = run("assess", scan, "--labels", drawn, "--level", "T7", *before, "--out", out)
    assert result.exit_code == 0, result.output
    document = json.loads((out / "assessment.json").read_text())
    assert document["height_loss_against"] == "earlier CT"
    doubt = document["height_loss_uncertainty_percent"]
    for site, true in truth["height_loss_percent"].items():
        assert document["height_loss_percent"][site] == pytest.approx(true, abs=doubt), site
    inputs = json.loads((out / "assessment.manifest.json").read_text())["inputs"]
    assert inputs["earlier_ct"] != inputs["ct"]
    assert "earlier CT" in (out / "assessment.html").read_text()


def test_labels_of_an_earlier_ct_need_that_ct(tmp_path):
    result = run("assess", CT, "--labels", LABELS, "--level", "T7", "--earlier-labels", LABELS)
    assert isinstance(result.exception, SettingsError)
    assert "--earlier" in str(result.exception)


def test_a_level_that_is_not_there(tmp_path):
    result = run("assess", CT, "--labels", LABELS, "--level", "L3", "--out", tmp_path / "no")
    assert isinstance(result.exception, LevelError)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--procedure", "screw"),
        ("--detection", "ear"),
        ("--viscosity", "thin"),
        ("--volume", "90"),
        ("--metastasis", "yes"),
        ("--treated-levels", "0"),
        ("--fracture-age", "-1"),
    ],
)
def test_settings_out_of_range_are_named(option):
    result = run("assess", CT, "--labels", LABELS, "--level", "T7", *option)
    assert isinstance(result.exception, SettingsError)


@pytest.mark.slow
def test_a_phantom_is_written_with_its_truth(tmp_path):
    out = tmp_path / "virtual"
    result = run(
        "phantom", CT, "--labels", LABELS, "--level", "T7", "--out", out,
        "--collapse", "wedge=40", "--cleft", "gas=0.8", "--wall", "posterior=40,0.2,0.5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == set(WRITES["phantom"])
    truth = json.loads((out / "truth.json").read_text())
    assert truth["synthetic"].startswith("SYNTHETIC")
    assert truth["height_loss_percent"]["anterior"] == pytest.approx(38, abs=2)
    made, intact = read_ct(out / "ct.nii.gz").volume, read_ct(CT).volume
    assert made.grid.matches(intact.grid)
    assert not np.array_equal(made.array, intact.array)


@pytest.mark.parametrize(
    "option",
    [
        ("--collapse", "burst=40"), ("--collapse", "wedge=x"), ("--collapse", "wedge=90"),
        ("--collapse", "wedge=nan"), ("--collapse", "wedge=40,50"), ("--wall", "top=40"),
        ("--wall", "posterior=40,3,0"), ("--wall", "posterior=40,0,0,0"), ("--schmorl", "superior=4"),
        ("--retropulsion", "-2"), ("--retropulsion", "nan"), ("--cleft", "water=1"), ("--lesion", "-3"),
        ("--lesion", "nan"), ("--breach", "middle"), ("--density-drop", "nan"), ("--slice", "0"),
        ("--slice", "-1"), ("--seed", "-1"), ("--random", "--seed", "-1"), ("--random", "--lesion", "3"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_phantom_options_out_of_range_are_named_before_anything_is_read(option, tmp_path, monkeypatch):
    def never(*_, **__):
        pytest.fail("the CT was read first")

    monkeypatch.setattr("kypho.formats.read_ct", never)
    result = run("phantom", CT, "--labels", LABELS, "--level", "T7", "--out", tmp_path / "v", *option)
    assert isinstance(result.exception, SettingsError), result.output
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "v").exists()
