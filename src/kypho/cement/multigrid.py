# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""Geometric multigrid-preconditioned conjugate gradients for a seven-point flow operator.

The operator is a sum over faces, ``(A p)_c = sum_f T_f (p_c - p_n) + S_c p_c``: transmissibilities ``T``
to the six neighbours and a sink ``S`` to a known pressure. Coarse cells join 2 x 2 x 2 fine ones; a
coarse face carries the sum of its four fine faces, halved because its centres lie twice as far apart
(Wesseling, An Introduction to Multigrid Methods, 1992, chapter 5). One V(1,1) cycle with red-black
Gauss-Seidel sweeps preconditions; it runs in single precision, conjugate gradients in double.
The cycle and how its levels lie in memory are in `kypho.cement.levels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from kypho.cement.levels import build, cycle

__all__ = ["Hierarchy", "Solution", "allocate", "solve"]

COARSEST_CELLS = 200

Single = NDArray[np.float32]


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
    faces: Single
    inverse_diagonal: Single
    sink: Single
    x: Single
    b: Single
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
    build(
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
        cycle(shapes, starts, faces, inverse_diagonal, level_x, level_b)
        rz_new = _dot(r, level_x, a) * size
        _turn(p, plane, level_x, a, cells, size, rz_new / rz if iteration else 0.0)
        rz = rz_new
        alpha = rz / _apply(shape, a, faces, sink, p, ap)
        error = np.sqrt(_step(x, r, p, plane, ap, alpha)) / norm
    return max_iterations, error
