"""The cortical walls of a body: where they stand, how dense they are, where they are open.

Each wall is looked at from outside along one axis of the vertebra's frame and becomes a picture: density of
the cortex, its thickness, its position. A wall is open where its density is near that of soft tissue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kypho.anatomy import CANAL, Vertebra
from kypho.evidence import interval, value

__all__ = ["WALLS", "Opening", "Wall", "basivertebral", "body_walls", "openings", "retropulsion", "third_of"]

WALLS = ("posterior", "anterior", "left", "right")
CORTEX_HALF_MM = 1.8  # numerics: cortex is looked for this far on either side of the labelled surface
ENDPLATE_MARGIN_MM = 1.5  # numerics: nearer to an endplate the wall turns into it
LOOK_BACK_MM = 5.0  # numerics: the posterior wall is looked for from this far in front of its fitted curve
LOOK_ON_MM = 8.0  # numerics: and no further behind it than this, a retropulsed fragment's reach
ANTERIOR_SHARE = 0.7  # share of the half width over which the body faces forwards
LATERAL_SHARE = (0.2, 0.65)  # share of the depth in front of the rib joint and the pedicle
SOFT_HU = 40.0  # numerics: muscle, cord and vessels without contrast
SMOOTH_PIXELS = 0.9  # numerics: less than a native pixel
EXTENT_FRACTION = 0.5  # numerics: the rim of a hole is where half of the wall's density is left
STRIP_MM = 2.5  # numerics: half width of the strip in which the wall's position is judged
SHORTEST_WALL_MM = 7.0  # numerics: less of the wall than this gives no line to judge by
HUMP_SHARE = (0.25, 0.78)  # share of the height within which a hump may peak; corners are no humps
CORNER_MM = 1.2  # numerics: the corners of the label are rounded by about a voxel
HUMP_HALF_MM = (3.0, 4.0, 5.0, 6.0, 7.5)  # numerics: half heights tried; a fragment is a third of the wall
LEAN_PENALTY = 30.0  # numerics: a line leaning by 0.3 costs as much as 1.3 mm off at one height


@dataclass(frozen=True, kw_only=True, eq=False)
class Wall:
    """One wall as a picture.

    Attributes:
        name: of `WALLS`.
        across_mm: coordinate along the wall, left for the front and back, posterior for the sides.
        up_mm: superior coordinate.
        position_mm: coordinate of the surface along the viewing axis, shape (n_up, n_across); NaN elsewhere.
        density_hu: largest density across the cortex.
        thickness_mm: extent of dense bone across the cortex; an upper bound at this resolution.
        median_hu: of the wall.
    """

    name: str
    across_mm: NDArray[np.float64]
    up_mm: NDArray[np.float64]
    position_mm: NDArray[np.float64]
    density_hu: NDArray[np.float64]
    thickness_mm: NDArray[np.float64]
    median_hu: float

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where the wall could be looked at."""
        return np.isfinite(self.density_hu)

    @property
    def left_of_density(self) -> NDArray[np.float64]:
        """Share of the wall's density that is left: 1 is the wall's median, 0 is soft tissue."""
        return (self.density_hu - SOFT_HU) / max(self.median_hu - SOFT_HU, 1.0)

    @property
    def pixel_mm2(self) -> float:
        """Area of one pixel."""
        return float((self.across_mm[1] - self.across_mm[0]) * (self.up_mm[1] - self.up_mm[0]))


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A hole in a wall."""

    wall: str
    area_mm2: float
    across_mm: float
    up_mm: float
    width_mm: float
    height_mm: float
    third: str
    left_of_density: float
    in_foramen_mm2: float
    at_edge: bool

    @property
    def defect_mm2(self) -> float:
        """Area less half of what lies in the usual outline of the basivertebral foramen.

        Half, because it is not known whether the foramen was open there before.
        """
        return self.area_mm2 - self.in_foramen_mm2 / 2


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
    """Density and thickness of the cortex about a surface; `hu` has the viewing axis second."""
    z = vertebra.axes_mm[0]
    back = np.zeros_like(across) if name in ("left", "right") else across
    where = np.column_stack([back, np.full_like(across, vertebra.wall.a if name == "posterior" else 0.0)])
    bottom, top = vertebra.inferior.z_mm(where), vertebra.superior.z_mm(where)
    margin = ENDPLATE_MARGIN_MM
    inside = (z[:, None] > bottom[None] + margin) & (z[:, None] < top[None] - margin)
    position = np.where((z[:, None] > bottom[None]) & (z[:, None] < top[None]), surface, np.nan)
    surface = np.where(inside, surface, np.nan)
    step = axis[1] - axis[0]
    reach = round(CORTEX_HALF_MM / step)
    at = np.searchsorted(axis, np.nan_to_num(surface)).clip(reach, len(axis) - reach - 1)
    offsets = np.arange(-reach, reach + 1)
    profile = np.take_along_axis(hu, at[:, None, :] + offsets[None, :, None], axis=1)
    density = np.where(np.isfinite(surface), profile.max(axis=1), np.nan)
    median = float(np.nanmedian(density)) if np.isfinite(density).any() else float("nan")
    dense = (profile > SOFT_HU + 0.5 * (median - SOFT_HU)).sum(axis=1) * step
    return Wall(
        name=name,
        across_mm=across,
        up_mm=z,
        position_mm=position,
        density_hu=density,
        thickness_mm=np.where(np.isfinite(surface), dense, np.nan),
        median_hu=median,
    )


def openings(wall: Wall) -> tuple[Opening, ...]:
    """Holes of a wall: a core near soft tissue, grown to where half of the wall's density is left."""
    if not wall.seen.any():
        return ()
    share = _smooth(wall)
    core = wall.seen & (share < value("fracture.wall.defect_fraction"))
    rim = wall.seen & (share < EXTENT_FRACTION)
    pieces = cc3d.connected_components(rim[None].astype(np.uint8), connectivity=6)[0]
    found = []
    heights = wall.up_mm[wall.seen.any(axis=1)]
    foramen = _foramen_outline(wall)
    rows_seen = np.nonzero(wall.seen.mean(axis=1) > 0)[0]
    border = np.zeros_like(wall.seen)
    border[[rows_seen[0], rows_seen[-1]]] = True
    for number in np.unique(pieces[core & (pieces > 0)]):
        piece = pieces == number
        rows, columns = np.nonzero(piece)
        up, across = wall.up_mm[rows], wall.across_mm[columns]
        found.append(
            Opening(
                wall=wall.name,
                area_mm2=float(piece.sum() * wall.pixel_mm2),
                across_mm=float(across.mean()),
                up_mm=float(up.mean()),
                width_mm=float(np.ptp(across)),
                height_mm=float(np.ptp(up)),
                third=third_of(float(up.mean()), float(heights.min()), float(heights.max())),
                left_of_density=float(share[piece].min()),
                at_edge=bool((piece & border).any()),
                in_foramen_mm2=float((piece & foramen).sum() * wall.pixel_mm2),
            )
        )
    return tuple(sorted(found, key=lambda o: -o.area_mm2))


def _smooth(wall: Wall) -> NDArray[np.float64]:
    """Share of the density with the noise of single rays taken out; what is not seen does not count."""
    weight = gaussian_filter(wall.seen.astype(float), SMOOTH_PIXELS)
    share = gaussian_filter(np.where(wall.seen, wall.left_of_density, 0.0), SMOOTH_PIXELS)
    return np.asarray(np.where(wall.seen, share / np.maximum(weight, 1e-6), np.inf))


def third_of(up_mm: float, bottom_mm: float, top_mm: float) -> str:
    """Upper, middle or lower third of a wall."""
    share = (up_mm - bottom_mm) / max(top_mm - bottom_mm, 1e-6)
    return "lower" if share < 1 / 3 else "upper" if share > 2 / 3 else "middle"


def _foramen_outline(wall: Wall) -> NDArray[np.bool_]:
    """The usual outline of the basivertebral foramen on the posterior wall; empty on the others."""
    if wall.name != "posterior":
        return np.zeros(wall.seen.shape, bool)
    middle = float(wall.up_mm[wall.seen.any(axis=1)].mean())
    x = wall.across_mm / (value("fracture.bvf.width_mm") / 2)
    z = (wall.up_mm - middle) / (value("fracture.bvf.height_mm") / 2)
    return np.asarray(x[None, :] ** 2 + z[:, None] ** 2 <= 1)


def basivertebral(wall: Wall, found: tuple[Opening, ...]) -> tuple[Opening, ...]:
    """The openings whose centre lies at the place of the basivertebral foramen.

    The vein often leaves through two holes side by side, so there may be several. A foramen never reaches
    an endplate.
    """
    if not wall.seen.any():
        return ()
    heights = wall.up_mm[wall.seen.any(axis=1)]
    middle = float(heights.mean())
    half = 0.25 * float(np.ptp(heights)) + 1.0
    width = interval("fracture.bvf.width_mm")[1] / 2
    return tuple(
        o for o in found if abs(o.across_mm) <= width and abs(o.up_mm - middle) <= half and not o.at_edge
    )


def retropulsion(wall: Wall) -> tuple[float, float] | None:
    """Height of a hump of the posterior wall over the straight line of the rest of it.

    A line and one rounded hump are fitted together along the midline, so that a hump near a corner, where
    no straight wall is left beside it, is still measured from the line.

    Returns:
        Depth in mm and the superior coordinate of the peak; None where too little of the wall is seen.
    """
    strip = np.abs(wall.across_mm) <= STRIP_MM
    position = wall.position_mm[:, strip]
    enough = np.isfinite(position).mean(axis=1) >= 0.5
    if enough.sum() * (wall.up_mm[1] - wall.up_mm[0]) < SHORTEST_WALL_MM:
        return None
    cut = round(CORNER_MM / (wall.up_mm[1] - wall.up_mm[0]))
    up = wall.up_mm[enough][cut:-cut]
    curve = np.nanmean(position[enough], axis=1)[cut:-cut]
    peaks = [float(up[0] + np.ptp(up) * share) for share in HUMP_SHARE]
    best = (np.inf, 0.0, 0.0)
    for middle in np.linspace(peaks[0], peaks[1], 15):
        for half in HUMP_HALF_MM:
            hump = np.cos(np.pi / 2 * np.clip((up - middle) / half, -1, 1)) ** 2
            design = np.column_stack([np.ones_like(up), up - up.mean(), hump])
            fit, *_ = np.linalg.lstsq(design, curve, rcond=None)
            left_over = float(((curve - design @ fit) ** 2).sum()) + LEAN_PENALTY * fit[1] ** 2
            if fit[2] > 0 and left_over < best[0]:
                best = (left_over, float(fit[2]), float(middle))
    return best[1], best[2]
