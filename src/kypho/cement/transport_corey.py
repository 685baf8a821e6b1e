# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""Corey flow, explicit and of second order: for comparison with reservoir simulators.

Saturation is reconstructed at the faces from the upstream side with van Leer's limiter and stepped by
Heun's method (the strong-stability-preserving Runge-Kutta of order two), under a Courant number of 0.4
that counts the steepest fractional flow. Piston-like displacement needs none of this and lives in
`kypho.cement.transport`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kypho.cement.transport import Carriage, fractional_flow

__all__ = ["advance_corey"]

COURANT = 0.4


@njit(cache=True, nogil=True)
def _steepest(ratio, exponent):
    """Largest slope of the fractional flow, from its values at a thousand points."""
    best = 1.0
    for n in range(1000):
        slope = (
            fractional_flow((n + 1) / 1000, exponent, ratio) - fractional_flow(n / 1000, exponent, ratio)
        ) * 1000
        best = max(best, slope)
    return best


@njit(cache=True, nogil=True)
def _face_saturation(s, up, here, down):
    """Upstream value at a face with van Leer's limiter; `up` is -1 where no cell is further upstream."""
    ahead = s[down] - s[here]
    behind = s[here] - s[up] if up >= 0 else 0.0
    if ahead * behind <= 0:
        return s[here]
    return s[here] + ahead * behind / (ahead + behind)


@njit(cache=True, nogil=True)
def _rates(shape, s, tracers, p, faces, sink, far, source, fresh, ratio, exponent, region, out, lost):
    """Change of the cement (row 0) and its tracers per second in m3/s, and what leaves by label."""
    out[:] = 0.0
    lost[:] = 0.0
    nk, nj, ni = shape
    strides = (nj * ni, ni, 1)
    for c in range(s.size):
        k, j, i = c // (nj * ni), (c // ni) % nj, c % ni
        out[0, c] += source[c]
        for t in range(fresh.size):
            out[t + 1, c] += source[c] * fresh[t]
        drained = max(sink[c] * (p[c] - far[c]), 0.0) * fractional_flow(s[c], exponent, ratio[c])
        _move(out, tracers, c, -1, drained)
        lost[region[c]] += drained
        for axis in range(3):
            at, last = (k, nk) if axis == 0 else ((j, nj) if axis == 1 else (i, ni))
            if at == last - 1:
                continue
            step = strides[axis]
            flow = faces[axis, c] * (p[c] - p[c + step])
            here, down = (c, c + step) if flow >= 0 else (c + step, c)
            up = -1
            if flow >= 0 and at > 0:
                up = c - step
            elif flow < 0 and at < last - 2:
                up = c + 2 * step
            cement = abs(flow) * fractional_flow(_face_saturation(s, up, here, down), exponent, ratio[here])
            _move(out, tracers, here, down, cement)


@njit(cache=True, nogil=True)
def _move(out, tracers, here, down, cement):
    out[0, here] -= cement
    for t in range(tracers.shape[0]):
        out[t + 1, here] -= cement * tracers[t, here]
    if down >= 0:
        out[0, down] += cement
        for t in range(tracers.shape[0]):
            out[t + 1, down] += cement * tracers[t, here]


@njit(cache=True, nogil=True)
def _state(mass, pore, s, tracers):
    """Saturation and tracers from the masses."""
    for c in range(s.size):
        s[c] = min(max(mass[0, c] / pore[c], 0.0), 1.0) if pore[c] > 0 else 0.0
        if mass[0, c] > 1e-30:
            for t in range(tracers.shape[0]):
                tracers[t, c] = mass[t + 1, c] / mass[0, c]


@njit(cache=True, nogil=True)
def _advance(shape, s, tracers, pore, p, faces, sink, far, source, fresh, ratio, exponent, dt, region, lost):
    n, count = s.size, tracers.shape[0]
    through = np.zeros(n)
    out, left = np.zeros((count + 1, n)), np.zeros(lost.size)
    nk, nj, ni = shape
    for c in range(n):
        k, j, i = c // (nj * ni), (c // ni) % nj, c % ni
        through[c] += max(sink[c] * (p[c] - far[c]), 0.0)
        for axis in range(3):
            at, last, step = (k, nk, nj * ni) if axis == 0 else ((j, nj, ni) if axis == 1 else (i, ni, 1))
            if at < last - 1:
                flow = faces[axis, c] * (p[c] - p[c + step])
                through[c if flow >= 0 else c + step] += abs(flow)
    fastest = 0.0
    for c in range(n):
        if pore[c] > 0:
            fastest = max(fastest, through[c] / pore[c])
    steps = max(int(np.ceil(dt * fastest * _steepest(ratio[0], exponent) / COURANT)), 1)
    h = dt / steps
    mass = np.empty((count + 1, n))
    mass[0] = s * pore
    for t in range(count):
        mass[t + 1] = mass[0] * tracers[t]
    first = np.empty_like(mass)
    for _ in range(steps):
        _rates(shape, s, tracers, p, faces, sink, far, source, fresh, ratio, exponent, region, out, left)
        first[:] = mass + h * out
        lost += 0.5 * h * left
        _state(first, pore, s, tracers)
        _rates(shape, s, tracers, p, faces, sink, far, source, fresh, ratio, exponent, region, out, left)
        mass[:] = 0.5 * (mass + first + h * out)
        lost += 0.5 * h * left
        _state(mass, pore, s, tracers)


def advance_corey(load: Carriage, dt: float) -> None:
    """Move cement and its tracers `dt` seconds, in place."""
    _advance(*load.flat(dt))
