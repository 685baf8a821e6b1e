"""Least squares that a lip, a pit or a fragment does not bend: Cauchy weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["robust_fit"]

ROUNDS = 12  # numerics: the weights settle within ten rounds
FLOOR_MM = 0.5  # numerics: residuals of half a voxel are noise, whatever the rest looks like


def robust_fit(
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    floor_mm: float = FLOOR_MM,
) -> NDArray[np.float64]:
    """Coefficients of a linear model by iteratively reweighted least squares with Cauchy weights.

    Args:
        design: shape (n, terms).
        values: shape (n,), mm.
        floor_mm: smallest scale of the residuals.
    """
    weight = np.ones(len(values))
    for _ in range(ROUNDS):
        root = np.sqrt(weight)
        fit = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        off = np.abs(values - design @ fit)
        scale = max(1.5 * float(np.median(off)), floor_mm)
        weight = 1 / (1 + (off / scale) ** 2)
    return np.asarray(fit)
