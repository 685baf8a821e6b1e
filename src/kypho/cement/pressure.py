# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""The pressure equation: div(K / mu grad p) + q = 0, cell-centred finite volumes.

Every face sees the two half cells beside it in series, so its transmissibility is the harmonic mean
``T = (A / h) * 2 / (mu_a / k_a + mu_b / k_b)``. A cell that the front is passing is itself two layers in
series, cement then marrow, so its viscosity is ``s mu_c + (1 - s) mu_m``: the front has a place inside
the cell and the injection pressure does not jump when it crosses a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from kypho.cement import multigrid

__all__ = ["FlowSystem", "Medium", "assemble", "solve_pressure", "speed"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Medium:
    """What does not change while the cement flows; SI units.

    Attributes:
        spacing_m: cell sizes along ``(k, j, i)``.
        permeability_m2: ``(3, nk, nj, ni)`` along k, j, i; zero where nothing flows.
        pore_m3: ``(nk, nj, ni)`` volume that cement can fill.
        drain_m3: ``(nk, nj, ni)`` conductance of the tissue's own vessels times viscosity: permeability over
            squared length to the vessel, times cell volume.
        far_pa: ``(nk, nj, ni)`` pressure that drains and open faces lead to.
        open_faces: six flags, low and high face along k, j, i: True where the box leads to the far pressure.
    """

    spacing_m: tuple[float, float, float]
    permeability_m2: NDArray[np.float32]
    pore_m3: NDArray[np.float32]
    drain_m3: NDArray[np.float32]
    far_pa: NDArray[np.float32]
    open_faces: tuple[bool, bool, bool, bool, bool, bool]


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowSystem:
    """The assembled operator: faces ``(3, nk, nj, ni)`` and sink ``(nk, nj, ni)``, in m3 / (Pa s)."""

    faces: NDArray[np.float32]
    sink: NDArray[np.float32]


def assemble(medium: Medium, viscosity_pa_s: NDArray, marrow: NDArray, marrow_pa_s: float) -> FlowSystem:
    """Build the operator.

    Args:
        medium: geometry and bone.
        viscosity_pa_s: ``(nk, nj, ni)`` viscosity of what fills each cell.
        marrow: ``(nk, nj, ni)`` marrow fraction: vessels drain marrow, and close as cement arrives.
        marrow_pa_s: viscosity of marrow.
    """
    shape = viscosity_pa_s.shape
    faces, sink = np.empty((3, *shape), np.float32), np.empty(shape, np.float32)
    h = np.asarray(medium.spacing_m)
    over = np.prod(h) / h**2  # face area over distance of the centres
    _assemble(medium.permeability_m2, viscosity_pa_s, over, faces)
    _sinks(
        medium.permeability_m2,
        viscosity_pa_s,
        over,
        np.asarray(medium.open_faces),
        medium.drain_m3,
        marrow,
        marrow_pa_s,
        sink,
    )
    return FlowSystem(faces=faces, sink=sink)


def solve_pressure(
    hierarchy: multigrid.Hierarchy,
    system: FlowSystem,
    medium: Medium,
    sources_m3_s: dict[tuple[int, int, int], float],
    start: NDArray[np.float64] | None,
    tolerance: float,
) -> multigrid.Solution:
    """Pressure in Pa for given sources; ``tolerance`` is relative to the injected flow."""
    rhs = system.sink.astype(np.float64) * medium.far_pa
    for cell, flow in sources_m3_s.items():
        rhs[cell] += flow
    total = float(np.sqrt(sum(flow * flow for flow in sources_m3_s.values())))
    return multigrid.solve(
        hierarchy, system.faces, system.sink, rhs, start, tolerance=tolerance, reference=total
    )


@njit(cache=True, parallel=True, nogil=True)
def _assemble(permeability, viscosity, over, faces):
    nk, nj, ni = viscosity.shape
    for k in prange(nk):
        for j in range(nj):
            for i in range(ni):
                mu = viscosity[k, j, i]
                for axis in range(3):
                    value = 0.0
                    kn, jn, i_n = k + (axis == 0), j + (axis == 1), i + (axis == 2)
                    if kn < nk and jn < nj and i_n < ni:
                        here, there = permeability[axis, k, j, i], permeability[axis, kn, jn, i_n]
                        if here > 0 and there > 0:
                            value = 2 * over[axis] / (mu / here + viscosity[kn, jn, i_n] / there)
                    faces[axis, k, j, i] = value


@njit(cache=True, parallel=True, nogil=True)
def _sinks(permeability, viscosity, over, open_faces, drain, marrow, marrow_pa_s, sink):
    nk, nj, ni = viscosity.shape
    for k in prange(nk):
        for j in range(nj):
            for i in range(ni):
                value = drain[k, j, i] * marrow[k, j, i] / marrow_pa_s
                if (k == 0 and open_faces[0]) or (k == nk - 1 and open_faces[1]):
                    value += 2 * over[0] * permeability[0, k, j, i] / viscosity[k, j, i]
                if (j == 0 and open_faces[2]) or (j == nj - 1 and open_faces[3]):
                    value += 2 * over[1] * permeability[1, k, j, i] / viscosity[k, j, i]
                if (i == 0 and open_faces[4]) or (i == ni - 1 and open_faces[5]):
                    value += 2 * over[2] * permeability[2, k, j, i] / viscosity[k, j, i]
                sink[k, j, i] = value


def speed(system: FlowSystem, pressure_pa: NDArray[np.float64], medium: Medium) -> NDArray[np.float32]:
    """Darcy speed in m/s at the cell centres: the mean of each axis' two faces, then the norm."""
    h = np.asarray(medium.spacing_m)
    out = np.empty(pressure_pa.shape, np.float32)
    _speed(system.faces, pressure_pa, np.prod(h) / h, out)
    return out


@njit(cache=True, parallel=True, nogil=True)
def _speed(faces, p, area, out):
    nk, nj, ni = p.shape
    for k in prange(nk):
        for j in range(nj):
            for i in range(ni):
                c = p[k, j, i]
                total = 0.0
                for axis in range(3):
                    dk, dj, di = int(axis == 0), int(axis == 1), int(axis == 2)
                    flow = 0.0
                    if k + dk < nk and j + dj < nj and i + di < ni:
                        flow += abs(faces[axis, k, j, i] * (c - p[k + dk, j + dj, i + di]))
                    if k - dk >= 0 and j - dj >= 0 and i - di >= 0:
                        flow += abs(faces[axis, k - dk, j - dj, i - di] * (p[k - dk, j - dj, i - di] - c))
                    total += (0.5 * flow / area[axis]) ** 2
                out[k, j, i] = np.sqrt(total)
