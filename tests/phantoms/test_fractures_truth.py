"""The area of a wall defect that the truth tells: only where there was wall to open."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.phantoms.fractures import Collapse, FractureSpec, Retropulsion, WallDefect
from kypho.phantoms.fractures.truth import body_edges_mm, truth_of, wall_area_mm2, wall_push_mm
from kypho.phantoms.fractures.warp import body_shape
from kypho.space import sample_at

SAMPLE = files("kypho.formats") / "sample"


@pytest.fixture(scope="module")
def t7():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz")
    labels = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct.volume)
    return build_vertebra(ct.volume, labels.labels, "T7")


def area(vertebra, **defect):
    return wall_area_mm2(vertebra, body_shape(vertebra), WallDefect(**defect))


@pytest.mark.parametrize("wall", ["posterior", "anterior", "left", "right"])
def test_a_hole_amid_a_wall_opens_all_of_its_disc(t7, wall):
    # Rays 0.4 mm apart know the area of a disc of 3.4 mm radius to 2 %; the rim loses one ray at most.
    assert area(t7, wall=wall, area_mm2=36.0) == pytest.approx(36.0, rel=0.08)


def test_a_hole_reaching_past_the_endplate_or_beside_the_canal_opens_less(t7):
    whole = area(t7, wall="posterior", area_mm2=40.0)
    assert area(t7, wall="posterior", area_mm2=40.0, up=1.0) < 0.75 * whole
    assert area(t7, wall="posterior", area_mm2=40.0, across=0.75) < 0.75 * whole


def test_area_grows_with_the_disc(t7):
    areas = [area(t7, wall="posterior", area_mm2=size, up=0.3) for size in (10.0, 20.0, 40.0, 80.0)]
    assert np.all(np.diff(areas) > 0)


@pytest.mark.parametrize(("loss", "notes"), [(0.0, 0), (0.3, 0), (0.7, 1)])
def test_a_body_left_thinner_than_any_is_called_hardly_plausible(t7, loss, notes):
    spec = FractureSpec(collapse=Collapse(kind="crush", loss=loss))
    assert len(truth_of(t7, body_shape(t7), spec, 1.0, {})["notes"]) == notes


@pytest.mark.parametrize("depth", [1.5, 3.0, 5.0])
@pytest.mark.parametrize("up", [-0.3, 0.0, 0.4])
def test_the_wall_is_pushed_by_what_is_drawn_less_what_it_strays_from_its_curve(t7, depth, up):
    spec = FractureSpec(retropulsion=Retropulsion(depth_mm=depth, up=up))
    told = truth_of(t7, body_shape(t7), spec, 1.0, {})["retropulsion_mm"]
    # The push dies out over 10 mm before the curve; a wall strays from its curve by 1 mm at most. Rays 0.4 mm
    # apart miss the peak by a part in a hundred.
    assert 0.88 * depth < told < 1.01 * depth


def test_a_wall_that_is_not_pushed_has_no_retropulsion(t7):
    assert truth_of(t7, body_shape(t7), FractureSpec(), 1.0, {})["retropulsion_mm"] == 0.0
    nothing = wall_push_mm(t7, body_shape(t7), Retropulsion(depth_mm=1e-6))
    assert nothing == pytest.approx(0.0, abs=1e-5)


def test_heights_are_told_at_the_edges_of_the_bone(t7):
    front, back = body_edges_mm(t7, body_shape(t7))
    shape = body_shape(t7)
    middle = float(shape.bottom_mm(shape.middle_y_mm) + shape.top_mm(shape.middle_y_mm)) / 2
    at = np.array([[shape.middle_x_mm, y, middle] for y in (front, back)])
    # The edge is a median over the waist of a curved wall, read along rays of 0.4 mm: within a voxel of it.
    assert np.abs(sample_at(t7.bone_mm, t7.frame.to_world(at))).max() < 0.8
