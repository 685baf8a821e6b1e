"""The pedicles: the bridge from the body to the arch, and its narrowest section, the isthmus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.errors import LevelIncompleteError
from kypho.space import Frame, Volume, sample_at, unit

__all__ = ["Pedicle", "Side", "find_pedicle", "pedicle_region"]

Side = Literal["left", "right"]

SECTION_HALF_MM = 14.0  # numerics: half width of the plane in which a section is drawn
SECTION_STEP_MM = 0.25  # numerics: a third of a voxel, so that widths are not quantised by the pixel
WALK_STEP_MM = 0.5  # numerics: sections this close share most of their voxels


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
    distance: Volume, region: NDArray[np.bool_], frame: Frame, side: Side, wall_y_mm: float
) -> Pedicle:
    """Find the isthmus and the axis of one pedicle.

    1. Coronal sections from the posterior wall backwards through the pedicle's region.
    2. The axis is the line through the sections' centres; the sections are cut again at right angles
       to it, twice.
    3. The isthmus is the section with the smallest inscribed circle.

    Args:
        distance: signed bone distance on the local grid.
        region: the pedicle's region on the same grid.
        frame: the anatomical frame of that grid.
        side: "left" or "right".
        wall_y_mm: posterior coordinate of the posterior wall.

    Raises:
        LevelIncompleteError: no pedicle on that side.
    """
    where = np.argwhere(region)
    if len(where) < 50:
        raise LevelIncompleteError(f"no {side} pedicle found; check the labels of this level")
    local = frame.to_local(distance.grid.to_world(where))
    back = float(np.quantile(local[:, 1], 0.98))
    stations = np.arange(wall_y_mm + 1.0, back, WALK_STEP_MM)
    centre, axis = _core_of(local), np.array([0.0, -1.0, 0.0])
    sections: list[_Section] = []
    for _ in range(3):
        found = [
            _section(distance, frame, centre + axis * (y - centre[1]) / axis[1], axis) for y in stations
        ]
        sections = [s for s in found if s is not None]
        if len(sections) < 3:
            raise LevelIncompleteError(f"the {side} pedicle has no clear section; check the labels of this level")
        centre, axis = _axis_through(sections)
    isthmus = sections[int(np.argmin([s.width_mm for s in sections]))]
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


def _core_of(local: NDArray) -> NDArray[np.float64]:
    """Where to start: the middle of the region's front half, away from facet and process."""
    front = local[local[:, 1] <= np.median(local[:, 1])]
    return np.asarray(np.median(front, axis=0))


def _axis_through(sections: list[_Section]) -> tuple[NDArray, NDArray]:
    """Line through the centres of the narrower sections: wide ones belong to body or arch."""
    widths = np.array([s.width_mm for s in sections])
    centres = np.array([s.centre for s in sections])
    weight = 1.0 / np.maximum(widths / widths.min(), 1.0) ** 4
    mean = np.average(centres, axis=0, weights=weight)
    spread = (centres - mean) * np.sqrt(weight)[:, None]
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    return mean, unit(axis if axis[1] < 0 else -axis)


def _section(distance: Volume, frame: Frame, centre: NDArray, axis: NDArray) -> _Section | None:
    """Cut the bone by the plane through `centre` at right angles to `axis`; None if it misses."""
    up = unit(np.array([0.0, 0.0, 1.0]) - axis[2] * axis)
    across = np.cross(up, axis)
    steps = np.arange(-SECTION_HALF_MM, SECTION_HALF_MM + SECTION_STEP_MM / 2, SECTION_STEP_MM)
    plane = centre + steps[:, None, None] * up + steps[None, :, None] * across
    depth = sample_at(distance, frame.to_world(plane), outside=-1.0)
    # The midline separates the two sides: what crosses it belongs to body or lamina.
    side = np.sign(centre[0]) if centre[0] else 1.0
    inside = (depth > 0) & (plane[..., 0] * side > 0)
    pieces, n = ndimage.label(inside)
    if n == 0:
        return None
    middle = len(steps) // 2
    number = pieces[middle, middle]
    if number == 0:
        near = ndimage.distance_transform_edt(pieces == 0, return_indices=True)
        if near[0][middle, middle] * SECTION_STEP_MM > 3.0:
            return None
        number = pieces[tuple(near[1][:, middle, middle])]
    mask = pieces == number
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
