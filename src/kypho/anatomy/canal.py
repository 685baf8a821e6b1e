"""The spinal canal of one vertebra: the space its ring encloses, on the vertebra's local grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.space import Grid

__all__ = ["enclosed_canal"]

SMALLEST_CANAL_MM2 = 60.0  # numerics: a hole smaller than this is a gap in the labels, not a canal
OFF_AXIS_MM = 8.0  # numerics: half a canal's width; a hole whose middle is further off is not the canal
LARGEST_CLOSING_MM = 6.0  # numerics: the widest gap of the ring that is bridged to find its inside


def enclosed_canal(
    bone: NDArray[np.bool_], cord: NDArray[np.bool_], grid: Grid, centre_yx_mm: tuple[float, float] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The canal and the slices in which the ring itself closes it.

    1. In each axial slice the holes of the bone are candidates; the one nearest the canal's axis wins.
    2. Slices above and below, where the ring is open at the foramina, take the cross-section that most
       closed slices agree on, less the bone.
    3. The cord label, where there is one, always belongs to the canal.

    Args:
        bone: vertebra mask on the local grid, axes (superior, posterior, left).
        cord: cord or canal label on the same grid; may be empty.
        grid: the local grid.
        centre_yx_mm: expected place (posterior, left) of the canal in grid coordinates; None if unknown.

    Returns:
        canal: boolean array on the local grid.
        closed: boolean array (n_slices,), True where the ring is closed.
    """
    for reach_mm in (0.0, LARGEST_CLOSING_MM / 2, LARGEST_CLOSING_MM):
        holes = _ring_holes(bone, grid, centre_yx_mm, reach_mm)
        closed = np.asarray(holes.any(axis=(1, 2)))
        if closed.any():
            break
    else:
        return cord.copy(), closed
    agreed = holes[closed].mean(axis=0) >= 0.5
    canal = np.where(closed[:, None, None], holes, agreed[None]) & ~bone
    if cord.any():
        canal |= cord & ~bone
    return canal, closed


def _ring_holes(
    bone: NDArray[np.bool_], grid: Grid, centre_yx_mm: tuple[float, float] | None, reach_mm: float
) -> NDArray[np.bool_]:
    """The hole that is the canal in every axial slice, empty where there is none."""
    pixel = grid.spacing_mm[1]
    area = pixel * grid.spacing_mm[2]
    disc = _disc(round(reach_mm / pixel))
    holes = np.zeros_like(bone)
    for k, section in enumerate(bone):
        if not section.any():
            continue
        ring = ndimage.binary_closing(section, disc) | section if reach_mm else section
        inside = ndimage.binary_fill_holes(ring) & ~ring
        pieces, n = ndimage.label(inside)
        best = _canal_piece(pieces, n, area, pixel, centre_yx_mm)
        if best:
            holes[k] = pieces == best
    return holes


def _canal_piece(
    pieces: NDArray, n: int, area_mm2: float, pixel_mm: float, centre_yx_mm: tuple[float, float] | None
) -> int:
    """Number of the piece that is the canal, 0 if none is large enough or near enough."""
    best, best_score = 0, (np.inf if centre_yx_mm is None else OFF_AXIS_MM)
    for number in range(1, n + 1):
        size = np.count_nonzero(pieces == number) * area_mm2
        if size < SMALLEST_CANAL_MM2:
            continue
        if centre_yx_mm is None:
            score = -float(size)
        else:
            middle = np.array(ndimage.center_of_mass(pieces == number)) * pixel_mm
            score = float(np.hypot(*(middle - np.asarray(centre_yx_mm))))
        if score < best_score:
            best, best_score = number, score
    return best


def _disc(radius: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius)
