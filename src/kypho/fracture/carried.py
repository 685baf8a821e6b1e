"""The bone of an earlier CT carried into the body as it is now, place by place."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kypho.anatomy import Vertebra
from kypho.errors import LevelError
from kypho.evidence import value
from kypho.fracture.cavity import BoneBefore
from kypho.fracture.columns import Columns
from kypho.fracture.earlier import Earlier
from kypho.fracture.scan import noise_hu
from kypho.space import sample_at

__all__ = ["bone_before"]

DEEP_MM = 2.5  # numerics: beyond the cortex and its blur
EVERY = 4  # numerics: some thousands of places tell a pattern
SMOOTH_VOXELS = 1.5  # numerics: the pattern of the bone, not the noise
MARROW_HU = (0.0, 400.0)  # numerics: gas is no bone, and cement none either
SHIFTS_MM = (-3.0, -1.5, 0.0, 1.5, 3.0)  # numerics: as far as two labels of one body may stand apart
CHANGED = 3.0  # numerics: median residuals, two standard deviations
FEWEST_PLACES = 100  # numerics: fewer show no pattern
LEAST_HEIGHT_MM = 1.0  # numerics: no column of a body is lower; beyond its rim the surfaces may cross


def bone_before(vertebra: Vertebra, own: Columns, earlier: Earlier | None) -> BoneBefore | None:
    """The bone as it was; None without an earlier CT that shows it.

    A place is the same share of the width, of the depth, and of the height between the endplates as before,
    which a collapse leaves nearly in step, and one shift for all that two labels may stand apart by: the one
    with which the patterns of the bone are most alike.

    Raises:
        LevelError: the patterns are not alike: another level, or another patient.
    """
    if earlier is None or earlier.back is None:
        return None
    inside = np.argwhere(vertebra.body)
    places = _places_before(vertebra, inside, own, earlier.columns)
    deep = (vertebra.bone_mm.array > DEEP_MM)[tuple(inside.T)]
    shift, alike = _best_shift(vertebra, inside[deep][::EVERY], places[deep][::EVERY], earlier)
    if alike < value("fracture.earlier.alike"):
        raise LevelError(
            f"the bone of {vertebra.level} is not that of the earlier CT (correlation {alike:.2f}, least "
            f"{value('fracture.earlier.alike'):g}); check that both are of this patient and that the labels "
            "name the levels alike, or leave the earlier CT out"
        )
    hu = np.full(vertebra.grid.shape, np.nan)
    world = earlier.columns.frame.to_world(places + shift)
    hu[tuple(inside.T)] = sample_at(earlier.vertebra.hu, world)
    noise = float(np.hypot(noise_hu(vertebra), noise_hu(earlier.vertebra)))
    return BoneBefore(hu=hu, noise_hu=noise)


def _places_before(
    vertebra: Vertebra, voxels: NDArray[np.intp], own: Columns, before: Columns
) -> NDArray[np.float64]:
    """Where voxels (n, 3) of the local grid were, mm in the frame of the earlier columns, shape (n, 3)."""
    x, y, z = own.frame.to_local(vertebra.grid.to_world(voxels)).T
    across, along = x / own.half_width_mm, (y - own.front_mm) / own.depth_mm
    bottom, top = own.endplates_mm(across, along)
    low, high = before.endplates_mm(across, along)
    up = (z - bottom) / np.maximum(top - bottom, LEAST_HEIGHT_MM)
    return np.column_stack(
        [across * before.half_width_mm, before.front_mm + along * before.depth_mm, low + up * (high - low)]
    )


def _best_shift(
    vertebra: Vertebra, voxels: NDArray[np.intp], places: NDArray, earlier: Earlier
) -> tuple[NDArray[np.float64], float]:
    """The shift of the earlier bone in mm with which its pattern is most like that of now, and how alike."""
    now = gaussian_filter(vertebra.hu.array, SMOOTH_VOXELS)[tuple(voxels.T)]
    bone = (now > MARROW_HU[0]) & (now < MARROW_HU[1])
    before = earlier.vertebra.hu.like(gaussian_filter(earlier.vertebra.hu.array, SMOOTH_VOXELS))
    shifts = [np.array(shift) for shift in product(SHIFTS_MM, repeat=3)]
    alike = []
    for shift in shifts:
        then = sample_at(before, earlier.columns.frame.to_world(places[bone] + shift))
        alike.append(_alike(now[bone], np.clip(then, *MARROW_HU)))
    best = int(np.argmax(alike))
    return shifts[best], alike[best]


def _alike(now: NDArray, before: NDArray) -> float:
    """Correlation of two patterns without what has changed beyond the rest, a cleft or a hole; 0 if flat."""
    kept = np.ones(len(now), bool)
    for _ in range(2):
        if kept.sum() < FEWEST_PLACES or before[kept].std() == 0 or now[kept].std() == 0:
            return 0.0
        slope, level = np.polyfit(before[kept], now[kept], 1)
        off = np.abs(now - level - slope * before)
        kept = off <= CHANGED * np.median(off)
    return float(np.corrcoef(now[kept], before[kept])[0, 1])
