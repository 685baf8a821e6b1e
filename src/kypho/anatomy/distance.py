"""Signed distances: positive inside, in mm, zero between the voxels where a mask changes."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kypho.space import Grid, Volume

__all__ = ["FAR_MM", "signed_distance", "smooth_distance"]

FAR_MM = 1000.0  # numerics: farther than any two voxels of a vertebra
"""Distance given where there is no boundary at all: beyond any patient."""


def signed_distance(mask: NDArray[np.bool_], grid: Grid) -> Volume:
    """Euclidean distance to the mask's boundary, positive inside.

    The boundary runs midway between the centres of an inner and an outer voxel, so half a voxel is
    taken off the centre-to-centre distance on either side.
    """
    if not mask.any() or mask.all():
        return Volume(
            array=np.full(grid.shape, FAR_MM if mask.any() else -FAR_MM, np.float32), grid=grid, unit="mm"
        )
    # On bytes the transform is three times as fast as on booleans.
    inside = np.ascontiguousarray(mask).view(np.uint8)
    depth, height = (edt.edt(part, anisotropy=grid.spacing_mm, parallel=1) for part in (inside, 1 - inside))
    half = np.float32(0.5 * min(grid.spacing_mm))
    return Volume(array=np.where(mask, depth - half, half - height), grid=grid, unit="mm")


def smooth_distance(mask: NDArray[np.bool_], grid: Grid, sigma_voxels: float = 0.7) -> Volume:
    """Signed distance with the half-voxel quantisation of a binary mask filtered out.

    A binary mask knows its surface to half a voxel; averaging the distance over a neighbourhood of the
    size of a voxel recovers most of the place in between.
    """
    sharp = signed_distance(mask, grid)
    return sharp.like(gaussian_filter(sharp.array, sigma_voxels, mode="nearest"))
