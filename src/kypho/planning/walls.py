"""What surrounds the needle: the space outside the bone sorted by wall, each with its distance field.

A margin "medial" is the distance from the device to the nearest point outside the pedicle on its medial
side; so the same fields serve as limits, as objective, and in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import CANAL, LEFT_PEDICLE, LEVELS, RIGHT_PEDICLE, Labels, Pedicle, Side, Vertebra
from kypho.anatomy.distance import FAR_MM, smooth_distance
from kypho.anatomy.frame import local_grid
from kypho.planning.fields import Stack
from kypho.space import Grid, resample

__all__ = [
    "BODY_WALLS",
    "OBSTACLES",
    "PEDICLE_WALLS",
    "WALLS",
    "Walls",
    "build_walls",
    "obstacle_kind",
    "side_sign",
    "unlabelled",
]

PEDICLE_WALLS = ("medial", "lateral", "superior", "inferior")
BODY_WALLS = ("anterior", "endplate_superior", "endplate_inferior")
WALLS = ("canal", *PEDICLE_WALLS, *BODY_WALLS)
OBSTACLES = ("organ", "bone")

PITCH_MM = 0.75  # numerics: a distance field is nearly linear, so it needs no finer grid than the CT's pixel
AHEAD_MM = 6.0  # numerics: room in front of the body, more than the anterior limit
BEHIND_MM = 40.0  # numerics: from the posterior wall to behind the processes of the level above
BESIDE_MM = 16.0  # numerics: lateral of the pedicles, room for the extrapedicular routes
ABOVE_MM = 7.0  # numerics: beyond the endplates and the pedicles

BONES = ("rib_", "sacrum", "S1", "scapula", "clavicula", "hip", "sternum", *LEVELS)
"""Labels that are bone to the touch; a name that starts with one of these counts."""
MUSCLES = ("autochthon", "iliopsoas", "gluteus")
HARMLESS = (*MUSCLES, "skin", "body", "spinal_cord", "spinal_canal", "disc", "costal_cart", "brain")
"""Labels a needle may pass or whose own wall guards them; everything else is an organ or a vessel."""


def obstacle_kind(name: str) -> str | None:
    """ "bone", "organ" or None for a label that is no obstacle."""
    if name.startswith(HARMLESS):
        return None
    return "bone" if name.startswith(BONES) else "organ"


def unlabelled(labels: Labels, level: str) -> tuple[str, ...]:
    """What the labels leave out around a level, in words: no margin to it can be given, so none is kept."""
    there = [name for name in labels.ids if labels.has(name) and name.split("_")[0] != level]
    missing = []
    if not any(obstacle_kind(name) == "organ" for name in there):
        missing.append("organs, lungs and vessels")
    if level.startswith("T") and not any(name.startswith("rib_") for name in there):
        missing.append("ribs")
    if not any(name in LEVELS for name in there):
        missing.append("neighbouring vertebrae")
    if not missing:
        return ()
    return (f"not in the labels, so distances to them are not assessable: {'; '.join(missing)}",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Walls:
    """Distance fields around one vertebra, on one planning grid.

    Attributes:
        stack: per wall, distance to the space outside it (negative within that space); per obstacle,
            distance to it ("organ", "bone"); and the margin of the AP/lateral rule for either side.
        nearest: per obstacle kind, the structures that come near.
        grid: the planning grid.
        pedicle_end_mm: posterior coordinate at which the pedicle becomes lamina and process.
    """

    stack: Stack
    nearest: Mapping[str, tuple[str, ...]]
    grid: Grid
    pedicle_end_mm: float


def side_sign(side: Side) -> float:
    """+1 to the left, -1 to the right of the local frame."""
    return 1.0 if side == "left" else -1.0


def build_walls(vertebra: Vertebra, labels: Labels) -> Walls:
    """Sort the space outside the bone by wall and measure the distance to each.

    Args:
        vertebra: the model.
        labels: the label image; what it holds beside this level becomes an obstacle.
    """
    grid = _planning_grid(vertebra)
    regions = resample(vertebra.regions, grid).array
    bone = resample(vertebra.bone_mm, grid, outside=-FAR_MM).array > 0
    first = vertebra.frame.to_local(grid.origin_mm)[::-1]
    axes = [first[n] + PITCH_MM * np.arange(grid.shape[n]) for n in range(3)]
    pedicle_end = _pedicle_end(vertebra)
    wall_of = _sort_outside(vertebra, bone, regions == CANAL, axes, pedicle_end)
    outside = {name: wall_of == number for number, name in enumerate(WALLS)}
    # The medial wall of the pedicle is also the canal's.
    outside["medial"] |= outside["canal"]
    around, nearest = _obstacles(vertebra, labels, grid)
    outside |= around
    fields = {name: -smooth_distance(mask, grid).array for name, mask in outside.items()}
    fields |= {f"rule_{side}": _rule_margin(vertebra, side, axes) for side in vertebra.pedicles}
    stack = Stack(
        names=tuple(fields),
        values=np.ascontiguousarray(np.stack(list(fields.values()), axis=-1), np.float32),
        first_mm=first,
        pitch_mm=PITCH_MM,
    )
    return Walls(stack=stack, nearest=nearest, grid=grid, pedicle_end_mm=pedicle_end)


def _obstacles(
    vertebra: Vertebra, labels: Labels, grid: Grid
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, tuple[str, ...]]]:
    """Masks of bone and organs on the planning grid, and the names found there."""
    numbers = resample(labels.volume, grid).array
    present = set(np.unique(numbers).tolist())
    masks, names = {}, {}
    for kind in OBSTACLES:
        found = {
            name: [n for n in ids if n in present]
            for name, ids in labels.ids.items()
            if name.split("_")[0] != vertebra.level and obstacle_kind(name) == kind
        }
        names[kind] = tuple(name for name, ids in found.items() if ids)
        masks[kind] = np.isin(numbers, [n for ids in found.values() for n in ids])
    return masks, names


def _rule_margin(vertebra: Vertebra, side: Side, axes: list[NDArray]) -> NDArray[np.float32]:
    """Margin of the AP/lateral rule for a tip at each voxel, in parallel projection, mm.

    Positive where the tip is lateral of the pedicle's medial border, or in front of the posterior wall.
    """
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    ring = vertebra.frame.to_local(vertebra.pedicles[side].contour_mm)
    medial_border = float((side_sign(side) * ring[:, 0]).min())
    return np.maximum(vertebra.wall.y_mm(z) - y, side_sign(side) * x - medial_border).astype(np.float32)


def _planning_grid(vertebra: Vertebra) -> Grid:
    """Body, pedicles and the entry behind them."""
    low, high = vertebra.body_box_mm
    pedicles = np.concatenate([vertebra.local_points(n) for n in (LEFT_PEDICLE, RIGHT_PEDICLE)])
    half = max(np.abs(pedicles[:, 0]).max(), -low[0], high[0]) + BESIDE_MM
    lower = np.array([-half, low[1] - AHEAD_MM, min(low[2], pedicles[:, 2].min()) - ABOVE_MM])
    upper = np.array([half, vertebra.wall.a + BEHIND_MM, max(high[2], pedicles[:, 2].max()) + ABOVE_MM])
    return local_grid(vertebra.frame, lower, upper, PITCH_MM)


def _pedicle_end(vertebra: Vertebra) -> float:
    """Posterior coordinate at which the longer pedicle ends."""
    ends = [vertebra.local_points(n)[:, 1].max() for n in (LEFT_PEDICLE, RIGHT_PEDICLE)]
    return float(max(ends))


def _sort_outside(
    vertebra: Vertebra,
    bone: NDArray[np.bool_],
    canal: NDArray[np.bool_],
    axes: list[NDArray],
    pedicle_end_mm: float,
) -> NDArray[np.int8]:
    """Index into WALLS of every voxel outside the bone; -1 for bone and for what lies behind the pedicles."""
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    outside = ~bone & ~canal
    behind = y > vertebra.wall.y_mm(z)
    wall_of = np.full(bone.shape, -1, np.int8)
    beside = outside & behind & (y <= pedicle_end_mm)
    for side in vertebra.pedicles:
        here = beside & (x * side_sign(side) > 0)
        wall_of[here] = _pedicle_wall(vertebra, vertebra.pedicles[side], z, y, x)[here]
    ahead = outside & ~behind
    wall_of[ahead] = _body_wall(vertebra, bone & ~behind, axes)[ahead]
    wall_of[canal] = WALLS.index("canal")
    return wall_of


def _pedicle_wall(
    vertebra: Vertebra, pedicle: Pedicle, z: NDArray, y: NDArray, x: NDArray
) -> NDArray[np.int8]:
    """Which wall of a pedicle a voxel beside it belongs to: the larger of the normalised offsets."""
    centre = vertebra.frame.to_local(pedicle.isthmus_mm)
    axis = vertebra.frame.direction_to_local(pedicle.axis)
    ahead = (y - centre[1]) / axis[1]
    medial = -side_sign(pedicle.side) * (x - centre[0] - ahead * axis[0]) / (pedicle.width_mm / 2)
    up = (z - centre[2] - ahead * axis[2]) / (pedicle.height_mm / 2)
    sideways = np.abs(medial) >= np.abs(up)
    horizontal = np.where(medial > 0, WALLS.index("medial"), WALLS.index("lateral"))
    vertical = np.where(up > 0, WALLS.index("superior"), WALLS.index("inferior"))
    return np.where(sideways, horizontal, vertical).astype(np.int8)


def _body_wall(vertebra: Vertebra, body: NDArray[np.bool_], axes: list[NDArray]) -> NDArray[np.int8]:
    """Which wall of the body a voxel in front of the posterior wall belongs to.

    Over the body's footprint the space above the bone belongs to the superior endplate and the space
    below to the inferior one; beside the footprint it is anterior or lateral, whichever is nearer.
    """
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    low, high = vertebra.body_box_mm
    centre, half = (low + high) / 2, (high - low) / 2
    forwards = -(y - centre[1]) / half[1]
    lateral = np.abs(x - centre[0]) / half[0]
    around = np.where(forwards >= lateral, WALLS.index("anterior"), WALLS.index("lateral"))
    footprint = body.any(axis=0)
    top = np.where(footprint, axes[0][body.shape[0] - 1 - np.argmax(body[::-1], axis=0)], -np.inf)
    bottom = np.where(footprint, axes[0][np.argmax(body, axis=0)], np.inf)
    # Beside the footprint the fitted planes say where the body would end.
    xy = np.stack(np.broadcast_arrays(x[0], y[0]), axis=-1)
    top = np.where(footprint, top, vertebra.superior.z_mm(xy))
    bottom = np.where(footprint, bottom, vertebra.inferior.z_mm(xy))
    wall = np.where(z > top, WALLS.index("endplate_superior"), around)
    return np.where(z < bottom, WALLS.index("endplate_inferior"), wall).astype(np.int8)
