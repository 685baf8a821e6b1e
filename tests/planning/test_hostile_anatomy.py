"""Labels that are damaged in ways a user may hand over: a sound plan or a clear refusal, never a crash."""

import numpy as np
import pytest

from kypho.anatomy import Labels, build_vertebra
from kypho.errors import LevelIncompleteError
from kypho.phantoms.spine import SolidSpine
from kypho.planning import PlanSettings, plan_level
from kypho.space import Frame, Volume

SPINE = SolidSpine(frame=Frame(origin_mm=np.zeros(3), rotation=np.eye(3)))


@pytest.fixture(scope="module")
def drawn():
    return SPINE.draw(SPINE.grid((1.0, 1.0, 1.0)))


def changed(labels, where, number, **more_ids):
    """The labels with another number where `where`, a function of LPS x, y, z in mm, says so."""
    grid = labels.volume.grid
    points = grid.to_world(np.stack(np.indices(grid.shape), axis=-1).reshape(-1, 3)).reshape(*grid.shape, 3)
    array = np.where(where(*np.moveaxis(points, -1, 0)), number, labels.volume.array).astype(np.uint16)
    return Labels(
        volume=Volume(array=array, grid=grid, unit="label"), scheme="test", ids={**labels.ids, **more_ids}
    )


def lamina(x, y, z):
    """All the bone behind the middle of T7's canal: the ring is open by the canal's whole width."""
    return (np.abs(x) <= SPINE.canal_radius_mm + 1) & (y > SPINE.canal_y_mm) & (np.abs(z) < 12)


def without_lamina(labels):
    bone = np.isin(labels.volume.array, labels.ids["T7"])
    ring = changed(labels, lamina, 0)
    array = np.where(bone | (labels.volume.array == 0), ring.volume.array, labels.volume.array)
    return Labels(volume=labels.volume.like(array), scheme="test", ids=labels.ids)


def test_a_tip_in_a_hole_still_has_its_bone_entry_behind_the_pedicle(drawn):
    """A hole of 9 mm through both endplates lies over the target of the unilateral needles.

    The entry is then at least as far back as the isthmus, beside the middle of the canal.
    """
    ct, labels = drawn
    target_y = SPINE.wall_y_mm - 2 / 3 * (SPINE.wall_y_mm + SPINE.half_depth_mm)
    hollow = changed(labels, lambda x, y, z: (np.hypot(x, y - target_y) < 4.5) & (np.abs(z) < 10.6), 0)
    vertebra = build_vertebra(ct, hollow, "T7")
    plan = plan_level(vertebra, ct, hollow, PlanSettings(strategy="unilateral", device="13G"))
    through = [a for a in plan.approaches if a.route == "transpedicular"]
    assert len(through) == 2
    for approach in through:
        assert not approach.feasible
        assert approach.needles[0].entry_mm[1] > SPINE.canal_y_mm
        assert all(reason.value >= 0 for reason in approach.reasons if reason.what.startswith("largest"))


def test_an_open_ring_needs_the_canal_itself_labelled(drawn):
    """The cord is thinner than the canal: margins to it would allow needles inside the canal."""
    ct, labels = drawn
    opened = without_lamina(labels)
    with pytest.raises(LevelIncompleteError, match="label the canal as spinal_canal"):
        build_vertebra(ct, opened, "T7")
    outlined = changed(
        opened,
        lambda x, y, z: np.hypot(x, y - SPINE.canal_y_mm) < SPINE.canal_radius_mm - 0.5,
        999,
        spinal_canal=(999,),
    )
    closed, mended = (build_vertebra(ct, each, "T7").canal_mm for each in (labels, outlined))
    middle = SPINE.frame.to_world(np.array([0.0, SPINE.canal_y_mm, SPINE.pedicle_z_mm]))
    depths = [v.array[tuple(v.grid.to_index(middle).round().astype(int))] for v in (closed, mended)]
    # A voxel of 1 mm either way between a drawn canal and one found inside the ring.
    assert depths[0] == pytest.approx(depths[1], abs=1.0)


def test_specks_far_away_change_nothing(drawn):
    ct, labels = drawn
    clean = build_vertebra(ct, labels, "T7")
    array = labels.volume.array.copy()
    array[0, 0, :3] = array[-1, -1, -3:] = labels.ids["T7"][0]
    speckled = Labels(volume=labels.volume.like(array), scheme="test", ids=labels.ids)
    vertebra = build_vertebra(ct, speckled, "T7")
    assert vertebra.grid.shape == clean.grid.shape
    assert np.array_equal(vertebra.regions.array, clean.regions.array)
    assert next(c for c in vertebra.quality if c.name == "complete").reason == "inside the scan"


def test_a_strategy_that_was_asked_for_is_not_given_another_reason(drawn):
    """Unilateral needles were not looked at, so nothing may be said about them."""
    ct, labels = drawn
    plan = plan_level(build_vertebra(ct, labels, "T7"), ct, labels, PlanSettings(strategy="bilateral"))
    assert plan.recommended == 0
    assert "as asked" in plan.why
    assert "unilateral" not in plan.why
