"""How sharp a scan is, read from its own edges between air and soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from kypho.evidence import interval, value
from kypho.space import Volume

__all__ = ["Blur", "measure_blur"]

AIR_HU = -750.0  # numerics: below it a voxel beside soft tissue is air, not partial volume
SOFT_HU = (-120.0, 160.0)  # numerics: plateau of the soft side of an air edge
CUT_EDGE = 0.97  # a step this complete within a pixel was cut by software (a mask), not blurred by a scanner
LEAST_STEP_HU = 150.0  # numerics: a pixel's step at the softest edge that is looked at
LEAST_RISE_HU = -60.0  # numerics: a step back by more is another edge, by less noise or overshoot
SLICES = 24  # numerics: looked at, spread over the scan
ENOUGH_EDGES = 100  # numerics: of fewer the sharpest twelfth is a handful
ALONG_PIXELS = 5  # numerics: averaged along an edge against noise
SLANT = 0.12  # numerics: tangent to rows or columns; averaged along, a steeper edge would blur by 2 %
THROUGH = 0.2  # numerics: pixels that an edge may move per slice; averaged over it, it blurs by 1 %
LEAST_STEP = 0.04  # numerics: share of the height; smaller steps are noise
LEAST_BEND = 0.02  # numerics: a parabola as flat as that is no edge's
LEAST_WIDTH = 1.0  # numerics: pixels; narrower edges are cut ones
FIRST, ALIKE = 10, 1.35  # numerics: as sharp as the tenth within noise and slant; beyond soft themselves
SHARPEST = 8  # numerics: percentile of those alike
KNOWN_TO = 0.06  # numerics: on synthetic scans of known kernel nine in ten readings are nearer
COARSE, COARSE_TO = 1.3, 0.2  # numerics: pixels; a sharper kernel is read as if it were about as wide
SHARPER = 0.94  # numerics: by this much noise of 10 to 40 HU narrows the sharpest twelfth
REACH = 4  # pixels from an edge at which both plateaus have been reached


@dataclass(frozen=True, kw_only=True)
class Blur:
    """In-plane resolution: full width at half maximum with its interval, and whether it was measured."""

    fwhm_mm: float
    low_mm: float
    high_mm: float
    measured: bool


def measure_blur(ct: Volume) -> Blur:
    """In-plane resolution from the sharpest edges between air and soft tissue.

    The steps between neighbouring pixels across an edge blurred by a Gaussian are nearly a Gaussian again,
    wider by the pixel (variances add: sigma^2 + d^2 / 12), wherever the edge lies between the pixels. A
    parabola through the logarithms of the steps, weighted by their squares, gives its width (Guo, IEEE Signal
    Processing Magazine 28:134, 2011). Edges that slant through the slice are left out; those that moved, or
    are soft themselves, are wider, and how many they are differs from region to region: the sharpest tell.
    """
    count = ct.grid.shape[0]
    chosen = np.arange(1, count - 1, max(1, count // SLICES))
    slabs = np.stack([np.asarray(ct.array[chosen + n], np.float32) for n in (-1, 0, 1)])
    every = np.concatenate([_widths(slabs), _widths(slabs.transpose(0, 1, 3, 2))])
    if len(every) < ENOUGH_EDGES:
        low, high = interval("leak.psf_fwhm_mm")
        return Blur(fwhm_mm=value("leak.psf_fwhm_mm"), low_mm=low, high_mm=high, measured=False)
    alike = every[every < ALIKE * np.partition(every, FIRST)[FIRST]]
    fwhm = float(np.percentile(alike, SHARPEST) / SHARPER * ct.grid.spacing_mm[1])
    down = COARSE_TO if fwhm < COARSE * ct.grid.spacing_mm[1] else KNOWN_TO
    return Blur(fwhm_mm=fwhm, low_mm=fwhm * (1 - down), high_mm=fwhm * (1 + KNOWN_TO), measured=True)


def _widths(slabs: NDArray) -> NDArray[np.float64]:
    """Full width at half maximum, in pixels, of every clean air edge across the last axis, shape (edges,).

    Args:
        slabs: HU of the slices before, looked at and after, shape (3, slices, along, across).
    """
    previous, smooth, following = uniform_filter1d(slabs, ALONG_PIXELS, axis=2)
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
    slant, through = (
        np.abs(change[k, j, i + REACH] + change[k, j, i + REACH + 1]) / 2
        for change in (turn, (following - previous) / 2)
    )
    top = rising[:, REACH]
    clean = (air < AIR_HU) & (soft > SOFT_HU[0]) & (soft < SOFT_HU[1])
    clean &= (rising > LEAST_RISE_HU).all(axis=1) & (top < CUT_EDGE * height)
    clean &= (slant < SLANT * top) & (through < THROUGH * top)
    return _gaussian_widths(rising[clean] / height[clean, None])


def _gaussian_widths(steps: NDArray) -> NDArray[np.float64]:
    """Full width at half maximum of the Gaussian whose steps of one these are, shape (edges,)."""
    counted = np.where(steps > LEAST_STEP, steps, 0.0).astype(float)
    off = np.arange(-REACH, REACH + 1)
    powers = np.stack([(off**n * counted**2).sum(axis=1) for n in range(5)], axis=1)
    logs = counted**2 * np.log(np.maximum(counted, LEAST_STEP))
    right = np.stack([(off**n * logs).sum(axis=1) for n in range(3)], axis=1)
    known = (counted > 0).sum(axis=1) >= 3
    normal = powers[known][:, np.add.outer(range(3), range(3))]
    bend = np.linalg.solve(normal, right[known][..., None])[:, 2, 0]
    variance = 1 / np.maximum(-2 * bend, LEAST_BEND) - 1 / 12
    widths = np.sqrt(8 * np.log(2) * np.maximum(variance, 0))
    return np.asarray(widths[widths > LEAST_WIDTH])
