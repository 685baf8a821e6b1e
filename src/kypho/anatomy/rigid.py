"""Rigid motions from one scan into another, what moves with them, and their refinement by images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from kypho.anatomy.labels import Labels
from kypho.anatomy.model import Vertebra
from kypho.space import Frame, Grid, Volume, itk_image, resample

__all__ = ["Rigid", "move_labels", "move_vertebra", "move_volume", "refine_rigid"]

MOST_STEPS = 80
MOST_TRIALS = 300
LEAST_GAIN = 1e-6  # nats
ARM_MM = 40.0  # numerics: a turn counts by what it moves at this distance, the reach of a vertebra
MATTES_BINS = 32
LEAST_STEP_MM = 1e-3  # numerics: far below any voxel


@dataclass(frozen=True, kw_only=True, eq=False)
class Rigid:
    """A rigid motion of LPS points, ``after = rotation @ before + shift_mm``.

    Attributes:
        rotation: shape (3, 3).
        shift_mm: shape (3,).
    """

    rotation: NDArray[np.float64]
    shift_mm: NDArray[np.float64]

    @staticmethod
    def about(centre_mm: NDArray, rotation: NDArray, shift_mm: NDArray) -> Rigid:
        """The motion that turns about a centre and then shifts."""
        centre = np.asarray(centre_mm, float)
        return Rigid(rotation=rotation, shift_mm=np.asarray(shift_mm) + centre - rotation @ centre)

    @staticmethod
    def between(first: Frame, second: Frame) -> Rigid:
        """The motion that carries one frame onto another."""
        rotation = second.rotation @ first.rotation.T
        return Rigid(rotation=rotation, shift_mm=second.origin_mm - rotation @ first.origin_mm)

    def point(self, lps_mm: NDArray) -> NDArray[np.float64]:
        """Points ``(..., 3)`` of the first scan in the second."""
        return np.asarray(lps_mm, float) @ self.rotation.T + self.shift_mm

    @property
    def inverse(self) -> Rigid:
        """From the second scan into the first."""
        return Rigid(rotation=self.rotation.T, shift_mm=-self.rotation.T @ self.shift_mm)

    def after(self, first: Rigid) -> Rigid:
        """This motion applied after another."""
        return Rigid(rotation=self.rotation @ first.rotation, shift_mm=self.point(first.shift_mm))

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


def move_volume(volume: Volume, motion: Rigid) -> Volume:
    """The same voxels at their place in the second scan: exact, nothing is interpolated."""
    grid = Grid(
        shape=volume.grid.shape,
        spacing_mm=volume.grid.spacing_mm,
        origin_mm=motion.point(volume.grid.origin_mm),
        axes=motion.rotation @ volume.grid.axes,
    )
    return Volume(array=volume.array, grid=grid, unit=volume.unit)


def move_vertebra(vertebra: Vertebra, motion: Rigid) -> Vertebra:
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
        hu=move_volume(vertebra.hu, motion),
        regions=move_volume(vertebra.regions, motion),
        bone_mm=move_volume(vertebra.bone_mm, motion),
    )


def move_labels(labels: Labels, motion: Rigid, grid: Grid) -> Labels:
    """The labels on the second scan's grid, moved as one vertebra moves."""
    moved = resample(move_volume(labels.volume, motion), grid)
    return Labels(volume=moved, scheme=labels.scheme, ids=labels.ids)


def refine_rigid(
    fixed: Volume,
    mask: NDArray[np.bool_],
    moving: Volume,
    start: Rigid,
    *,
    metric: Literal["correlation", "mutual information"],
    centre_mm: NDArray,
    share: float,
    step_mm: float = 1.0,  # numerics: first step of the descent
) -> Rigid:
    """The motion that makes two images most alike over a mask, found by descent from a start.

    Correlation descends along its gradient. Mutual information is searched by a simplex: the gradient that
    SimpleITK computes of it led away from the optimum on every pair that was tried.

    Args:
        fixed: image in which the mask lies.
        mask: voxels of `fixed` that count.
        moving: the other image.
        start: motion from `fixed` to `moving` to begin with.
        metric: correlation for images of one kind, Mattes' mutual information for two kinds.
        centre_mm: LPS point of `fixed` about which the rotation is parametrised.
        share: share of the voxels of the mask that is sampled, always the same ones.
        step_mm: first step, or size of the first simplex.

    Raises:
        RuntimeError: the images do not overlap over the mask.
    """
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(c) for c in centre_mm])
    # Rounding of a product of rotations may exceed what the transform accepts as orthogonal.
    transform.SetMatrix([float(r) for r in start.rotation.ravel()], 1e-6)
    transform.SetTranslation([float(s) for s in start.point(centre_mm) - np.asarray(centre_mm)])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricFixedMask(itk_image(mask.astype(np.uint8), fixed.grid))
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(share, seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    if metric == "correlation":
        method.SetMetricAsCorrelation()
        method.SetShrinkFactorsPerLevel([2, 1])
        method.SetSmoothingSigmasPerLevel([1.0, 0.0])
        method.SetOptimizerAsRegularStepGradientDescent(step_mm, LEAST_STEP_MM, MOST_STEPS)
        method.SetOptimizerScalesFromPhysicalShift()
    else:
        method.SetMetricAsMattesMutualInformation(MATTES_BINS)
        method.SetOptimizerAsAmoeba(step_mm, MOST_TRIALS, LEAST_STEP_MM, LEAST_GAIN)
        method.SetOptimizerScales([ARM_MM**2] * 3 + [1.0] * 3)
    method.SetInitialTransform(transform, inPlace=True)
    method.SetNumberOfThreads(2)
    method.Execute(*(itk_image(np.asarray(v.array, np.float32), v.grid) for v in (fixed, moving)))
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    return Rigid.about(centre, rotation, np.array(transform.GetTranslation()))
