# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""Geometric multigrid-preconditioned conjugate gradients for a seven-point flow operator.

The operator is a sum over faces, ``(A p)_c = sum_f T_f (p_c - p_n) + S_c p_c``: transmissibilities ``T``
to the six neighbours and a sink ``S`` to a known pressure. Coarse cells join 2 x 2 x 2 fine ones; a
coarse face carries the sum of its four fine faces, halved because its centres lie twice as far apart
(Wesseling, An Introduction to Multigrid Methods, 1992, chapter 5). One V(1,1) cycle with red-black
Gauss-Seidel sweeps preconditions; it runs in single precision, conjugate gradients in double.

All levels lie one after the other in flat arrays, a plane of zeros between them. A face that would leave
the grid is zero, so no loop asks whether a neighbour exists: it reads a zero face beside it instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = ["Hierarchy", "Solution", "allocate", "solve"]

COARSEST_CELLS = 200
COARSEST_SWEEPS = 12
PARALLEL_CELLS = 60_000
"""Below this a level is too small to be worth two threads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hierarchy:
    """Work arrays of all levels of one grid shape, reused from solve to solve.

    Attributes:
        shapes: ``(levels, 3)`` cells along ``(k, j, i)``.
        starts: ``(levels,)`` place of each level's first cell in the flat arrays.
        faces: ``(3, size)`` transmissibility to the next cell along k, j, i.
        inverse_diagonal, sink, x, b: ``(size,)``.
        direction: ``(size of level 0,)`` search direction of the conjugate gradients, padded likewise.
    """

    shapes: NDArray[np.int64]
    starts: NDArray[np.int64]
    faces: NDArray[np.float32]
    inverse_diagonal: NDArray[np.float32]
    sink: NDArray[np.float32]
    x: NDArray[np.float32]
    b: NDArray[np.float32]
    direction: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """A solved pressure field and how hard it was.

    Attributes:
        x: solution, the shape of the right-hand side.
        iterations: conjugate-gradient steps.
        residual: 2-norm of the residual over that of the right-hand side.
    """

    x: NDArray[np.float64]
    iterations: int
    residual: float


def allocate(shape: tuple[int, int, int]) -> Hierarchy:
    """Work arrays for grids of this shape."""
    shapes = [tuple(int(n) for n in shape)]
    while np.prod(shapes[-1]) > COARSEST_CELLS:
        shapes.append(tuple((n + 1) // 2 for n in shapes[-1]))
    starts, at = [], 0
    for nk, nj, ni in shapes:
        at += nj * ni
        starts.append(at)
        at += nk * nj * ni
    size = at + shapes[0][1] * shapes[0][2]
    nk, nj, ni = shapes[0]
    return Hierarchy(
        shapes=np.array(shapes, dtype=np.int64),
        starts=np.array(starts, dtype=np.int64),
        faces=np.zeros((3, size), np.float32),
        inverse_diagonal=np.zeros(size, np.float32),
        sink=np.zeros(size, np.float32),
        x=np.zeros(size, np.float32),
        b=np.zeros(size, np.float32),
        direction=np.zeros((nk + 2) * nj * ni),
    )


def solve(
    hierarchy: Hierarchy,
    faces: NDArray[np.float32],
    sink: NDArray[np.float32],
    rhs: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
    *,
    tolerance: float = 1e-6,
    reference: float = 0.0,
    max_iterations: int = 200,
) -> Solution:
    """Solve ``A x = rhs``.

    Args:
        hierarchy: work arrays of the grid's shape.
        faces: ``(3, nk, nj, ni)`` transmissibility from each cell to the next along k, j, i; the last
            plane of each axis must be zero.
        sink: ``(nk, nj, ni)`` coupling to a known pressure, already in ``rhs``. Cells without any
            coupling keep their start value.
        rhs: ``(nk, nj, ni)`` sources.
        start: first guess, not changed; zero by default.
        tolerance: residual norm over right-hand side norm at which to stop.
        reference: measure the residual against this norm instead, if positive.
        max_iterations: stop there in any case; `Solution.residual` tells.
    """
    h = hierarchy
    x = np.zeros(rhs.shape) if start is None else start.copy()
    cells = rhs.size
    _build(
        h.shapes, h.starts, h.faces, h.inverse_diagonal, h.sink, faces.reshape(3, cells), sink.reshape(cells)
    )
    iterations, residual = _pcg(
        h.shapes,
        h.starts,
        h.faces,
        h.inverse_diagonal,
        h.sink,
        h.x,
        h.b,
        h.direction,
        rhs.reshape(cells),
        x.reshape(cells),
        tolerance,
        reference,
        max_iterations,
    )
    return Solution(x=x, iterations=int(iterations), residual=float(residual))


@njit(cache=True, nogil=True)
def _build(shapes, starts, level_faces, inverse_diagonal, level_sink, faces, sink):
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
def _cycle(shapes, starts, faces, inverse_diagonal, x, b):
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


@njit(cache=True, parallel=True, nogil=True)
def _apply(shape, a, faces, sink, p, out):
    """``out = A p`` for padded p and plain out; returns ``p . A p``."""
    nk, nj, ni = shape
    plane = nj * ni
    zk, zj, zi = faces[0], faces[1], faces[2]
    total = 0.0
    for k in prange(nk):
        part = 0.0
        for n in range(k * plane, (k + 1) * plane):
            f, c = a + n, plane + n
            here = p[c]
            value = (
                sink[f] * here
                + zk[f - plane] * (here - p[c - plane])
                + zk[f] * (here - p[c + plane])
                + zj[f - ni] * (here - p[c - ni])
                + zj[f] * (here - p[c + ni])
                + zi[f - 1] * (here - p[c - 1])
                + zi[f] * (here - p[c + 1])
            )
            out[n] = value
            part += value * here
        total += part
    return total


@njit(cache=True, parallel=True, nogil=True)
def _load(r, b, a, scale):
    """Put the scaled residual where the cycle expects it."""
    for n in prange(r.size):
        b[a + n] = r[n] * scale


@njit(cache=True, parallel=True, nogil=True)
def _dot(r, x, a):
    total = 0.0
    for n in prange(r.size):
        total += r[n] * x[a + n]
    return total


@njit(cache=True, parallel=True, nogil=True)
def _turn(p, plane, z, a, n_cells, size, beta):
    """``p = size z + beta p``."""
    for n in prange(n_cells):
        p[plane + n] = size * z[a + n] + beta * p[plane + n]


@njit(cache=True, parallel=True, nogil=True)
def _step(x, r, p, plane, ap, alpha):
    """``x += alpha p``, ``r -= alpha ap``; returns ``r . r``."""
    total = 0.0
    for n in prange(x.size):
        x[n] += alpha * p[plane + n]
        r[n] -= alpha * ap[n]
        total += r[n] * r[n]
    return total


@njit(cache=True, nogil=True)
def _pcg(
    shapes,
    starts,
    faces,
    inverse_diagonal,
    sink,
    level_x,
    level_b,
    p,
    rhs,
    x,
    tolerance,
    reference,
    max_iterations,
):
    shape, a = shapes[0], starts[0]
    plane, cells = shape[1] * shape[2], rhs.size
    norm = reference if reference > 0 else np.sqrt((rhs * rhs).sum())
    if norm == 0.0:
        x[:] = 0.0
        return 0, 0.0
    ap = np.empty(cells)
    p[plane : plane + cells] = x
    _apply(shape, a, faces, sink, p, ap)
    r = rhs - ap
    p[:] = 0.0
    total = 0.0
    for n in range(cells):
        if inverse_diagonal[a + n] == 0:
            r[n] = 0.0
        total += r[n] * r[n]
    error, rz = np.sqrt(total) / norm, 0.0
    for iteration in range(max_iterations):
        if error <= tolerance:
            return iteration, error
        # The residual is brought to length one, so that single precision holds it however small it gets.
        size = error * norm
        _load(r, level_b, a, 1.0 / size)
        _cycle(shapes, starts, faces, inverse_diagonal, level_x, level_b)
        rz_new = _dot(r, level_x, a) * size
        _turn(p, plane, level_x, a, cells, size, rz_new / rz if iteration else 0.0)
        rz = rz_new
        alpha = rz / _apply(shape, a, faces, sink, p, ap)
        error = np.sqrt(_step(x, r, p, plane, ap, alpha)) / norm
    return max_iterations, error
