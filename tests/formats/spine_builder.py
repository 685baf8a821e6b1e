"""A row of bony blocks in a body in air: enough of a spine to test what reads labels."""

from __future__ import annotations

import numpy as np

from kypho.anatomy.schemes import SCHEMES
from kypho.space import Grid, Volume

PITCH = 10
"""Slices of 2 mm from one vertebra to the next: 20 mm."""


def spine(count: int, frame_of_reference: str | None = None) -> tuple[Volume, np.ndarray]:
    """CT (HU) and an index array in which 1 is the highest block, `count` the lowest."""
    shape = (PITCH * count + 4, 32, 30)
    grid = Grid(
        shape=shape,
        spacing_mm=(2.0, 1.5, 1.2),
        origin_mm=np.array([-15.0, -20.0, -100.0]),
        axes=np.eye(3)[:, ::-1],
        frame_of_reference=frame_of_reference,
    )
    hu = np.full(shape, -1000, dtype=np.int16)
    hu[:, 2:-2, 2:-2] = 40
    which = np.zeros(shape, dtype=np.uint8)
    for n in range(count):
        # k grows to the head, so the first block has the highest k.
        top = shape[0] - 2 - n * PITCH
        # Off the middle in every axis, so that no mirrored label map fits.
        block = np.s_[top - 7 : top, 5:15, 12 + n % 2 : 24]
        hu[block], which[block] = 250, n + 1
    return Volume(array=hu, grid=grid, unit="HU"), which


def numbered(which: np.ndarray, levels: list[str], scheme: str) -> np.ndarray:
    """The index array with the numbers a scheme gives to these levels."""
    table = np.array([0, *(SCHEMES[scheme][level][0] for level in levels)], dtype=np.uint8)
    return table[which]
