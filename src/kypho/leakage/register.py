"""Carry a vertebra's model from the CT before the operation to the one after it, rigidly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import irfftn, next_fast_len, rfftn

from kypho.anatomy import Vertebra
from kypho.anatomy.rigid import Rigid, move_volume, refine_rigid
from kypho.errors import FrameOfReferenceError
from kypho.evidence import value
from kypho.space import Grid, Volume, resample

__all__ = ["CtRegistration", "register_vertebra"]

COARSE_MM = 4.0  # numerics: voxels of the first, translation-only search
CLIP_HU = (-200.0, 1000.0)  # numerics: between fat and cortex; cement counts as cortex
ROOM_MM = 3.0  # numerics: soft tissue around the bone that takes part in the comparison
SAMPLED_SHARE = 0.04  # numerics: some ten thousand points of the rim and the bone
FEWEST_POINTS = 1000
SUBSLICES = 5  # numerics: thinner slices that are averaged to a thick one
BLOOM_MM = 2.5  # numerics: how far around cement its blur and its streaks change the image


@dataclass(frozen=True, kw_only=True, eq=False)
class CtRegistration:
    """The motion of a vertebra between two CTs, and the correlation of the scans over it."""

    motion: Rigid
    similarity: float


def register_vertebra(before: Volume, after: Volume, vertebra: Vertebra) -> CtRegistration:
    """Find where a vertebra of one CT lies in another.

    1. Bone of both scans on a coarse grid; the shift with the largest cross-correlation.
    2. Rotation and shift from the correlation of the clipped images over the vertebra and a rim, without the
       places that are cement in the second scan by that shift, and their surroundings.
    3. The same again, without the places that are cement by the motion found.

    The first scan is averaged to the second one's slices where those are thicker.

    Raises:
        FrameOfReferenceError: the scans do not match there: other patients, or the level is missing.
    """
    start = Rigid(rotation=np.eye(3), shift_mm=_coarse_shift(before, after, vertebra))
    seen = _as_thick(before, after, vertebra.grid)
    fixed = vertebra.hu.like(np.clip(seen, *CLIP_HU).astype(np.float32))
    bone = np.asarray(vertebra.bone_mm.array > -ROOM_MM) & _off_cement(fixed.array, fixed.grid)
    moving = after.like(np.clip(after.array, *CLIP_HU).astype(np.float32))
    motion = start

    def clear(motion: Rigid) -> NDArray[np.bool_]:
        # Cement pulls the vertebra towards itself; it has no say.
        return bone & _off_cement(_moved(moving, fixed.grid, motion), fixed.grid)

    try:
        for _ in range(2):
            motion = refine_rigid(
                fixed,
                clear(motion),
                moving,
                motion,
                metric="correlation",
                centre_mm=vertebra.frame.origin_mm,
                share=SAMPLED_SHARE,
            )
    except RuntimeError as error:
        raise FrameOfReferenceError(
            f"the CTs before and after do not overlap at {vertebra.level}; check that both show it"
        ) from error
    similarity = _similarity(fixed, moving, clear(motion), motion)
    if similarity < value("leak.registration_similarity"):
        raise FrameOfReferenceError(
            f"the CTs before and after do not match at {vertebra.level} (correlation {similarity:.2f}, least "
            f"{value('leak.registration_similarity'):g}); check that both show this patient and this level"
        )
    return CtRegistration(motion=motion, similarity=similarity)


def _as_thick(before: Volume, after: Volume, grid: Grid) -> NDArray[np.float64]:
    """The first scan on a grid, averaged along the second one's slices where those are thicker."""
    at = int(np.argmax(after.grid.spacing_mm))
    normal = after.grid.axes[:, at]
    along = int(np.argmax(np.abs(before.grid.axes.T @ normal)))
    thick = after.grid.spacing_mm[at] ** 2 - before.grid.spacing_mm[along] ** 2
    if thick <= 0:
        return np.asarray(resample(before, grid).array, float)
    offsets = np.linspace(-0.5, 0.5, SUBSLICES) * np.sqrt(thick)
    shifted = (replace(grid, origin_mm=grid.origin_mm + offset * normal) for offset in offsets)
    return np.mean([resample(before, one).array for one in shifted], axis=0)


def _bone(volume: Volume, grid: Grid) -> NDArray[np.float32]:
    values = resample(volume, grid).array
    return ndimage.gaussian_filter(np.clip(values, 150, 700) - 150, 0.7).astype(np.float32)


def _coarse_shift(before: Volume, after: Volume, vertebra: Vertebra) -> NDArray[np.float64]:
    """Shift of the scan's bone around the level, from the peak of the cross-correlation."""
    corners = [
        v.grid.to_world(np.array(np.meshgrid(*[(0, n - 1) for n in v.grid.shape])).reshape(3, -1).T)
        for v in (before, after)
    ]
    middle = vertebra.frame.origin_mm
    low = np.maximum(corners[0].min(axis=0), middle - 80)
    high = np.minimum(corners[0].max(axis=0), middle + 80)
    size = np.ceil((high - low) / COARSE_MM).astype(int)[::-1] + 1
    first = Grid.axis_aligned((int(size[0]), int(size[1]), int(size[2])), COARSE_MM, low)
    low_after = corners[1].min(axis=0)
    size_after = np.ceil((corners[1].max(axis=0) - low_after) / COARSE_MM).astype(int)[::-1] + 1
    second = Grid.axis_aligned(tuple(int(n) for n in size_after), COARSE_MM, low_after)  # type: ignore[arg-type]
    a, b = _bone(before, first), _bone(after, second)
    shape = [next_fast_len(n + m, real=True) for n, m in zip(a.shape, b.shape, strict=True)]
    a = a - a.mean()
    spectrum = np.conj(rfftn(a, shape)) * rfftn(b, shape)
    correlation = irfftn(spectrum, shape)
    # Dividing by the local energy of the second scan keeps its densest region from winning by itself.
    energy = irfftn(np.conj(rfftn(np.ones_like(a), shape)) * rfftn(b * b, shape), shape)
    score = correlation / np.sqrt(np.maximum(energy, 1e-3 * energy.max()))
    peak = np.array(np.unravel_index(int(np.argmax(score)), shape))
    lag = np.where(peak > np.asarray(b.shape), peak - np.asarray(shape), peak)
    return np.asarray(low_after - low + COARSE_MM * lag[::-1])


def _off_cement(hu: NDArray, grid: Grid) -> NDArray[np.bool_]:
    """Where an image is neither cement nor close to it."""
    clear = hu < CLIP_HU[1]
    if clear.all():
        return np.asarray(clear)
    return np.asarray(ndimage.distance_transform_edt(clear, sampling=grid.spacing_mm) > BLOOM_MM)


def _moved(moving: Volume, grid: Grid, motion: Rigid) -> NDArray:
    """The second scan brought onto the first."""
    return resample(move_volume(moving, motion.inverse), grid, outside=CLIP_HU[0]).array


def _similarity(fixed: Volume, moving: Volume, mask: NDArray[np.bool_], motion: Rigid) -> float:
    a, b = fixed.array[mask], _moved(moving, fixed.grid, motion)[mask]
    if len(a) < FEWEST_POINTS or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
