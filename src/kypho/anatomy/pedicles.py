"""The pedicles: the bridge from the body to the arch, and its narrowest section, the isthmus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.parts import PosteriorWall
from kypho.errors import LevelIncompleteError
from kypho.space import Frame, Volume, sample_at, unit

__all__ = ["Pedicle", "Side", "find_pedicle", "pedicle_region"]

Side = Literal["left", "right"]

RAYS = 72  # numerics: a ray every five degrees, so that an opposite and a crossing one exist
RAY_STEP_MM = 0.25  # numerics: a third of a voxel; the surface is interpolated in between
FARTHEST_MM = 10.0  # numerics: half the height of the tallest pedicle; beyond it a ray runs in a process
SEARCH_CENTRE_DEG = (12.0, 10.0)  # numerics: middle of the transverse and sagittal angles seen from T1 to L5
SEARCH_WIDTH_DEG = 30.0  # numerics: either way of it, wider than any pedicle in the norms
SHORTEST_MM = 3.0  # numerics: rows kept of the shortest pedicle, enough to find its narrowest place
NARROW_MM = 0.15  # numerics: sections this much wider than the isthmus still count towards its place
RIDGE_MM = 0.4  # numerics: half a voxel
AXIS_REACH_MM = 6.0  # numerics: about a pedicle's length; steadiest between left and right of real spines
UPRIGHT_SHARE = 0.05  # a tall pedicle is equally deep over much of its height; this centres the axis


@dataclass(frozen=True, kw_only=True, eq=False)
class Pedicle:
    """One pedicle.

    Attributes:
        side: "left" or "right" of the patient.
        isthmus_mm: LPS centre of the narrowest section.
        axis: LPS unit vector of the pedicle's axis, pointing forwards into the body.
        width_mm: shortest chord through the centre of the isthmus.
        height_mm: chord at right angles to it.
        transverse_angle_deg: angle of the axis to the sagittal plane, positive where the axis runs
            towards the midline on its way forwards.
        sagittal_angle_deg: angle of the axis to the endplate-parallel plane, positive where the axis
            runs towards the feet on its way forwards.
        contour_mm: LPS points (n, 3) of the outline of the isthmus, closed: the pedicle ring.
    """

    side: Side
    isthmus_mm: NDArray[np.float64]
    axis: NDArray[np.float64]
    width_mm: float
    height_mm: float
    transverse_angle_deg: float
    sagittal_angle_deg: float
    contour_mm: NDArray[np.float64]


def pedicle_region(
    bone: NDArray[np.bool_],
    behind_wall: NDArray[np.bool_],
    canal: NDArray[np.bool_],
    side: Side,
    axes_mm: list[NDArray],
) -> NDArray[np.bool_]:
    """The bone beside the front half of the canal on one side.

    Behind the middle of the canal the pedicle has become articular process and lamina.
    """
    _, y_axis, x_axis = axes_mm
    rows = np.nonzero(canal.any(axis=(0, 2)))[0]
    weight = canal.sum(axis=(0, 2))[rows]
    middle_y = float(np.average(y_axis[rows], weights=weight))
    lateral = x_axis > 0 if side == "left" else x_axis < 0
    beside = bone & behind_wall & lateral & (y_axis <= middle_y)[:, None]
    # The largest piece is the pedicle; the rest is body rim or facet.
    pieces, n = ndimage.label(beside)
    if n == 0:
        return np.asarray(beside)
    sizes = np.bincount(pieces.ravel())[1:]
    return np.asarray(pieces == 1 + int(np.argmax(sizes)))


def find_pedicle(
    distance: Volume,
    region: NDArray[np.bool_],
    frame: Frame,
    side: Side,
    axes_mm: list[NDArray],
    wall: PosteriorWall,
) -> Pedicle:
    """Find the isthmus and the axis of one pedicle.

    1. Walking back from the posterior wall, every coronal section has a deepest point; where it is least
       deep is the isthmus. Depth is the three-dimensional distance to the surface, so an oblique pedicle
       counts no wider than it is.
    2. The axis is the direction through it along which the bone stays deepest around the line.
    3. Rays from the centre at right angles to the axis meet the surface: the outline, the shortest chord
       (width) and the chord across it (height).

    Args:
        distance: signed bone distance on the local grid.
        region: the pedicle's region on the same grid.
        frame: the anatomical frame of that grid.
        side: "left" or "right".
        axes_mm: local coordinates of the grid along (superior, posterior, left).
        wall: the posterior wall.

    Raises:
        LevelIncompleteError: no pedicle on that side.
    """
    stations = _deepest_points(distance, region, axes_mm, wall)
    if len(stations) < 4:
        raise LevelIncompleteError(f"no {side} pedicle found; check the labels of this level")
    depth = ndimage.gaussian_filter1d(stations[:, 3], 1.0, mode="nearest")
    # A pedicle is often equally narrow over some way; the middle of that way does not jump with the voxels.
    centre = np.average(stations[:, :3], axis=0, weights=np.exp((depth.min() - depth) / NARROW_MM))
    axis = _deepest_direction(distance, frame, centre, side)
    outline = _outline(distance, frame, centre, axis)
    chords = np.linalg.norm(outline - np.roll(outline, RAYS // 2, axis=0), axis=1)
    narrow = int(np.argmin(chords))
    towards_midline = -axis[0] if side == "left" else axis[0]
    return Pedicle(
        side=side,
        isthmus_mm=frame.to_world(centre),
        axis=frame.direction_to_world(axis),
        width_mm=float(chords[narrow]),
        height_mm=float(chords[(narrow + RAYS // 4) % RAYS]),
        transverse_angle_deg=float(np.degrees(np.arctan2(towards_midline, -axis[1]))),
        sagittal_angle_deg=float(np.degrees(np.arctan2(-axis[2], np.hypot(axis[0], axis[1])))),
        contour_mm=frame.to_world(np.vstack([outline, outline[:1]])),
    )


def _deepest_points(
    distance: Volume, region: NDArray[np.bool_], axes_mm: list[NDArray], wall: PosteriorWall
) -> NDArray[np.float64]:
    """Per coronal section: middle (x, y, z) of its deepest part and the depth there; shape (n, 4).

    Rows that still touch the curved wall show only part of the pedicle and are left out.
    """
    heights = axes_mm[0][np.nonzero(region.any(axis=(1, 2)))[0]]
    rows_y = axes_mm[1][np.nonzero(region.any(axis=(0, 2)))[0]]
    if not len(heights):
        return np.empty((0, 4))
    # A broken body's wall may bend so far back at one height that it would leave no row at all.
    first_y = min(float(wall.y_mm(heights).max()), float(rows_y[-1]) - SHORTEST_MM)
    rows = []
    for j in np.nonzero(region.any(axis=(0, 2)) & (axes_mm[1] > first_y))[0]:
        k, i = np.nonzero(region[:, j, :])
        depth = distance.array[k, j, i]
        # The ridge of a tall pedicle is nearly level; its middle is steadier than its highest voxel.
        ridge = depth >= depth.max() - RIDGE_MM
        rows.append([axes_mm[2][i][ridge].mean(), axes_mm[1][j], axes_mm[0][k][ridge].mean(), depth.max()])
    return np.array(rows).reshape(-1, 4)


def _deepest_direction(distance: Volume, frame: Frame, centre: NDArray, side: Side) -> NDArray[np.float64]:
    """Unit local direction, forwards, that keeps the most bone around a line through `centre`.

    Maximises, over `AXIS_REACH_MM` either way, the mean of the bone distance and of a share of the
    distance to the bone straight above or below, on a grid of angles refined twice.
    """
    room = _with_height(distance, frame, centre)
    medial = -1.0 if side == "left" else 1.0
    steps = np.linspace(-AXIS_REACH_MM, AXIS_REACH_MM, 29)
    best, width = np.array(SEARCH_CENTRE_DEG), SEARCH_WIDTH_DEG
    for _ in range(3):
        grid = np.linspace(-width, width, 17)
        transverse, sagittal = (np.deg2rad(best[n] + g) for n, g in enumerate(np.meshgrid(grid, grid)))
        direction = np.stack(
            [
                medial * np.sin(transverse) * np.cos(sagittal),
                -np.cos(transverse) * np.cos(sagittal),
                -np.sin(sagittal),
            ],
            axis=-1,
        )
        depth = sample_at(room, frame.to_world(centre + direction[..., None, :] * steps[:, None]))
        at = np.unravel_index(np.argmax(depth.mean(axis=-1)), transverse.shape)
        best, width = np.rad2deg([transverse[at], sagittal[at]]), width / 6
    return np.asarray(direction[at])


def _with_height(distance: Volume, frame: Frame, centre: NDArray) -> Volume:
    """Bone distance plus a share of the vertical distance to the surface, around a point."""
    grid = distance.grid
    middle = grid.to_index(frame.to_world(centre)).round().astype(int)
    half = np.ceil(FARTHEST_MM / np.asarray(grid.spacing_mm)).astype(int) + 1
    part = distance.crop(np.maximum(middle - half, 0), np.minimum(middle + half + 1, grid.shape))
    # Distances along one axis only: the other two are stretched out of reach.
    upright = edt.edt(part.array > 0, anisotropy=(grid.spacing_mm[0], 1e3, 1e3), black_border=False)
    return part.like(part.array + np.float32(UPRIGHT_SHARE) * np.minimum(upright, FARTHEST_MM))


def _outline(distance: Volume, frame: Frame, centre: NDArray, axis: NDArray) -> NDArray[np.float64]:
    """Where rays from `centre` at right angles to `axis` leave the bone, local mm, shape (RAYS, 3)."""
    up = unit(np.array([0.0, 0.0, 1.0]) - axis[2] * axis)
    turn = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)[:, None]
    rays = np.cos(turn) * np.cross(up, axis) + np.sin(turn) * up
    steps = np.arange(0.0, FARTHEST_MM, RAY_STEP_MM)
    depth = sample_at(distance, frame.to_world(centre + rays[:, None, :] * steps[:, None]), outside=-1.0)
    out = depth <= 0
    last = np.where(out.any(axis=1), np.argmax(out, axis=1), len(steps) - 1)
    last = np.maximum(last, 1)
    row = np.arange(RAYS)
    before, after = depth[row, last - 1], depth[row, last]
    share = np.clip(before / np.maximum(before - after, 1e-6), 0.0, 1.0)
    return np.asarray(centre + rays * ((last - 1 + share) * RAY_STEP_MM)[:, None])
