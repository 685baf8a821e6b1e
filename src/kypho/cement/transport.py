# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""The saturation equation: d(phi s)/dt + div(f(s) u) = q, implicit upwind, solved downstream cell by cell.

The flow runs down the pressure, so no cell waits for one below it: visiting the cells in order of falling
pressure turns the implicit upwind scheme into one scalar equation per cell (Natvig & Lie, J Comput Phys
2008;227:10108, doi 10.1016/j.jcp.2008.08.024). It is conservative, keeps 0 <= s <= 1 and is stable for any
step, and only cells that cement has reached are visited.

Displacement is piston-like: in a pore network cement pushes the marrow out before it moves on, so
``f(s) = s / (s + A (1 - s))`` with a large ``A``, whose only weak solution between filled and empty is one
shock, at the speed of the fluid. Where the cement is the thinner fluid this front is unstable, and fingers
grow from whatever disturbs it. Corey flow, for comparison with reservoir simulators, is in
`kypho.cement.transport_corey`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["PISTON", "Carriage", "advance", "fractional_flow"]

PISTON = 0.0
"""The Corey exponent that stands for piston-like displacement."""

FRONT_STEEPNESS = 200.0
"""A in the piston's fractional flow: a half-filled cell passes on 0.5 % cement."""

NEGLIGIBLE = 1e-9
"""An outflow below this part of a cell's pores stays in the cell."""


@njit(cache=True, nogil=True)
def fractional_flow(s, exponent, ratio):
    """Cement's part of the flow out of a cell of saturation s; `ratio` is viscosity of cement over marrow."""
    if exponent == PISTON:
        return s / (s + FRONT_STEEPNESS * (1.0 - s))
    cement, marrow = s**exponent, ratio * (1.0 - s) ** exponent
    return cement / (cement + marrow)


@njit(cache=True, nogil=True)
def _new_saturation(s0, inflow, through, exponent, ratio):
    """Solve ``s - s0 - inflow + through f(s) = 0`` on [0, 1]; the left side grows with s."""
    if s0 + inflow <= 0.0:
        return 0.0
    low, high = 0.0, 1.0
    if 1.0 - s0 - inflow + through <= 0.0:
        return 1.0
    for _ in range(50):
        s = 0.5 * (low + high)
        if s - s0 - inflow + through * fractional_flow(s, exponent, ratio) > 0.0:
            high = s
        else:
            low = s
    return 0.5 * (low + high)


@njit(cache=True, nogil=True)
def _push(heap, size, key, cell):
    """Add a cell to the heap, highest pressure on top."""
    at = size
    heap[at] = cell
    while at > 0:
        above = (at - 1) // 2
        if key[heap[above]] >= key[heap[at]]:
            break
        heap[above], heap[at] = heap[at], heap[above]
        at = above
    return size + 1


@njit(cache=True, nogil=True)
def _pop(heap, size, key):
    """Take the cell of highest pressure: it ends at ``heap[size - 1]``."""
    size -= 1
    heap[0], heap[size] = heap[size], heap[0]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            return size
        if below + 1 < size and key[heap[below + 1]] > key[heap[below]]:
            below += 1
        if key[heap[at]] >= key[heap[below]]:
            return size
        heap[below], heap[at] = heap[at], heap[below]
        at = below


@njit(cache=True, nogil=True)
def _outward(c, shape, faces, p, sink, far, flows):
    """Flow in m3/s out of cell c to its neighbours (k-, k+, j-, j+, i-, i+) and into its drain."""
    nk, nj, ni = shape
    plane = nj * ni
    k, j, i = c // plane, (c // ni) % nj, c % ni
    flows[0] = faces[0, c - plane] * (p[c] - p[c - plane]) if k > 0 else 0.0
    flows[1] = faces[0, c] * (p[c] - p[c + plane]) if k < nk - 1 else 0.0
    flows[2] = faces[1, c - ni] * (p[c] - p[c - ni]) if j > 0 else 0.0
    flows[3] = faces[1, c] * (p[c] - p[c + ni]) if j < nj - 1 else 0.0
    flows[4] = faces[2, c - 1] * (p[c] - p[c - 1]) if i > 0 else 0.0
    flows[5] = faces[2, c] * (p[c] - p[c + 1]) if i < ni - 1 else 0.0
    flows[6] = sink[c] * (p[c] - far[c])


@njit(cache=True, nogil=True)
def _fill(c, s, pore, arrived, inward, dt, exponent, ratio):
    """New saturation of cell c in place; returns the cement that leaves it.

    What flows in flows out: the pressure's small residual must not press cement into a full cell.
    """
    volume = pore[c]
    if volume <= 0:
        return arrived
    total = volume * s[c] + arrived
    new = _new_saturation(s[c], arrived / volume, inward * dt / volume, exponent, ratio)
    leaving = total - volume * new
    if leaving < NEGLIGIBLE * volume and total <= volume:
        leaving, new = 0.0, total / volume
    s[c] = min(max(new, 0.0), 1.0)
    return leaving


@njit(cache=True, nogil=True)
def _begin(s, p, source, fresh, dt, arrived, carried, queued, heap):
    """Queue every cell that holds or receives cement."""
    size = 0
    for c in range(s.size):
        if source[c] > 0:
            arrived[c] = source[c] * dt
            carried[:, c] = arrived[c] * fresh
        if s[c] > 0 or source[c] > 0:
            queued[c] = True
            size = _push(heap, size, p, c)
    return size


@njit(cache=True, nogil=True)
def _advance(shape, s, tracers, pore, p, faces, sink, far, source, fresh, ratio, exponent, dt, region, lost):
    n = s.size
    step = np.array([-shape[1] * shape[2], shape[1] * shape[2], -shape[2], shape[2], -1, 1])
    arrived, carried = np.zeros(n), np.zeros((fresh.size, n))
    queued, heap = np.zeros(n, np.bool_), np.empty(n, np.int64)
    flows = np.empty(7)
    size = _begin(s, p, source, fresh, dt, arrived, carried, queued, heap)
    unplaced = 0.0
    while size > 0:
        size = _pop(heap, size, p)
        c = heap[size]
        _outward(c, shape, faces, p, sink, far, flows)
        outward = np.maximum(flows, 0.0).sum()
        inward = source[c] - np.minimum(flows, 0.0).sum()
        held = pore[c] * s[c]
        if held + arrived[c] > 0:
            tracers[:, c] = (held * tracers[:, c] + carried[:, c]) / (held + arrived[c])
        leaving = _fill(c, s, pore, arrived[c], inward, dt, exponent, ratio[c])
        if leaving <= 0:
            continue
        if outward <= 0:
            unplaced += leaving
            continue
        lost[region[c]] += leaving * max(flows[6], 0.0) / outward
        for f in range(6):
            if flows[f] > 0:
                part = leaving * flows[f] / outward
                below = c + step[f]
                arrived[below] += part
                carried[:, below] += part * tracers[:, c]
                if not queued[below]:
                    queued[below] = True
                    size = _push(heap, size, p, below)
    return unplaced


@dataclass(frozen=True, kw_only=True, eq=False)
class Carriage:
    """What is carried through one solved flow, and by what.

    Attributes:
        saturation: ``(nk, nj, ni)`` part of the pores that cement fills; changed.
        tracers: ``(count, nk, nj, ni)`` properties that travel with the cement; changed.
        pore_m3, pressure_pa, faces, sink, far_pa: the medium and its solved flow.
        source_m3_s: ``(nk, nj, ni)`` cement injected.
        fresh: ``(count,)`` tracers of the injected cement.
        ratio: ``(nk, nj, ni)`` viscosity of cement over marrow, for Corey flow.
        exponent: Corey exponent, or `PISTON`.
        region: ``(nk, nj, ni)`` label that cement leaving the box is booked to.
        lost_m3: ``(256,)`` cement that left, per label; added to.
    """

    saturation: NDArray[np.float64]
    tracers: NDArray[np.float64]
    pore_m3: NDArray[np.float32]
    pressure_pa: NDArray[np.float64]
    faces: NDArray[np.float32]
    sink: NDArray[np.float32]
    far_pa: NDArray[np.float32]
    source_m3_s: NDArray[np.float64]
    fresh: NDArray[np.float64]
    ratio: NDArray[np.float64]
    exponent: float
    region: NDArray[np.uint8]
    lost_m3: NDArray[np.float64]

    def flat(self, dt: float) -> tuple[Any, ...]:
        """The arguments of the compiled loops: shape first, fields as views in one dimension."""
        n = self.saturation.size
        return (
            np.array(self.saturation.shape),
            self.saturation.reshape(n),
            self.tracers.reshape(len(self.tracers), n),
            self.pore_m3.reshape(n),
            self.pressure_pa.reshape(n),
            self.faces.reshape(3, n),
            self.sink.reshape(n),
            self.far_pa.reshape(n),
            self.source_m3_s.reshape(n),
            self.fresh,
            self.ratio.reshape(n),
            self.exponent,
            dt,
            self.region.reshape(n),
            self.lost_m3,
        )


def advance(load: Carriage, dt: float) -> float:
    """Move cement and its tracers one step of `dt` seconds, in place.

    Returns:
        Cement in m3 that found no way on: zero up to the pressure's residual.
    """
    return float(_advance(*load.flat(dt)))
