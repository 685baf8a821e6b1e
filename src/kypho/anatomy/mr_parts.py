"""A vertebra as an MR's labels show it: its body's surface, its canal, a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from kypho.anatomy.frame import frame_from
from kypho.anatomy.labels import Labels
from kypho.errors import LabelsError, LevelError
from kypho.space import Frame, Grid

__all__ = ["MrParts", "body_on_mr", "canal_mask", "head_direction", "mr_parts"]

NEAR_MM = 30.0  # numerics: canal this far above and below the body tells its direction there
HALF_WIDTH_MM = 6.0  # numerics: the part of the posterior wall that is behind the canal at every level
WALL_GAP_MM = 8.0  # numerics: bone farther ahead of the canal is beyond an endplate, not the wall
FEWEST_VOXELS = 60
BLUR_MM = 0.5  # numerics: what any label's surface is uncertain by, beside its voxels
GENERIC = ("vertebral_body", "vertebrae")
"""Names of bodies, or vertebrae, without a level."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MrParts:
    """Surfaces of one vertebra on the MR.

    Attributes:
        name: of the label that was used.
        frame: body's centroid; head, back and left.
        surface_mm: LPS points (n, 3) on the body's surface, midway between a voxel in and one out.
        surface_weight: area over variance of each, scaled to a mean of 1.
        sharp: which of them lie between voxels of one slice, where the voxels are small.
        canal_mm: LPS points (m, 3) on the surface of the canal beside the body; empty where only the cord
            is labelled.
    """

    name: str
    frame: Frame
    surface_mm: NDArray[np.float64]
    surface_weight: NDArray[np.float64]
    sharp: NDArray[np.bool_]
    canal_mm: NDArray[np.float64]


def body_on_mr(labels: Labels, level: str) -> str:
    """The name under which the labels hold a level's body, or the whole level.

    Raises:
        LevelError: the level is not there, or bodies carry no levels and there are several.
    """
    for name in (f"{level}_body", f"{level}_corpus", level):
        if labels.has(name):
            return name
    if labels.levels():
        raise LevelError(
            f"the MR labels do not show {level} (found: {', '.join(labels.levels())}); "
            "check --mri-scheme, or give an MR that covers the level"
        )
    for name in GENERIC:
        if labels.has(name) and _pieces(labels, name) == 1:
            return name
    named = [name for name in GENERIC if labels.has(name)]
    why = "several bodies without levels" if named else "no vertebra"
    raise LevelError(
        f"the MR labels hold {why}, so {level} cannot be found; name the levels in a JSON file such as "
        f'{{"{level}": 3, "spinal_cord": 1}} and give it with --mri-scheme'
    )


def _pieces(labels: Labels, name: str) -> int:
    """Pieces of a structure that are no specks."""
    numbers = cc3d.connected_components(labels.part(name), connectivity=26)
    return int(np.count_nonzero(np.bincount(numbers.ravel())[1:] >= FEWEST_VOXELS))


def canal_mask(labels: Labels) -> NDArray[np.bool_]:
    """The canal with the cord in it; only the cord where no canal is labelled.

    Raises:
        LabelsError: neither is there.
    """
    if not (labels.has("spinal_canal") or labels.has("spinal_cord")):
        raise LabelsError(
            "the MR labels hold neither spinal cord nor canal; give labels with cord (and canal)"
        )
    return labels.mask("spinal_canal") | labels.mask("spinal_cord")


def head_direction(labels: Labels, level: str, canal_mm: NDArray) -> NDArray[np.float64]:
    """Direction to the head at a level: along the neighbours' centres, else along the canal."""
    if labels.has(level):
        above, below = labels.neighbours(level)
        upper, lower = above or level, below or level
        if upper != lower:
            return labels.centre_mm(upper) - labels.centre_mm(lower)
    axis = np.linalg.svd(canal_mm - canal_mm.mean(axis=0), full_matrices=False)[2][0]
    return axis * (1.0 if axis[2] > 0 else -1.0)


def mr_parts(labels: Labels, level: str, name: str | None = None) -> MrParts:
    """The parts of a level on the MR.

    Args:
        labels: labels of the MR.
        level: "T7".
        name: the structure to take for it; by default `body_on_mr`.

    Raises:
        LevelError: the level is not there or too small.
        LabelsError: neither cord nor canal is there, or none beside the level.
    """
    name = name or body_on_mr(labels, level)
    grid, canal = labels.volume.grid, canal_mask(labels)
    box = labels.box(name, 2 * max(grid.spacing_mm))
    mask = labels.part(name, box)
    if np.count_nonzero(mask) < FEWEST_VOXELS:
        raise LevelError(f"{name} is only {np.count_nonzero(mask)} voxels on the MR; check its labels")
    local_grid = grid.within(box)
    canal_points = grid.to_world(np.argwhere(canal))
    bone = local_grid.to_world(np.argwhere(mask))
    near = canal_points[np.linalg.norm(canal_points - bone.mean(axis=0), axis=1) < NEAR_MM]
    if len(near) < FEWEST_VOXELS:
        raise LabelsError(
            f"the MR labels show no cord or canal beside {name}; check that they belong together"
        )
    frame = frame_from(
        bone.mean(axis=0), head_direction(labels, level, near), near.mean(axis=0) - bone.mean(axis=0)
    )
    body = mask
    if name in (level, "vertebrae"):
        body = _in_front(mask, local_grid, frame, near)
    inside = local_grid.to_world(np.argwhere(body))
    # Centroid across, from front to wall and from plate to plate: what the CT's frame is centred on.
    local = frame.to_local(inside)
    middle = np.array([np.median(frame.to_local(near)[:, 0]), local[:, 1].mean(), local[:, 2].mean()])
    frame = Frame(origin_mm=frame.to_world(middle), rotation=frame.rotation)
    points, weight, sharp = _faces(body, mask, local_grid)
    half = np.ptp(np.quantile(local[:, 2], [0.05, 0.95])) * 0.35
    return MrParts(
        name=name,
        frame=frame,
        surface_mm=points,
        surface_weight=weight,
        sharp=sharp,
        canal_mm=_canal_surface(labels, canal, frame, half),
    )


def _in_front(mask: NDArray[np.bool_], grid: Grid, frame: Frame, canal_mm: NDArray) -> NDArray[np.bool_]:
    """The voxels of a vertebra in front of the back of its body, which lies where the canal begins."""
    index = np.argwhere(mask)
    local = frame.to_local(grid.to_world(index))
    canal = frame.to_local(canal_mm)
    middle = np.median(canal[:, 0])
    bone = local[np.abs(local[:, 0] - middle) < HALF_WIDTH_MM]
    ahead = canal[np.abs(canal[:, 0] - middle) < HALF_WIDTH_MM]
    step = 2.0  # mm of height per row: a few pixels, so that every row has a wall
    walls = []
    for z in np.arange(bone[:, 2].min(), bone[:, 2].max(), step):
        row = bone[np.abs(bone[:, 2] - z) <= step / 2, 1]
        front = ahead[np.abs(ahead[:, 2] - z) <= step / 2, 1]
        if len(row) and len(front):
            before = row[row < np.quantile(front, 0.02)]
            if len(before) and np.quantile(front, 0.02) - before.max() < WALL_GAP_MM:
                walls.append(np.quantile(before, 0.99))
    if not walls:
        raise LabelsError(
            "no posterior wall in front of the canal on the MR labels; check that they belong together"
        )
    body = np.zeros_like(mask)
    body[tuple(index[local[:, 1] <= np.median(walls)].T)] = True
    return body


def _faces(
    body: NDArray[np.bool_], whole: NDArray[np.bool_], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Midpoints of the faces between the body and what is no bone, their weights, and which are sharp."""
    points, weights, sharp = [], [], []
    fine = min(grid.spacing_mm)
    for axis in range(3):
        head = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
        tail = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
        edge = (body[head] & ~whole[tail]) | (~whole[head] & body[tail])
        index = np.argwhere(edge) + 0.5 * (np.arange(3) == axis)
        points.append(grid.to_world(index))
        spacing = grid.spacing_mm[axis]
        weights.append(np.full(len(index), grid.voxel_mm3 / spacing / (BLUR_MM**2 + spacing**2 / 12)))
        sharp.append(np.full(len(index), spacing <= 2 * fine))
    weight = np.concatenate(weights)
    return np.concatenate(points), weight / weight.mean(), np.concatenate(sharp)


def _canal_surface(
    labels: Labels, canal: NDArray[np.bool_], frame: Frame, half_mm: float
) -> NDArray[np.float64]:
    """Points on the canal's surface within the middle of the body's height; none without a canal label."""
    if not labels.has("spinal_canal"):
        return np.empty((0, 3))
    where = np.argwhere(canal)
    start, stop = where.min(axis=0), where.max(axis=0) + 1
    inner = canal[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    grid = labels.volume.grid.crop(start - 1, stop + 1)
    padded = np.pad(inner, 1)
    points, _, sharp = _faces(padded, padded, grid)
    local = frame.to_local(points)
    return np.asarray(points[(np.abs(local[:, 2]) < half_mm) & sharp])
