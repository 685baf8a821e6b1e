"""The vertebra model: one vertebra in its own frame, with its parts, walls, canal and pedicles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.canal import enclosed_canal
from kypho.anatomy.distance import FAR_MM, signed_distance, smooth_distance
from kypho.anatomy.frame import first_frame, frame_from, local_grid, mid_sagittal
from kypho.anatomy.hints import Hints, cord_part, neighbour_hints
from kypho.anatomy.labels import Labels
from kypho.anatomy.parts import Endplate, PosteriorWall, body_mask, endplates, posterior_wall
from kypho.anatomy.pedicles import Pedicle, Side, find_pedicle, pedicle_region
from kypho.anatomy.quality import QualityCheck, inside_scan, main_box, quality_of, require_complete
from kypho.errors import LevelIncompleteError
from kypho.space import Frame, Grid, Volume, resample

__all__ = ["ARCH", "BODY", "CANAL", "LEFT_PEDICLE", "RIGHT_PEDICLE", "Vertebra", "build_vertebra"]

BODY, LEFT_PEDICLE, RIGHT_PEDICLE, ARCH, CANAL = 1, 2, 3, 4, 5
"""Numbers in `Vertebra.regions` and in regions.nii.gz."""
PEDICLE_NUMBER: Mapping[Side, int] = {"left": LEFT_PEDICLE, "right": RIGHT_PEDICLE}

MARGIN_MM = 8.0  # numerics: room around the vertebra on its local grid, wider than any clearance asked for
SPACING_MM = 0.7  # numerics: the pixel of a spine CT; the distances interpolated on it are nearly linear
COARSE_MM = 1.0  # numerics: enough to find a frame by averaging over thousands of points
CORD_REACH_MM = 15.0  # numerics: half a vertebra's height; the cord's axis is level enough over that
CANAL_OVERHANG_MM = 4.0  # numerics: how far the canal is continued above and below the endplates


@dataclass(frozen=True, kw_only=True, eq=False)
class Vertebra:
    """One vertebra.

    Attributes:
        level: "T7".
        frame: origin at the body's centre on the mid-sagittal plane; axes left, posterior, superior.
        hu: CT on the local grid, axes (superior, posterior, left), isotropic.
        regions: part numbers on the local grid (1 body, 2 left pedicle, 3 right pedicle, 4 arch, 5 canal).
        bone_mm: signed distance to the surface of the whole vertebra, positive inside.
        wall: the posterior wall.
        inferior, superior: the endplates.
        pedicles: by side.
        quality: what was checked, with reasons.
    """

    level: str
    frame: Frame
    hu: Volume
    regions: Volume
    bone_mm: Volume
    wall: PosteriorWall
    inferior: Endplate
    superior: Endplate
    pedicles: Mapping[Side, Pedicle]
    quality: tuple[QualityCheck, ...]

    @property
    def grid(self) -> Grid:
        """The local grid shared by all arrays."""
        return self.regions.grid

    @cached_property
    def axes_mm(self) -> list[NDArray[np.float64]]:
        """Local coordinates of the grid's voxels along (superior, posterior, left)."""
        return _axes(self.grid, self.frame)

    @cached_property
    def body(self) -> NDArray[np.bool_]:
        """Mask of the body on the local grid."""
        return np.asarray(self.regions.array == BODY)

    @cached_property
    def body_ml(self) -> float:
        """Volume of the body: all its bone in front of the posterior wall, with rims and osteophytes."""
        return float(np.count_nonzero(self.body) * self.grid.voxel_mm3 / 1000)

    @cached_property
    def canal_mm(self) -> Volume:
        """Signed distance to the canal's boundary on the local grid, positive inside the canal."""
        return smooth_distance(self.regions.array == CANAL, self.grid)

    @cached_property
    def body_box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest local (left, posterior, superior) coordinates of the body.

        Taken at 1 % and 99 % so that a single osteophyte does not move them.
        """
        local = self.local_points(BODY)
        return np.quantile(local, 0.01, axis=0), np.quantile(local, 0.99, axis=0)

    def local_points(self, region: int) -> NDArray[np.float64]:
        """Local coordinates (n, 3) of a region's voxel centres."""
        k, j, i = np.nonzero(self.regions.array == region)
        z_axis, y_axis, x_axis = self.axes_mm
        return np.column_stack([x_axis[i], y_axis[j], z_axis[k]])

    def regions_on(self, labels: Labels) -> Volume:
        """The part numbers on the labels' own grid, for exactly the voxels that carry this level."""
        grid = labels.volume.grid
        regions = np.zeros(grid.shape, np.uint8)
        box = labels.box(self.level, MARGIN_MM)
        part = resample(self.regions, grid.within(box))
        bone = labels.part(self.level, box)
        local = self.frame.to_local(part.grid.to_world(np.argwhere(bone)))
        in_front = local[:, 1] <= self.wall.y_mm(local[:, 2])
        # The local grid rounds the surface; the labels know it exactly.
        near = part.array[bone]
        near = np.where((near == 0) | (near == CANAL) | (in_front != (near == BODY)), ARCH, near)
        regions[box][bone] = np.where(in_front, BODY, near)
        regions[box][(part.array == CANAL) & ~bone] = CANAL
        return Volume(array=regions, grid=grid, unit="label")


def build_vertebra(ct: Volume, labels: Labels, level: str, *, spacing_mm: float = SPACING_MM) -> Vertebra:
    """Build the model of one level.

    1. A rough frame from the deepest bone in front of the cord (the body) and the neighbours' axes.
    2. On a coarse local grid: canal, posterior wall, body, endplate planes; the superior axis becomes
       the bisector of the endplate normals, the sagittal plane the vertebra's plane of symmetry; twice.
    3. On the fine local grid: the same parts, pedicles with their isthmus, signed distances.

    Args:
        ct: CT in HU.
        labels: labels on the same grid.
        level: "T7".
        spacing_mm: voxel size of the local grid.

    Raises:
        LevelError: the level is not in the labels.
        LevelIncompleteError: the level is cut by the scan's border, merged, in pieces, or lacks a part.
        GridMismatchError: CT and labels lie on different grids.
    """
    labels.volume.grid.require_match(ct.grid, "the label image")
    labels.require_level(level)
    checks = quality_of(labels, level)
    require_complete(level, checks)
    whole = inside_scan(labels, level, None)
    try:
        vertebra = _build(level, _cut_out(ct, labels, level), checks, spacing_mm)
    except LevelIncompleteError:
        # A level that is cut off often has no model at all; the cut is then the reason to give.
        require_complete(level, (whole,))
        raise
    core = np.concatenate([vertebra.local_points(n) for n in (BODY, LEFT_PEDICLE, RIGHT_PEDICLE)])
    whole = inside_scan(labels, level, vertebra.frame.to_world(core))
    require_complete(level, (whole,))
    return replace(vertebra, quality=(whole, *checks))


def _build(level: str, cut: _Cut, checks: tuple[QualityCheck, ...], spacing_mm: float) -> Vertebra:
    """The model from what `_cut_out` found."""
    ct = cut.ct
    distance = signed_distance(cut.bone, ct.grid)
    cord_share = Volume(array=cut.cord.astype(np.float32), grid=ct.grid, unit="1")
    frame = first_frame(
        cut.bone, ct.grid, ct.grid.to_world(np.argwhere(cut.cord)), cut.hints.superior, cut.hints.posterior
    )
    for _ in range(2):
        frame = _better_frame(_parts(distance, cord_share, frame, ct.grid, COARSE_MM))
    frame = _centred(_parts(distance, cord_share, frame, ct.grid, COARSE_MM))
    parts = _parts(distance, cord_share, frame, ct.grid, spacing_mm)
    if not (parts.closed or cut.outlined):
        raise LevelIncompleteError(
            f"the bone of {level} does not close around its canal, and the cord fills only part of it; "
            "mend the labels, or label the canal as spinal_canal"
        )
    return _assemble(level, ct, parts, checks)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Parts:
    """The parts of a vertebra on one local grid."""

    frame: Frame
    grid: Grid
    axes_mm: list[NDArray]
    bone: NDArray[np.bool_]
    distance: Volume
    canal: NDArray[np.bool_]
    closed: bool
    wall: PosteriorWall
    body: NDArray[np.bool_]
    lower: Endplate
    upper: Endplate


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cut:
    """CT, bone and cord about a level, its axes by its neighbours, whether the canal itself is labelled."""

    ct: Volume
    bone: NDArray[np.bool_]
    cord: NDArray[np.bool_]
    hints: Hints
    outlined: bool


def _cut_out(ct: Volume, labels: Labels, level: str) -> _Cut:
    """What of the scan and its labels a level's model is built from."""
    box = main_box(labels, level, 2 * MARGIN_MM)
    return _Cut(
        ct=ct.within(box),
        bone=ndimage.binary_fill_holes(labels.part(level, box)),
        cord=cord_part(labels, box),
        hints=neighbour_hints(labels, level),
        outlined=labels.has("spinal_canal"),
    )


def _axes(grid: Grid, frame: Frame) -> list[NDArray[np.float64]]:
    first = frame.to_local(grid.origin_mm)[::-1]
    return [first[n] + np.arange(grid.shape[n]) * grid.spacing_mm[n] for n in range(3)]


def _parts(distance: Volume, cord_share: Volume, frame: Frame, grid: Grid, spacing_mm: float) -> _Parts:
    """Cut the vertebra into parts on a local grid of the frame."""
    points = frame.to_local(grid.to_world(np.argwhere(distance.array > 0)))
    place = local_grid(frame, points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM, spacing_mm)
    axes = _axes(place, frame)
    depth = resample(distance, place, outside=-FAR_MM).array
    bone = depth > 0
    cord = (resample(cord_share, place).array > 0.5) & ~bone
    canal, closed = enclosed_canal(bone, cord, place, _cord_centre_mm(cord, axes[0], spacing_mm))
    wall = posterior_wall(bone, canal, axes)
    body = body_mask(bone, wall, axes)
    lower, upper = endplates(body, depth, axes)
    within = (axes[0] > lower.height_mm - CANAL_OVERHANG_MM) & (axes[0] < upper.height_mm + CANAL_OVERHANG_MM)
    return _Parts(
        frame=frame,
        grid=place,
        axes_mm=axes,
        bone=bone,
        distance=smooth_distance(bone, place),
        canal=canal & within[:, None, None],
        closed=bool(closed.any()),
        wall=wall,
        body=body,
        lower=lower,
        upper=upper,
    )


def _cord_centre_mm(
    cord: NDArray[np.bool_], z_axis: NDArray[np.float64], spacing_mm: float
) -> tuple[float, float] | None:
    """Mean place (posterior, left) of the cord beside the body, in grid coordinates; None without a cord."""
    beside = cord[np.abs(z_axis) < CORD_REACH_MM]
    if not beside.any():
        return None
    _, j, i = np.nonzero(beside)
    return float(j.mean() * spacing_mm), float(i.mean() * spacing_mm)


def _better_frame(parts: _Parts) -> Frame:
    """Superior axis from the endplates, sagittal plane from symmetry, origin in the body's centre."""
    superior = parts.frame.direction_to_world(parts.lower.normal + parts.upper.normal)
    tilted = frame_from(_centred(parts).origin_mm, superior, parts.frame.posterior)
    return mid_sagittal(parts.distance, tilted)


def _centred(parts: _Parts) -> Frame:
    """The frame moved to the body's centre, along the mid-sagittal plane."""
    k, j, _ = np.nonzero(parts.body)
    z_axis, y_axis, _ = parts.axes_mm
    local = np.array([0.0, y_axis[j].mean(), z_axis[k].mean()])
    return Frame(origin_mm=parts.frame.to_world(local), rotation=parts.frame.rotation)


def _assemble(level: str, ct: Volume, parts: _Parts, checks: tuple[QualityCheck, ...]) -> Vertebra:
    behind = parts.bone & ~parts.body
    regions = np.zeros(parts.grid.shape, np.uint8)
    regions[parts.bone] = ARCH
    regions[parts.body] = BODY
    regions[parts.canal & ~parts.bone] = CANAL
    pedicles: dict[Side, Pedicle] = {}
    for side, number in PEDICLE_NUMBER.items():
        region = pedicle_region(parts.bone, behind, parts.canal, side, parts.axes_mm)
        regions[region] = number
        pedicles[side] = find_pedicle(parts.distance, region, parts.frame, side, parts.axes_mm, parts.wall)
    return Vertebra(
        level=level,
        frame=parts.frame,
        hu=resample(ct, parts.grid),
        regions=Volume(array=regions, grid=parts.grid, unit="label"),
        bone_mm=parts.distance,
        wall=parts.wall,
        inferior=parts.lower,
        superior=parts.upper,
        pedicles=pedicles,
        quality=checks,
    )
