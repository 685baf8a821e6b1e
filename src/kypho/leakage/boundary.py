"""Where the cement ends: a boundary finer than the voxels, under blur, slice thickness and a clipped scale.

A fixed threshold makes dense cement too large: the scanner blurs the edge, and the denser the cement, the
further out the threshold is crossed. Above 3071 HU the density itself is lost. The boundary is therefore
fitted: a shape on a fine grid is blurred and clipped as the scanner does, and changed until it gives the
image; the contrast of the cement is the one whose edges fit best. What fits almost as well gives the
interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from kypho.evidence.records import interval, value
from kypho.space import Volume

__all__ = [
    "Blur",
    "Boundary",
    "Fits",
    "fit_shapes",
    "likely_contrasts",
    "measure_blur",
    "pooled_weights",
    "refine",
    "settle",
]

AIR_HU = -750.0  # numerics: below it a voxel beside soft tissue is air, not partial volume
SOFT_HU = (-120.0, 160.0)  # numerics: plateau of the soft side of an air edge
CUT_EDGE = 0.97  # a step this complete within a pixel was cut by software (a mask), not blurred by a scanner
ENOUGH_EDGES = 400  # numerics: below it the 90th percentile of edge steepness is noise
FINE_Z_MM = 0.6  # numerics: fine layers of a thick slice, half the blur in the plane
STEPS = 24  # numerics: the residual falls by less than 1 % per step beyond
MISFIT_SCALE = 0.08  # numerics: relative rise of the misfit over which a contrast loses its weight
DENSEST_TISSUE_HU = 1500.0  # numerics: no tissue around cement is denser than cortex
BAND_HU = 150.0  # numerics: five times the noise of a thin slice


@dataclass(frozen=True, kw_only=True)
class Blur:
    """In-plane resolution: full width at half maximum with its interval, and whether it was measured."""

    fwhm_mm: float
    low_mm: float
    high_mm: float
    measured: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Boundary:
    """The fitted shape.

    Attributes:
        share: cement's share of each fine voxel, shape ``factors * shape of the crop``; the mean of the
            shapes for every contrast, weighted by how well they fit.
        low, high: the same for the smallest and largest shape that fits almost as well.
        factors: fine voxels per CT voxel along (k, j, i).
    """

    share: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    factors: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fits:
    """Shapes of one crop for every contrast tried, with their misfits.

    Attributes:
        contrasts_hu: HU of the cement over its surroundings.
        shares: one fine shape per contrast.
        misfits: root mean square misfit per contrast, shape (n,).
        narrow, wide: shapes at the best contrast for the lowest and highest blur.
        factors: fine voxels per CT voxel along (k, j, i).
    """

    contrasts_hu: tuple[float, ...]
    shares: tuple[NDArray[np.float32], ...]
    misfits: NDArray[np.float64]
    narrow: NDArray[np.float32]
    wide: NDArray[np.float32]
    factors: tuple[int, int, int]


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
    every = every[every < CUT_EDGE]
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
    sign = np.sign(height)
    for by in range(-reach, reach + 1):
        clean &= shifted(by) * sign > -60
    return np.asarray(np.abs(step[..., centre][clean]) / np.abs(height[clean]), dtype=float)


def fit_shapes(
    ct: Volume,
    cement: NDArray[np.bool_],
    blur: Blur,
    *,
    saturation_hu: float,
    judge: NDArray[np.bool_] | None = None,
    coarse: bool = False,
    contrasts_hu: Sequence[float] | None = None,
) -> Fits:
    """Fit the cement's shape in a crop for every contrast that the cement may have.

    Args:
        ct: the crop, HU.
        cement: voxels of the crop that are more cement than not.
        blur: the in-plane resolution.
        saturation_hu: value at which the scan is clipped.
        judge: voxels whose misfit counts; by default all near the cement.
        coarse: pixel-sized instead of half-pixel voxels in the plane.
        contrasts_hu: contrasts to try; by default those of `leak.cement_contrast_hu`.
    """
    plane = 1 if coarse else 2
    factors = (max(1, round(ct.grid.spacing_mm[0] / FINE_Z_MM)), plane, plane)
    hu = np.asarray(ct.array, np.float32)
    around = ndimage.binary_dilation(cement, iterations=2)
    model = _Model(
        hu=hu,
        background=_background(hu, around),
        clipped=hu >= saturation_hu - 1,
        saturation_hu=saturation_hu,
        factors=factors,
        pixel_mm=ct.grid.spacing_mm[1],
        active=ndimage.binary_dilation(around, iterations=1),
        judge=around if judge is None else around & judge,
    )
    tried = value("leak.cement_contrast_hu") if contrasts_hu is None else contrasts_hu
    contrasts = tuple(float(c) for c in tried)
    runs = [model.fit(c, blur.fwhm_mm) for c in contrasts]
    misfits = np.array([misfit for _, misfit in runs])
    best = contrasts[int(np.argmin(misfits))]
    return Fits(
        contrasts_hu=contrasts,
        shares=tuple(share for share, _ in runs),
        misfits=misfits,
        narrow=model.fit(best, blur.low_mm)[0],
        wide=model.fit(best, blur.high_mm)[0],
        factors=factors,
    )


def pooled_weights(families: Sequence[Fits]) -> NDArray[np.float64]:
    """How well each contrast fits all crops together, as weights that sum to one.

    The cement of one operation is one mixture, so the crops share their contrast; each counts by its own
    best misfit, so that a crop with a difficult surrounding does not outvote the rest.
    """
    excess = np.mean([f.misfits / f.misfits.min() - 1 for f in families], axis=0)
    weights = np.exp(-(excess - excess.min()) / MISFIT_SCALE)
    return np.asarray(weights / weights.sum())


def settle(fits: Fits, weights: NDArray[np.float64]) -> Boundary:
    """The boundary of a crop for pooled weights, with what fits almost as well as its interval."""
    share = sum(w * s for w, s in zip(weights, fits.shares, strict=True))
    best = int(np.argmax(weights))
    likely = [
        fits.shares[n] for n in range(len(weights)) if abs(n - best) <= 1 or weights[n] >= 0.5 * weights[best]
    ]
    middle = fits.shares[int(np.argmin(fits.misfits))]
    sizes = [float(s.sum()) for s in likely]
    smallest, largest = likely[int(np.argmin(sizes))], likely[int(np.argmax(sizes))]
    blurred = (fits.narrow - middle, fits.wide - middle)
    low = smallest + sum(np.minimum(d, 0) for d in blurred)
    high = largest + sum(np.maximum(d, 0) for d in blurred)
    return Boundary(
        share=np.asarray(share, np.float32),
        low=np.clip(np.minimum(low, share), 0, 1),
        high=np.clip(np.maximum(high, share), 0, 1),
        factors=fits.factors,
    )


def likely_contrasts(families: Sequence[Fits]) -> tuple[float, ...]:
    """The pooled best contrast and its neighbours, for crops fitted after the first ones."""
    best = int(np.argmax(pooled_weights(families)))
    return families[0].contrasts_hu[max(best - 1, 0) : best + 2]


def _background(hu: NDArray, around: NDArray) -> NDArray[np.float32]:
    """HU that would be there without cement: the nearest voxel clear of it, smoothed."""
    if around.all():
        return np.full(hu.shape, np.float32(np.median(hu)))
    nearest = ndimage.distance_transform_edt(around, return_distances=False, return_indices=True)
    filled = np.minimum(hu[tuple(nearest)], DENSEST_TISSUE_HU)
    return np.where(around, ndimage.gaussian_filter(filled, 1.0), hu).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """Image formation in a crop and its inversion for a given contrast and blur."""

    hu: NDArray[np.float32]
    background: NDArray[np.float32]
    clipped: NDArray[np.bool_]
    saturation_hu: float
    factors: tuple[int, int, int]
    pixel_mm: float
    active: NDArray[np.bool_]
    judge: NDArray[np.bool_]

    def fit(self, contrast_hu: float, fwhm_mm: float) -> tuple[NDArray[np.float32], float]:
        """The shape and its misfit: gradient steps on a level set whose edge is made ever sharper."""
        sigma = fwhm_mm / np.sqrt(8 * np.log(2)) / self.pixel_mm * self.factors[1]
        target = np.clip((self.hu - self.background) / contrast_hu, 0, 1.2)
        top = (self.saturation_hu - self.background) / contrast_hu
        # Clipped voxels start as full: nothing in the image asks for less, only the edges do.
        half = np.clip(0.9 * top, 0.05, 0.5)
        level = refine(np.clip(target / half - 1, -1, 1), self.factors)
        active = _repeat(self.active, self.factors)
        level[~active] = -1.0
        share = np.clip(0.5 + level, 0, 1)
        for step in range(STEPS):
            residual = self._residual(share, target, top, sigma)
            gain = 1 + 4 * step / STEPS
            level += 1.6 / gain * _blur(_repeat(residual, self.factors), sigma)
            if step % 6 == 2:
                level = ndimage.gaussian_filter(level, (0.5 * (self.factors[0] > 1), 0.3, 0.3))
            np.clip(level, -1, 1, out=level)
            level[~active] = -1.0
            share = np.clip(0.5 + gain * level, 0, 1)
        residual = self._residual(share, target, top, sigma)
        edge = self.judge & ~self.clipped & (self.hu - self.background > BAND_HU)
        count = max(1, int(np.count_nonzero(edge)))
        misfit = float(np.sqrt((residual[self.judge] ** 2).sum() / count)) * contrast_hu / self.saturation_hu
        return share.astype(np.float32), misfit

    def _residual(self, share: NDArray, target: NDArray, top: NDArray, sigma: float) -> NDArray[np.float32]:
        blurred = _blur(share, sigma)
        seen = _down(blurred, self.factors)
        difference = target - seen
        return np.where(self.clipped, np.maximum(np.minimum(top, 1.0) - seen, 0), difference).astype(
            np.float32
        )


def _blur(fine: NDArray, sigma: float) -> NDArray:
    return ndimage.gaussian_filter(fine, (0, sigma, sigma), mode="nearest", truncate=2.5)


def _repeat(array: NDArray, factors: tuple[int, int, int]) -> NDArray:
    for axis, factor in enumerate(factors):
        array = np.repeat(array, factor, axis=axis)
    return array


def _down(fine: NDArray, factors: tuple[int, int, int]) -> NDArray:
    k, j, i = (n // f for n, f in zip(fine.shape, factors, strict=True))
    return fine.reshape(k, factors[0], j, factors[1], i, factors[2]).mean(axis=(1, 3, 5))


def refine(array: NDArray, factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """Linear interpolation at the fine voxels' centres."""
    axes = [(np.arange(n * f) + 0.5) / f - 0.5 for n, f in zip(array.shape, factors, strict=True)]
    where = np.meshgrid(*axes, indexing="ij")
    return np.asarray(ndimage.map_coordinates(array, where, order=1, mode="nearest"), np.float32)
