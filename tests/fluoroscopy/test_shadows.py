"""Shadows of small things: exact, additive, and cheap enough to move."""

import numpy as np
import pytest

from kypho.errors import GeometryError
from kypho.fluoroscopy import CArm, needle_shadow, steel_per_mm
from kypho.phantoms.analytic import Cylinder
from kypho.space import Frame, unit

START, END = np.array([20.0, 60.0, 15.0]), np.array([3.0, -15.0, 1.0])


def cylinder_chord(carm, start, end, radius):
    axis = unit(end - start)
    left = unit(np.cross(axis, [0.3, 0.1, 0.9]))
    frame = Frame(origin_mm=(start + end) / 2, rotation=np.column_stack([left, np.cross(axis, left), axis]))
    solid = Cylinder(frame=frame, radii_mm=(radius, radius), half_length_mm=np.linalg.norm(end - start) / 2)
    pixels = np.stack(np.meshgrid(*map(np.arange, carm.shape), indexing="ij"), axis=-1)
    return solid.chord_mm(carm.source_mm, carm.pixel_centre_mm(pixels))


@pytest.mark.parametrize("radius", [0.6, 2.1])
@pytest.mark.parametrize(
    "carm",
    [
        CArm.from_angles([0, 0, 0], 0, 0),
        CArm.from_angles([0, 0, 0], 90, 0),
        CArm.from_angles([5, 5, 5], -35, 20, shape=(300, 410), pixel_mm=0.5),
        CArm.looking_along((START + END) / 2, START - END).with_field(60.0),
        CArm.looking_along(START, np.cross(START - END, [0, 0, 1.0])),
    ],
    ids=["ap", "lateral", "oblique", "down the needle", "across, partly off the detector"],
)
def test_needle_shadow_is_the_cylinders_chord_everywhere(carm, radius):
    """In the footprint and outside it: the same closed form, worked out in the cylinder's own frame."""
    expected = 0.9 * cylinder_chord(carm, START, END, radius)
    image = needle_shadow(carm, START, END, radius, 0.9)
    # A chord is the difference of two roots of order 600 mm: float32 storage (6e-8) dominates.
    assert image == pytest.approx(expected, abs=1e-6 * float(expected.max()) + 1e-9)
    assert expected.max() > 0


def test_two_halves_make_the_whole_needle():
    carm = CArm.from_angles([0, 0, 0], 20, 10)
    middle = (START + END) / 2
    halves = needle_shadow(carm, START, middle, 1.5) + needle_shadow(carm, middle, END, 1.5)
    assert halves == pytest.approx(needle_shadow(carm, START, END, 1.5), abs=1e-5)


def test_the_axis_of_the_shadow_is_the_projected_axis():
    """Half-pixel test: the thickest place of each shadow row lies on the line that `project` draws."""
    carm = CArm.from_angles([0, 0, 0], 0, 0).with_field(200.0)
    image = needle_shadow(carm, [12, 0, -60], [-25, 0, 60], 3.0)
    (row0, col0), (row1, col1) = carm.project([[12, 0, -60], [-25, 0, 60]])
    rows = np.arange(120, 390)
    centres = (image[rows] * np.arange(carm.shape[1])).sum(axis=1) / image[rows].sum(axis=1)
    line = np.interp(rows, [row1, row0], [col1, col0])
    # The shadow is symmetric about its axis; sampling its 13 pixels at their centres leaves a tenth.
    assert centres == pytest.approx(line, abs=0.1)


def test_steel_is_the_default():
    carm = CArm.from_angles([0, 0, 0], 90, 0)
    steel = needle_shadow(carm, START, END, 2.0)
    assert steel == pytest.approx(needle_shadow(carm, START, END, 2.0, steel_per_mm()))
    # Perpendicular rays through the axis cross the full diameter; this one is tilted by a few degrees.
    assert 4.0 <= steel.max() / steel_per_mm() < 4.2


def test_a_needle_off_the_detector_casts_nothing():
    carm = CArm.from_angles([0, 0, 0], 0, 0)
    assert not needle_shadow(carm, [0, 0, 400], [0, 50, 400], 2.0).any()


def test_impossible_needles_are_refused():
    carm = CArm.from_angles([0, 0, 0], 0, 0)
    with pytest.raises(GeometryError, match="zero"):
        needle_shadow(carm, START, START, 1.0)
    with pytest.raises(GeometryError, match="radius_mm"):
        needle_shadow(carm, START, END, 0.0)
    with pytest.raises(GeometryError, match="behind"):
        needle_shadow(carm, START, carm.source_mm - 5 * carm.direction, 1.0)
