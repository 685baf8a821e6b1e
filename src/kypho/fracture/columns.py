"""Endplates of one vertebra, column by column, over the footprint of its body.

The columns run parallel to the posterior wall as far as the endplates allow: an anterior wedge leaves the
wall standing and tips an endplate, and heights read along any other direction would mix front and back.
The endplates are those of the label, its staircase of slices smoothed out. The fall of density at the
endplate was tried in its place: across the thin discs of the middle thoracic spine it is seen in few columns,
and heights became less exact, not more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from kypho.anatomy.distance import signed_distance
from kypho.anatomy.frame import first_frame, frame_from
from kypho.anatomy.labels import Labels
from kypho.errors import LevelIncompleteError
from kypho.fracture.robust import robust_fit
from kypho.space import Frame, Volume

__all__ = ["CORE_SHARE", "Columns", "level_columns", "rough_frame"]

COARSE_MM = 2.0  # numerics: enough to level a frame by planes through hundreds of columns
STEP_MM = 1.0  # numerics: columns a millimetre apart give hundreds of columns per endplate
FINE_MM = 0.5  # numerics: step along a column, finer than any slice
REACH_MM = 26.0  # numerics: half the height of the tallest body and its disc
MARGIN_MM = 8.0  # numerics: room around the label, so that its distance is known on both sides
SMOOTH_MM = 0.8  # numerics: half of the smoothing width that rounds the corners of a body by a voxel
LARGEST_WIDTH_MM = 32.0  # numerics: half width of the widest body and a margin
WAIST_MM = 5.0  # numerics: half height at most of the slab in which depth and width are read
MIDLINE_MM = 4.0  # numerics: half width of the strip about the midline, narrower than any canal
WALL_HALF_MM = 8.0  # numerics: half width of the wall in front of a canal, well beyond the foramen
RIM_MM = 4.0  # numerics: depth of the rim in front of the wall over which the wall's height is read
CORE_SHARE = 0.85  # share of the footprint's half axes over which an endplate is one plane; the rim has lips
WALL_SHARE = 0.4  # share of the height, up and down from the middle, in which the wall is one line
OWN_WEDGE_DEG = 4.0  # numerics: below it the endplates of a coarse label lean by chance
STANDING = 0.25  # share of the wall that a fragment leaves in its place
LEVELLINGS = 3  # numerics: by then a frame turns by less than a tenth of a degree


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Top and bottom of a body over its footprint.

    Attributes:
        frame: local frame, origin in the body, superior axis along the columns.
        x_mm, y_mm: coordinates of the columns, shapes (nx,) and (ny,).
        top_mm, bottom_mm: endplates, shape (ny, nx); NaN outside the body.
        front_mm, back_mm: anterior edge and posterior wall on the midline, at mid height.
        half_width_mm: half the width.
    """

    frame: Frame
    x_mm: NDArray[np.float64]
    y_mm: NDArray[np.float64]
    top_mm: NDArray[np.float64]
    bottom_mm: NDArray[np.float64]
    front_mm: float
    back_mm: float
    half_width_mm: float

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

    def plane(self, upper: bool) -> tuple[float, float, float]:
        """Plane ``z = a + b x + c y`` through the core of an endplate; lips and pits do not tip it."""
        surface = self.top_mm if upper else self.bottom_mm
        core = self.core(CORE_SHARE) & np.isfinite(surface)
        if core.sum() < 10:
            raise LevelIncompleteError("a body has no endplates over its middle; check the labels")
        x, y = np.meshgrid(self.x_mm, self.y_mm)
        a, b, c = robust_fit(np.column_stack([np.ones(core.sum()), x[core], y[core]]), surface[core])
        return float(a), float(b), float(c)

    def endplates_mm(
        self, across: NDArray[np.float64], along: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both endplates, lower first, smooth through all columns.

        Args:
            across: shares of the half width from the midline, shape (n,).
            along: shares of the depth from the anterior edge, shape (n,).
        """
        x, y = np.meshgrid(self.x_mm / self.half_width_mm, self.depth_share())
        use = np.isfinite(self.height_mm)
        # Beyond the footprint's box the polynomials would run away.
        at = _smooth_terms(np.clip(across, -1, 1), np.clip(along, 0, 1))
        design = _smooth_terms(x[use], y[use])
        low, high = (at @ robust_fit(design, end[use]) for end in (self.bottom_mm, self.top_mm))
        return low, high

    def core(self, share: float) -> NDArray[np.bool_]:
        """Columns within `share` of the footprint's half axes, shape (ny, nx)."""
        x, y = np.meshgrid(self.x_mm, self.y_mm)
        along = (y - (self.front_mm + self.back_mm) / 2) / (self.depth_mm / 2)
        return np.asarray((x / self.half_width_mm) ** 2 + along**2 <= share**2)


def _smooth_terms(across: NDArray, along: NDArray) -> NDArray[np.float64]:
    """Polynomials of both coordinates up to the fourth degree, shape (n, 15): a dent with its rims."""
    along = 2 * along - 1
    return np.column_stack([across**i * along**j for i in range(5) for j in range(5 - i)])


def rough_frame(labels: Labels, level: str, hint: NDArray) -> Frame:
    """A frame for a level without a vertebra model, good enough to start `level_columns` from.

    Args:
        labels: the labels.
        level: the level.
        hint: direction towards the head. Nothing else of a level judged by this one may enter, or the two
            would always agree.
    """
    box = labels.box(level, MARGIN_MM)
    grid = labels.volume.grid.within(box)
    canal = [name for name in ("spinal_canal", "spinal_cord") if labels.has(name)]
    points = grid.to_world(np.argwhere(labels.part(canal[0], box))) if canal else np.zeros((0, 3))
    return first_frame(labels.part(level, box), grid, points, hint)


def level_columns(labels: Labels, level: str, frame: Frame) -> Columns:
    """Columns of a level, in a frame levelled by its own endplates and posterior wall.

    Args:
        labels: the labels.
        level: the level.
        frame: a frame near the right one, origin inside the body.

    Raises:
        LevelIncompleteError: no body to measure.
    """
    box = labels.box(level, MARGIN_MM)
    grid = labels.volume.grid.within(box)
    distance = signed_distance(labels.part(level, box), grid)
    for _ in range(LEVELLINGS):
        bone, axes = _lattice(distance, frame, COARSE_MM)
        frame = _levelled(_columns(bone, axes, frame), bone, axes)
    bone, axes = _lattice(distance, frame, STEP_MM)
    widths = [SMOOTH_MM / (axis[1] - axis[0]) for axis in axes]
    return _columns(gaussian_filter(bone, widths), axes, frame)


def _levelled(columns: Columns, bone: NDArray, axes: list[NDArray]) -> Frame:
    """The frame turned so that its superior axis is parallel to the posterior wall.

    The axis stays between the normals of the two endplates: the wall says which of them has tipped, and
    its own natural lean, or a fragment pushed out of it, cannot turn the columns of an upright body. Within
    the wedge of an unbroken body the wall has no say, from twice that on all of it: read from a coarse label
    it leans by chance.
    """
    top, bottom = columns.plane(True), columns.plane(False)
    normals = [np.array([-b, -c, 1.0]) / np.hypot(1, np.hypot(b, c)) for _, b, c in (top, bottom)]
    middle = normals[0] + normals[1]
    wedge = abs(np.arctan(top[2]) - np.arctan(bottom[2]))
    say = np.clip(np.rad2deg(wedge) / OWN_WEDGE_DEG - 1, 0, 1)
    half = say * wedge / 2
    upright = np.arctan2(middle[1], middle[2])
    lean = upright + np.clip(_wall_lean(columns, bone, axes) - upright, -half, half)
    y = (columns.front_mm + columns.back_mm) / 2
    origin = np.array([0.0, y, (top[0] + bottom[0] + (top[2] + bottom[2]) * y) / 2])
    axis = np.array([middle[0] / middle[2] * np.cos(lean), np.sin(lean), np.cos(lean)])
    frame = columns.frame
    return frame_from(frame.to_world(origin), frame.direction_to_world(axis), frame.posterior)


def _wall_lean(columns: Columns, bone: NDArray, axes: list[NDArray]) -> float:
    """Angle between the frame's superior axis and the posterior wall, in radians.

    The wall is hollow about the basivertebral foramen. So it is followed from its own lower to its own upper
    end, wherever they lie, and over the width of the canal: a hollow off the middle would read as a lean.
    """
    z, y, x = axes
    rim = (columns.y_mm > columns.back_mm - RIM_MM)[:, None] & (np.abs(columns.x_mm) <= WALL_HALF_MM)
    ends = [surface[rim & np.isfinite(surface)] for surface in (columns.top_mm, columns.bottom_mm)]
    if not len(ends[0]):
        return 0.0
    top, bottom = (float(np.median(end)) for end in ends)
    rows = np.abs(z - (top + bottom) / 2) <= WALL_SHARE * (top - bottom)
    at = int(np.argmin(np.abs(y)))
    walls = _first_exit(bone[rows][:, at:][:, :, np.abs(x) <= WALL_HALF_MM], y[at:])
    up = np.broadcast_to(z[rows, None], walls.shape)
    seen = np.isfinite(walls)
    if seen.sum() < 10:
        return 0.0
    slope = robust_fit(np.column_stack([np.ones(seen.sum()), up[seen]]), walls[seen])[1]
    return float(np.arctan(slope))


def _lattice(volume: Volume, frame: Frame, step_mm: float) -> tuple[NDArray, list[NDArray]]:
    """The volume on a lattice of the frame, shape (nz, ny, nx), and its axes z, y, x."""
    y = np.arange(-LARGEST_WIDTH_MM, LARGEST_WIDTH_MM + step_mm, step_mm)
    z = np.arange(-REACH_MM, REACH_MM + FINE_MM, FINE_MM * step_mm)
    zz, yy, xx = np.meshgrid(z, y, y, indexing="ij", sparse=True)
    turn = volume.grid.axes.T @ frame.rotation / np.asarray(volume.grid.spacing_mm)[:, None]
    offset = volume.grid.to_index(frame.origin_mm)
    where = [turn[n, 0] * xx + turn[n, 1] * yy + turn[n, 2] * zz + offset[n] for n in range(3)]
    return map_coordinates(volume.array, where, order=1, cval=-99.0, output=np.float32), [z, y, y]


def _columns(bone: NDArray, axes: list[NDArray], frame: Frame) -> Columns:
    """Columns through the depth in a label, shape (nz, ny, nx)."""
    z, y, x = axes
    front, back, half_width = _edges(bone, z, y, x)
    inside = (y >= front) & (y <= back)
    across = np.abs(x) <= half_width + x[1] - x[0]
    bone = bone[:, inside][:, :, across]
    middle = int(np.argmin(np.abs(z)))
    columns = np.moveaxis(bone, 0, -1)
    top = _first_exit(columns[..., middle:], z[middle:], axis=-1)
    bottom = -_first_exit(columns[..., middle::-1], -z[middle::-1], axis=-1)
    whole = np.isfinite(top) & np.isfinite(bottom)
    return Columns(
        frame=frame,
        x_mm=x[across],
        y_mm=y[inside],
        top_mm=np.where(whole, top, np.nan),
        bottom_mm=np.where(whole, bottom, np.nan),
        front_mm=front,
        back_mm=back,
        half_width_mm=half_width,
    )


def _edges(bone: NDArray, z: NDArray, y: NDArray, x: NDArray) -> tuple[float, float, float]:
    """Anterior edge, posterior wall and half width near the body's middle height.

    The wall stands where it stands over most of its height: a fragment in the canal is not the edge of an
    endplate, and columns through it would make the back of the body seem low.
    """
    near = np.abs(x) <= MIDLINE_MM
    at, mid = int(np.argmin(np.abs(y))), int(np.argmin(np.abs(x)))
    wall = _wall_rows(bone[:, at, mid], z)
    slab = bone[wall & (np.abs(z) < WAIST_MM)]
    backs = _first_exit(bone[wall][:, :, near][:, at:], y[at:])
    fronts = _first_exit(slab[:, :, near][:, at::-1], -y[at::-1])
    sides = [_first_exit(slab[:, at, None, mid:], x[mid:], axis=-1)]
    sides.append(_first_exit(slab[:, at, None, mid::-1], -x[mid::-1], axis=-1))
    if not all(np.isfinite(found).any() for found in (backs, fronts, np.array(sides))):
        raise LevelIncompleteError("no vertebral body at the frame's origin; check the labels of this level")
    return (
        -float(np.nanmedian(fronts)),
        float(np.nanquantile(backs, STANDING)),
        float(np.nanmedian(sides)),
    )


def _wall_rows(column: NDArray, z: NDArray) -> NDArray[np.bool_]:
    """Rows in which the posterior wall is one line, about the middle of the column at the body's centre."""
    middle = int(np.argmin(np.abs(z)))
    top = _first_exit(column[None, middle:], z[middle:])[0]
    bottom = -_first_exit(column[None, middle::-1], -z[middle::-1])[0]
    if not np.isfinite(top - bottom):
        return np.asarray(np.abs(z) < WAIST_MM)
    return np.asarray(np.abs(z - (top + bottom) / 2) <= WALL_SHARE * (top - bottom))


def _first_exit(depth: NDArray, at: NDArray, axis: int = 1) -> NDArray[np.float64]:
    """Coordinate at which a depth first turns negative along an axis; NaN where it starts outside."""
    depth = np.moveaxis(depth, axis, -1)
    out = depth <= 0
    n = np.argmax(out, axis=-1)
    has = out.any(axis=-1) & (n > 0)
    n = np.maximum(n, 1)
    outer = np.take_along_axis(depth, n[..., None], axis=-1)[..., 0]
    inner = np.take_along_axis(depth, n[..., None] - 1, axis=-1)[..., 0]
    share = inner / np.maximum(inner - outer, 1e-6)
    return np.where(has, at[n - 1] + (at[n] - at[n - 1]) * share, np.nan)
