"""`kypho view-angles`: dial and line say the same, and bad input is one line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from kypho.cli.main import app
from kypho.errors import SettingsError, UnreadableFileError
from kypho.fluoroscopy import en_face
from kypho.space import Frame


def rows(*arguments):
    result = CliRunner().invoke(app, ["view-angles", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def refused(*arguments):
    return CliRunner().invoke(app, ["view-angles", *arguments]).exception


@pytest.mark.parametrize("angles", [(20.0, 5.0), (-35.5, -12.0), (0.0, 0.0), (90.0, 10.0)])
def test_angles_and_line_round_trip(angles):
    (there,) = rows("--angles", f"{angles[0]},{angles[1]}")
    (back,) = rows("--direction", ",".join(map(str, there["beam_lps"])))
    assert (back["lao_deg"], back["cranial_deg"]) == pytest.approx(angles, abs=1e-6)


def test_the_sense_of_the_line_does_not_matter():
    assert rows("--direction", "-3,-9,1") == rows("--direction", "3,9,-1")
    assert rows("--direction", "1,0,0")[0]["lao_deg"] == pytest.approx(90)


def test_a_plans_needles_get_their_bulls_eye_views(tmp_path):
    entry, tip = [20.0, 40.0, 3.0], [4.0, -5.0, 0.0]
    needle = {"side": "left", "bone_entry_lps_mm": entry, "tip_lps_mm": tip}
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps({"approaches": [{"strategy": "unilateral_left", "needles": [needle, needle]}]})
    )
    found = rows("--plan", str(plan))
    carm = en_face(Frame(origin_mm=np.zeros(3), rotation=np.eye(3)), entry, tip)
    assert len(found) == 2
    assert (found[0]["lao_deg"], found[0]["cranial_deg"]) == pytest.approx(carm.angles_deg)
    assert "left needle" in found[0]["what"]


def test_text_is_what_a_radiographer_reads():
    result = CliRunner().invoke(app, ["view-angles", "--direction", "-0.3420201,-0.9396926,0"])
    assert result.stdout.startswith("line: RAO 20.0°, CRA 0.0°; tube to detector L +0.3420 P +0.9397")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--direction", "1,2"),
        ("--direction", "0,0,0"),
        ("--angles", "200,10"),
        ("--angles", "20,100"),
        ("--angles", "a,b"),
        ("--direction", "nan,0,1"),
        ("--angles", "1,2", "--plan", "x"),
    ],
)
def test_bad_arguments_are_refused(arguments):
    assert isinstance(refused(*arguments), SettingsError)


@pytest.mark.parametrize("text", ["", "[]", '{"approaches": [{"needles": [{}]}]}', '{"approaches": []}'])
def test_files_that_are_no_plan_are_refused(tmp_path, text):
    path = tmp_path / "plan.json"
    path.write_text(text)
    error = refused("--plan", str(path))
    assert isinstance(error, UnreadableFileError)
    assert "plan.json" in str(error)
    assert isinstance(refused("--plan", str(tmp_path / "none.json")), UnreadableFileError)
