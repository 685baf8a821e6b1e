"""Each measure on shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.fracture.findings import graded
from kypho.fracture.retropulsion import retropulsion
from kypho.fracture.walls import Wall


def a_wall(hole=None, bulge=None, name="posterior", pixel=0.5):
    """A 16 x 18 mm wall of 300 HU; hole and bulge are functions of (across, up)."""
    across, up = np.arange(-8, 8.1, pixel), np.arange(-9, 9.1, pixel)
    x, z = np.meshgrid(across, up)
    density = np.full(x.shape, 300.0)
    if hole is not None:
        density = np.where(hole(x, z), 45.0, density)
    position = np.full(x.shape, 12.0) if bulge is None else 12.0 + bulge(x, z)
    return Wall(
        name=name,
        across_mm=across,
        up_mm=up,
        position_mm=position,
        density_hu=density,
        thickness_mm=np.full(x.shape, 1.5),
        median_hu=300.0,
    )


@pytest.mark.parametrize("depth", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("lean", [-0.2, 0.0, 0.2])
def test_a_hump_is_measured_from_the_line_of_the_wall(depth, lean):
    def bulge(x, z):
        return lean * z + depth * np.cos(np.pi / 2 * np.clip((z - 2) / 6, -1, 1)) ** 2

    measured = retropulsion(a_wall(bulge=bulge))
    # The half heights tried are 6.0 and its neighbours, the peaks lie on a grid of 0.7 mm.
    assert measured[0] == pytest.approx(depth, abs=0.1 + 0.1 * depth)
    assert measured[1] == pytest.approx(2.0, abs=1.0)


def test_a_straight_wall_has_no_hump():
    assert retropulsion(a_wall(bulge=lambda x, z: 0.1 * z))[0] < 0.05


def hollow(x, z):
    return 0.03 * z * z - 0.004 * z**3


def pushed(x, z):
    return 3.0 * np.cos(np.pi / 2 * np.clip((z - 3) / 6, -1, 1)) ** 2


def test_neighbours_of_the_same_shape_halve_a_natural_hump():
    usual = a_wall(bulge=hollow)
    alone, beside = retropulsion(usual)[0], retropulsion(usual, [usual])[0]
    assert alone > 0.7
    # Over its neighbours' shape nothing is left; the two are averaged over three strips alike.
    assert beside == pytest.approx(alone / 2, abs=0.05)


@pytest.mark.parametrize("neighbours", [1, 2])
def test_neighbours_bring_a_hump_nearer_to_its_depth(neighbours):
    broken = a_wall(bulge=lambda x, z: hollow(x, z) + pushed(x, z))
    alone = retropulsion(broken)[0]
    beside = retropulsion(broken, [a_wall(bulge=hollow)] * neighbours)[0]
    # Half of what the wall's own line gets wrong is left, and a tenth for the places tried.
    assert abs(beside - 3.0) <= abs(alone - 3.0) / 2 + 0.1


def test_a_hump_is_the_same_upside_down():
    one = retropulsion(a_wall(bulge=pushed), [a_wall(bulge=hollow)])
    flipped = retropulsion(
        a_wall(bulge=lambda x, z: pushed(x, -z)), [a_wall(bulge=lambda x, z: hollow(x, -z))]
    )
    # The same fits in another order: nothing but rounding.
    assert flipped[0] == pytest.approx(one[0], abs=1e-6)
    assert flipped[1] == pytest.approx(-one[1], abs=1e-6)


def test_a_wall_hardly_seen_has_no_retropulsion():
    wall = a_wall()
    hidden = np.where(np.abs(wall.up_mm)[:, None] < 2, wall.position_mm, np.nan)
    assert retropulsion(Wall(**{**vars(wall), "position_mm": hidden})) is None


@pytest.mark.parametrize(
    ("size", "error", "floor", "state"),
    [
        (5, 1, 1, "present"),
        (1, 1, 1, "absent"),
        (2.5, 1, 1, "not_assessable"),
        (1, 1, 4, "not_assessable"),
    ],
)
def test_what_cannot_be_seen_is_never_absent(size, error, floor, state):
    assert graded(size, 3.0, error, floor) == state
