"""Where the cement ends: a boundary finer than the voxels, under blur, slice thickness and a clipped scale.

A fixed threshold makes dense cement too large: the scanner blurs the edge, and the denser the cement, the
further out the threshold is crossed. Above 3071 HU the density itself is lost. The boundary is therefore
fitted for every contrast that the cement may have (`formation`); the edges tell which contrasts are likely,
since denser cement falls off more steeply at the clipped height. What is left open (contrast, blur, and how
far the clipped slices at both ends are filled) gives the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.evidence import value
from kypho.leakage.blur import Blur
from kypho.leakage.formation import Formation
from kypho.space import Volume

__all__ = ["Boundary", "Contrast", "Fits", "fit_shapes", "likely_contrast", "settle"]

FINE_Z_MM = 0.6  # numerics: fine layers of a thick slice, half the blur in the plane
MISFIT_SCALE = 0.05  # numerics: relative rise of the misfit over which a contrast loses its weight
DENSEST_TISSUE_HU = 1500.0  # numerics: no tissue around cement is denser than cortex
LEAN_PER_MM = 0.15  # numerics: see `_unlean`; measured on ideal blurred ellipsoids
LEAN_FROM_MM = 0.6  # numerics: as above
CORE_VOXELS = 8  # fewer say more of noise than of cement
PLATEAU_SPREAD = 0.05  # hardened beams make a core this uneven
SPREAD = (0.1, 0.9)  # numerics: quantiles of the likely contrast that bound the interval
LEAST_SPREAD = 1.1  # numerics: no contrast is known better than to a tenth


@dataclass(frozen=True, kw_only=True, eq=False)
class Boundary:
    """The fitted shape.

    Attributes:
        share: cement's share of each fine voxel, shape ``factors * shape of the crop``; the mean of the
            shapes for every contrast, weighted by how likely it is.
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
        contrasts_hu: HU of the cement over its surroundings, ascending.
        shares: one fine shape per contrast.
        misfits: misfit per contrast, shape (n,).
        best: index of the contrast at which the next four were fitted.
        narrow, wide: shapes for the lowest and highest blur.
        least, full: shapes with the clipped end slices filled as little and as much as they may be.
        slice_mm: slice distance.
        factors: fine voxels per CT voxel along (k, j, i).
        plateau_hu: contrast read from the core of cement that nothing clips; None where clipped or thin.
    """

    contrasts_hu: tuple[float, ...]
    shares: tuple[NDArray[np.float32], ...]
    misfits: NDArray[np.float64]
    best: int
    narrow: NDArray[np.float32]
    wide: NDArray[np.float32]
    least: NDArray[np.float32]
    full: NDArray[np.float32]
    slice_mm: float
    factors: tuple[int, int, int]
    plateau_hu: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """What is known of the cement's contrast: weights (summing to one) over a fine scale of HU."""

    hu: NDArray[np.float64]
    weight: NDArray[np.float64]

    def over(self, contrasts_hu: Sequence[float]) -> NDArray[np.float64]:
        """The weights shared out among a few contrasts, linearly in their logarithm."""
        return _shared(self.hu, self.weight, contrasts_hu)

    def at(self, quantile: float) -> float:
        """HU below which this share of the weight lies."""
        return float(np.interp(quantile, np.cumsum(self.weight), self.hu))

    def near(self, contrasts_hu: Sequence[float]) -> tuple[float, ...]:
        """Those of the contrasts that bracket the likely ones."""
        nodes = np.asarray(contrasts_hu)
        first = max(int(np.searchsorted(nodes, self.at(SPREAD[0]))) - 1, 0)
        last = min(int(np.searchsorted(nodes, self.at(SPREAD[1]))), len(nodes) - 1)
        return tuple(contrasts_hu[first : max(last, first + 1) + 1])


def fit_shapes(
    ct: Volume,
    cement: NDArray[np.bool_],
    blur: Blur,
    *,
    saturation_hu: float,
    judge: NDArray[np.bool_] | None = None,
    coarse: bool = False,
    contrasts_hu: Sequence[float] | None = None,
    known: Contrast | None = None,
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
        known: what other parts of the same cement say; then only the contrasts near it are tried.
    """
    plane = 1 if coarse else 2
    hu = np.asarray(ct.array, np.float32)
    around = ndimage.binary_dilation(cement, iterations=2)
    model = Formation(
        hu=hu,
        background=_background(hu, around),
        clipped=hu >= saturation_hu - 1,
        saturation_hu=saturation_hu,
        factors=(max(1, round(ct.grid.spacing_mm[0] / FINE_Z_MM)), plane, plane),
        pixel_mm=ct.grid.spacing_mm[1],
        active=ndimage.binary_dilation(around, iterations=1),
        judge=around if judge is None else around & judge,
    )
    tried = tuple(float(c) for c in (contrasts_hu or value("leak.cement_contrast_hu")))
    if known is not None:
        tried = known.near(tried)
    runs = [model.fit(c, blur.fwhm_mm) for c in tried]
    misfits = np.array([misfit for _, misfit in runs])
    best = int(np.argmin(misfits)) if known is None else int(np.argmax(known.over(tried)))
    return Fits(
        contrasts_hu=tried,
        shares=tuple(share for share, _ in runs),
        misfits=misfits,
        best=best,
        narrow=model.fit(tried[best], blur.low_mm)[0],
        wide=model.fit(tried[best], blur.high_mm)[0],
        least=model.fit(tried[best], blur.fwhm_mm, "least")[0],
        full=model.fit(tried[best], blur.fwhm_mm, "full")[0],
        slice_mm=ct.grid.spacing_mm[0],
        factors=model.factors,
        plateau_hu=_plateau(model),
    )


def _plateau(model: Formation) -> float | None:
    """Median contrast of the core, two pixels within the half height, if it is not clipped."""
    excess = np.where(model.judge, model.hu - model.background, 0)
    body = excess > excess.max() / 2
    core = ndimage.binary_erosion(body, np.ones((1, 3, 3), bool), iterations=2)
    if (model.clipped & model.judge).any() or np.count_nonzero(core) < CORE_VOXELS:
        return None
    return float(np.median(np.sort(excess[core])[-CORE_VOXELS:]))


def likely_contrast(families: Sequence[Fits]) -> Contrast:
    """How likely each contrast is, from all crops together.

    The cement of one operation is one mixture, so the crops share their contrast; each counts by its own
    best misfit, so that a crop with a difficult surrounding does not outvote the rest. Where a core is not
    clipped, it is the contrast, and the edges have no say.
    """
    nodes = np.log(families[0].contrasts_hu)
    scale = np.linspace(nodes[0], nodes[-1], 200)
    seen = [f.plateau_hu for f in families if f.plateau_hu is not None]
    if seen:
        off = np.exp(scale) / np.clip(np.median(seen), *np.exp(nodes[[0, -1]])) - 1
        weight = np.exp(-0.5 * (off / PLATEAU_SPREAD) ** 2)
        return Contrast(hu=np.exp(scale), weight=weight / weight.sum())
    excess = np.mean([np.interp(scale, nodes, f.misfits / f.misfits.min()) for f in families], axis=0)
    weight = np.exp(-(excess - excess.min()) / MISFIT_SCALE)
    return Contrast(hu=_unlean(np.exp(scale), families[0]), weight=weight / weight.sum())


def _unlean(hu: NDArray[np.float64], fits: Fits) -> NDArray[np.float64]:
    """Contrast that makes the fit prefer `hu`.

    Surfaces that slant through a thick slice are fitted a little too soft, as those of lighter cement are.
    On ideal ellipsoids of known contrast the preferred one is low by 5 % at 1 mm and by 17 % at 2.5 mm
    slices where the scale clips half the height, and right where it clips nothing.
    """
    clipped = np.clip(hu / value("leak.saturation_hu") - 1, 0, 1)
    return np.asarray(hu * (1 + LEAN_PER_MM * max(fits.slice_mm - LEAN_FROM_MM, 0.0) * clipped))


def _shared(
    hu: NDArray[np.float64], weight: NDArray[np.float64], contrasts_hu: Sequence[float]
) -> NDArray[np.float64]:
    if len(contrasts_hu) == 1:
        return np.ones(1)
    nodes = np.log(contrasts_hu)
    at = np.interp(np.log(hu), nodes, np.arange(len(nodes)))
    low = np.minimum(at.astype(int), len(nodes) - 2)
    shares = np.zeros(len(nodes))
    np.add.at(shares, low, weight * (1 - (at - low)))
    np.add.at(shares, low + 1, weight * (at - low))
    return shares


def settle(fits: Fits, contrast: Contrast) -> Boundary:
    """The boundary of a crop for a likely contrast, with what fits almost as well as its interval."""
    share = _mixed(fits, contrast.over(fits.contrasts_hu))
    middle = contrast.at(0.5)
    dense = max(contrast.at(SPREAD[1]), LEAST_SPREAD * middle)
    light = min(contrast.at(SPREAD[0]), middle / LEAST_SPREAD)
    low, high = share, share
    for hu in (dense, light):
        other = _mixed(fits, _shared(np.array([hu]), np.ones(1), fits.contrasts_hu))
        low, high = np.minimum(low, other), np.maximum(high, other)
    for other in (fits.narrow, fits.wide, fits.least, fits.full):
        change = other - fits.shares[fits.best]
        low, high = low + np.minimum(change, 0), high + np.maximum(change, 0)
    return Boundary(share=share, low=np.clip(low, 0, 1), high=np.clip(high, 0, 1), factors=fits.factors)


def _mixed(fits: Fits, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(sum(w * s for w, s in zip(weights, fits.shares, strict=True) if w > 0), np.float32)


def _background(hu: NDArray, around: NDArray) -> NDArray[np.float32]:
    """HU that would be there without cement: the nearest voxel clear of it, smoothed."""
    if around.all():
        return np.full(hu.shape, np.float32(np.median(hu)))
    nearest = ndimage.distance_transform_edt(around, return_distances=False, return_indices=True)
    filled = np.minimum(hu[tuple(nearest)], DENSEST_TISSUE_HU)
    return np.where(around, ndimage.gaussian_filter(filled, 1.0), hu).astype(np.float32)
