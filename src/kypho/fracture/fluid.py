"""Fluid in thin bone: a flat patch as dark as fluid that stands out from the bone right around it.

Voxel by voxel, marrow about the vein is as dark as fluid once cancellous bone is thin. Averaged over the
shape of a cleft and set against a shell around it, beyond the blur of its rim, a cleft stands out by more:
the vein fades into the bone, a cleft ends. With an earlier CT what stands out is sought in the change since
then, away from the vein, which contrast medium fills on one scan and not on another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, next_fast_len, rfftn

from kypho.anatomy import Vertebra
from kypho.evidence import interval, value

__all__ = ["Patch", "fluid_patch"]

VOLUMES_ML = (0.3, 0.5, 0.8, 1.2)  # numerics: sizes of a cleft that is looked for
FLATTENED = 1 / 3  # height over width of what is looked for
DEEP_MM = 1.5  # numerics: the cortex and its blur are left out
RIM_MM = 0.8  # numerics: the blurred rim is half filled: it counts in the volume but in neither mean
SHELL_MM = 1.8  # numerics: the shell ends here
WITHIN = 0.9  # share of the patch that must lie in the bone
AROUND = 0.4  # share of its shell that must
VEIN_SHARE = 0.35  # numerics: of the body's depth before the posterior wall, where the vein's branches meet
VEIN_HALF_MM = 6.0  # numerics: both branches, half as wide again as the widest foramen's half
CLIP_HU = (-150.0, 600.0)  # numerics: gas and cortex blurred into the shell must not rule its mean


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """The patch that stands out most among those as dark as fluid.

    Attributes:
        mean_hu: of the patch.
        contrast_hu: mean of its shell less its own: in density, or the smaller of that and of its change.
        size: its diameter, in multiples of that of the smallest patch.
        volume_ml: with every voxel in and about it counted by the share that is filled.
        mask: voxels at least half filled, on the vertebra's local grid.
    """

    mean_hu: float
    contrast_hu: float
    size: float
    volume_ml: float
    mask: NDArray[np.bool_]


def fluid_patch(
    vertebra: Vertebra, leave_out: NDArray[np.bool_], before: NDArray[np.float64] | None = None
) -> Patch | None:
    """The patch of fluid density that stands out most; None if nothing is as dark as fluid.

    Of patches of several sizes the one with the largest contrast times diameter is told.

    Args:
        vertebra: the model.
        leave_out: voxels that are gas or near gas, on its local grid.
        before: density of the same places on an earlier CT, on its local grid; NaN where it is not known.
    """
    bone = vertebra.body & (vertebra.bone_mm.array > DEEP_MM) & ~leave_out
    hu = np.clip(vertebra.hu.array, *CLIP_HU)
    image = hu
    if before is not None:
        bone &= np.isfinite(before) & ~_about_the_vein(vertebra)
        image = hu - np.clip(np.nan_to_num(before), *CLIP_HU)
    if not bone.any():
        return None
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(bone))
    step = vertebra.grid.spacing_mm[0]
    reach = int(np.ceil((_half_mm(max(VOLUMES_ML))[0] + SHELL_MM) / step))
    density = _Average(bone[box], hu[box], reach)
    seen = density if before is None else _Average(bone[box], image[box], reach)
    found = [spot for volume in VOLUMES_ML if (spot := _darkest(density, seen, volume, step)) is not None]
    if not found:
        return None
    best = max(found, key=lambda spot: spot.contrast_hu * _half_mm(spot.volume_ml)[0])
    centre = [at + part.start for at, part in zip(best.at, box, strict=True)]
    return _measured(vertebra, bone, image, centre, best)


def _about_the_vein(vertebra: Vertebra) -> NDArray[np.bool_]:
    """Where the basivertebral vein runs: full of contrast medium on one scan it looks like bone that went."""
    z, y, x = vertebra.axes_mm
    low, high = vertebra.body_box_mm
    deep = y[None, :] > vertebra.wall.y_mm(z)[:, None] - VEIN_SHARE * (high[1] - low[1])
    return np.asarray(deep[:, :, None] & (np.abs(x) < VEIN_HALF_MM))


@dataclass(frozen=True, kw_only=True)
class _Spot:
    """Where an averaged patch stands out most; `level_hu` is its mean in the image it stands out in."""

    at: tuple[int, ...]
    volume_ml: float
    mean_hu: float
    level_hu: float
    contrast_hu: float


def _darkest(density: _Average, seen: _Average, volume_ml: float, step_mm: float) -> _Spot | None:
    """The place at which a patch of one size stands out most and is as dark as fluid.

    What stands out in the change must stand out in the density itself: a place that was bright before, a bone
    island or a vein full of contrast, has lost nothing that a cleft would take.
    """
    wide, tall = _half_mm(volume_ml)
    shell = _ellipsoid(wide + SHELL_MM, tall + SHELL_MM, step_mm, wide + SHELL_MM)
    shell ^= _ellipsoid(wide + RIM_MM, tall + RIM_MM, step_mm, wide + SHELL_MM)
    patch = _ellipsoid(wide, tall, step_mm, wide)
    mean, filled = density(patch)
    own, around = density(shell)
    inner, outer = seen(patch)[0], seen(shell)[0]
    low, high = interval("fracture.cleft.fluid_hu")
    fluid = (filled >= WITHIN) & (around >= AROUND) & (mean >= low) & (mean <= high)
    bright_before = (outer - inner) - (own - mean) > value("fracture.cleft.change_hu") / 2
    contrast = np.where(fluid & ~bright_before, np.minimum(outer - inner, own - mean), -np.inf)
    if not np.isfinite(contrast).any():
        return None
    at = np.unravel_index(int(np.argmax(contrast)), contrast.shape)
    return _Spot(
        at=tuple(int(i) for i in at),
        volume_ml=volume_ml,
        mean_hu=float(mean[at]),
        level_hu=float(inner[at]),
        contrast_hu=float(contrast[at]),
    )


def _half_mm(volume_ml: float) -> tuple[float, float]:
    """Half width and half height of a flattened ellipsoid."""
    wide = (volume_ml * 1000 / (4 / 3 * np.pi * FLATTENED)) ** (1 / 3)
    return wide, wide * FLATTENED


def _ellipsoid(wide_mm: float, tall_mm: float, step_mm: float, reach_mm: float) -> NDArray[np.bool_]:
    """The ellipsoid's voxels in a cube that reaches `reach_mm` from its middle."""
    n = int(np.ceil(reach_mm / step_mm))
    z, y, x = np.meshgrid(*[np.arange(-n, n + 1) * step_mm] * 3, indexing="ij")
    return np.asarray((x * x + y * y) / wide_mm**2 + z * z / tall_mm**2 <= 1)


class _Average:
    """Means over a symmetric kernel about every voxel, of the voxels that are bone."""

    def __init__(self, bone: NDArray[np.bool_], hu: NDArray, reach: int) -> None:
        self.shape = bone.shape
        self.padded = tuple(next_fast_len(n + reach, real=True) for n in bone.shape)
        self.bone = rfftn(bone.astype(np.float32), self.padded)
        self.hu = rfftn(np.where(bone, hu, 0.0).astype(np.float32), self.padded)

    def __call__(self, kernel: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean density, and the share of the kernel that lies in the bone."""
        centred = np.zeros(self.padded, np.float32)
        half = kernel.shape[0] // 2
        offset = np.argwhere(kernel) - half
        centred[tuple(offset.T)] = 1.0  # negative indices wrap round, as the transform does
        turned = rfftn(centred)
        inside = tuple(slice(0, n) for n in self.shape)
        count = irfftn(self.bone * turned, self.padded)[inside]
        total = irfftn(self.hu * turned, self.padded)[inside]
        return total / np.maximum(count, 1.0), count / kernel.sum()


def _measured(vertebra: Vertebra, bone: NDArray, image: NDArray, centre: list[int], spot: _Spot) -> Patch:
    """The patch at a spot: the share of each voxel that is filled, from its shell to its own mean."""
    wide, tall = (half + RIM_MM for half in _half_mm(spot.volume_ml))
    z, y, x = (axis - axis[i] for axis, i in zip(vertebra.axes_mm, centre, strict=True))
    round_mm2 = y[None, :, None] ** 2 + x[None, None, :] ** 2
    near = bone & (round_mm2 / wide**2 + z[:, None, None] ** 2 / tall**2 <= 1)
    bright = spot.level_hu + spot.contrast_hu
    share = np.where(near, np.clip((bright - image) / max(spot.contrast_hu, 1.0), 0.0, 1.0), 0.0)
    return Patch(
        mean_hu=spot.mean_hu,
        contrast_hu=spot.contrast_hu,
        size=_half_mm(spot.volume_ml)[0] / _half_mm(min(VOLUMES_ML))[0],
        volume_ml=float(share.sum() * vertebra.grid.voxel_mm3 / 1000),
        mask=share >= 1 / 2,
    )
