"""The check against plan, rehearsal and the CT before: what is known moves as it must."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kypho.anatomy.rigid import Rigid
from kypho.case.folder import write_volume
from kypho.case.leakage.heights import compare_heights
from kypho.case.leakage.plan import read_planned
from kypho.errors import FrameOfReferenceError, InputError, LevelError, UnreadableFileError
from kypho.leakage.agreement import compare_field, compare_needles, compare_routes
from kypho.space import Grid, Volume

STILL = Rigid(rotation=np.eye(3), shift_mm=np.zeros(3))


@pytest.fixture(scope="module")
def leaked(operated):
    return operated("paraspinal")[1]


@pytest.fixture(scope="module")
def as_rehearsed(leaked):
    """A rehearsal that foresaw the operation exactly."""
    return leaked.cement_map.like((leaked.cement_map.array > 0).astype(np.float32), "1")


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
    place = tuple(slice(a, a + n) for a, n in zip(scene.start, scene.ct.grid.shape, strict=True))
    inside = np.argwhere(leaked.cement_map.array[place] == 1)
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
    axes = {"origin_mm": [0, 0, 0], "left": [1, 0, 0], "posterior": [0, 1, 0], "superior": [0, 0, 1]}
    plan = {
        "level": "T8",
        "approaches": [{"needles": [{"target_lps_mm": [0, 0, 0]}]}],
        "recommended": 0,
        "vertebra": {"frame_lps": axes},
        "input": {"ct_sha256": "0"},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
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
    axes = {"origin_mm": [0, 0, 0], "left": [1, 0, 0], "posterior": [0, 1, 0], "superior": [0, 0, 1]}
    plan = {
        "level": "T7",
        "approaches": [{"needles": [{"target_lps_mm": [0, 0, 0]}]}],
        "recommended": 0,
        "vertebra": {"frame_lps": axes},
        "input": {"ct_sha256": "0"},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    good = {"level": "T7", "ct_sha256": "0", "injected_ml": 2.0, "leaked_ml": {"venous": 0.1}}
    (tmp_path / "rehearsal.json").write_text(json.dumps(good | change), encoding="utf-8")
    with pytest.raises(error, match=hint):
        read_planned(tmp_path, "T7")


def test_a_check_written_over_a_rehearsal_is_not_taken_for_one(tmp_path):
    """Both keep a cement.nii.gz; compared with its own map a check would agree with itself."""
    axes = {"origin_mm": [0, 0, 0], "left": [1, 0, 0], "posterior": [0, 1, 0], "superior": [0, 0, 1]}
    plan = {
        "level": "T7",
        "approaches": [{"needles": [{"target_lps_mm": [0, 0, 0]}]}],
        "recommended": 0,
        "vertebra": {"frame_lps": axes},
        "input": {"ct_sha256": "0"},
    }
    rehearsal = {"level": "T7", "ct_sha256": "0", "injected_ml": 2.0, "leaked_ml": {"venous": 0.1}}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (tmp_path / "rehearsal.json").write_text(json.dumps(rehearsal), encoding="utf-8")
    grid = Grid.axis_aligned((4, 4, 4), (1.0, 1.0, 1.0), (0, 0, 0))
    numbers = Volume(array=np.full((4, 4, 4), 2, np.uint8), grid=grid, unit="label")
    write_volume(tmp_path / "cement.nii.gz", numbers)
    with pytest.raises(InputError, match="a check was written into the same folder"):
        read_planned(tmp_path, "T7")
    shares = Volume(array=np.full((4, 4, 4), 0.5, np.float32), grid=grid, unit="1")
    write_volume(tmp_path / "cement.nii.gz", shares)
    assert read_planned(tmp_path, "T7").field is not None


def test_a_plan_without_needles_is_no_plan(tmp_path):
    plan = {
        "level": "T7",
        "approaches": [{"needles": []}],
        "recommended": None,
        "vertebra": {
            "frame_lps": {
                "origin_mm": [0, 0, 0],
                "left": [1, 0, 0],
                "posterior": [0, 1, 0],
                "superior": [0, 0, 1],
            }
        },
        "input": {"ct_sha256": "0"},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="no needle"):
        read_planned(tmp_path, "T7")
