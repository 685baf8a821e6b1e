"""What the scan and its labels can show at all: the label's own step, and the noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from kypho.anatomy import Labels, Vertebra
from kypho.evidence import value

__all__ = ["label_steps_mm", "noise_hu", "slice_mm", "stairs_mm", "too_thick_mm"]

COARSER = 1.3  # a label stepping this many voxels was drawn on a coarser grid than the CT's
SMOOTH_VOXELS = 1.0  # numerics: as cavities are looked for
WIDE_VOXELS = 4.0  # numerics: structure wider than this is anatomy, not noise
OFF_BONE_MM = 3.0  # numerics: away from the blur of bone
SOFT_HU = (0.0, 100.0)  # numerics: muscle and blood, neither fat nor bone
QUIET = 0.02  # share of the soft tissue that is taken as without structure of its own
FEWEST_VOXELS = 500  # numerics: fewer say little about noise


def label_steps_mm(labels: Labels, level: str) -> tuple[float, float, float]:
    """Distance in mm over which a level's mask stays the same, along each stored axis.

    A mask resampled from a coarser grid by nearest neighbours repeats slices; the share that is repeated
    tells the grid it was drawn on.
    """
    mask = labels.part(level)
    steps = []
    for axis, spacing in enumerate(labels.volume.grid.spacing_mm):
        slices = np.moveaxis(mask, axis, 0)
        changes = (slices[1:] != slices[:-1]).any(axis=(1, 2))
        steps.append(float(spacing * len(changes) / max(changes.sum(), 1)))
    return steps[0], steps[1], steps[2]


def slice_mm(labels: Labels, level: str) -> float:
    """The coarser of the CT's largest spacing and the label's largest step, to a tenth of a millimetre.

    Slices that agree by chance make a finely drawn label seem a little coarser; that is left out.
    """
    spacing = labels.volume.grid.spacing_mm
    pairs = zip(label_steps_mm(labels, level), spacing, strict=True)
    return round(max(step if step > COARSER * voxel else voxel for step, voxel in pairs), 1)


def too_thick_mm(slice_mm: float) -> float:
    """Distance of slices thicker than any that heights and walls were measured on; 0 for thinner ones."""
    return slice_mm if slice_mm > value("fracture.thickest_slice_mm") else 0.0


def stairs_mm(labels: Labels, level: str) -> float:
    """Height of the stairs on the surface of a label drawn more coarsely than the CT; 0 if it is fine."""
    pairs = zip(label_steps_mm(labels, level), labels.volume.grid.spacing_mm, strict=True)
    coarse = [step for step, voxel in pairs if step > max(COARSER * voxel, value("fracture.label.coarse_mm"))]
    return max(coarse, default=0.0)


def noise_hu(vertebra: Vertebra) -> float:
    """Standard deviation of the CT's noise in the quietest soft tissue about the level, smoothed by a voxel.

    With too little soft tissue everything off the bone is taken, and the noise told too high.
    """
    smooth = gaussian_filter(vertebra.hu.array, SMOOTH_VOXELS)
    wide = gaussian_filter(vertebra.hu.array, WIDE_VOXELS)
    spread = np.sqrt(gaussian_filter((smooth - wide) ** 2, WIDE_VOXELS))
    around = vertebra.bone_mm.array < -OFF_BONE_MM
    soft = around & (wide > SOFT_HU[0]) & (wide < SOFT_HU[1])
    return float(np.quantile(spread[soft if soft.sum() >= FEWEST_VOXELS else around], QUIET))
