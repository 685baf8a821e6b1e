"""Resampling: the one place where voxels move between grids."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from kypho.space.grid import Grid, Volume

__all__ = ["resample", "sample_at"]

HU_AIR = -1024.0
"""What lies outside a CT: air, never water."""


def _outside(volume: Volume) -> float:
    return HU_AIR if volume.unit == "HU" else 0.0


def resample(
    volume: Volume, grid: Grid, *, order: int | None = None, outside: float | None = None
) -> Volume:
    """The volume's values at the voxel centres of another grid.

    Args:
        volume: what to sample.
        grid: where to sample it.
        order: spline order; by default 0 (nearest) for labels and 1 for everything else.
        outside: value beyond the volume; by default air for HU and 0 otherwise.
    """
    spline = (0 if volume.unit == "label" else 1) if order is None else order
    fill = _outside(volume) if outside is None else outside
    # index_out -> index_in is affine, so one small product per voxel is enough.
    matrix = np.linalg.solve(volume.grid.matrix, grid.matrix)
    offset = volume.grid.to_index(grid.origin_mm)
    axes = [np.arange(n, dtype=float) for n in grid.shape]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    where = [matrix[r, 0] * k + matrix[r, 1] * j + matrix[r, 2] * i + offset[r] for r in range(3)]
    dtype = volume.array.dtype if spline == 0 else np.float32
    values = map_coordinates(volume.array, where, order=spline, mode="constant", cval=fill, output=dtype)
    return Volume(array=values, grid=grid, unit=volume.unit)


def sample_at(
    volume: Volume, lps_mm: ArrayLike, *, order: int = 1, outside: float | None = None
) -> NDArray[np.float64]:
    """The volume's values at LPS points ``(..., 3)``."""
    points = np.asarray(lps_mm, dtype=float)
    where = volume.grid.to_index(points).reshape(-1, 3).T
    fill = _outside(volume) if outside is None else outside
    values = map_coordinates(
        volume.array, where, order=order, mode="constant", cval=fill, output=np.float64
    )
    return values.reshape(points.shape[:-1])
