# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""The levels of the multigrid preconditioner and one V(1,1) cycle over them.

All levels lie one after the other in flat arrays, a plane of zeros between them. A face that would leave
the grid is zero, so no loop asks whether a neighbour exists: it reads a zero face beside it instead.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["build", "cycle"]

COARSEST_SWEEPS = 12
PARALLEL_CELLS = 60_000
"""Below this a level is too small to be worth two threads."""


@njit(cache=True, nogil=True)
def build(shapes, starts, level_faces, inverse_diagonal, level_sink, faces, sink):
    """Put the operator on the finest level and carry it down to all others."""
    a, n = starts[0], sink.size
    level_sink[a : a + n] = sink
    for axis in range(3):
        level_faces[axis, a : a + n] = faces[axis]
    for level in range(shapes.shape[0]):
        if level > 0:
            _coarsen(
                shapes[level - 1], shapes[level], starts[level - 1], starts[level], level_faces, level_sink
            )
        _invert_diagonal(shapes[level], starts[level], level_faces, level_sink, inverse_diagonal)


@njit(cache=True, nogil=True)
def _coarsen_plane(kc, fine_shape, coarse_shape, a, b, faces, sink):
    nk, nj, ni = fine_shape
    cj, ci = coarse_shape[1], coarse_shape[2]
    half = np.float32(0.5)
    for parent in range(b + kc * cj * ci, b + (kc + 1) * cj * ci):
        sink[parent] = 0.0
        faces[0, parent] = 0.0
        faces[1, parent] = 0.0
        faces[2, parent] = 0.0
    for k in range(2 * kc, min(2 * kc + 2, nk)):
        for j in range(nj):
            row = a + (k * nj + j) * ni
            above = b + (kc * cj + j // 2) * ci
            for i in range(ni):
                sink[above + i // 2] += sink[row + i]
            if k % 2 == 1:
                for i in range(ni):
                    faces[0, above + i // 2] += half * faces[0, row + i]
            if j % 2 == 1:
                for i in range(ni):
                    faces[1, above + i // 2] += half * faces[1, row + i]
            for i in range(1, ni, 2):
                faces[2, above + i // 2] += half * faces[2, row + i]


@njit(cache=True, parallel=True, nogil=True)
def _coarsen(fine_shape, coarse_shape, a, b, faces, sink):
    for kc in prange(coarse_shape[0]):
        _coarsen_plane(kc, fine_shape, coarse_shape, a, b, faces, sink)


@njit(cache=True, parallel=True, nogil=True)
def _invert_diagonal(shape, a, faces, sink, inverse_diagonal):
    nk, nj, ni = shape
    plane = nj * ni
    zk, zj, zi = faces[0], faces[1], faces[2]
    for k in prange(nk):
        for c in range(a + k * plane, a + (k + 1) * plane):
            total = sink[c] + zk[c] + zk[c - plane] + zj[c] + zj[c - ni] + zi[c] + zi[c - 1]
            inverse_diagonal[c] = np.float32(1.0) / total if total > 0 else np.float32(0.0)


@njit(cache=True, nogil=True, fastmath=True)
def _smooth_plane(k, shape, a, zk, zj, zi, inverse_diagonal, x, b, colour):
    nj, ni = shape[1], shape[2]
    plane = nj * ni
    for j in range(nj):
        first = a + k * plane + j * ni + (k + j + colour) % 2
        for n in range((ni - (k + j + colour) % 2 + 1) // 2):
            c = first + 2 * n
            x[c] = inverse_diagonal[c] * (
                b[c]
                + zk[c - plane] * x[c - plane]
                + zk[c] * x[c + plane]
                + zj[c - ni] * x[c - ni]
                + zj[c] * x[c + ni]
                + zi[c - 1] * x[c - 1]
                + zi[c] * x[c + 1]
            )


@njit(cache=True, parallel=True, nogil=True)
def _smooth_wide(shape, a, zk, zj, zi, inverse_diagonal, x, b, colour):
    for k in prange(shape[0]):
        _smooth_plane(k, shape, a, zk, zj, zi, inverse_diagonal, x, b, colour)


@njit(cache=True, nogil=True)
def _smooth(shape, a, faces, inverse_diagonal, x, b, first):
    """One red-black Gauss-Seidel sweep, starting with colour `first`."""
    zk, zj, zi = faces[0], faces[1], faces[2]
    for half in range(2):
        colour = (first + half) % 2
        if shape[0] * shape[1] * shape[2] >= PARALLEL_CELLS:
            _smooth_wide(shape, a, zk, zj, zi, inverse_diagonal, x, b, colour)
        else:
            for k in range(shape[0]):
                _smooth_plane(k, shape, a, zk, zj, zi, inverse_diagonal, x, b, colour)


@njit(cache=True, nogil=True)
def _start_plane(k, shape, a, inverse_diagonal, x, b):
    """The first sweep from a zero guess: red cells see only their source."""
    nj, ni = shape[1], shape[2]
    plane = nj * ni
    for j in range(nj):
        row = a + k * plane + j * ni
        odd = (k + j) % 2
        for n in range((ni - odd + 1) // 2):
            c = row + odd + 2 * n
            x[c] = inverse_diagonal[c] * b[c]
        for n in range((ni - (1 - odd) + 1) // 2):
            x[row + 1 - odd + 2 * n] = 0.0


@njit(cache=True, parallel=True, nogil=True)
def _start_wide(shape, a, faces, inverse_diagonal, x, b):
    zk, zj, zi = faces[0], faces[1], faces[2]
    for k in prange(shape[0]):
        _start_plane(k, shape, a, inverse_diagonal, x, b)
    for k in prange(shape[0]):
        _smooth_plane(k, shape, a, zk, zj, zi, inverse_diagonal, x, b, 1)


@njit(cache=True, nogil=True, fastmath=True)
def _restrict_plane(kc, shape, coarse_shape, a, below, zk, zj, zi, inverse_diagonal, x, b):
    """Sum the residuals of the fine planes 2 kc and 2 kc + 1 into the coarse plane kc.

    After the pre-smoothing the black cells, updated last, have no residual: only red ones count.
    """
    nk, nj, ni = shape
    plane = nj * ni
    cj, ci = coarse_shape[1], coarse_shape[2]
    for c in range(below + kc * cj * ci, below + (kc + 1) * cj * ci):
        b[c] = 0.0
    for k in range(2 * kc, min(2 * kc + 2, nk)):
        for j in range(nj):
            row = a + k * plane + j * ni
            target = below + (kc * cj + j // 2) * ci
            odd = (k + j) % 2
            for n in range((ni - odd + 1) // 2):
                i = odd + 2 * n
                c = row + i
                if inverse_diagonal[c] > 0:
                    b[target + n] += (
                        b[c]
                        + zk[c - plane] * x[c - plane]
                        + zk[c] * x[c + plane]
                        + zj[c - ni] * x[c - ni]
                        + zj[c] * x[c + ni]
                        + zi[c - 1] * x[c - 1]
                        + zi[c] * x[c + 1]
                        - x[c] / inverse_diagonal[c]
                    )


@njit(cache=True, parallel=True, nogil=True)
def _restrict_wide(shape, coarse_shape, a, below, faces, inverse_diagonal, x, b):
    zk, zj, zi = faces[0], faces[1], faces[2]
    for kc in prange(coarse_shape[0]):
        _restrict_plane(kc, shape, coarse_shape, a, below, zk, zj, zi, inverse_diagonal, x, b)


@njit(cache=True, nogil=True)
def _prolong_plane(k, shape, coarse_shape, a, below, x):
    nj, ni = shape[1], shape[2]
    cj, ci = coarse_shape[1], coarse_shape[2]
    for j in range(nj):
        row = a + (k * nj + j) * ni
        parent = below + ((k // 2) * cj + j // 2) * ci
        for i in range(ni):
            x[row + i] += x[parent + i // 2]


@njit(cache=True, parallel=True, nogil=True)
def _prolong_wide(shape, coarse_shape, a, below, x):
    for k in prange(shape[0]):
        _prolong_plane(k, shape, coarse_shape, a, below, x)


@njit(cache=True, nogil=True)
def _descend_level(shape, coarse_shape, a, below, faces, inverse_diagonal, x, b):
    """Pre-smooth from zero and restrict the residual."""
    zk, zj, zi = faces[0], faces[1], faces[2]
    if shape[0] * shape[1] * shape[2] >= PARALLEL_CELLS:
        _start_wide(shape, a, faces, inverse_diagonal, x, b)
        _restrict_wide(shape, coarse_shape, a, below, faces, inverse_diagonal, x, b)
        return
    for k in range(shape[0]):
        _start_plane(k, shape, a, inverse_diagonal, x, b)
    for k in range(shape[0]):
        _smooth_plane(k, shape, a, zk, zj, zi, inverse_diagonal, x, b, 1)
    for kc in range(coarse_shape[0]):
        _restrict_plane(kc, shape, coarse_shape, a, below, zk, zj, zi, inverse_diagonal, x, b)


@njit(cache=True, nogil=True)
def cycle(shapes, starts, faces, inverse_diagonal, x, b):
    """One V(1,1) cycle from a zero guess on the finest level; symmetric, so it can precondition."""
    last = shapes.shape[0] - 1
    for level in range(last):
        _descend_level(
            shapes[level], shapes[level + 1], starts[level], starts[level + 1], faces, inverse_diagonal, x, b
        )
    end = starts[last] + shapes[last, 0] * shapes[last, 1] * shapes[last, 2]
    x[starts[last] : end] = 0.0
    for first in (0, 1):
        for _ in range(COARSEST_SWEEPS):
            _smooth(shapes[last], starts[last], faces, inverse_diagonal, x, b, first)
    for level in range(last - 1, -1, -1):
        shape, coarse = shapes[level], shapes[level + 1]
        if shape[0] * shape[1] * shape[2] >= PARALLEL_CELLS:
            _prolong_wide(shape, coarse, starts[level], starts[level + 1], x)
        else:
            for k in range(shape[0]):
                _prolong_plane(k, shape, coarse, starts[level], starts[level + 1], x)
        _smooth(shape, starts[level], faces, inverse_diagonal, x, b, 1)
