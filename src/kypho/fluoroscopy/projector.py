"""Exact line integrals through voxels along every ray of a cone-beam frame.

The integral along a ray is the sum over voxels of attenuation times the length inside (Siddon, Med Phys
1985;12:252-255). Here the voxels are first summed up along the grid axis nearest to the beam. A ray then
runs through long columns of voxels instead of single voxels, and its integral over one column is the
difference of that column's running sum at exit and entry, linear inside a voxel. The result is the
same number; the work shrinks from every voxel met to every column met.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import NDArray

from kypho.errors import GeometryError
from kypho.fluoroscopy.attenuation import IDENTITY, attenuate, beam
from kypho.fluoroscopy.carm import CArm
from kypho.space import Volume

__all__ = ["Projector"]

NEAR_AXIS = 0.5
"""Least cosine of beam and summed axis. One axis always has 0.577, and the widest cone allowed is 27
degrees, so no ray of a frame ever runs across the summed axis."""


TILE = 32
"""Edge in pixels of the blocks of rays traced together: their columns of voxels stay in cache."""
PIECES = 8
"""Pieces of work per thread: enough that one slow thread does not hold up the frame."""


class Projector:
    """Line integrals of a volume from any pose. Running sums are built once per grid axis, on first use.

    Args:
        volume: unit "HU", or "1/mm" for linear attenuation itself.

    Raises:
        GeometryError: another unit.
    """

    def __init__(self, volume: Volume) -> None:
        if volume.unit not in ("HU", "1/mm"):
            raise GeometryError(f"cannot project a volume of unit {volume.unit!r}; give HU or 1/mm")
        self._volume = volume
        self._lines = (beam() if volume.unit == "HU" else IDENTITY).coefficients
        self._sums: dict[int, tuple[NDArray[np.float32], NDArray[np.int64]]] = {}

    def trace(self, carm: CArm) -> NDArray[np.float32]:
        """The line integral of attenuation along every pixel's ray, dimensionless, shape (rows, cols).

        Rays run from the focus to the pixel's centre. Voxel n fills index n - 0.5 to n + 0.5; outside the
        grid is nothing.
        """
        grid = self._volume.grid
        axis = _summed_axis(grid.axes.T @ carm.direction, np.asarray(grid.spacing_mm))
        sums, box = self._running_sums(axis)
        order = _order(axis)
        # Rays in the index space of the sums: the summed axis last, and one empty column all around.
        shift = np.array([1.5, 1.5, 0.5])
        source = grid.to_index(carm.source_mm)[order] + shift
        corners = grid.to_index(carm.pixel_centre_mm([[0, 0], [1, 0], [0, 1]]))[:, order] + shift
        rays = np.stack([corners[0] - source, corners[1] - corners[0], corners[2] - corners[0]])
        image = np.zeros(carm.shape, dtype=np.float32)
        spacing = np.asarray(grid.spacing_mm)[order]
        tiles = -(-carm.shape[0] // TILE) * -(-carm.shape[1] // TILE)
        _in_threads(_trace, tiles, sums.ravel(), sums.shape, box, source, rays, spacing, image)
        return image

    def _running_sums(self, axis: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Sums along `axis`, one more than voxels, and the box of columns that are not empty."""
        if axis not in self._sums:
            order, shape = _order(axis), self._volume.grid.shape
            strides = np.array([shape[1] * shape[2], shape[2], 1])[order]
            counts = np.array(shape)[order]
            sums = np.zeros(np.add(counts, (2, 2, 1)), dtype=np.float32)
            voxels = np.ascontiguousarray(self._volume.array).ravel()
            _in_threads(_sum_up, counts[0], voxels, counts, strides, self._lines, sums)
            self._sums[axis] = sums, _filled_box(sums)
        return self._sums[axis]


def _order(axis: int) -> list[int]:
    """The grid's axes with `axis` last."""
    return [n for n in range(3) if n != axis] + [axis]


def _summed_axis(direction: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> int:
    """The grid axis along which rays cross most voxels, among those near enough to the beam."""
    voxels_per_mm = np.abs(direction) / spacing_mm
    return int(np.argmax(np.where(np.abs(direction) >= NEAR_AXIS, voxels_per_mm, -1.0)))


def _filled_box(sums: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index bounds ((first, stop) per axis) of the columns that hold anything; all zero if none does."""
    filled = sums[:, :, -1] > 0
    if not filled.any():
        return np.zeros((3, 2), dtype=np.int64)
    a, b = np.nonzero(filled.any(axis=1))[0], np.nonzero(filled.any(axis=0))[0]
    return np.array([[a[0], a[-1] + 1], [b[0], b[-1] + 1], [0, sums.shape[2] - 1]], dtype=np.int64)


def _in_threads(kernel: Callable[..., None], count: int, *arguments: object) -> None:
    """Run ``kernel(first, stop, *arguments)`` over 0 to count in pieces, one thread per numba thread.

    Kernels release the GIL. Numba's own parallel loops do the same but take thrice as long to compile.
    """
    threads = numba.get_num_threads()
    edges = np.linspace(0, count, 1 + min(count, PIECES * threads)).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        pieces = [pool.submit(kernel, first, stop, *arguments) for first, stop in pairwise(edges)]
    for piece in pieces:
        piece.result()


@numba.njit(nogil=True, cache=True)
def _sum_up(first, stop, voxels, counts, strides, lines, sums):  # type: ignore[no-untyped-def]  # numba
    """Running sums of attenuation along the last of the reordered axes, into sums[1:-1, 1:-1, 1:]."""
    floor, knee, at_knee, below, above = lines
    for a in range(first, stop):
        for b in range(counts[1]):
            start = a * strides[0] + b * strides[1]
            total = 0.0
            for c in range(counts[2]):
                x = voxels[np.uintp(start + c * strides[2])]
                total += attenuate(x, floor, knee, at_knee, below, above)
                sums[a + 1, b + 1, c + 1] = total


@numba.njit(cache=True)
def _span(at, slope, low, high, y0, y1):  # type: ignore[no-untyped-def]  # numba
    """The part of y0 to y1 where at + slope * y lies between low and high."""
    if slope == 0:
        return (y0, y1) if low <= at < high else (y0, y0)
    enter, leave = (low - at) / slope, (high - at) / slope
    return max(y0, min(enter, leave)), min(y1, max(enter, leave))


@numba.njit(cache=True)
def _crossings(at, slope, y):  # type: ignore[no-untyped-def]  # numba
    """Column that a ray is in at y, its step, and the next crossing and the distance of crossings in y."""
    n = int(np.floor(at + slope * y))
    if slope > 0:
        return n, 1, (n + 1 - at) / slope, 1 / slope
    if slope < 0:
        return n, -1, (n - at) / slope, -1 / slope
    return n, 0, np.inf, np.inf


@numba.njit(cache=True)
def _sum_at(sums, column, deep, y):  # type: ignore[no-untyped-def]  # numba
    """The running sum of the column that starts at `column`, at depth y; linear inside a voxel."""
    n = min(int(y), deep - 2)
    below = sums[np.uintp(column + n)]
    return below + np.float32(y - n) * (sums[np.uintp(column + n + 1)] - below)


@numba.njit(cache=True)
def _line_integral(sums, shape, a0, sa, b0, sb, y0, y1):  # type: ignore[no-untyped-def]  # numba
    """Sum over columns of running sum at exit minus at entry, for a = a0 + sa y, b = b0 + sb y.

    The axis crossed more often runs in the inner loop, where nothing waits for the step before. Rounding
    at a crossing moves it by 1e-13 of a voxel, and at the box's faces into the empty column around it.
    """
    wide, deep = shape[1], shape[2]
    a, step, next_y, gap = _crossings(a0, sa, y0)
    b, slow_step, slow_y, slow_gap = _crossings(b0, sb, y0)
    column = (a * wide + b) * deep
    step, slow_step = step * wide * deep, slow_step * deep
    if abs(sa) < abs(sb):
        step, next_y, gap, slow_step, slow_y, slow_gap = slow_step, slow_y, slow_gap, step, next_y, gap
    rate = 1 / gap
    total = -_sum_at(sums, column, deep, y0)
    while True:
        end = min(slow_y, y1)
        crossed = int((end - next_y) * rate) + 1 if next_y < end else 0
        for m in range(crossed):
            y = next_y + m * gap
            out = _sum_at(sums, column, deep, y)
            column += step
            total += out - _sum_at(sums, column, deep, y)
        if crossed > 0:
            next_y += crossed * gap
        total += _sum_at(sums, column, deep, end)
        if end == y1:
            return total
        column += slow_step
        total -= _sum_at(sums, column, deep, end)
        slow_y += slow_gap


@numba.njit(cache=True, error_model="numpy")
def _ray(sums, shape, box, source, da, db, dy, spacing):  # type: ignore[no-untyped-def]  # numba
    """The line integral from `source` along (da, db, dy), both in the index space of the sums."""
    # The ray over its own depth y along the summed axis: a = a0 + sa y, b = b0 + sb y.
    sa, sb = da / dy, db / dy
    a0, b0 = source[0] - sa * source[2], source[1] - sb * source[2]
    y0 = max(min(source[2], source[2] + dy), box[2, 0])
    y1 = min(max(source[2], source[2] + dy), box[2, 1])
    y0, y1 = _span(a0, sa, box[0, 0], box[0, 1], y0, y1)
    y0, y1 = _span(b0, sb, box[1, 0], box[1, 1], y0, y1)
    if not y0 < y1:
        return 0.0
    mm_per_y = np.sqrt((sa * spacing[0]) ** 2 + (sb * spacing[1]) ** 2 + spacing[2] ** 2)
    return mm_per_y * _line_integral(sums, shape, a0, sa, b0, sb, y0, y1)


@numba.njit(nogil=True, cache=True)
def _trace(first, stop, sums, shape, box, source, rays, spacing, image):  # type: ignore[no-untyped-def]  # numba
    """Fill the tiles `first` to `stop` of the image, counted along its rows."""
    rows, cols = image.shape
    across = (cols + TILE - 1) // TILE
    for tile in range(first, stop):
        top, left = tile // across * TILE, tile % across * TILE
        for col in range(left, min(left + TILE, cols)):
            for row in range(top, min(top + TILE, rows)):
                da = rays[0, 0] + row * rays[1, 0] + col * rays[2, 0]
                db = rays[0, 1] + row * rays[1, 1] + col * rays[2, 1]
                dy = rays[0, 2] + row * rays[1, 2] + col * rays[2, 2]
                image[row, col] = _ray(sums, shape, box, source, da, db, dy, spacing)
