"""Each measure on shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.evidence import value
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
        whole_hu=300.0,
        axis="y",
        sign=1,
    )


def bump(z, half=6.0):
    return np.cos(np.pi / 2 * np.clip(z / half, -1, 1)) ** 2


def fragment(x, z, depth=3.0, up=2.0, half=6.0):
    return depth * bump(z - up, half) * bump(x, 9.0)


def hollow(x, z):
    return 0.04 * z * z - 0.006 * z**3


@pytest.mark.parametrize("depth", [2.0, 3.5, 5.0])
@pytest.mark.parametrize("lean", [-0.1, 0.0, 0.1])
def test_a_hump_is_measured_from_the_line_of_the_wall(depth, lean):
    hump = retropulsion(a_wall(bulge=lambda x, z: lean * z + fragment(x, z, depth)))
    # A part of every hump may be the wall's own shape, and wider humps tried tell a little less.
    assert hump.depth_mm == pytest.approx(depth, abs=value("fracture.wall.natural_mm"))
    assert hump.up_mm == pytest.approx(2.0, abs=1.0)
    assert abs(hump.depth_mm - depth) < hump.error_mm


def test_a_deeper_hump_is_told_deeper():
    told = [retropulsion(a_wall(bulge=lambda x, z, d=d: fragment(x, z, d))).depth_mm for d in range(6)]
    assert np.all(np.diff(told) > 0)


def test_a_straight_wall_has_no_hump_beyond_its_uncertainty():
    # No depth below 0 is tried, so what is left of 0 is the mean of half a bell: less than its half width.
    hump = retropulsion(a_wall(bulge=lambda x, z: 0.1 * z))
    assert 0 <= hump.depth_mm < hump.error_mm < 1.2


def test_the_interval_holds_humps_of_walls_as_they_are_by_nature():
    random = np.random.default_rng(5)
    up, across = np.meshgrid(np.arange(-9, 9.1, 0.5), np.arange(-8, 8.1, 0.5), indexing="ij")
    flat = np.column_stack([up.ravel(), across.ravel()])
    tall, wide = value("fracture.wall.natural_extent_mm")
    apart = ((flat[:, None] - flat[None]) / (tall, wide)) ** 2
    root = np.linalg.cholesky(np.exp(-apart.sum(axis=2) / 2) + 1e-6 * np.eye(len(flat)))
    inside = []
    for _ in range(60):
        depth, at, half = random.uniform(1.5, 5), random.uniform(-4, 4), random.uniform(3.5, 7)
        shape = value("fracture.wall.natural_mm") * (root @ random.standard_normal(len(flat)))
        wall = a_wall(bulge=lambda x, z, d=depth, a=at, h=half: fragment(x, z, d, a, h))
        drawn = Wall(**{**vars(wall), "position_mm": wall.position_mm + shape.reshape(up.shape)})
        hump = retropulsion(drawn)
        inside.append(abs(hump.depth_mm - depth) <= hump.error_mm)
    # 95 % of 60 are 57; fewer than 51 come by chance once in 250 times.
    assert sum(inside) >= 51


def test_neighbours_of_the_same_shape_take_a_natural_hump_down():
    natural = a_wall(bulge=lambda x, z: 1.6 * bump(z - 4, 4))
    alone, beside = retropulsion(natural), retropulsion(natural, [natural, natural])
    # Two neighbours take off half of a shape that they share.
    assert beside.depth_mm == pytest.approx(alone.depth_mm / 2, abs=0.25)


@pytest.mark.parametrize("neighbours", [1, 2])
def test_neighbours_bring_a_hump_nearer_to_its_depth(neighbours):
    broken = a_wall(bulge=lambda x, z: hollow(x, z) + fragment(x, z, up=3.0))
    alone = retropulsion(broken).depth_mm
    beside = retropulsion(broken, [a_wall(bulge=hollow)] * neighbours).depth_mm
    assert abs(beside - 3.0) < abs(alone - 3.0)


def test_a_hump_is_the_same_upside_down_and_mirrored():
    one = retropulsion(a_wall(bulge=fragment), [a_wall(bulge=hollow)])
    for across, up in ((1, -1), (-1, 1)):
        turned = retropulsion(
            a_wall(bulge=lambda x, z, a=across, u=up: fragment(a * x, u * z)),
            [a_wall(bulge=lambda x, z, a=across, u=up: hollow(a * x, u * z))],
        )
        # The same fits in another order: nothing but rounding.
        assert turned.depth_mm == pytest.approx(one.depth_mm, abs=1e-6)
        assert turned.up_mm == pytest.approx(up * one.up_mm, abs=1e-6)


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
