"""The area of a wall defect that the truth tells: only where there was wall to open."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.phantoms.fractures import Collapse, FractureSpec, WallDefect
from kypho.phantoms.fractures.truth import truth_of, wall_area_mm2
from kypho.phantoms.fractures.warp import body_shape

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
