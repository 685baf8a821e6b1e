"""A level against an earlier CT of itself: heights, posterior wall, foramen and bone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kypho.anatomy import Labels
from kypho.errors import LevelError
from kypho.fracture import assess_level
from kypho.fracture.carried import bone_before
from kypho.fracture.columns import level_columns
from kypho.fracture.earlier import measure_earlier
from kypho.fracture.foramen import foramen_norm
from kypho.fracture.heights import SITES, body_heights
from kypho.fracture.wall_pictures import body_walls
from kypho.phantoms.fractures import Cleft, Collapse, FractureSpec, Retropulsion, WallDefect
from kypho.space import Grid, Volume


@pytest.fixture(scope="module")
def before(a_chest):
    ct, found = a_chest
    return measure_earlier(ct.volume, found.labels, "T7")


def test_a_level_has_lost_nothing_against_itself(a_chest, a_t7, before):
    ct, found = a_chest
    loss = assess_level(ct.volume, found.labels, a_t7, earlier=before).loss
    # The same labels, measured twice along the same way.
    assert [loss.percent[s] for s in SITES] == pytest.approx([0.0] * 5, abs=1e-9)


def test_the_loss_set_is_found_and_better_known_than_from_the_neighbours(broken, before):
    case, vertebra, blind = broken
    seen = assess_level(case.ct, case.labels, vertebra, earlier=before)
    for site, true in case.truth["height_loss_percent"].items():
        assert abs(seen.loss.percent[site] - true) <= seen.loss.uncertainty_at(true)
    assert seen.loss.source == "earlier CT"
    assert seen.loss.uncertainty_percent < blind.loss.uncertainty_percent
    assert any("earlier CT" in note for note in seen.notes)


def test_what_the_neighbours_are_like_has_no_say(broken, before, a_chest, a_t7):
    """Labels without neighbours give the same loss against an earlier CT, and none without it."""
    case, vertebra, _ = broken
    alone = only(case.labels, "T7")
    with_others = assess_level(case.ct, case.labels, vertebra, earlier=before).loss.percent
    assert assess_level(case.ct, alone, vertebra).loss.percent["anterior"] is None
    assert assess_level(case.ct, alone, vertebra, earlier=before).loss.percent == pytest.approx(with_others)


def test_a_body_broken_before_is_compared_with_its_neighbours(broken):
    case, vertebra, blind = broken
    again = measure_earlier(case.ct, case.labels, "T7")
    seen = assess_level(case.ct, case.labels, vertebra, earlier=again)
    assert seen.loss == blind.loss
    assert any("looks broken itself" in note for note in seen.notes)


def test_swapped_scans_are_refused(broken, a_chest, a_t7):
    """A body does not grow; a mild enough wedge does not look broken by itself."""
    case, _, _ = broken
    ct, found = a_chest
    before = measure_earlier(case.ct, case.labels, "T7")
    low = replace(before, heights=body_heights(before.columns))
    with pytest.raises(LevelError, match="swapped"):
        assess_level(ct.volume, found.labels, a_t7, earlier=low)


def test_another_level_under_the_same_name_is_refused(a_chest, a_t7):
    ct, found = a_chest
    ids = {**found.labels.ids, "T7": found.labels.ids["T8"], "T8": found.labels.ids["T7"]}
    other = measure_earlier(ct.volume, replace(found.labels, ids=ids), "T7")
    with pytest.raises(LevelError, match="name the levels alike"):
        assess_level(ct.volume, found.labels, a_t7, earlier=other)


def test_labels_that_stand_a_slice_apart_are_brought_together(fracture, a_chest):
    """The same bone, its label one slice of 2.5 mm too high: the pattern says where it belongs."""
    ct, found = a_chest
    array = np.roll(found.labels.volume.array, 1, axis=0)
    moved = measure_earlier(ct.volume, replace(found.labels, volume=found.labels.volume.like(array)), "T7")
    case, vertebra, _ = fracture(FractureSpec(density_drop_hu=80.0))
    own = level_columns(case.labels, "T7", vertebra.frame)
    carried = bone_before(vertebra, own, moved).hu
    deep = vertebra.body & (vertebra.bone_mm.array > 2.5)
    assert np.corrcoef(carried[deep], vertebra.hu.array[deep])[0, 1] > 0.9
    seen = assess_level(case.ct, case.labels, vertebra, earlier=moved).finding("intravertebral_cleft")
    assert seen.state == "not_assessable"


def test_a_smaller_patient_is_refused(a_chest, a_t7):
    ct, found = a_chest
    small = (
        shrunk(ct.volume, 0.8),
        Labels(volume=shrunk(found.labels.volume, 0.8), scheme=found.labels.scheme, ids=found.labels.ids),
    )
    with pytest.raises(LevelError, match="check that both are of this patient"):
        assess_level(ct.volume, found.labels, a_t7, earlier=measure_earlier(*small, "T7"))


def test_the_density_carried_over_from_itself_is_its_own(a_chest, a_t7, before):
    own = level_columns(a_chest[1].labels, "T7", a_t7.frame)
    carried = bone_before(a_t7, own, before).hu
    # The same columns on both sides: every place maps onto itself, and only the rounding of floats is left.
    assert carried[a_t7.body] == pytest.approx(a_t7.hu.array[a_t7.body], abs=0.5)
    assert np.isnan(carried[~a_t7.body]).all()


def test_a_collapse_carries_the_bone_along(fracture, before):
    """A body pressed to half its height is its old bone again, place by place."""
    case, vertebra, _ = fracture(FractureSpec(collapse=Collapse(kind="crush", loss=0.4)))
    own = level_columns(case.labels, "T7", vertebra.frame)
    carried = bone_before(vertebra, own, before).hu
    deep = vertebra.body & (vertebra.bone_mm.array > 2.5)
    still = before.vertebra.hu.array[before.vertebra.body & (before.vertebra.bone_mm.array > 2.5)].std()
    off = carried[deep] - vertebra.hu.array[deep]
    # Places are known to a millimetre, over which this bone changes by well under what it spreads over all.
    assert np.median(np.abs(off - np.median(off))) < 0.4 * still


def test_the_foramen_of_before_is_no_defect(a_chest, a_t7, before):
    ct, found = a_chest
    seen = assess_level(ct.volume, found.labels, a_t7, earlier=before).finding("posterior_wall_defect")
    assert seen.state == "absent"
    assert "the earlier CT" in seen.how


def test_the_level_s_own_foramen_is_the_norm_unless_it_was_more_than_one(fracture, before):
    hole = WallDefect(wall="posterior", area_mm2=60, across=0.0, up=0.0)
    holed = body_walls(fracture(FractureSpec(walls=(hole,)))[1])["posterior"]
    wide = {"T6": holed, "T8": holed}
    assert foramen_norm(wide).usual_mm2 > 45  # with neighbours as wide the hole itself would be no defect
    own = foramen_norm(wide, before.back)
    assert own.source == "the earlier CT"
    assert own.largest_mm2 < 30
    narrow = {"T6": before.back, "T8": before.back}
    assert foramen_norm(narrow, holed) == foramen_norm(narrow)


@pytest.mark.parametrize("volume_ml", [0.0, 0.8])
def test_fluid_in_thin_bone_is_told_by_what_was_there_before(fracture, before, volume_ml):
    cleft = Cleft(content="fluid", volume_ml=volume_ml) if volume_ml else None
    collapse = Collapse(kind="wedge", loss=0.2)
    case, vertebra, blind = fracture(FractureSpec(collapse=collapse, cleft=cleft, density_drop_hu=50.0))
    assert blind.finding("intravertebral_cleft").state == "not_assessable"
    seen = assess_level(case.ct, case.labels, vertebra, earlier=before).finding("intravertebral_cleft")
    if volume_ml:
        assert seen.state == "present"
        assert "earlier CT" in seen.how
        assert abs(seen.value - case.truth["cleft_ml"]) <= seen.uncertainty
    else:
        # Marrow as thin as this leaves fluid too small to see; it is not excluded, but none is told either.
        assert seen.state == "not_assessable"


def test_a_wall_is_not_pushed_against_itself(a_chest, a_t7, before, intact):
    ct, found = a_chest
    seen = assess_level(ct.volume, found.labels, a_t7, earlier=before).finding("retropulsion")
    assert seen.state == "absent"
    assert seen.value <= intact.finding("retropulsion").value
    assert seen.uncertainty < intact.finding("retropulsion").uncertainty
    assert "earlier CT" in seen.how


def test_an_earlier_ct_with_thick_slices_is_refused(a_chest, a_t7):
    ct, found = a_chest
    thick = [Volume(array=v.array[::2], grid=every_second(v.grid), unit=v.unit)
             for v in (ct.volume, found.labels.volume)]  # fmt: skip
    labels = Labels(volume=thick[1], scheme=found.labels.scheme, ids=found.labels.ids)
    with pytest.raises(LevelError, match="5 mm apart, too thick"):
        measure_earlier(thick[0], labels, "T7")


def test_a_cemented_earlier_body_tells_nothing_of_the_bone(a_chest, a_t7):
    ct, found = a_chest
    box = ct.volume.grid.to_world(np.argwhere(np.ones(ct.volume.grid.shape, bool)))
    near = (np.linalg.norm(box - a_t7.frame.origin_mm, axis=1) < 6).reshape(ct.volume.grid.shape)
    filled = ct.volume.like(np.where(near, 2000, ct.volume.array))
    seen = measure_earlier(filled, found.labels, "T7")
    assert seen.back is None
    assert any("cement or metal" in note for note in seen.notes)


@pytest.mark.parametrize("depth", [3.4, 4.5])
def test_a_fragment_that_was_there_before_is_one_all_the_same(fracture, depth):
    """The earlier CT of the broken level is the broken level: nothing has changed, and nothing is excused."""
    case, vertebra, blind = fracture(FractureSpec(retropulsion=Retropulsion(depth_mm=depth)))
    again = measure_earlier(case.ct, case.labels, "T7")
    seen = assess_level(case.ct, case.labels, vertebra, earlier=again).finding("retropulsion")
    assert seen.state == blind.finding("retropulsion").state != "absent"
    assert "may have stood out already" in seen.how


def test_a_hole_that_was_there_before_is_one_all_the_same(fracture):
    hole = WallDefect(wall="posterior", area_mm2=60, across=0.1, up=0.0)
    case, vertebra, blind = fracture(FractureSpec(walls=(hole,)))
    again = measure_earlier(case.ct, case.labels, "T7")
    seen = assess_level(case.ct, case.labels, vertebra, earlier=again).finding("posterior_wall_defect")
    assert seen.state == blind.finding("posterior_wall_defect").state != "absent"


def test_a_level_that_is_not_there_is_missed_on_the_earlier_ct(a_chest):
    ct, found = a_chest
    with pytest.raises(LevelError, match="on the earlier CT"):
        measure_earlier(ct.volume, found.labels, "L1")


def every_second(grid: Grid) -> Grid:
    """The grid of every second slice."""
    return Grid(
        shape=((grid.shape[0] + 1) // 2, *grid.shape[1:]),
        spacing_mm=(2 * grid.spacing_mm[0], *grid.spacing_mm[1:]),
        origin_mm=grid.origin_mm,
        axes=grid.axes,
    )


def only(labels: Labels, level: str) -> Labels:
    """The labels without the other levels; cord and canal stay."""
    kept = [level, *(n for n in labels.ids if n.startswith("spinal"))]
    numbers = [n for name in kept for n in labels.ids[name]]
    array = np.where(np.isin(labels.volume.array, numbers), labels.volume.array, 0)
    return Labels(volume=labels.volume.like(array), scheme=labels.scheme, ids=labels.ids)


def shrunk(volume: Volume, by: float) -> Volume:
    """The same voxels, smaller."""
    old = volume.grid
    grid = Grid(
        shape=old.shape,
        spacing_mm=tuple(by * s for s in old.spacing_mm),
        origin_mm=old.origin_mm,
        axes=old.axes,
    )
    return Volume(array=volume.array, grid=grid, unit=volume.unit)
