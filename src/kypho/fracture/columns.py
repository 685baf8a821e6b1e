"""Endplates of one vertebra, column by column, found in the CT near the labelled surface.

Labels of a 2.5 mm scan know an endplate to half a slice; the fall of density at the endplate is placed
better than that, so the label only says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter

from kypho.anatomy.distance import signed_distance
from kypho.anatomy.frame import first_frame, frame_from
from kypho.anatomy.labels import Labels
from kypho.errors import LevelIncompleteError
from kypho.space import Frame, Volume

__all__ = ["Columns", "neighbour_columns", "vertebra_columns"]

COARSE_MM = 2.0  # numerics: enough to level a frame by planes through hundreds of columns
STEP_MM = 1.0  # numerics: columns a millimetre apart give hundreds of columns per endplate
FINE_MM = 0.5  # numerics: step along a column, finer than any slice
REACH_MM = 26.0  # numerics: half the height of the tallest body and its disc
MARGIN_MM = 8.0  # numerics: room for the discs, in which an endplate's density falls
SEARCH_MM = 2.5  # numerics: an endplate is looked for this far from the label, a slice of the thickest kind
AGREE_MM = 1.5  # numerics: a fall further than half a thick slice from the label belongs to something else
CONTRAST_HU = 70.0  # numerics: a fall smaller than this is noise, not an endplate
SMOOTH_MM = 1.2  # numerics: columns are averaged with their neighbours before the edge is placed
LARGEST_WIDTH_MM = 32.0  # numerics: half width of the widest body and a margin


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Top and bottom of a body over its footprint.

    Attributes:
        frame: local frame, origin in the body.
        x_mm, y_mm: coordinates of the columns, shapes (nx,) and (ny,).
        top_mm, bottom_mm: endplates, shape (ny, nx); NaN outside the body.
        front_mm, back_mm: anterior edge and posterior wall on the midline.
        half_width_mm: half the width.
        edge_share: share of the columns whose endplates were found in the CT rather than in the label.
    """

    frame: Frame
    x_mm: NDArray[np.float64]
    y_mm: NDArray[np.float64]
    top_mm: NDArray[np.float64]
    bottom_mm: NDArray[np.float64]
    front_mm: float
    back_mm: float
    half_width_mm: float
    edge_share: float

    @property
    def height_mm(self) -> NDArray[np.float64]:
        """Height of each column, shape (ny, nx)."""
        return self.top_mm - self.bottom_mm

    @property
    def depth_mm(self) -> float:
        """Anterior edge to posterior wall."""
        return self.back_mm - self.front_mm

    def depth_share(self) -> NDArray[np.float64]:
        """0 at the anterior edge, 1 at the posterior wall, shape (ny,)."""
        return (self.y_mm - self.front_mm) / self.depth_mm

    def surface_mm(self) -> NDArray[np.float64]:
        """LPS points (n, 3) of both endplates."""
        y, x = np.meshgrid(self.y_mm, self.x_mm, indexing="ij")
        ends = [np.stack([x, y, z], axis=-1)[np.isfinite(z)] for z in (self.top_mm, self.bottom_mm)]
        return self.frame.to_world(np.concatenate(ends))

    def volume_ml(self) -> float:
        """Volume between the endplates, in front of the posterior wall."""
        return float(np.nansum(self.height_mm) * STEP_MM**2 / 1000)

    def plane(self, upper: bool) -> tuple[float, float, float]:
        """Plane ``z = a + b x + c y`` through the core of an endplate, outliers trimmed."""
        surface = self.top_mm if upper else self.bottom_mm
        core = self.core(0.75) & np.isfinite(surface)
        x, y = np.meshgrid(self.x_mm, self.y_mm)
        design = np.column_stack([np.ones(core.sum()), x[core], y[core]])
        z = surface[core]
        keep = np.ones(len(z), bool)
        for _ in range(3):
            fit = np.linalg.lstsq(design[keep], z[keep], rcond=None)[0]
            off = np.abs(z - design @ fit)
            keep = off <= max(3.0 * float(np.median(off[keep])), 0.3)
        return float(fit[0]), float(fit[1]), float(fit[2])

    def core(self, share: float) -> NDArray[np.bool_]:
        """Columns within `share` of the footprint's half axes, shape (ny, nx)."""
        x, y = np.meshgrid(self.x_mm, self.y_mm)
        along = (y - (self.front_mm + self.back_mm) / 2) / (self.depth_mm / 2)
        return np.asarray((x / self.half_width_mm) ** 2 + along**2 <= share**2)


def vertebra_columns(ct: Volume, labels: Labels, level: str, frame: Frame) -> Columns:
    """Columns of a level in a known frame, such as that of its vertebra model."""
    part, distance = _part(ct, labels, level)
    return _columns(part, distance, frame)


def neighbour_columns(ct: Volume, labels: Labels, level: str, hint: NDArray) -> Columns:
    """Columns of a level without its vertebra model: a rough frame, levelled by its own endplates.

    Args:
        ct: the CT.
        labels: labels on its grid.
        level: the neighbour.
        hint: direction towards the head.

    Raises:
        LevelIncompleteError: no body to measure.
    """
    part, distance = _part(ct, labels, level)
    canal = [name for name in ("spinal_canal", "spinal_cord") if labels.has(name)]
    box = labels.box(level, MARGIN_MM)
    cord = labels.part(canal[0], box) if canal else np.zeros(part.grid.shape, bool)
    points = part.grid.to_world(np.argwhere(cord))
    frame = first_frame(distance.array > 0, part.grid, points, hint)
    for _ in range(2):
        columns = _columns(part, distance, frame, COARSE_MM)
        normals = [np.array([-b, -c, 1.0]) for _, b, c in (columns.plane(True), columns.plane(False))]
        superior = sum(n / np.linalg.norm(n) for n in normals)
        middle = np.array([0.0, (columns.front_mm + columns.back_mm) / 2, 0.0])
        origin = frame.to_world(middle)
        frame = frame_from(origin, frame.direction_to_world(superior), frame.posterior)
    return _columns(part, distance, frame)


def _part(ct: Volume, labels: Labels, level: str) -> tuple[Volume, Volume]:
    """CT around a level and the signed distance of its label there."""
    box = labels.box(level, MARGIN_MM)
    start = [part.start for part in box]
    crop = ct.crop(start, [part.stop for part in box])
    return crop, signed_distance(labels.part(level, box), crop.grid)


def _sampled(volume: Volume, frame: Frame, z: NDArray, y: NDArray, x: NDArray, outside: float) -> NDArray:
    """The volume on a lattice of the frame, shape (nz, ny, nx)."""
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij", sparse=True)
    rotation = volume.grid.axes.T @ frame.rotation / np.asarray(volume.grid.spacing_mm)[:, None]
    offset = volume.grid.to_index(frame.origin_mm)
    where = [rotation[n, 0] * xx + rotation[n, 1] * yy + rotation[n, 2] * zz + offset[n] for n in range(3)]
    return np.asarray(map_coordinates(volume.array, where, order=1, cval=outside, output=np.float32))


def _columns(ct: Volume, distance: Volume, frame: Frame, step_mm: float = STEP_MM) -> Columns:
    x = np.arange(-LARGEST_WIDTH_MM, LARGEST_WIDTH_MM + step_mm, step_mm)
    y = x
    z = np.arange(-REACH_MM, REACH_MM + FINE_MM, FINE_MM)
    bone = _sampled(distance, frame, z, y, x, -99.0)
    front, back, half_width = _edges(bone, z, y, x)
    inside = (y >= front) & (y <= back)
    bone = bone[:, inside][:, :, np.abs(x) <= half_width + step_mm]
    x, y = x[np.abs(x) <= half_width + step_mm], y[inside]
    hu = _sampled(ct, frame, z, y, x, -1024.0)
    hu = gaussian_filter(hu, [0, SMOOTH_MM / step_mm, SMOOTH_MM / step_mm])
    top, found_top = _endplate(bone, hu, z)
    bottom, found_bottom = _endplate(bone[::-1], hu[::-1], -z[::-1])
    core = np.isfinite(top) & np.isfinite(bottom)
    share = float((found_top & found_bottom)[core].mean()) if core.any() else 0.0
    return Columns(
        frame=frame,
        x_mm=x,
        y_mm=y,
        top_mm=np.where(core, top, np.nan),
        bottom_mm=np.where(core, -bottom, np.nan),
        front_mm=front,
        back_mm=back,
        half_width_mm=half_width,
        edge_share=share,
    )


def _edges(bone: NDArray, z: NDArray, y: NDArray, x: NDArray) -> tuple[float, float, float]:
    """Anterior edge, posterior wall and half width near the body's middle height."""
    slab = bone[np.abs(z) < 5.0]
    middle = slab[:, :, np.abs(x) <= 4.0]
    at = int(np.argmin(np.abs(y)))
    backs = [_first_exit(row[at:], y[at:]) for row in middle.transpose(0, 2, 1).reshape(-1, len(y))]
    fronts = [_first_exit(row[at::-1], -y[at::-1]) for row in middle.transpose(0, 2, 1).reshape(-1, len(y))]
    across = slab[:, at]
    mid = int(np.argmin(np.abs(x)))
    sides = [_first_exit(row[mid:], x[mid:]) for row in across]
    sides += [_first_exit(row[mid::-1], -x[mid::-1]) for row in across]
    if not all(np.isfinite(found).any() for found in (backs, fronts, sides)):
        raise LevelIncompleteError("no vertebral body at the frame's origin; check the labels of this level")
    back, front, side = (float(np.nanmedian(found)) for found in (backs, fronts, sides))
    return -front, back, side


def _first_exit(depth: NDArray, at: NDArray) -> float:
    """Coordinate at which the depth first turns negative along a row; NaN if it starts outside."""
    out = np.nonzero(depth <= 0)[0]
    if not len(out) or out[0] == 0:
        return np.nan
    n = out[0]
    return float(at[n - 1] + (at[n] - at[n - 1]) * depth[n - 1] / (depth[n - 1] - depth[n]))


def _endplate(bone: NDArray, hu: NDArray, z: NDArray) -> tuple[NDArray, NDArray]:
    """Upper end of each column: the label's surface, moved to the fall of density next to it.

    Args:
        bone: depth in the label, shape (nz, ny, nx), z rising.
        hu: density there.
        z: shape (nz,).

    Returns:
        Coordinates (ny, nx), NaN where the column has no bone at mid height; and whether the fall was found.
    """
    middle = int(np.argmin(np.abs(z)))
    above = bone[middle:]
    is_out = above <= 0
    first = np.argmax(is_out, axis=0)
    has = (above[0] > 0) & is_out.any(axis=0)
    first = np.maximum(first, 1)
    upper, lower = _pick(above, first), _pick(above, first - 1)
    step = z[1] - z[0]
    surface = z[middle + first - 1] + step * lower / np.maximum(lower - upper, 1e-6)
    reach = round(SEARCH_MM / step)
    offsets = np.arange(-reach, reach + 3)
    index = np.clip(middle + first[None] + offsets[:, None, None], 0, len(z) - 1)
    profile = np.take_along_axis(hu, index, axis=0)
    peak_at = np.argmax(profile[: 2 * reach + 1], axis=0)
    peak = _pick(profile, peak_at)
    order = np.arange(len(offsets))[:, None, None]
    outer = np.where(order >= peak_at, profile, np.inf).min(axis=0)
    level = (peak + outer) / 2
    falls = (profile < level) & (order > peak_at)
    fall = np.maximum(np.argmax(falls, axis=0), 1)
    low, high = _pick(profile, fall), _pick(profile, fall - 1)
    edge = z[0] + step * (_pick(index, fall) - 1 + (high - level) / np.maximum(high - low, 1e-6))
    found = has & falls.any(axis=0) & (peak - outer > CONTRAST_HU) & (np.abs(edge - surface) <= AGREE_MM)
    end = median_filter(np.where(has, np.where(found, edge, surface), np.nan), 3)
    return np.where(has, end, np.nan), found


def _pick(values: NDArray, at: NDArray) -> NDArray:
    """Entry `at` of each column of `values`, shape (n, ny, nx) to (ny, nx)."""
    return np.take_along_axis(values, at[None], axis=0)[0]
