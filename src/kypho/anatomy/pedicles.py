"""The pedicles: the bridge from the body to the arch, and its narrowest section, the isthmus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.parts import PosteriorWall
from kypho.errors import LevelIncompleteError
from kypho.space import Frame, Volume, sample_at, unit

__all__ = ["Pedicle", "Side", "find_pedicle", "pedicle_region"]

Side = Literal["left", "right"]

SECTION_HALF_MM = 14.0  # numerics: half width of the plane in which a section is drawn
SECTION_STEP_MM = 0.25  # numerics: a third of a voxel, so that widths are not quantised by the pixel
AXIS_REACH_MM = 7.0  # numerics: about the length of a pedicle either way of its isthmus


@dataclass(frozen=True, kw_only=True, eq=False)
class Pedicle:
    """One pedicle.

    Attributes:
        side: "left" or "right" of the patient.
        isthmus_mm: LPS centre of the narrowest section.
        axis: LPS unit vector of the pedicle's axis, pointing forwards into the body.
        width_mm: diameter of the largest circle inside the isthmus.
        height_mm: extent of the isthmus at right angles to its narrow direction.
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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Section:
    """A cut through the bone at right angles to a direction, in local mm."""

    centre: NDArray[np.float64]
    width_mm: float
    height_mm: float
    mask: NDArray[np.bool_]
    plane: NDArray[np.float64]


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
    # Only heights at which the pedicle bridges all of that depth; the rest is body rim or facet.
    pieces, n = ndimage.label(beside)
    if n == 0:
        return np.asarray(beside)
    sizes = np.bincount(pieces.ravel())[1:]
    return np.asarray(pieces == 1 + int(np.argmax(sizes)))


def find_pedicle(
    distance: Volume, region: NDArray[np.bool_], frame: Frame, side: Side, axes_mm: list[NDArray], wall: PosteriorWall
) -> Pedicle:
    """Find the isthmus and the axis of one pedicle.

    1. Every coronal section behind the posterior wall has an inscribed circle; the narrowest is where the
       isthmus is.
    2. The axis is the direction through it along which the bone stays deepest around the line.
    3. The isthmus is cut again at right angles to that axis; width, height and outline are measured there.

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
    stations = _coronal_sections(distance, region, axes_mm, wall)
    if len(stations) < 4:
        raise LevelIncompleteError(f"no {side} pedicle found; check the labels of this level")
    widths = ndimage.gaussian_filter1d(stations[:, 3], 1.0, mode="nearest")
    narrowest = stations[int(np.argmin(widths)), :3]
    axis = _deepest_direction(distance, frame, narrowest, side)
    y_axis = axes_mm[1][np.nonzero(region.any(axis=(0, 2)))[0]]
    isthmus = _section(distance, frame, narrowest, axis, (float(y_axis[0]), float(y_axis[-1])))
    if isthmus is None:
        raise LevelIncompleteError(f"the {side} pedicle has no clear isthmus; check the labels of this level")
    towards_midline = -axis[0] if side == "left" else axis[0]
    return Pedicle(
        side=side,
        isthmus_mm=frame.to_world(isthmus.centre),
        axis=frame.direction_to_world(axis),
        width_mm=isthmus.width_mm,
        height_mm=isthmus.height_mm,
        transverse_angle_deg=float(np.degrees(np.arctan2(towards_midline, -axis[1]))),
        sagittal_angle_deg=float(np.degrees(np.arctan2(-axis[2], np.hypot(axis[0], axis[1])))),
        contour_mm=frame.to_world(_outline(isthmus)),
    )


def _coronal_sections(
    distance: Volume, region: NDArray[np.bool_], axes_mm: list[NDArray], wall: PosteriorWall
) -> NDArray[np.float64]:
    """Per coronal section: local centre (x, y, z) weighted by depth, and inscribed diameter; shape (n, 4).

    Rows that still touch the curved wall show only part of the pedicle and are left out.
    """
    pixel = distance.grid.spacing_mm[0]
    heights = axes_mm[0][np.nonzero(region.any(axis=(1, 2)))[0]]
    first_y = float(wall.y_mm(heights).max()) if len(heights) else 0.0
    rows = []
    for j in np.nonzero(region.any(axis=(0, 2)) & (axes_mm[1] > first_y))[0]:
        section = region[:, j, :]
        inner = ndimage.distance_transform_edt(np.pad(section, 1))[1:-1, 1:-1] * pixel - pixel / 2
        k, i = np.nonzero(section)
        weight = np.maximum(inner[k, i], 0.05) ** 2
        x, z = np.average(axes_mm[2][i], weights=weight), np.average(axes_mm[0][k], weights=weight)
        rows.append([x, axes_mm[1][j], z, 2 * inner.max()])
    return np.array(rows).reshape(-1, 4)


def _deepest_direction(distance: Volume, frame: Frame, centre: NDArray, side: Side) -> NDArray[np.float64]:
    """Unit local direction, forwards, that keeps the most bone around a line through `centre`.

    Maximises the mean bone distance over `AXIS_REACH_MM` either way, on a grid of angles refined twice.
    """
    medial = -1.0 if side == "left" else 1.0
    steps = np.linspace(-AXIS_REACH_MM, AXIS_REACH_MM, 29)
    best, width = np.array([10.0, 10.0]), 40.0
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
        depth = sample_at(distance, frame.to_world(centre + direction[..., None, :] * steps[:, None]))
        at = np.unravel_index(np.argmax(depth.mean(axis=-1)), transverse.shape)
        best, width = np.rad2deg([transverse[at], sagittal[at]]), width / 6
    return np.asarray(direction[at])


def _section(
    distance: Volume, frame: Frame, centre: NDArray, axis: NDArray, depth_range_mm: tuple[float, float]
) -> _Section | None:
    """Cut the bone by the plane through `centre` at right angles to `axis`; None if it misses.

    What leaves `depth_range_mm` (posterior coordinates) belongs to the body or the articular processes.
    """
    up = unit(np.array([0.0, 0.0, 1.0]) - axis[2] * axis)
    across = np.cross(up, axis)
    steps = np.arange(-SECTION_HALF_MM, SECTION_HALF_MM + SECTION_STEP_MM / 2, SECTION_STEP_MM)
    plane = centre + steps[:, None, None] * up + steps[None, :, None] * across
    depth = sample_at(distance, frame.to_world(plane), outside=-1.0)
    between = (plane[..., 1] >= depth_range_mm[0]) & (plane[..., 1] <= depth_range_mm[1])
    pieces, n = ndimage.label((depth > 0) & between & (plane[..., 0] * centre[0] > 0))
    middle = len(steps) // 2
    if n == 0 or pieces[middle, middle] == 0:
        return None
    mask = pieces == pieces[middle, middle]
    inner = ndimage.distance_transform_edt(mask) * SECTION_STEP_MM - SECTION_STEP_MM / 2
    weight = np.where(mask, inner, 0.0) ** 2
    row, column = np.nonzero(mask)
    core = np.average(plane[mask], axis=0, weights=weight[mask] + 1e-9)
    points = np.column_stack([row, column]) * SECTION_STEP_MM
    return _Section(
        centre=core,
        width_mm=float(2 * inner.max()),
        height_mm=_long_extent(points),
        mask=mask,
        plane=plane,
    )


def _long_extent(points: NDArray) -> float:
    """Extent of a 2-D point set along its long principal axis."""
    centred = points - points.mean(axis=0)
    long_axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    return float(np.ptp(centred @ long_axis)) + SECTION_STEP_MM


def _outline(section: _Section) -> NDArray[np.float64]:
    """Closed outline of a section, ordered by angle about its centre, local mm."""
    edge = section.mask & ~ndimage.binary_erosion(section.mask)
    points = section.plane[edge]
    middle = section.plane[section.mask].mean(axis=0)
    row_axis = unit(section.plane[-1, 0] - section.plane[0, 0])
    column_axis = unit(section.plane[0, -1] - section.plane[0, 0])
    angle = np.arctan2((points - middle) @ row_axis, (points - middle) @ column_axis)
    bins = np.digitize(angle, np.linspace(-np.pi, np.pi, 49))
    ring = [points[bins == b].mean(axis=0) for b in np.unique(bins)]
    return np.array([*ring, ring[0]])
