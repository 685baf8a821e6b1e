"""All straight needles from a target rectangle through a gate, and what the fields are along them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kypho.planning.fields import HUGE, Stack, interpolate

__all__ = ["Corridor", "Line", "path_minima"]

SAMPLE_MM = 0.5  # numerics: a unit-slope field changes by at most half of this between two samples

Line = NDArray[np.float64]
"""Four numbers in [-1, 1]: p across, p up, q across, q up, in half sizes of the two rectangles."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Corridor:
    """All lines from a target rectangle through a gate rectangle, in local mm.

    Attributes:
        gate: centre, half-across and half-up vectors of the rectangle the line passes, shape (3, 3).
        target: the same for the rectangle in which the tip lies, shape (3, 3).
        reach: fraction of the way from tip through gate up to which the line is checked (> 1: beyond).
    """

    gate: NDArray[np.float64]
    target: NDArray[np.float64]
    reach: float

    @cached_property
    def fractions(self) -> NDArray[np.float64]:
        """Positions along the line at which it is checked: 0 at the tip, 1 at the gate.

        They run from the gate to the tip, then from the gate to the far end: most lines fail near the
        gate, and the rest of them need no look.
        """
        length = float(np.linalg.norm(self.gate[0] - self.target[0]))
        along = np.arange(0.0, self.reach, SAMPLE_MM / length)
        return np.concatenate([along[along <= 1][::-1], along[along > 1]])

    def ends(self, line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Local gate point and tip of a line."""
        gate = self.gate[0] + line[0] * self.gate[1] + line[1] * self.gate[2]
        tip = self.target[0] + line[2] * self.target[1] + line[3] * self.target[2]
        return gate, tip


def path_minima(corridor: Corridor, lines: NDArray, stack: Stack) -> NDArray[np.float64]:
    """Least value of every field along each of n lines, shape (n, fields)."""
    return np.asarray(
        _minima(
            np.atleast_2d(lines), corridor.gate, corridor.target, corridor.fractions,
            stack.values, stack.first_mm, 1 / stack.pitch_mm,
        )
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _minima(lines, gate, target, fractions, values, first, inverse_pitch):  # type: ignore[no-untyped-def]
    """Least value of every field along every line, shape (n, m)."""
    n, nm = lines.shape[0], values.shape[3]
    least = np.full((n, nm), HUGE)
    here = np.empty(nm)
    for b in range(n):
        p = gate[0] + lines[b, 0] * gate[1] + lines[b, 1] * gate[2]
        q = target[0] + lines[b, 2] * target[1] + lines[b, 3] * target[2]
        for t in fractions:
            x, y, z = q[0] + t * (p[0] - q[0]), q[1] + t * (p[1] - q[1]), q[2] + t * (p[2] - q[2])
            interpolate(values, first, inverse_pitch, z, y, x, here)
            for m in range(nm):
                least[b, m] = min(least[b, m], here[m])
    return least
