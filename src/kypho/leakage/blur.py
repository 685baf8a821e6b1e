"""How sharp a scan is, read from its own edges between air and soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.special import ndtri

from kypho.evidence import interval, value
from kypho.space import Volume

__all__ = ["Blur", "measure_blur"]

AIR_HU = -750.0  # numerics: below it a voxel beside soft tissue is air, not partial volume
SOFT_HU = (-120.0, 160.0)  # numerics: plateau of the soft side of an air edge
CUT_EDGE = 0.97  # a step this complete within a pixel was cut by software (a mask), not blurred by a scanner
LEAST_STEP_HU = 150.0  # numerics: a pixel's step at the softest edge that is looked at
LEAST_RISE_HU = -60.0  # numerics: a step back by more is another edge, by less noise or overshoot
ENOUGH_EDGES = 200  # numerics: of fewer the steepest twelfth is a handful
ALONG_PIXELS = 5  # numerics: averaged along an edge, else noise makes the steepest edges steeper
SLANT = 0.12  # numerics: tangent to rows or columns; averaged along, a steeper edge would blur by 2 %
STEEPEST = 92  # numerics: percentile; beyond it noise counts, before it edges that are soft themselves
REACH = 4  # pixels from an edge at which both plateaus have been reached


@dataclass(frozen=True, kw_only=True)
class Blur:
    """In-plane resolution: full width at half maximum with its interval, and whether it was measured."""

    fwhm_mm: float
    low_mm: float
    high_mm: float
    measured: bool


def measure_blur(ct: Volume) -> Blur:
    """In-plane resolution from the steepest edges between air and soft tissue.

    For a Gaussian blur the largest step between neighbouring pixels across an edge of height A is
    A (2 Phi(d / 2 sigma) - 1). Edges that slant through the slice, move, or lie off the middle between two
    pixels are flatter, so only the steepest of them count.
    """
    lines = np.asarray(ct.array[:: max(1, ct.grid.shape[0] // 12)], np.float32)
    every = np.concatenate([_edge_ratios(lines), _edge_ratios(lines.transpose(0, 2, 1))])
    if len(every) < ENOUGH_EDGES:
        low, high = interval("leak.psf_fwhm_mm")
        return Blur(fwhm_mm=value("leak.psf_fwhm_mm"), low_mm=low, high_mm=high, measured=False)
    sigma = ct.grid.spacing_mm[1] / (2 * ndtri((1 + float(np.percentile(every, STEEPEST))) / 2))
    fwhm = float(sigma * np.sqrt(8 * np.log(2)))
    return Blur(fwhm_mm=fwhm, low_mm=0.9 * fwhm, high_mm=1.1 * fwhm, measured=True)


def _edge_ratios(slices: NDArray) -> NDArray[np.float64]:
    """Largest step over height at every clean air edge across the last axis, shape (edges,).

    Args:
        slices: HU, shape (slices, along, across).
    """
    smooth = uniform_filter1d(slices, ALONG_PIXELS, axis=1)
    step = np.diff(smooth, axis=2)
    size = np.abs(step)
    inner = np.s_[:, :, REACH:-REACH]
    peak = (size[inner] >= size[:, :, REACH - 1 : -REACH - 1]) & (
        size[inner] >= size[:, :, REACH + 1 : -REACH + 1]
    )
    k, j, i = np.nonzero(peak & (size[inner] > LEAST_STEP_HU))
    profile = np.stack([smooth[k, j, i + n] for n in range(2 * REACH + 2)], axis=1)
    before, after = profile[:, :2].mean(axis=1), profile[:, -2:].mean(axis=1)
    height, air, soft = np.abs(after - before), np.minimum(before, after), np.maximum(before, after)
    rising = np.diff(profile, axis=1) * np.sign(after - before)[:, None]
    turn = np.gradient(smooth, axis=1)
    slant = np.abs(turn[k, j, i + REACH] + turn[k, j, i + REACH + 1]) / 2
    clean = (air < AIR_HU) & (soft > SOFT_HU[0]) & (soft < SOFT_HU[1])
    clean &= (rising > LEAST_RISE_HU).all(axis=1) & (rising.max(axis=1) < CUT_EDGE * height)
    clean &= slant < SLANT * rising.max(axis=1)
    return np.asarray(rising.max(axis=1)[clean] / height[clean], dtype=float)
