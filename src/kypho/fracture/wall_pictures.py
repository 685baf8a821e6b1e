"""Pictures of the walls of a body: each looked at from outside along one axis of the vertebra's frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import CANAL, Labels, Vertebra
from kypho.fracture.columns import Columns
from kypho.fracture.walls import SOFT_HU, WALLS, Wall
from kypho.space import Volume, sample_at

__all__ = ["LOOK_ON_MM", "body_walls", "cortex", "neighbour_posterior"]

CORTEX_HALF_MM = 1.8  # numerics: cortex is looked for this far on either side of the labelled surface
ENDPLATE_MARGIN_MM = 1.0  # numerics: nearer to an endplate the wall turns into it
LOOK_BACK_MM = 5.0  # numerics: the posterior wall is looked for from this far in front of its fitted curve
LOOK_ON_MM = 8.0  # numerics: and no further behind it than this, a retropulsed fragment's reach
ANTERIOR_SHARE = 0.7  # share of the half width over which the body faces forwards
NEIGHBOUR_HALF_MM = 9.0  # numerics: half the width of the canal, beyond which the pedicles begin
STEP_MM = 0.7  # numerics: the pixel of the vertebra model's grid, so that both walls are seen alike
LATERAL_SHARE = (0.2, 0.65)  # share of the depth in front of the rib joint and the pedicle


def body_walls(vertebra: Vertebra) -> Mapping[str, Wall]:
    """The four walls of the body."""
    _, y, x = vertebra.axes_mm
    depth = vertebra.bone_mm.array
    hu = vertebra.hu.array
    low, high = vertebra.body_box_mm
    body = vertebra.body
    across = np.abs(x) <= ANTERIOR_SHARE * (high[0] - low[0]) / 2
    share = (y - low[1]) / (high[1] - low[1])
    beside = (share >= LATERAL_SHARE[0]) & (share <= LATERAL_SHARE[1])
    front = _outermost(body[:, ::-1], depth[:, ::-1], -y[::-1])
    left = _outermost(body.transpose(0, 2, 1), depth.transpose(0, 2, 1), x)
    right = _outermost(body[:, :, ::-1].transpose(0, 2, 1), depth[:, :, ::-1].transpose(0, 2, 1), -x[::-1])
    side_hu = hu.transpose(0, 2, 1)
    return {
        "posterior": _wall("posterior", vertebra, _posterior_surface(vertebra), y, hu, x),
        "anterior": _wall("anterior", vertebra, np.where(across, front, np.nan), -y[::-1], hu[:, ::-1], x),
        "left": _wall("left", vertebra, np.where(beside, left, np.nan), x, side_hu, y),
        "right": _wall("right", vertebra, np.where(beside, right, np.nan), -x[::-1], side_hu[:, ::-1], y),
    }


def _outermost(mask: NDArray, depth: NDArray, axis: NDArray) -> NDArray[np.float64]:
    """Coordinate of the last surface along axis 1, shape (n0, n2); NaN where there is no bone."""
    n = mask.shape[1]
    last = n - 1 - np.argmax(mask[:, ::-1], axis=1)
    has = mask.any(axis=1) & (last < n - 1)
    return np.where(has, _crossing(depth, np.minimum(last, n - 2), axis), np.nan)


def _crossing(depth: NDArray, last: NDArray, axis: NDArray) -> NDArray[np.float64]:
    """Where the depth crosses zero between index `last` and the next one."""
    inner = np.take_along_axis(depth, last[:, None, :], axis=1)[:, 0]
    outer = np.take_along_axis(depth, last[:, None, :] + 1, axis=1)[:, 0]
    share = np.clip(inner / np.where(inner - outer == 0, 1, inner - outer), 0, 1)
    return np.asarray(axis[last] + share * (axis[1] - axis[0]))


def _posterior_surface(vertebra: Vertebra) -> NDArray[np.float64]:
    """Posterior coordinate of the wall in front of the canal, shape (nz, nx); NaN beside the canal."""
    z, y, x = vertebra.axes_mm
    depth = vertebra.bone_mm.array
    fitted = vertebra.wall.y_mm(z)
    start = np.searchsorted(y, fitted - LOOK_BACK_MM).clip(0, len(y) - 2)
    index = np.arange(len(y))
    ahead = (index[None, :] >= start[:, None]) & (y[None, :] <= fitted[:, None] + LOOK_ON_MM)
    out = (depth <= 0) & ahead[:, :, None]
    first = np.argmax(out, axis=1)
    begins = np.take_along_axis(depth, start[:, None, None] + np.zeros((1, 1, len(x)), int), axis=1)[:, 0] > 0
    last = np.maximum(first - 1, 0)
    surface = _crossing(depth, last, y)
    step = round(2.0 / (y[1] - y[0]))
    behind = np.minimum(first + step, len(y) - 1)
    canal = np.take_along_axis(vertebra.regions.array, behind[:, None, :], axis=1)[:, 0] == CANAL
    return np.where(out.any(axis=1) & begins & canal, surface, np.nan)


def _wall(
    name: str, vertebra: Vertebra, surface: NDArray, axis: NDArray, hu: NDArray, across: NDArray
) -> Wall:
    """One wall of a vertebra model; `hu` has the viewing axis second."""
    back = np.zeros_like(across) if name in ("left", "right") else across
    where = np.column_stack([back, np.full_like(across, vertebra.wall.a if name == "posterior" else 0.0)])
    ends = vertebra.inferior.z_mm(where), vertebra.superior.z_mm(where)
    return _picture(name, surface, (vertebra.axes_mm[0], axis, across), hu, ends)


def neighbour_posterior(ct: Volume, labels: Labels, level: str, columns: Columns) -> Wall:
    """The posterior wall of a level that has no vertebra model, over the width of its foramen.

    Args:
        ct, labels: the scan.
        level: the neighbour.
        columns: its columns, which carry its frame.
    """
    frame, back = columns.frame, columns.back_mm
    upper, lower = columns.plane(True), columns.plane(False)
    across = np.arange(-NEIGHBOUR_HALF_MM, NEIGHBOUR_HALF_MM + STEP_MM, STEP_MM)
    y = np.arange(back - LOOK_BACK_MM, back + LOOK_ON_MM, STEP_MM)
    low, high = (a + b * across + c * back for a, b, c in (lower, upper))
    z = np.arange(low.min() - STEP_MM, high.max() + STEP_MM, STEP_MM)
    zz, yy, xx = np.meshgrid(z, y, across, indexing="ij")
    world = frame.to_world(np.stack([xx, yy, zz], axis=-1))
    box = labels.box(level, NEIGHBOUR_HALF_MM)
    part = ct.within(box)
    bone = Volume(array=labels.part(level, box).astype(np.float32), grid=part.grid, unit="1")
    depth = sample_at(bone, world) - 0.5
    hu = sample_at(part, world)
    first = np.maximum(np.argmax(depth <= 0, axis=1), 1)
    found = (depth <= 0).any(axis=1) & (depth[:, 0] > 0)
    surface = np.where(found, _crossing(depth, first - 1, y), np.nan)
    return _picture("posterior", surface, (z, y, across), hu, (low, high))


def _picture(
    name: str,
    surface: NDArray,
    axes_mm: tuple[NDArray, NDArray, NDArray],
    hu: NDArray,
    ends_mm: tuple[NDArray, NDArray],
) -> Wall:
    """Density and thickness of the cortex about a surface.

    Args:
        name: of the wall.
        surface: coordinate of the wall along the viewing axis, shape (n_up, n_across).
        axes_mm: coordinates up, along the view, and across.
        hu: density on these axes.
        ends_mm: heights of the lower and the upper endplate, shape (n_across,).
    """
    z, axis, across = axes_mm
    bottom, top = ends_mm
    margin = ENDPLATE_MARGIN_MM
    inside = (z[:, None] > bottom[None] + margin) & (z[:, None] < top[None] - margin)
    position = np.where((z[:, None] > bottom[None]) & (z[:, None] < top[None]), surface, np.nan)
    surface = np.where(inside, surface, np.nan)
    at = np.searchsorted(axis, np.nan_to_num(surface))
    density, thickness, median = cortex(hu.transpose(0, 2, 1), at, np.isfinite(surface), axis[1] - axis[0])
    along, sign = WALLS[name]
    return Wall(
        name=name,
        across_mm=across,
        up_mm=z,
        position_mm=position,
        density_hu=density,
        thickness_mm=thickness,
        whole_hu=median,
        axis=along,
        sign=sign,
    )


def cortex(
    hu: NDArray, at: NDArray, seen: NDArray, step_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Largest density and thickness of the cortex about a surface, and the median of the density.

    Args:
        hu: density, shape (n_up, n_across, n_along), the viewing axis last.
        at: index of the surface along the viewing axis, shape (n_up, n_across).
        seen: where there is a surface; NaN is told elsewhere.
        step_mm: of the viewing axis.
    """
    reach = round(CORTEX_HALF_MM / step_mm)
    index = np.clip(at[..., None] + np.arange(-reach, reach + 1), 0, hu.shape[-1] - 1)
    profile = np.take_along_axis(hu, index, axis=-1)
    density = np.where(seen, profile.max(axis=-1), np.nan)
    median = float(np.nanmedian(density)) if seen.any() else float("nan")
    dense = (profile > (SOFT_HU + median) / 2).sum(axis=-1) * step_mm
    return density, np.where(seen, dense, np.nan), median
