"""The damage as masks: where it was made, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.cement.compartments import CODES
from kypho.cement.vertebra import vertebra_field
from kypho.fracture.regions import damage_regions


def centre(vertebra, mask):
    return np.array([axis[n].mean() for axis, n in zip(vertebra.axes_mm, np.nonzero(mask), strict=True)])


def test_an_intact_level_has_no_marked_damage(a_t7, intact):
    regions = damage_regions(a_t7, intact)
    assert not regions.walls.array.any()
    assert not regions.cleft.array.any()
    assert regions.walls.grid == a_t7.grid


def test_the_marked_wall_lies_on_the_posterior_wall_where_the_hole_was_made(broken):
    _, vertebra, found = broken
    mask = damage_regions(vertebra, found).walls.array
    up, back, left = centre(vertebra, mask)
    # The hole was put at a quarter of the half width to the left and the upper quarter of the height; its
    # outline is known to about a slice.
    assert left > 0.0
    assert up > 1.5
    assert back == pytest.approx(float(vertebra.wall.y_mm(up)), abs=2.5)
    beyond = np.abs(vertebra.bone_mm.array[mask])
    assert beyond.max() < 6.0  # 2.5 mm along the view, and the view is never steeper than 60 degrees


def test_the_marked_cleft_has_the_volume_of_the_finding(broken):
    _, vertebra, found = broken
    mask = damage_regions(vertebra, found).cleft.array
    volume = mask.sum() * vertebra.grid.voxel_mm3 / 1000
    # The finding adds parts of voxels at the rim; the mask has whole ones.
    assert volume == pytest.approx(found.finding("intravertebral_cleft").value, rel=0.25)
    assert np.all(vertebra.body[mask])


def test_cement_sees_the_holes(broken):
    _, vertebra, found = broken
    regions = damage_regions(vertebra, found)
    closed = vertebra_field(vertebra).region == CODES["breach"]
    opened = vertebra_field(vertebra, defects=regions.walls).region == CODES["breach"]
    assert np.all(opened[closed])
    assert opened.sum() > closed.sum()
