"""The arithmetic of log odds: from an interval to a standard error, from a rate to an intercept."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import norm

from kypho.errors import SettingsError

__all__ = ["beta_se", "exposure_patterns", "implied_p", "intercept_for"]

Z_95 = float(ndtri(0.975))
"""Half width of a 95 % interval in standard errors; published intervals are 95 %."""

HALVINGS = 60
"""Bisection halvings; 2**-60 of the bracket is below double rounding."""

BRACKET = 60.0
"""Half width of the log-odds bracket; expit(60) is 1 in double precision."""


def beta_se(ratio: float, low: float, high: float) -> tuple[float, float]:
    """Log of a printed ratio and the standard error its 95 % interval implies."""
    return float(np.log(ratio)), float((np.log(high) - np.log(low)) / (2 * Z_95))


def implied_p(ratio: float, low: float, high: float) -> float:
    """Two-sided P that a printed ratio and its 95 % interval imply (Wald)."""
    beta, se = beta_se(ratio, low, high)
    return float(2 * norm.sf(abs(beta) / se))


def exposure_patterns(prevalences: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All combinations of independent binary exposures.

    Returns:
        Patterns, shape (2**n, n) of 0 and 1, and their weights, shape (2**n,), which add to one.
    """
    share = np.asarray(prevalences, dtype=float)
    if np.any((share < 0) | (share > 1)):
        raise SettingsError(f"prevalences must lie between 0 and 1, got {share.tolist()}")
    n = len(share)
    patterns = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    weights = np.prod(np.where(patterns > 0, share, 1 - share), axis=1)
    return patterns, weights


def intercept_for(baseline: float, betas: ArrayLike, prevalences: ArrayLike) -> NDArray[np.float64]:
    """Intercept at which the population reproduces its published rate.

    A published rate already contains exposed vertebrae, so ``logit(baseline)`` would count the exposures
    twice. The intercept solves ``sum_x w(x) expit(alpha + betas . x) = baseline``, by bisection, for every
    row of `betas` at once.

    Args:
        baseline: published rate, strictly between 0 and 1.
        betas: log odds ratios, shape (..., n).
        prevalences: share of the population with each exposure, shape (n,).

    Returns:
        The intercepts, shape (...).
    """
    if not 0 < baseline < 1:
        raise SettingsError(f"a baseline rate must lie strictly between 0 and 1, got {baseline}")
    patterns, weights = exposure_patterns(prevalences)
    shift = np.asarray(betas, dtype=float) @ patterns.T
    low = np.full(shift.shape[:-1], logit(baseline) - BRACKET)
    high = np.full(shift.shape[:-1], logit(baseline) + BRACKET)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = expit(middle[..., None] + shift) @ weights > baseline
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
