"""Where the cement ends: a boundary finer than the voxels, under blur, slice thickness and a clipped scale.

A fixed threshold makes dense cement too large: the scanner blurs the edge, and the denser the cement, the
further out the threshold is crossed. Above 3071 HU the density itself is lost. The boundary is therefore
fitted for every density, in HU, that the cement may have (`formation`); the edges tell which are likely,
since denser cement falls off more steeply at the clipped height. What is left open (density, blur, and how
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

__all__ = ["Boundary", "Density", "Fits", "fit_shapes", "likely_density", "settle"]

FINE_Z_MM = 0.6  # numerics: fine layers of a thick slice, half the blur in the plane
NO_MISFIT = 1e-9  # numerics: of a speck without an edge, which any density fits
MISFIT_SCALE = 0.05  # numerics: relative rise of the misfit over which a density loses its weight
DENSEST_TISSUE_HU = 1500.0  # numerics: no tissue around cement is denser than cortex
LEAN, LEAN_PER_MM = 0.15, 0.2  # numerics: see `_unlean`
CORE_VOXELS = 8  # fewer say more of noise than of cement
BRIGHTEST = 3  # as many as do not hang on the noise of one
PLATEAU_SPREAD = 0.05  # hardened beams make a core this uneven
SPREAD = (0.1, 0.9)  # numerics: quantiles of the likely density that bound the interval
LEAST_SPREAD = 1.12  # numerics: no density is known to better than an eighth


@dataclass(frozen=True, kw_only=True, eq=False)
class Boundary:
    """The fitted shape.

    Attributes:
        share: cement's share of each fine voxel, shape ``factors * shape of the crop``; the mean of the
            shapes for every density, weighted by how likely it is.
        low, high: the same for the smallest and largest shape that fits almost as well.
        factors: fine voxels per CT voxel along (k, j, i).
    """

    share: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    factors: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fits:
    """Shapes of one crop for every density tried, with their misfits.

    Attributes:
        densities_hu: HU of the cement, ascending.
        shares: one fine shape per density.
        misfits: misfit per density, shape (n,).
        best: index of the density at which the next four were fitted.
        narrow, wide: shapes for the lowest and highest blur.
        least, full: shapes with the clipped end slices filled as little and as much as they may be.
        slice_mm: slice distance.
        saturation_hu: value at which the scan is clipped.
        factors: fine voxels per CT voxel along (k, j, i).
        plateau_hu: density read from the core of cement that nothing clips; None where clipped, or thin on a
            scale that ends at the usual value.
    """

    densities_hu: tuple[float, ...]
    shares: tuple[NDArray[np.float32], ...]
    misfits: NDArray[np.float64]
    best: int
    narrow: NDArray[np.float32]
    wide: NDArray[np.float32]
    least: NDArray[np.float32]
    full: NDArray[np.float32]
    slice_mm: float
    saturation_hu: float
    factors: tuple[int, int, int]
    plateau_hu: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Density:
    """What is known of the density of the cement: weights (summing to one) over a fine scale of HU."""

    hu: NDArray[np.float64]
    weight: NDArray[np.float64]

    def over(self, densities_hu: Sequence[float]) -> NDArray[np.float64]:
        """The weights shared out among a few densities, linearly in their logarithm."""
        return _shared(self.hu, self.weight, densities_hu)

    def at(self, quantile: float) -> float:
        """HU below which this share of the weight lies."""
        return float(np.interp(quantile, np.cumsum(self.weight), self.hu))

    def near(self, densities_hu: Sequence[float]) -> tuple[float, ...]:
        """Those of the densities that bracket the likely ones."""
        nodes = np.asarray(densities_hu)
        first = max(int(np.searchsorted(nodes, self.at(SPREAD[0]))) - 1, 0)
        last = min(int(np.searchsorted(nodes, self.at(SPREAD[1]))), len(nodes) - 1)
        return tuple(densities_hu[first : max(last, first + 1) + 1])


def fit_shapes(
    ct: Volume,
    cement: NDArray[np.bool_],
    blur: Blur,
    *,
    saturation_hu: float,
    bone: NDArray[np.bool_] | None = None,
    judge: NDArray[np.bool_] | None = None,
    coarse: bool = False,
    densities_hu: Sequence[float] | None = None,
    known: Density | None = None,
) -> Fits:
    """Fit the cement's shape in a crop for every density that the cement may have.

    Args:
        ct: the crop, HU.
        cement: voxels of the crop that are more cement than not.
        blur: the in-plane resolution.
        saturation_hu: value at which the scan is clipped.
        bone: voxels in bone; by default none.
        judge: voxels whose misfit counts; by default all near the cement.
        coarse: pixel-sized instead of half-pixel voxels in the plane.
        densities_hu: densities to try; by default those of `leak.cement_hu`.
        known: what other parts of the same cement say; then only the densities near it are tried.
    """
    plane = 1 if coarse else 2
    hu = np.asarray(ct.array, np.float32)
    around = ndimage.binary_dilation(cement, iterations=2)
    model = Formation(
        hu=hu,
        background=_background(hu, around, np.zeros_like(cement) if bone is None else bone),
        clipped=hu >= saturation_hu - 1,
        saturation_hu=saturation_hu,
        factors=(max(1, round(ct.grid.spacing_mm[0] / FINE_Z_MM)), plane, plane),
        pixel_mm=ct.grid.spacing_mm[1],
        active=ndimage.binary_dilation(around, iterations=1),
        judge=around if judge is None else around & judge,
    )
    tried = [float(c) for c in (densities_hu or value("leak.cement_hu"))]
    if known is not None:
        tried = list(known.near(tried))
    runs = {hu: model.fit(hu, blur.fwhm_mm) for hu in tried}
    if known is None:
        runs |= {hu: model.fit(hu, blur.fwhm_mm) for hu in _around_best(tried, [m for _, m in runs.values()])}
    tried = sorted(runs)
    misfits = np.array([runs[hu][1] for hu in tried])
    best = int(np.argmin(misfits)) if known is None else int(np.argmax(known.over(tried)))
    return Fits(
        densities_hu=tuple(tried),
        shares=tuple(runs[hu][0] for hu in tried),
        misfits=misfits,
        best=best,
        narrow=model.fit(tried[best], blur.low_mm)[0],
        wide=model.fit(tried[best], blur.high_mm)[0],
        least=model.fit(tried[best], blur.fwhm_mm, "least")[0],
        full=model.fit(tried[best], blur.fwhm_mm, "full")[0],
        slice_mm=ct.grid.spacing_mm[0],
        saturation_hu=saturation_hu,
        factors=model.factors,
        plateau_hu=_plateau(model),
    )


def _around_best(tried: list[float], misfits: list[float]) -> list[float]:
    """Half-way (in the logarithm) to the neighbours of the best density: steps of 10 % where it counts."""
    best = int(np.argmin(misfits))
    return [float(np.sqrt(tried[best] * tried[n])) for n in (best - 1, best + 1) if 0 <= n < len(tried)]


def _plateau(model: Formation) -> float | None:
    """Median HU of the core, two pixels within the half height, if it is not clipped.

    On a scale that goes on beyond the usual one, thin cement without such a core still has its brightest
    voxels: a little less than its density, where the edges alone fit any density above it.
    """
    excess = np.where(model.judge, model.hu - model.background, 0)
    body = excess > excess.max() / 2
    core = ndimage.binary_erosion(body, np.ones((1, 3, 3), bool), iterations=2)
    if (model.clipped & model.judge).any() or not body.any():
        return None
    if np.count_nonzero(core) >= CORE_VOXELS:
        return float(np.median(np.sort(model.hu[core])[-CORE_VOXELS:]))
    endless = model.saturation_hu > value("leak.saturation_hu")
    return float(np.sort(model.hu[body])[-BRIGHTEST:].mean()) if endless else None


def likely_density(families: Sequence[Fits]) -> Density:
    """How likely each density is, from all crops together, the largest first.

    The cement of one operation is one mixture, so the crops share its density; each counts by its own best
    misfit, so that a crop with a difficult surrounding does not outvote the rest. Where the largest crop has
    a core that is not clipped, that is the density, and the edges have no say.
    """
    ends = np.log([families[0].densities_hu[0], families[0].densities_hu[-1]])
    scale = np.linspace(ends[0], ends[1], 200)
    core_hu = families[0].plateau_hu
    if core_hu is not None:
        off = np.exp(scale) / np.clip(core_hu, *np.exp(ends)) - 1
        weight = np.exp(-0.5 * (off / PLATEAU_SPREAD) ** 2)
        return Density(hu=np.exp(scale), weight=weight / weight.sum())
    excess = np.mean(
        [
            np.interp(scale, np.log(f.densities_hu), f.misfits / max(f.misfits.min(), NO_MISFIT))
            for f in families
        ],
        axis=0,
    )
    weight = np.exp(-(excess - excess.min()) / MISFIT_SCALE)
    return Density(hu=_unlean(np.exp(scale), families[0]), weight=weight / weight.sum())


def _unlean(hu: NDArray[np.float64], fits: Fits) -> NDArray[np.float64]:
    """Density of cement that makes the fit prefer `hu`.

    Where nothing is clipped the fit prefers the true density. Where the scale ends half-way up, only the
    foot of the edge is left, and surfaces that slant through a slice and outlines taken as filled make it
    softer, as lighter cement would: on synthetic scans the preferred density is then low by a fifth at 1 mm
    slices and by a third at 2.5 mm.
    """
    clipped = np.clip(hu / fits.saturation_hu - 1, 0, 1)
    return np.asarray(hu * (1 + (LEAN + LEAN_PER_MM * fits.slice_mm) * clipped))


def _shared(
    hu: NDArray[np.float64], weight: NDArray[np.float64], densities_hu: Sequence[float]
) -> NDArray[np.float64]:
    if len(densities_hu) == 1:
        return np.ones(1)
    nodes = np.log(densities_hu)
    at = np.interp(np.log(hu), nodes, np.arange(len(nodes)))
    low = np.minimum(at.astype(int), len(nodes) - 2)
    shares = np.zeros(len(nodes))
    np.add.at(shares, low, weight * (1 - (at - low)))
    np.add.at(shares, low + 1, weight * (at - low))
    return shares


def settle(fits: Fits, density: Density) -> Boundary:
    """The boundary of a crop for a likely density, with what fits almost as well as its interval."""
    share = _mixed(fits, density.over(fits.densities_hu))
    middle = density.at(0.5)
    dense = max(density.at(SPREAD[1]), LEAST_SPREAD * middle)
    light = min(density.at(SPREAD[0]), middle / LEAST_SPREAD)
    low, high = share, share
    for hu in (dense, light):
        other = _mixed(fits, _shared(np.array([hu]), np.ones(1), fits.densities_hu))
        low, high = np.minimum(low, other), np.maximum(high, other)
    for other in (fits.narrow, fits.wide, fits.least, fits.full):
        change = other - fits.shares[fits.best]
        low, high = low + np.minimum(change, 0), high + np.maximum(change, 0)
    return Boundary(share=share, low=np.clip(low, 0, 1), high=np.clip(high, 0, 1), factors=fits.factors)


def _mixed(fits: Fits, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(sum(w * s for w, s in zip(weights, fits.shares, strict=True) if w > 0), np.float32)


def _background(hu: NDArray, around: NDArray, bone: NDArray) -> NDArray[np.float32]:
    """HU that would be there without cement: the nearest clear voxel of the same tissue, smoothed.

    Bone and what lies outside it are filled each from their own, else cement at the wall would be measured
    against the cortex beside it.
    """
    clear = ~ndimage.binary_dilation(around, np.ones((1, 3, 3), bool))
    if not clear.any():
        return np.full(hu.shape, np.float32(np.median(hu)))
    filled = np.array(hu)
    for tissue in (bone, ~bone):
        source = clear & tissue if (clear & tissue).any() else clear
        nearest = ndimage.distance_transform_edt(~source, return_distances=False, return_indices=True)
        filled[tissue] = hu[tuple(nearest[:, tissue])]
    filled = np.minimum(filled, DENSEST_TISSUE_HU)
    return np.where(around, ndimage.gaussian_filter(filled, 1.0), hu).astype(np.float32)
