"""The anatomical frame of a vertebra: endplate normals and mid-sagittal plane, never the scanner's axes."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, label, map_coordinates
from scipy.optimize import minimize

from kypho.errors import LevelIncompleteError
from kypho.space import Frame, Grid, Volume, unit

__all__ = ["deepest", "first_frame", "frame_from", "local_grid", "mid_sagittal"]

DEEPEST = 0.75  # numerics: share of the largest depth
LEAN_DEG = 60.0  # numerics: beyond it head and foot of a lone vertebra are too near to each other
TILT_DEG, LOOK_DEG = 70.0, 10.0  # numerics: directions looked along, beyond LEAN_DEG and as finely
SHADOW_MM = 2.0  # numerics: pixel of the shadow, an eighth of a canal
HOLE_MM2 = 40.0  # numerics: a fifth of a canal; smaller holes are gaps of the label
WIDE = 0.6  # numerics: directions that see this share of the widest hole lie about its axis
SYMMETRY_REACH_MM = 3.0  # numerics: depth at which the distance saturates when two halves are compared


def frame_from(origin_mm: NDArray, superior: NDArray, posterior: NDArray) -> Frame:
    """Frame with the given superior axis; the posterior axis is made perpendicular to it."""
    up = unit(superior)
    back = unit(posterior - np.dot(posterior, up) * up)
    return Frame(origin_mm=origin_mm, rotation=np.column_stack([np.cross(back, up), back, up]))


def deepest(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """LPS place where a vertebra's mask is deepest: the middle of its body, unless that has collapsed."""
    points, depths = _depths(mask, grid)
    return _deepest(points, depths)


def first_frame(
    mask: NDArray[np.bool_],
    grid: Grid,
    cord_mm: NDArray,
    axis_hint: NDArray | None,
    back_hint: NDArray | None = None,
) -> Frame:
    """A rough frame from the vertebra's mask and its cord.

    The body is where the mask is deepest; the cord lies behind it and runs along the superior axis. A
    collapsed body may be less deep than an articular process, and deepest far to one side: the neighbours
    say which way is back, and the body is sought in front of the cord. Without cord and neighbours the axis
    is that of the hole in the vertebra's ring.

    Args:
        mask: vertebra mask ``[k, j, i]`` on `grid`.
        grid: cropped CT grid.
        cord_mm: LPS points (n, 3) of the cord label near the vertebra; may be empty.
        axis_hint: direction towards the head from the neighbouring vertebrae; None if there are none.
        back_hint: direction from the neighbours' bodies to the cord beside them; None if there are none.

    Raises:
        LevelIncompleteError: neither cord nor neighbours, and it leans too far to tell head from foot.
    """
    points, depths = _depths(mask, grid)
    body = _deepest(points, depths)
    superior = np.array([0.0, 0.0, 1.0]) if axis_hint is None else axis_hint
    if len(cord_mm) > 10:
        middle = cord_mm.mean(axis=0)
        spread = np.linalg.svd(cord_mm - middle, full_matrices=False)[2][0]
        if axis_hint is None and abs(spread[2]) > 0.5:
            superior = spread * np.sign(spread[2])
        if back_hint is None:
            return frame_from(body, superior, middle - body)
        hinted = frame_from(middle, superior, back_hint)
        local = hinted.to_local(points)
        ahead = local[:, 1] < 0
        _, back, up = _deepest(local[ahead], depths[ahead]) if ahead.any() else hinted.to_local(body)
        # The plane through the cord is surer than the deepest place of a body that is thin in its middle.
        return frame_from(hinted.to_world([0.0, back, up]), superior, back_hint)
    ring = _ring(grid.to_world(np.argwhere(mask))) if axis_hint is None else None
    if ring is not None:
        superior, middle = ring
        if superior[2] < np.cos(np.deg2rad(LEAN_DEG)):
            raise LevelIncompleteError(
                f"the vertebra leans more than {LEAN_DEG:.0f} degrees and stands alone, so its head end is "
                "not known; label a neighbour or the spinal cord too"
            )
        return frame_from(body, superior, middle - body)
    return frame_from(body, superior, grid.to_world(np.argwhere(mask)).mean(axis=0) - body)


def _depths(mask: NDArray[np.bool_], grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LPS points (n, 3) of a mask's voxels, and how deep in it they lie."""
    depth = edt.edt(np.ascontiguousarray(mask).view(np.uint8), anisotropy=grid.spacing_mm, parallel=1)
    return grid.to_world(np.argwhere(mask)), depth[mask]


def _deepest(points: NDArray[np.float64], depths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the points that lie deepest."""
    return np.asarray(points[depths > DEEPEST * depths.max()].mean(axis=0))


def _ring(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Direction in which one sees through the ring of a vertebra, and a point in the middle of its hole.

    The canal is the only wide hole in a vertebra; it shows widest to who looks along it. Directions within
    TILT of the scanner's axis are tried; the mean of those that see most of the hole is the answer.

    Args:
        points: LPS points (n, 3) of the vertebra's voxels.

    Returns:
        Unit direction towards the head and an LPS point; None where no hole is seen.
    """
    centre = points.mean(axis=0)
    seen = []
    for tilt in np.arange(0.0, TILT_DEG + 1, LOOK_DEG):
        for turn in np.linspace(0, 360, max(1, round(6 * tilt / LOOK_DEG)), endpoint=False):
            across, up = np.deg2rad([turn, tilt])
            axis = np.array([np.sin(up) * np.cos(across), np.sin(up) * np.sin(across), np.cos(up)])
            area_mm2, middle = _hole(points - centre, axis)
            seen.append((area_mm2, axis, middle))
    most = max(area for area, _, _ in seen)
    if most < HOLE_MM2:
        return None
    best = [(area, axis, middle) for area, axis, middle in seen if area > WIDE * most]
    axis = unit(np.sum([area * axis for area, axis, _ in best], axis=0))
    return axis, centre + np.average([m for _, _, m in best], axis=0, weights=[a for a, _, _ in best])


def _hole(points: NDArray[np.float64], axis: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Area in mm2 of the widest hole in the shadow that points (n, 3) cast along an axis, and its middle."""
    basis = np.linalg.svd(axis[None])[2][1:]
    flat = points @ basis.T
    low = flat.min(axis=0) - 2 * SHADOW_MM
    pixel = ((flat - low) / SHADOW_MM).astype(int)
    shadow = np.zeros(pixel.max(axis=0) + 3, bool)
    shadow[tuple(pixel.T)] = True
    shadow = binary_closing(shadow)
    holes, count = label(binary_fill_holes(shadow) & ~shadow)
    if count == 0:
        return 0.0, np.zeros(3)
    sizes = np.bincount(holes.ravel())[1:]
    middle = np.argwhere(holes == int(np.argmax(sizes)) + 1).mean(axis=0) + 0.5
    return float(sizes.max()) * SHADOW_MM**2, (low + middle * SHADOW_MM) @ basis


def local_grid(frame: Frame, lower_mm: NDArray, upper_mm: NDArray, spacing_mm: float) -> Grid:
    """An isotropic grid in the frame whose k, j, i run superior, posterior, left.

    Args:
        frame: the anatomical frame.
        lower_mm: smallest local (left, posterior, superior) coordinates.
        upper_mm: largest ones.
        spacing_mm: voxel size. Voxel centres fall on multiples of it, so that the mid-sagittal plane
            lies on voxel centres and mirrored anatomy gives mirrored voxels.
    """
    first = np.floor(np.asarray(lower_mm) / spacing_mm)
    last = np.ceil(np.asarray(upper_mm) / spacing_mm)
    count = (last - first).astype(int) + 1
    return Grid(
        shape=(int(count[2]), int(count[1]), int(count[0])),
        spacing_mm=(spacing_mm,) * 3,
        origin_mm=frame.to_world(first * spacing_mm),
        axes=frame.rotation[:, ::-1],
    )


def mid_sagittal(distance: Volume, frame: Frame) -> Frame:
    """The frame turned about its superior axis, and shifted, onto the vertebra's plane of symmetry.

    Minimises the mean squared difference between the bone distance at points of the vertebra and at
    their mirror images, over the yaw angle and the lateral offset.

    Args:
        distance: signed distance of the vertebra, on a grid of any orientation.
        frame: the frame so far.
    """
    step = max(1, round(1.5 / distance.grid.spacing_mm[0]))
    coarse = np.clip(distance.array[::step, ::step, ::step], -SYMMETRY_REACH_MM, SYMMETRY_REACH_MM)
    where = np.argwhere(coarse > -SYMMETRY_REACH_MM)
    points = frame.to_local(distance.grid.to_world(where * step))
    values = coarse[tuple(where.T)]

    def cost(parameters: NDArray) -> float:
        yaw, offset = parameters
        normal = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        mirrored = points - 2 * (points @ normal - offset)[:, None] * normal
        index = distance.grid.to_index(frame.to_world(mirrored)).T
        other = map_coordinates(distance.array, index, order=1, mode="nearest")
        return float(np.mean((values - np.clip(other, -SYMMETRY_REACH_MM, SYMMETRY_REACH_MM)) ** 2))

    start = np.zeros(2)
    simplex = np.array([start, [0.06, 0.0], [0.0, 1.5]])
    best = minimize(
        cost,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-7, "maxiter": 120},
    )
    yaw, offset = best.x
    normal = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    left = frame.direction_to_world(normal)
    origin = frame.origin_mm + offset * left
    return Frame(
        origin_mm=origin, rotation=np.column_stack([left, np.cross(frame.superior, left), frame.superior])
    )
