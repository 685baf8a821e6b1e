"""Canal and cord as different makers draw them: one inside the other, or side by side."""

import numpy as np
import pytest

from kypho.anatomy import CANAL, Labels, build_vertebra
from kypho.planning.walls import obstacle_kind, unlabelled


def with_canal(spine, labels, *, cord_in_canal):
    """Labels with the canal drawn as number 5, the cord (4) cut out of it or part of it."""
    grid = labels.volume.grid
    index = np.stack(np.indices(grid.shape), axis=-1)
    local = spine.frame.to_local(grid.to_world(index))
    array = labels.volume.array.copy()
    canal = np.hypot(local[..., 0], local[..., 1] - spine.canal_y_mm) < spine.canal_radius_mm
    array[canal & (array == 0)] = 5
    if cord_in_canal:
        array[array == 4] = 5
    ids = {**labels.ids, "spinal_canal": (5,)}
    return Labels(volume=labels.volume.like(array), scheme="test", ids=ids)


def test_a_canal_drawn_without_its_cord_is_the_same_canal(a_solid_spine):
    """TotalSpineSeg and SPINEPS give each voxel one number, so their canal is a ring about the cord."""
    spine, ct, labels = a_solid_spine
    whole, ring = (
        build_vertebra(ct, with_canal(spine, labels, cord_in_canal=c), "T7") for c in (True, False)
    )
    np.testing.assert_array_equal(whole.regions.array == CANAL, ring.regions.array == CANAL)
    np.testing.assert_array_equal(whole.frame.rotation, ring.frame.rotation)


def test_what_is_not_labelled_is_said(a_solid_spine):
    _, _, labels = a_solid_spine
    (note,) = unlabelled(labels, "T7")
    assert "organs" in note
    assert "ribs" in note
    assert "neighbouring" not in note
    alone = Labels(volume=labels.volume, scheme="test", ids={"T7": labels.ids["T7"]})
    assert "neighbouring" in unlabelled(alone, "T7")[0]
    named = {**labels.ids, "aorta": (4,), "rib_left_7": (3,)}
    assert unlabelled(Labels(volume=labels.volume, scheme="test", ids=named), "T7") == ()
    assert "ribs" not in unlabelled(alone, "L1")[0]


@pytest.mark.parametrize(
    ("name", "kind"), [("disc", None), ("spinal_canal", None), ("T8", "bone"), ("aorta", "organ")]
)
def test_discs_are_no_obstacle(name, kind):
    assert obstacle_kind(name) == kind
