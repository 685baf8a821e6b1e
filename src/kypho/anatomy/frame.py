"""The anatomical frame of a vertebra: endplate normals and mid-sagittal plane, never the scanner's axes."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize

from kypho.space import Frame, Grid, Volume, unit

__all__ = ["first_frame", "frame_from", "local_grid", "mid_sagittal"]

SYMMETRY_REACH_MM = 3.0  # numerics: depth at which the distance saturates when two halves are compared


def frame_from(origin_mm: NDArray, superior: NDArray, posterior: NDArray) -> Frame:
    """Frame with the given superior axis; the posterior axis is made perpendicular to it."""
    up = unit(superior)
    back = unit(posterior - np.dot(posterior, up) * up)
    return Frame(origin_mm=origin_mm, rotation=np.column_stack([np.cross(back, up), back, up]))


def first_frame(mask: NDArray[np.bool_], grid: Grid, cord_mm: NDArray, axis_hint: NDArray | None) -> Frame:
    """A rough frame from the vertebra's mask and its cord.

    The body is where the mask is deepest; the cord lies behind it and runs along the superior axis.

    Args:
        mask: vertebra mask ``[k, j, i]`` on `grid`.
        grid: cropped CT grid.
        cord_mm: LPS points (n, 3) of the cord label near the vertebra; may be empty.
        axis_hint: direction towards the head from the neighbouring vertebrae; None if there are none.
    """
    depth = edt.edt(np.ascontiguousarray(mask).view(np.uint8), anisotropy=grid.spacing_mm, parallel=1)
    deepest = np.argwhere(depth > 0.75 * depth.max())
    body = grid.to_world(deepest).mean(axis=0)
    superior = np.array([0.0, 0.0, 1.0]) if axis_hint is None else axis_hint
    if len(cord_mm) > 10:
        middle = cord_mm.mean(axis=0)
        spread = np.linalg.svd(cord_mm - middle, full_matrices=False)[2][0]
        if axis_hint is None and abs(spread[2]) > 0.5:
            superior = spread * np.sign(spread[2])
        posterior = middle - body
    else:
        posterior = grid.to_world(np.argwhere(mask)).mean(axis=0) - body
    return frame_from(body, superior, posterior)


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
        distance: signed distance of the vertebra on a local grid of `frame`.
        frame: the frame so far.
    """
    step = max(1, round(1.5 / distance.grid.spacing_mm[0]))
    coarse = np.clip(distance.array[::step, ::step, ::step], -SYMMETRY_REACH_MM, SYMMETRY_REACH_MM)
    where = np.argwhere(coarse > -SYMMETRY_REACH_MM)
    points = frame.to_local(distance.grid.to_world(where * step))
    values = coarse[tuple(where.T)]
    first = frame.to_local(distance.grid.origin_mm)
    pitch = distance.grid.spacing_mm[0]

    def cost(parameters: NDArray) -> float:
        yaw, offset = parameters
        normal = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        mirrored = points - 2 * (points @ normal - offset)[:, None] * normal
        index = ((mirrored - first) / pitch).T[::-1]
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
