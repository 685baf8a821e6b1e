"""Carry a vertebra's model from the CT before the operation to the one after it, rigidly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import irfftn, next_fast_len, rfftn

from kypho.anatomy import Labels, Vertebra
from kypho.errors import FrameOfReferenceError
from kypho.evidence.records import value
from kypho.space import Frame, Grid, Volume, resample

__all__ = ["Registration", "move_labels", "move_vertebra", "register_vertebra"]

COARSE_MM = 4.0  # numerics: voxels of the first, translation-only search
CLIP_HU = (-200.0, 1000.0)  # numerics: between fat and cortex; cement counts as cortex
ROOM_MM = 3.0  # numerics: soft tissue around the bone that takes part in the comparison
SAMPLED_SHARE = 0.04  # numerics: some ten thousand points of the rim and the bone
MOST_STEPS = 80


@dataclass(frozen=True, kw_only=True, eq=False)
class Registration:
    """A rigid motion of LPS points, ``after = rotation @ before + shift_mm``, and how well it fits.

    Attributes:
        rotation: shape (3, 3).
        shift_mm: shape (3,).
        similarity: correlation of the two scans over the vertebra.
    """

    rotation: NDArray[np.float64]
    shift_mm: NDArray[np.float64]
    similarity: float

    def point(self, lps_mm: NDArray) -> NDArray[np.float64]:
        """Points of the first scan in the second."""
        return np.asarray(lps_mm, float) @ self.rotation.T + self.shift_mm


def register_vertebra(before: Volume, after: Volume, vertebra: Vertebra) -> Registration:
    """Find where a vertebra of one CT lies in another.

    1. Bone of both scans on a coarse grid; the shift with the largest cross-correlation.
    2. Rotation and shift from the correlation of the clipped images over the vertebra and a rim.

    Raises:
        FrameOfReferenceError: the scans do not match there: other patients, or the level is missing.
    """
    start = _coarse_shift(before, after, vertebra)
    fixed, mask = _around(before, vertebra)
    moving = _image(after, np.clip(after.array, *CLIP_HU).astype(np.float32))
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(c) for c in vertebra.frame.origin_mm])
    transform.SetTranslation([float(s) for s in start])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLED_SHARE, seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1.0, 0.0])
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, MOST_STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.SetNumberOfThreads(2)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise FrameOfReferenceError(
            f"the CTs before and after do not overlap at {vertebra.level}; check that both show it"
        ) from error
    similarity = _similarity(fixed, moving, mask, transform)
    if similarity < value("leak.registration_similarity"):
        raise FrameOfReferenceError(
            f"the CTs before and after do not match at {vertebra.level} (correlation {similarity:.2f}, least "
            f"{value('leak.registration_similarity'):g}); check that both show this patient and this level"
        )
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    shift = np.array(transform.GetTranslation()) + centre - rotation @ centre
    return Registration(rotation=rotation, shift_mm=shift, similarity=similarity)


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


def _image(volume: Volume, array: NDArray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in volume.grid.spacing_mm[::-1]])
    image.SetOrigin([float(o) for o in volume.grid.origin_mm])
    image.SetDirection([float(d) for d in volume.grid.axes[:, ::-1].ravel()])
    return image


def _around(before: Volume, vertebra: Vertebra) -> tuple[sitk.Image, sitk.Image]:
    """The first CT on the vertebra's own grid, and a mask of its bone with a rim."""
    grid = vertebra.grid
    fixed = _image(vertebra.hu, np.clip(resample(before, grid).array, *CLIP_HU).astype(np.float32))
    mask = _image(vertebra.hu, (vertebra.bone_mm.array > -ROOM_MM).astype(np.uint8))
    return fixed, mask


def _similarity(fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, transform: sitk.Transform) -> float:
    moved = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, CLIP_HU[0])
    inside = sitk.GetArrayViewFromImage(mask) > 0
    a, b = sitk.GetArrayViewFromImage(fixed)[inside], sitk.GetArrayViewFromImage(moved)[inside]
    plain = b < CLIP_HU[1]  # cement is in one scan only
    if np.count_nonzero(plain) < 1000 or b[plain].std() == 0:
        return 0.0
    return float(np.corrcoef(a[plain], b[plain])[0, 1])


def _move_grid(grid: Grid, motion: Registration) -> Grid:
    return Grid(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        origin_mm=motion.point(grid.origin_mm),
        axes=motion.rotation @ grid.axes,
    )


def _move(volume: Volume, motion: Registration) -> Volume:
    return Volume(array=volume.array, grid=_move_grid(volume.grid, motion), unit=volume.unit)


def move_vertebra(vertebra: Vertebra, motion: Registration) -> Vertebra:
    """The same vertebra in the second scan."""
    frame = Frame(
        origin_mm=motion.point(vertebra.frame.origin_mm), rotation=motion.rotation @ vertebra.frame.rotation
    )
    pedicles = {
        side: replace(
            p,
            isthmus_mm=motion.point(p.isthmus_mm),
            axis=motion.rotation @ p.axis,
            contour_mm=motion.point(p.contour_mm),
        )
        for side, p in vertebra.pedicles.items()
    }
    return replace(
        vertebra,
        frame=frame,
        pedicles=pedicles,
        hu=_move(vertebra.hu, motion),
        regions=_move(vertebra.regions, motion),
        bone_mm=_move(vertebra.bone_mm, motion),
    )


def move_labels(labels: Labels, motion: Registration, grid: Grid) -> Labels:
    """The labels on the second scan's grid, moved as one vertebra moves."""
    moved = resample(_move(labels.volume, motion), grid)
    return Labels(volume=moved, scheme=labels.scheme, ids=labels.ids)
