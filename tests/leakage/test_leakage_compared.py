"""The check against plan, rehearsal and the CT before: what is known moves as it must."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from kypho.anatomy.rigid import Rigid
from kypho.case.folder import write_volume
from kypho.case.leakage.heights import compare_heights
from kypho.case.leakage.plan import read_planned
from kypho.cli.main import app
from kypho.errors import FrameOfReferenceError, LevelError, UnreadableFileError
from kypho.formats.nifti import write_nifti
from kypho.leakage.agreement import compare_field, compare_needles, compare_routes
from kypho.space import Grid, Volume

STILL = Rigid(rotation=np.eye(3), shift_mm=np.zeros(3))


def write_plan(folder, *, level="T7", needles=((0, 0, 0),), recommended=0):
    """The least that is a plan."""
    axes = {"origin_mm": [0, 0, 0], "left": [1, 0, 0], "posterior": [0, 1, 0], "superior": [0, 0, 1]}
    plan = {
        "level": level,
        "approaches": [{"needles": [{"target_lps_mm": list(target)} for target in needles]}],
        "recommended": recommended,
        "vertebra": {"frame_lps": axes},
        "input": {"ct_sha256": "0"},
    }
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


@pytest.fixture(scope="module")
def leaked(operated):
    return operated("paraspinal")[1]


@pytest.fixture(scope="module")
def as_rehearsed(leaked):
    """A rehearsal that foresaw the operation exactly: the cement as it was measured."""
    with_rim = leaked.scene.ct.like(leaked.cement.astype(np.float32), "1")
    return with_rim.like(compare_field(leaked, with_rim, STILL).found.astype(np.float32))


def test_the_field_compared_has_the_volume_measured(leaked, as_rehearsed):
    """Half a voxel is what rounding to whole voxels leaves."""
    found = compare_field(leaked, as_rehearsed, STILL)
    assert found.found_ml == pytest.approx(leaked.cement_ml.value, abs=0.5 * leaked.scene.voxel_ml)
    assert found.found_ml < np.count_nonzero(leaked.cement) * leaked.scene.voxel_ml


def test_a_rehearsal_that_came_true_overlaps_wholly(leaked, as_rehearsed):
    found = compare_field(leaked, as_rehearsed, STILL)
    assert found.dice == 1
    assert found.mean_mm == found.p95_mm == 0


def test_a_shifted_rehearsal_is_as_far_away_as_it_was_shifted(leaked, as_rehearsed):
    """By whole voxels to the left: no surface is further away than the shift, and some is that far."""
    step = 3 * leaked.scene.ct.grid.spacing_mm[2]
    shifted = Rigid(rotation=np.eye(3), shift_mm=np.array([step, 0, 0]))
    found = compare_field(leaked, as_rehearsed, shifted)
    assert found.dice < 0.9
    assert 0 < found.mean_mm < found.p95_mm <= step + 1e-6
    # Moved back by the inverse it is the same again.
    moved = Volume(array=as_rehearsed.array, grid=as_rehearsed.grid, unit="1")
    assert compare_field(leaked, moved, shifted.inverse.after(shifted)).dice == 1


def test_nothing_rehearsed_is_not_compared(leaked, as_rehearsed):
    assert compare_field(leaked, as_rehearsed.like(np.zeros_like(as_rehearsed.array)), STILL) is None


def test_a_target_in_the_cement_has_no_gap(leaked):
    scene = leaked.scene
    inside = np.argwhere(leaked.numbers == 1)
    deep = scene.ct.grid.to_world(inside[len(inside) // 2])
    aside = deep + 200 * scene.vertebra.frame.superior
    first, second = compare_needles(leaked, np.array([deep, aside]))
    assert first.target_gap_mm == 0
    assert second.target_gap_mm > 3
    # Halfway up to the far target lies the middle of both: the cement is below it.
    assert first.centre_offset_mm[2] < -80


def test_routes_add_up(leaked):
    rehearsed = {"canal_epidural": 0.1, "canal_intradural": 0.05, "venous": 0.2}
    rows = {r.space: r for r in compare_routes(leaked, rehearsed, {"canal_epidural": 0.3, "venous": 0.1})}
    assert rows["canal"].rehearsed_ml == pytest.approx(0.15)
    assert rows["canal"].p_leak == 0.3
    assert rows["canal"].found_ml == 0
    assert sum(r.found_ml for r in rows.values()) == pytest.approx(
        sum(p.measured.ml.value for p in leaked.parts)
    )


def test_heights_do_not_change_where_nothing_was_done(site, operated):
    """The cement is drawn into the very same bone: every height that can be read is the one before.

    Half a millimetre: twice the step of the search, a fifth of the slice.
    """
    _, found = operated("paraspinal")
    frame = site.vertebra.frame
    heights = compare_heights(site.ct, site.labels, frame, operated("paraspinal")[0].ct, found)
    read = [s for s in heights.sites if s.gain_mm is not None]
    assert read
    assert all(abs(s.gain_mm) < 0.5 for s in read)
    assert all(s.reason for s in heights.sites if s.gain_mm is None)


def test_a_plan_of_another_level_or_no_plan_is_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match="kypho plan"):
        read_planned(tmp_path, "T7")
    write_plan(tmp_path, level="T8")
    with pytest.raises(LevelError, match="T8"):
        read_planned(tmp_path, "T7")
    (tmp_path / "plan.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UnreadableFileError):
        read_planned(tmp_path, "T7")


@pytest.mark.parametrize(
    ("change", "error", "hint"),
    [
        ({"level": "T8"}, LevelError, "is for T8, not T7"),
        ({"ct_sha256": "1"}, FrameOfReferenceError, "another CT"),
        ({"injected_ml": None}, UnreadableFileError, "kypho rehearse again"),
        ({"leaked_ml": []}, UnreadableFileError, "kypho rehearse again"),
    ],
)
def test_a_rehearsal_that_does_not_go_with_its_plan_is_refused(tmp_path, change, error, hint):
    write_plan(tmp_path)
    good = {"level": "T7", "ct_sha256": "0", "injected_ml": 2.0, "leaked_ml": {"venous": 0.1}}
    (tmp_path / "rehearsal.json").write_text(json.dumps(good | change), encoding="utf-8")
    with pytest.raises(error, match=hint):
        read_planned(tmp_path, "T7")


def test_a_check_into_the_case_folder_leaves_the_rehearsal_as_it_was(tmp_path, site, operated):
    """A case keeps all its stages in one folder; no file of a check has the name of another stage's."""
    others = {"plan.json", "report.html", "manifest.json", "regions.nii.gz", "cement.nii.gz"}
    others |= {f"{stage}{end}" for stage in ("assessment", "rehearsal") for end in (".json", ".html")}
    others |= {"assessment.manifest.json", "rehearsal.manifest.json"}
    for name in others:
        (tmp_path / name).write_text("of another stage", encoding="utf-8")
    ct, labels = tmp_path.parent / "ct.nii.gz", tmp_path.parent / "labels.nii.gz"
    write_nifti(ct, operated("paraspinal")[0].ct)
    write_nifti(labels, site.labels.volume)
    arguments = ["check", str(ct), "--labels", str(labels), "--level", "T7", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert {p.read_text(encoding="utf-8") for name in others for p in [tmp_path / name]} == {
        "of another stage"
    }
    written = {p.name for p in tmp_path.iterdir() if p.is_file()} - others
    assert written == {"leakage.json", "leakage.html", "leakage.nii.gz", "leakage.manifest.json"}


def test_a_map_of_numbers_is_no_rehearsed_cement(tmp_path):
    write_plan(tmp_path)
    rehearsal = {"level": "T7", "ct_sha256": "0", "injected_ml": 2.0, "leaked_ml": {"venous": 0.1}}
    (tmp_path / "rehearsal.json").write_text(json.dumps(rehearsal), encoding="utf-8")
    grid = Grid.axis_aligned((4, 4, 4), (1.0, 1.0, 1.0), (0, 0, 0))
    numbers = Volume(array=np.full((4, 4, 4), 2, np.uint8), grid=grid, unit="label")
    write_volume(tmp_path / "cement.nii.gz", numbers)
    with pytest.raises(UnreadableFileError, match="no shares of cement"):
        read_planned(tmp_path, "T7")
    shares = Volume(array=np.full((4, 4, 4), 0.5, np.float32), grid=grid, unit="1")
    write_volume(tmp_path / "cement.nii.gz", shares)
    planned = read_planned(tmp_path, "T7")
    assert planned.field is not None
    assert set(planned.sha256) == {"plan", "rehearsal", "rehearsed_cement"}


def test_a_plan_without_needles_is_no_plan(tmp_path):
    write_plan(tmp_path, needles=(), recommended=None)
    with pytest.raises(UnreadableFileError, match="no needle"):
        read_planned(tmp_path, "T7")
