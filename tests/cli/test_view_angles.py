"""`kypho view-angles`: dial and line say the same, and bad input is one line."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kypho.cli.main import app
from kypho.errors import SettingsError, UnreadableFileError
from kypho.fluoroscopy import en_face
from kypho.space import Frame

PLAN = Path(__file__).parent / "t7_plan.json"
PLANNED = json.loads(PLAN.read_text())


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
    for path in (PLAN, PLAN.parent):
        (tmp_path / "plan.json").write_text(PLAN.read_text())
        found = rows("--plan", str(path if path.is_file() else tmp_path))
        carm = en_face(*_frame_and_line(PLANNED, 0))
        assert len(found) == sum(len(a["needles"]) for a in PLANNED["approaches"])
        assert (found[0]["lao_deg"], found[0]["cranial_deg"]) == pytest.approx(carm.angles_deg, abs=1e-3)
        assert "left needle" in found[0]["what"]


def _frame_and_line(plan, approach):
    frame = plan["vertebra"]["frame_lps"]
    axes = np.array([frame[name] for name in ("left", "posterior", "superior")]).T
    needle = plan["approaches"][approach]["needles"][0]
    # The frame of the anatomy does not decide what is dialled: angles are the patient's.
    rotation = np.linalg.qr(axes)[0]
    rotation *= np.sign(np.diag(rotation.T @ axes))
    line = needle["bone_entry_lps_mm"], needle["tip_lps_mm"]
    return Frame(origin_mm=np.array(frame["origin_mm"]), rotation=rotation), *line


def test_what_is_recommended_is_marked_and_what_was_refused_too(tmp_path):
    """A refused plan ends as the plan did, with code 30, and no line of it looks like an approach to take."""
    shown = CliRunner().invoke(app, ["view-angles", "--plan", str(PLAN)])
    assert shown.exit_code == 0
    assert ["recommended" in line for line in shown.stdout.splitlines()] == [True, False, False, False]
    assert "NOT ACCEPTABLE" not in shown.stdout
    refused_plan = copy.deepcopy(PLANNED) | {"recommended": None}
    for approach in refused_plan["approaches"]:
        approach |= {"feasible": False, "acceptable": "not acceptable"}
    (tmp_path / "plan.json").write_text(json.dumps(refused_plan))
    shown = CliRunner().invoke(app, ["view-angles", "--plan", str(tmp_path)])
    assert shown.exit_code == 30
    assert all("NOT ACCEPTABLE" in line for line in shown.stdout.splitlines())
    as_json = CliRunner().invoke(app, ["view-angles", "--plan", str(tmp_path), "--json"])
    assert as_json.exit_code == 30
    assert not any(row["acceptable"] or row["recommended"] for row in json.loads(as_json.stdout))


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
