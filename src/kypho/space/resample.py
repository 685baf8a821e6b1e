"""Resampling: the one place where voxels move between grids."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from kypho.space.grid import Grid, Volume

__all__ = ["itk_image", "resample", "sample_at"]

INTERPOLATORS = {0: sitk.sitkNearestNeighbor, 1: sitk.sitkLinear, 3: sitk.sitkBSpline}
"""Spline orders to SimpleITK."""

HU_AIR = -1024.0
"""What lies outside a CT: air, never water."""


def _outside(volume: Volume) -> float:
    return HU_AIR if volume.unit == "HU" else 0.0


def resample(volume: Volume, grid: Grid, *, order: int | None = None, outside: float | None = None) -> Volume:
    """The volume's values at the voxel centres of another grid.

    Args:
        volume: what to sample.
        grid: where to sample it.
        order: spline order 0, 1 or 3; by default 0 (nearest) for labels and 1 for everything else.
        outside: value beyond the volume; by default air for HU and 0 otherwise.
    """
    spline = (0 if volume.unit == "label" else 1) if order is None else order
    fill = _outside(volume) if outside is None else outside
    array = volume.array if spline == 0 else np.asarray(volume.array, np.float32)
    moved = sitk.Resample(
        itk_image(array.view(np.uint8) if array.dtype == bool else array, volume.grid),
        [int(n) for n in grid.shape[::-1]],
        sitk.Transform(3, sitk.sitkIdentity),
        INTERPOLATORS[spline],
        [float(x) for x in grid.origin_mm],
        [float(s) for s in grid.spacing_mm[::-1]],
        [float(a) for a in grid.axes[:, ::-1].ravel()],
        float(fill),
    )
    values = sitk.GetArrayFromImage(moved)
    return Volume(array=values.view(bool) if array.dtype == bool else values, grid=grid, unit=volume.unit)


def itk_image(array: NDArray, grid: Grid) -> sitk.Image:
    """The array as a SimpleITK image; its axes run i, j, k."""
    image = sitk.GetImageFromArray(array)
    image.SetOrigin([float(x) for x in grid.origin_mm])
    image.SetSpacing([float(s) for s in grid.spacing_mm[::-1]])
    image.SetDirection([float(a) for a in grid.axes[:, ::-1].ravel()])
    return image


def sample_at(
    volume: Volume, lps_mm: ArrayLike, *, order: int = 1, outside: float | None = None
) -> NDArray[np.float64]:
    """The volume's values at LPS points ``(..., 3)``."""
    points = np.asarray(lps_mm, dtype=float)
    where = volume.grid.to_index(points).reshape(-1, 3).T
    fill = _outside(volume) if outside is None else outside
    values = map_coordinates(volume.array, where, order=order, mode="constant", cval=fill, output=np.float64)
    return values.reshape(points.shape[:-1])
