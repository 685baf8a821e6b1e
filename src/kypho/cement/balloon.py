"""The balloon of kyphoplasty: a cavity, a compacted rim, restored height; deflate, then fill.

The balloon grows where the bone is weakest: cells are taken in order of ``distance * (BV/TV)`` from its
centre until the inflated volume or the pressure limit is reached, so a homogeneous bone gives a ball. It is
stopped short of the walls, as on the fluoroscope: a cavity up to the shell would have no rim there, and one
in the mouth of the basivertebral veins would lead the cement straight to the canal. The solid that was in
the cavity is pressed into the rim, whose permeability falls with its new bone volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from edt import edt
from numpy.typing import ArrayLike, NDArray

from kypho.cement.bone import BoneField, permeability
from kypho.cement.compartments import CODES, INSIDE
from kypho.errors import SettingsError
from kypho.evidence import value
from kypho.planning.balloon import balloon_room, depth_in_bone_mm, own_side

__all__ = ["Inflation", "inflate"]

SOLID = ("cortex", "endplate", "posterior_elements", "cannula")
"""Regions of the bone that no cement fills; what is neither these nor a void lies outside."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inflation:
    """What the balloon did.

    Attributes:
        field: the bone with its cavity and rim.
        cavity_ml: cavity after deflation.
        inflated_ml: largest volume of the balloon.
        pressure_kpa: highest pressure, from the bone crushed (unconfirmed law).
        height_gain_mm: restored height (unconfirmed law).
        limited: True if the pressure limit or the walls stopped the balloon early.
    """

    field: BoneField
    cavity_ml: float
    inflated_ml: float
    pressure_kpa: float
    height_gain_mm: float
    limited: bool


def inflate(
    field: BoneField,
    centre_mm: ArrayLike,
    volume_ml: float,
    *,
    max_pressure_kpa: float | None = None,
    beside_mm: Sequence[ArrayLike] = (),
) -> Inflation:
    """Inflate a balloon in cancellous bone and take it out again.

    Args:
        field: the bone.
        centre_mm: LPS centre of the balloon.
        volume_ml: inflated volume.
        max_pressure_kpa: the balloon stops growing here.
        beside_mm: LPS centres of the other balloons; what lies nearer to one of them is left to it.

    Raises:
        SettingsError: volume not positive, above the largest balloon, or centre outside cancellous bone or
            nearer to a wall than the margin.
    """
    largest = value("cement.balloon.max_volume_ml")
    if not 0 < volume_ml <= largest:
        raise SettingsError(f"balloon volume {volume_ml} mL is not within 0 to {largest} mL; correct it")
    limit = value("cement.balloon.max_pressure_kpa") if max_pressure_kpa is None else max_pressure_kpa
    room = field.mask("cancellous", "basivertebral", "cleft", "track", "channel")
    reach = _reach(field, room, np.asarray(centre_mm, dtype=float))
    if len(beside_mm):
        reach[reach] = own_side(field.grid.to_world(np.argwhere(reach)), (centre_mm, *beside_mm), 0)
    solid = 1 - field.porosity
    pressure = value("cement.balloon.bone_kpa") * (solid / value("cement.permeability_reference_bvtv")) ** 2
    order = _growth_order(field, np.asarray(centre_mm, dtype=float), solid, reach)
    cell_ml = field.grid.voxel_mm3 * 1e-3
    asked = max(round(volume_ml / cell_ml), 1)
    wanted = order[:asked]
    felt = np.maximum.accumulate(_smooth(pressure.ravel()[wanted]))
    grown = wanted[: max(int(np.searchsorted(felt, limit)), 1)]
    kept = grown[: max(int(len(grown) * (1 - value("cement.balloon.deflation_loss"))), 1)]
    cavity = np.zeros(field.grid.shape, bool)
    cavity.ravel()[kept] = True
    return Inflation(
        field=_compact(field, cavity, room, float(solid[cavity].sum())),
        cavity_ml=len(kept) * cell_ml,
        inflated_ml=len(grown) * cell_ml,
        pressure_kpa=float(felt[len(grown) - 1]),
        height_gain_mm=len(grown) * cell_ml * value("cement.balloon.height_gain_mm_per_ml"),
        limited=len(grown) < asked,
    )


def _reach(field: BoneField, room: NDArray[np.bool_], centre_mm: NDArray) -> NDArray[np.bool_]:
    """Cells of `room` that a balloon at this centre can take: clear of every wall, and one piece."""
    where = f"balloon centre {np.round(centre_mm, 1).tolist()} (LPS mm)"
    index = np.rint(field.grid.to_index(centre_mm)).astype(int)
    if np.any(index < 0) or np.any(index >= field.grid.shape):
        raise SettingsError(f"{where} lies outside the modelled bone; move the needle")
    centre = tuple(int(n) for n in index)
    if field.region[centre] == CODES["cavity"]:
        raise SettingsError(f"{where} lies in the cavity of another balloon; move the needles apart")
    if not room[centre]:
        raise SettingsError(f"{where} lies outside cancellous bone; move the needle's tip deeper")
    bone = field.mask(*INSIDE, *SOLID)
    if bone.all():
        return room.copy()
    depth = depth_in_bone_mm(bone, field.grid.spacing_mm)
    reach = balloon_room(depth, room, centre)
    if reach is None:
        raise SettingsError(
            f"{where} lies {float(depth[centre]):.1f} mm under the bone's surface, within the "
            f"{value('balloon.wall_margin_mm'):g} mm that a balloon keeps from any wall; move the needle, "
            "or go without (pvp)"
        )
    return reach


def _growth_order(
    field: BoneField, centre_mm: NDArray, solid: NDArray, room: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Flat indices of the cells of `room`, in the order in which the balloon takes them."""
    where = np.argwhere(room)
    distance = np.linalg.norm(field.grid.to_world(where) - centre_mm, axis=1)
    effort = distance * solid[room] ** (1 / 3)
    return np.ravel_multi_index(tuple(where[np.argsort(effort, kind="stable")].T), field.grid.shape)


def _smooth(values: NDArray) -> NDArray:
    """Running mean over the cells taken so far: the balloon feels its whole surface, not one trabecula."""
    return np.cumsum(values) / np.arange(1, len(values) + 1)


def _compact(field: BoneField, cavity: NDArray[np.bool_], room: NDArray[np.bool_], solid: float) -> BoneField:
    """Empty the cavity and press its `solid` (in cells) into the rim."""
    spacing = tuple(float(s) for s in field.grid.spacing_mm)
    distance = edt(~cavity, anisotropy=spacing)
    rim = room & ~cavity & (distance <= value("cement.balloon.rim_mm"))
    porosity = field.porosity.copy()
    k = field.permeability_m2.copy()
    region = field.region.copy()
    if rim.any():
        before = 1 - porosity[rim]
        after = np.minimum(before + solid / rim.sum(), value("cement.bvtv_limits")[1])
        ratio = permeability(after) / permeability(np.maximum(before, value("cement.bvtv_limits")[0]))
        k[:, rim] *= ratio
        porosity[rim] = 1 - after
    porosity[cavity] = 1.0
    # A void is as open as it is wide: a tube of diameter d has permeability d^2 / 32.
    width_m = 2e-3 * float(edt(cavity, anisotropy=spacing).max())
    k[:, cavity] = width_m**2 / 32
    region[cavity] = CODES["cavity"]
    return replace(field, porosity=porosity, permeability_m2=k, region=region)
