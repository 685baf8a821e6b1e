"""A collapsed body may be less deep than a process beside the canal; the frame must not be led astray."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.anatomy.frame import deepest, first_frame
from kypho.space import Grid

GRID = Grid.axis_aligned((60, 60, 60), 1.0, [-30.0, -30.0, -30.0])
UP, BACK = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])


def vertebra(height_mm: float):
    """A body of 26 x 18 mm in front of a cord, and a process of 6 mm radius on its left."""
    z, y, x = (GRID.to_world(np.argwhere(np.ones(GRID.shape)))[:, n].reshape(GRID.shape) for n in (2, 1, 0))
    body = (abs(x) < 13) & (abs(y + 9) < 9) & (abs(z) < height_mm / 2)
    process = (x - 16) ** 2 + (y - 10) ** 2 + (z - 8) ** 2 < 36
    cord = GRID.to_world(np.argwhere(x**2 + (y - 8) ** 2 < 16))
    return body | process, cord


@pytest.mark.parametrize("height", [20.0, 9.0, 6.0])
def test_the_neighbours_lead_to_the_body_however_low(height):
    mask, cord = vertebra(height)
    frame = first_frame(mask, GRID, cord, UP, BACK)
    # The body's middle is meant; a whole body's deepest part is its core, of half its width at most.
    assert abs(frame.origin_mm[0]) < 1.0
    assert -13 < frame.origin_mm[1] < -5
    assert abs(frame.origin_mm[2]) < 2
    assert frame.posterior @ BACK > np.cos(np.deg2rad(5))


def test_alone_a_low_body_is_taken_for_its_process():
    """What the neighbours are asked for: without them the deepest place is believed."""
    mask, cord = vertebra(6.0)
    assert first_frame(mask, GRID, cord, UP).origin_mm[0] > 10
    assert deepest(mask, GRID)[0] > 10


def test_neighbours_that_agree_change_nothing():
    mask, cord = vertebra(20.0)
    alone, led = first_frame(mask, GRID, cord, UP), first_frame(mask, GRID, cord, UP, BACK)
    assert np.array_equal(alone.origin_mm, led.origin_mm)
    assert np.array_equal(alone.rotation, led.rotation)
