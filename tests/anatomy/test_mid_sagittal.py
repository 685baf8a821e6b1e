"""The plane of symmetry is found in the world, whatever grid the distance lies on."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.anatomy.frame import local_grid, mid_sagittal
from kypho.space import Frame, Volume

WORLD = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))


def turned(frame: Frame, axis: int, degrees: float) -> Frame:
    """The frame turned about one of its own axes."""
    angle = np.deg2rad(degrees)
    turn = np.eye(3)
    first, second = [n for n in range(3) if n != axis]
    turn[[first, second], [first, second]] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return Frame(origin_mm=frame.origin_mm, rotation=frame.rotation @ turn)


def distance_on(grid) -> Volume:
    """A body and a spinous process, symmetric about the world's x = 0: depth below their surfaces."""
    x, y, z = (grid.to_world(np.indices(grid.shape).reshape(3, -1).T)[:, n] for n in range(3))
    body = 12 - np.sqrt((0.8 * x) ** 2 + (y + 12) ** 2 + z**2)
    process = 8 - np.sqrt((2 * x) ** 2 + (0.4 * (y - 18)) ** 2 + (z + 4) ** 2)
    depth = np.maximum(body, process).reshape(grid.shape)
    return Volume(array=np.clip(depth, -6, None).astype(np.float32), grid=grid, unit="mm")


@pytest.mark.parametrize("tilt", [-25.0, 0.0, 25.0])
@pytest.mark.parametrize("yaw", [-15.0, 6.0])
@pytest.mark.parametrize("aside", [-4.0, 3.0])
def test_the_plane_does_not_depend_on_the_grid(tilt, yaw, aside):
    grid = local_grid(WORLD, np.full(3, -40.0), np.full(3, 45.0), 1.0)
    start = turned(turned(WORLD, 0, tilt), 2, yaw)
    start = Frame(origin_mm=start.origin_mm + aside * start.left, rotation=start.rotation)
    found = mid_sagittal(distance_on(grid), start)
    # Interpolation over a millimetre moves the plane by well under a tenth of one, the search by less.
    assert abs(found.left @ [1.0, 0.0, 0.0]) > np.cos(np.deg2rad(0.5))
    assert abs(found.origin_mm[0]) < 0.15
    assert found.superior == pytest.approx(start.superior)
