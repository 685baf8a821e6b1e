"""The operation against what was meant: cement against the plan's needles and against a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from edt import edt
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.rigid import Rigid, move_volume
from kypho.evidence import value
from kypho.leakage.check import Leakage
from kypho.space import Volume, resample

__all__ = [
    "FieldAgreement",
    "NeedleAgreement",
    "RouteAgreement",
    "compare_field",
    "compare_needles",
    "compare_routes",
]

REHEARSED_ROUTES = {
    "basivertebral": "canal",
    "cortical_canal": "canal",
    "foraminal": "foramen",
    "disc": "disc",
    "paraspinal": "paravertebral",
    "needle_track": "paravertebral",
    "segmental": "venous",
    "systemic": "venous",
}
"""Route of a part to the space that the rehearsal counts it in."""


@dataclass(frozen=True, kw_only=True)
class NeedleAgreement:
    """One planned needle and the cement.

    Attributes:
        target_lps_mm: its target, on the post-operative CT.
        target_gap_mm: distance from the target to the nearest cement inside the bone; 0 where it lies in it.
        centre_offset_mm: centre of the cement inside, seen from the middle of all targets, (left,
            posterior, superior).
    """

    target_lps_mm: tuple[float, float, float]
    target_gap_mm: float
    centre_offset_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldAgreement:
    """Cement found against cement rehearsed.

    Attributes:
        dice: overlap, 2 |A and B| / (|A| + |B|).
        mean_mm, p95_mm: distance between the two surfaces, both ways, mean and 95th percentile.
        found_ml, rehearsed_ml: volumes compared.
        found, rehearsed: masks compared, on the scene of the check.
    """

    dice: float
    mean_mm: float
    p95_mm: float
    found_ml: float
    rehearsed_ml: float
    found: NDArray[np.bool_]
    rehearsed: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RouteAgreement:
    """One space around the bone: what was rehearsed to get there, how likely, and what did."""

    space: str
    rehearsed_ml: float
    p_leak: float | None
    found_ml: float


def compare_needles(leakage: Leakage, targets_lps_mm: NDArray[np.float64]) -> tuple[NeedleAgreement, ...]:
    """Cement inside the bone against the planned targets, shape (n, 3), LPS mm on the post-operative CT.

    Without cement inside there is nothing to compare, and the result is empty.
    """
    scene = leakage.scene
    inside = leakage.numbers == 1
    if not inside.any():
        return ()
    distance = scene.ct.like(edt(~inside, anisotropy=scene.ct.grid.spacing_mm, parallel=1), "mm")
    frame = scene.vertebra.frame
    centre = scene.local_mm[inside].mean(axis=0)
    offset = centre - frame.to_local(targets_lps_mm).mean(axis=0)
    index = np.rint(scene.ct.grid.to_index(targets_lps_mm)).astype(int)
    index = np.clip(index, 0, np.asarray(inside.shape) - 1)
    return tuple(
        NeedleAgreement(
            target_lps_mm=_triple(target),
            target_gap_mm=float(distance.array[tuple(at)]),
            centre_offset_mm=_triple(offset),
        )
        for target, at in zip(targets_lps_mm, index, strict=True)
    )


def compare_field(leakage: Leakage, rehearsed: Volume, motion: Rigid) -> FieldAgreement | None:
    """Cement found, inside and outside, against a rehearsal's field of cement, volume for volume.

    Args:
        leakage: the check.
        rehearsed: volume fraction of cement, unit "1", any grid.
        motion: from the rehearsal's world into the post-operative CT's.

    Returns:
        None if either holds no cement.
    """
    grid = leakage.scene.ct.grid
    share = resample(move_volume(rehearsed, motion), grid, order=1).array
    there = np.asarray(share >= value("leak.rehearsed_share"))
    found = _without_rim(leakage)
    if not there.any() or not found.any():
        return None
    both = np.count_nonzero(there & found)
    gaps = np.concatenate([_gaps(there, found, grid.spacing_mm), _gaps(found, there, grid.spacing_mm)])
    voxel_ml = leakage.scene.voxel_ml
    return FieldAgreement(
        dice=float(2 * both / (np.count_nonzero(there) + np.count_nonzero(found))),
        mean_mm=float(gaps.mean()),
        p95_mm=float(np.percentile(gaps, 95)),
        found_ml=float(np.count_nonzero(found) * voxel_ml),
        rehearsed_ml=float(np.count_nonzero(there) * voxel_ml),
        found=found,
        rehearsed=there,
    )


def compare_routes(
    leakage: Leakage, rehearsed_ml: Mapping[str, float], p_leak: Mapping[str, float] | None
) -> tuple[RouteAgreement, ...]:
    """Leaks by space: rehearsed volume and probability beside what was found.

    The rehearsal's canal within and outside the dura are one space here: its chance is the larger of both.
    """
    found: dict[str, float] = {}
    for part in leakage.parts:
        space = REHEARSED_ROUTES[part.routing.likely]
        found[space] = found.get(space, 0.0) + part.measured.ml.value
    meant: dict[str, float] = {}
    chance: dict[str, float] = {}
    for route, ml in rehearsed_ml.items():
        space = "canal" if route.startswith("canal") else route
        meant[space] = meant.get(space, 0.0) + ml
        if p_leak is not None and route in p_leak:
            chance[space] = max(chance.get(space, 0.0), p_leak[route])
    return tuple(
        RouteAgreement(
            space=space,
            rehearsed_ml=meant.get(space, 0.0),
            p_leak=chance.get(space),
            found_ml=found.get(space, 0.0),
        )
        for space in dict.fromkeys([*REHEARSED_ROUTES.values(), *meant])
    )


def _without_rim(leakage: Leakage) -> NDArray[np.bool_]:
    """The cement's densest voxels, as many as make up its measured volume; of equally dense ones the deepest.

    Every voxel with some cement in it would be more than there is, and reach further.
    """
    cement = leakage.cement
    depth = edt(cement, anisotropy=leakage.scene.ct.grid.spacing_mm, parallel=1)[cement]
    order = np.lexsort((-depth, -leakage.scene.ct.array[cement]))
    kept = np.zeros(len(order), bool)
    kept[order[: round(leakage.cement_ml.value / leakage.scene.voxel_ml)]] = True
    found = np.zeros_like(cement)
    found[cement] = kept
    return found


def _gaps(of: NDArray[np.bool_], to: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance from the surface voxels of one mask to the nearest surface voxel of the other."""
    surface_of = of & ~ndimage.binary_erosion(of)
    surface_to = to & ~ndimage.binary_erosion(to)
    return np.asarray(edt(~surface_to, anisotropy=spacing_mm, parallel=1)[surface_of])


def _triple(point: NDArray) -> tuple[float, float, float]:
    x, y, z = (float(c) for c in point)
    return x, y, z
