"""How sharp a scan is, read from its own edges between air and soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kypho.evidence import interval, value
from kypho.space import Volume

__all__ = ["Blur", "measure_blur"]

AIR_HU = -750.0  # numerics: below it a voxel beside soft tissue is air, not partial volume
SOFT_HU = (-120.0, 160.0)  # numerics: plateau of the soft side of an air edge
CUT_EDGE = 0.97  # a step this complete within a pixel was cut by software (a mask), not blurred by a scanner
ENOUGH_EDGES = 400  # numerics: below it the 90th percentile of edge steepness is noise


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
    A (2 Phi(d / 2 sigma) - 1). Slanted and moving edges are flatter, so the 90th percentile counts.
    """
    ratios = []
    for axis in (1, 2):
        lines = np.moveaxis(np.asarray(ct.array[:: max(1, ct.grid.shape[0] // 12)], np.float32), axis, -1)
        ratios.append(_edge_ratios(lines))
    every = np.concatenate(ratios)
    if len(every) < ENOUGH_EDGES:
        low, high = interval("leak.psf_fwhm_mm")
        return Blur(fwhm_mm=value("leak.psf_fwhm_mm"), low_mm=low, high_mm=high, measured=False)
    steepest = float(np.percentile(every, 90))
    sigma = ct.grid.spacing_mm[1] / (2 * ndtri((1 + steepest) / 2))
    fwhm = float(sigma * np.sqrt(8 * np.log(2)))
    return Blur(fwhm_mm=fwhm, low_mm=0.9 * fwhm, high_mm=1.1 * fwhm, measured=True)


def _edge_ratios(lines: NDArray) -> NDArray[np.float64]:
    """Largest step over height at every clean air edge along the last axis."""
    n, reach = lines.shape[-1], 4
    step = np.diff(lines, axis=-1)
    centre = slice(reach, n - reach - 1)

    def shifted(by: int) -> NDArray:
        return step[..., reach + by : n - reach - 1 + by]

    before = (lines[..., : n - 2 * reach - 1] + lines[..., 1 : n - 2 * reach]) / 2
    after = (lines[..., 2 * reach : n - 1] + lines[..., 2 * reach + 1 :]) / 2
    height = after - before
    air, soft = np.minimum(before, after), np.maximum(before, after)
    clean = (air < AIR_HU) & (soft > SOFT_HU[0]) & (soft < SOFT_HU[1])
    clean &= (np.abs(step[..., centre]) >= np.abs(shifted(-1))) & (
        np.abs(step[..., centre]) >= np.abs(shifted(1))
    )
    sign, cut = np.sign(height), CUT_EDGE * np.abs(height)
    for by in range(-reach, reach + 1):
        clean &= (shifted(by) * sign > -60) & (np.abs(shifted(by)) < cut)
    return np.asarray(np.abs(step[..., centre][clean]) / np.abs(height[clean]), dtype=float)
