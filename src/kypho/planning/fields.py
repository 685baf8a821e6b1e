"""Distance fields on one regular local grid: their values between voxels, and how steep they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["HUGE", "Stack", "interpolate", "lipschitz"]

HUGE = 1e9
"""Stands for infinity in compiled code."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Several distance fields on one regular local grid, in mm.

    Attributes:
        names: of the fields.
        values: float32 array indexed (superior, posterior, left, field).
        first_mm: local (superior, posterior, left) coordinates of voxel (0, 0, 0).
        pitch_mm: voxel size.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    first_mm: NDArray[np.float64]
    pitch_mm: float

    @cached_property
    def slopes(self) -> NDArray[np.float64]:
        """Lipschitz constant of each field."""
        return np.asarray(lipschitz(self.values, self.pitch_mm))

    def only(self, names: Sequence[str]) -> Stack:
        """The stack of these fields alone."""
        columns = [self.names.index(name) for name in names]
        part = Stack(
            names=tuple(names),
            values=np.take(self.values, columns, axis=-1),
            first_mm=self.first_mm,
            pitch_mm=self.pitch_mm,
        )
        part.__dict__["slopes"] = self.slopes[columns]
        return part

    def in_order(self, numbers: Mapping[str, float]) -> NDArray[np.float64]:
        """Numbers by field as an array in the fields' order; -HUGE for a field without one."""
        return np.array([numbers.get(name, -HUGE) for name in self.names])


@njit(cache=True, nogil=True)
def lipschitz(values: NDArray[np.float32], pitch_mm: float) -> NDArray[np.float64]:
    """Largest slope of the trilinear interpolant of each field of ``values[k, j, i, m]``, shape (m,).

    Inside a cell each component of the gradient is a mean of the differences along the four edges of
    that direction, so the slope is at most the root of the summed squares of the largest ones.
    """
    nk, nj, ni, nm = values.shape
    worst = np.zeros(nm)
    for k in range(nk - 1):
        for j in range(nj - 1):
            for i in range(ni - 1):
                for m in range(nm):
                    dz = dy = dx = 0.0
                    for a in range(2):
                        for b in range(2):
                            dz = max(dz, abs(values[k + 1, j + a, i + b, m] - values[k, j + a, i + b, m]))
                            dy = max(dy, abs(values[k + a, j + 1, i + b, m] - values[k + a, j, i + b, m]))
                            dx = max(dx, abs(values[k + a, j + b, i + 1, m] - values[k + a, j + b, i, m]))
                    worst[m] = max(worst[m], dz * dz + dy * dy + dx * dx)
    return np.sqrt(worst) / pitch_mm


@njit(cache=True, nogil=True)
def interpolate(values, first, inverse_pitch, z, y, x, out):  # type: ignore[no-untyped-def]
    """Write the trilinear values of all fields at a local point into `out`; border values beyond the grid."""
    nk, nj, ni, nm = values.shape
    fk = min(max((z - first[0]) * inverse_pitch, 0.0), nk - 1.000001)
    fj = min(max((y - first[1]) * inverse_pitch, 0.0), nj - 1.000001)
    fi = min(max((x - first[2]) * inverse_pitch, 0.0), ni - 1.000001)
    k, j, i = int(fk), int(fj), int(fi)
    a, b, c = fk - k, fj - j, fi - i
    a0, b0, c0 = 1 - a, 1 - b, 1 - c
    for m in range(nm):
        low = (values[k, j, i, m] * c0 + values[k, j, i + 1, m] * c) * b0 + (
            values[k, j + 1, i, m] * c0 + values[k, j + 1, i + 1, m] * c
        ) * b
        high = (values[k + 1, j, i, m] * c0 + values[k + 1, j, i + 1, m] * c) * b0 + (
            values[k + 1, j + 1, i, m] * c0 + values[k + 1, j + 1, i + 1, m] * c
        ) * b
        out[m] = low * a0 + high * a
