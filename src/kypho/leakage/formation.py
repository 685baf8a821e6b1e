"""How the scanner makes an image of cement, and the shape of cement that makes a given image.

The image of a shape is its share of each voxel: blurred in the plane, averaged over the slice, lifting the
HU from those of the surroundings towards those of cement, clipped at the top of the scale. The inverse is a
level set on a fine grid, moved by what the image still lacks (Landweber steps with momentum), its edge made
ever sharper.

Clipped voxels only say "at least so much". Across the slices that leaves a gap: of a clipped slice at the
end of the cement one cannot see whether it is filled or half filled. If the next slice holds some cement,
it is filled, for the surface lies in that next slice. If not, the surface lies within it, anywhere between
the least share that clips and all of it: `caps` picks the place, by default the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Caps", "Formation", "down", "refine", "repeat"]

Caps = Literal["least", "middle", "full"]

STEPS = 40  # numerics: with the momentum, volumes change by less than 1 % beyond
STEP = 1.6  # numerics: below 2, where Landweber steps cease to converge
MOMENTUM = 0.8  # numerics: steps that agree go five times as far
SHARPEST = 4.0  # numerics: at the end the edge is a fifth as wide; cement is all or nothing, seldom a share
LEAST_VARIANCE = 0.04  # numerics: pixels squared; a sharper kernel is below what pixels show
SMOOTH_AT = 2  # numerics: once, before the shape is found; later it would shrink thin parts
SMOOTH_FINE = (1.0, 0.3, 0.3)  # numerics: fine voxels; the image does not tell the layers of one slice apart
LEAST_RISE_HU = 300.0  # numerics: cement in bone denser than this below it cannot be told from the bone
BAND_HU = 600.0  # numerics: below it hardened beams, noise and fat make more of the edge than cement does
TRACE = 0.1  # numerics: share of a voxel from which its slice is said to hold some cement
CAP_SHARE = {"least": 0.0, "middle": 0.5, "full": 1.0}


@dataclass(frozen=True, kw_only=True, eq=False)
class Formation:
    """Image formation in a crop and its inversion for cement of given HU and a given blur.

    Attributes:
        hu: the crop.
        background: what it would be without cement.
        clipped: where the scale ends.
        saturation_hu: value at which it ends.
        factors: fine voxels per CT voxel along (k, j, i).
        pixel_mm: pixel in the plane.
        active: CT voxels that may hold cement.
        judge: CT voxels whose misfit counts.
    """

    hu: NDArray[np.float32]
    background: NDArray[np.float32]
    clipped: NDArray[np.bool_]
    saturation_hu: float
    factors: tuple[int, int, int]
    pixel_mm: float
    active: NDArray[np.bool_]
    judge: NDArray[np.bool_]

    def fit(
        self, cement_hu: float, fwhm_mm: float, caps: Caps = "middle"
    ) -> tuple[NDArray[np.float32], float]:
        """The fine shape (shares 0 to 1) and its misfit, root mean square over the edges in clip heights."""
        # A scanner's pixel is a point of the blurred image; the mean over fine voxels blurs by a pixel more.
        pixels = max(fwhm_mm**2 / (8 * np.log(2)) / self.pixel_mm**2 - 1 / 12, LEAST_VARIANCE)
        sigma = float(np.sqrt(pixels)) * self.factors[1]
        rise = np.maximum(cement_hu - self.background, LEAST_RISE_HU)
        target = np.clip((self.hu - self.background) / rise, 0, 1.2).astype(np.float32)
        least = np.minimum((self.saturation_hu - self.background) / rise, 1).astype(np.float32)
        half = np.clip(0.9 * least, 0.05, 0.5)
        level: NDArray = refine(np.clip(target / half - 1, -1, 1), self.factors)
        passive = ~repeat(self.active, self.factors)
        level[passive] = -1.0
        share = np.asarray(np.clip(0.5 + level, 0, 1), np.float32)
        open_ends = self._open_ends(target)
        speed = np.zeros_like(level)
        for step in range(STEPS):
            lacking = self._lacking(share, target, least, open_ends, sigma, caps)
            gain = 1 + SHARPEST * step / STEPS
            speed = MOMENTUM * speed + STEP / gain * _blur(repeat(lacking, self.factors), sigma)
            level += speed
            if step == SMOOTH_AT:
                across = SMOOTH_FINE[0] if self.factors[0] > 1 else 0.0
                level = ndimage.gaussian_filter(level, (across, *SMOOTH_FINE[1:]))
            np.clip(level, -1, 1, out=level)
            level[passive] = -1.0
            share = np.asarray(np.clip(0.5 + gain * level, 0, 1), np.float32)
        return share, self._misfit(share, target, least, sigma, rise)

    def _open_ends(self, target: NDArray) -> NDArray[np.bool_]:
        """Clipped voxels with a slice beside them that shows no cement there."""
        none = np.pad(~self.clipped & (target <= TRACE), ((1, 1), (0, 0), (0, 0)), constant_values=True)
        return np.asarray(self.clipped & (none[2:] | none[:-2]))

    def _lacking(
        self,
        share: NDArray,
        target: NDArray,
        least: NDArray,
        open_ends: NDArray,
        sigma: float,
        caps: Caps,
    ) -> NDArray[np.float32]:
        """What each CT voxel still lacks of cement; negative where there is too much."""
        seen = down(_blur(share, sigma), self.factors)
        layers, plane = self.factors[0], (1, *self.factors[1:])
        footprint = share.reshape(-1, layers, *share.shape[1:]).max(axis=1)
        filled = down(_blur(footprint, sigma), plane)
        low = np.minimum(least, filled)
        ends = low + CAP_SHARE[caps] * (filled - low)
        want = np.maximum(np.where(open_ends, ends, filled), least)
        short = np.maximum(want - seen, 0)
        if caps == "least":
            short = np.where(open_ends, least - seen, short)
        return np.where(self.clipped, short, target - seen).astype(np.float32)

    def _misfit(self, share: NDArray, target: NDArray, least: NDArray, sigma: float, rise: NDArray) -> float:
        """Over unclipped edges, and what clipped voxels fall short of; body and background say nothing."""
        seen = down(_blur(share, sigma), self.factors)
        edge = self.judge & ~self.clipped & (self.hu - self.background > BAND_HU)
        short = (rise * np.maximum(least - seen, 0))[self.clipped & self.judge]
        total = float(((rise * (target - seen))[edge] ** 2).sum() + (short**2).sum())
        count = max(1, int(np.count_nonzero(edge)))
        return float(np.sqrt(total / count)) / self.saturation_hu


def _blur(fine: NDArray, sigma: float) -> NDArray:
    return ndimage.gaussian_filter(fine, (0, sigma, sigma), mode="nearest", truncate=2.5)


def repeat(array: NDArray, factors: tuple[int, int, int]) -> NDArray:
    """Every CT voxel's value on its fine voxels."""
    for axis, factor in enumerate(factors):
        array = np.repeat(array, factor, axis=axis)
    return array


def down(fine: NDArray, factors: tuple[int, int, int]) -> NDArray:
    """Mean over the fine voxels of each CT voxel."""
    k, j, i = (n // f for n, f in zip(fine.shape, factors, strict=True))
    return fine.reshape(k, factors[0], j, factors[1], i, factors[2]).mean(axis=(1, 3, 5))


def refine(array: NDArray, factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """Linear interpolation at the fine voxels' centres."""
    fine = np.asarray(array, np.float32)
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        n = fine.shape[axis]
        at = np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1)
        low = np.minimum(at.astype(int), max(n - 2, 0))
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        upper = np.minimum(low + 1, n - 1)
        fine = np.take(fine, low, axis=axis) * (1 - part) + np.take(fine, upper, axis=axis) * part
    return fine
