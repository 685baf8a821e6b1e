"""The cortical walls of a body: where they stand, how dense they are, where they are open.

Each wall is looked at from outside along one axis of the vertebra's frame and becomes a picture: density of
the cortex, its thickness, its position. A wall is open where its density is near that of soft tissue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from kypho.evidence import value

__all__ = [
    "SOFT_HU",
    "WALLS",
    "WHOLE_FRACTION",
    "Opening",
    "Wall",
    "against_its_like",
    "enough_seen",
    "openings",
    "smooth_share",
    "third_of",
]

WALLS = {
    "posterior": ("y", 1),
    "anterior": ("y", -1),
    "left": ("x", 1),
    "right": ("x", -1),
}
"""The walls of a body: the axis of the vertebra's frame along which each is looked at, and its sign."""

SOFT_HU = 40.0  # numerics: muscle, cord and vessels without contrast
SEEN_SHARE = 0.4  # numerics: of the wall's picture
FEWEST_ROWS = 4  # numerics: fewer are no picture
SMOOTH_PIXELS = 0.9  # numerics: less than a native pixel
WHOLE_FRACTION = 0.6  # where this share of the wall's density is left, a hole has ended
MOSTLY_GONE = 0.5  # of what walls like it have; an intact wall has 0.84 of its neighbours' or more
BLUR_MM = 1.1  # numerics: the edge of a hole fades over this much: kernel, pixels, slices, smoothing


@dataclass(frozen=True, kw_only=True, eq=False)
class Wall:
    """One wall as a picture.

    Attributes:
        name: of `WALLS`, or "left pedicle, medial".
        across_mm: coordinate along the wall, left for the front and back, posterior for the sides.
        up_mm: superior coordinate.
        position_mm: coordinate of the surface along the viewing axis, times `sign`, shape (n_up, n_across);
            NaN elsewhere.
        density_hu: largest density across the cortex.
        thickness_mm: extent of dense bone across the cortex; an upper bound at this resolution.
        whole_hu: density where it is whole: its median, or that of walls like it if most of it is gone.
        judged_by: words for that.
        axis: the viewing axis, of the vertebra's frame.
        sign: -1 where that axis points into the body; 1 for pedicles.
        part: whose wall it is.
    """

    name: str
    across_mm: NDArray[np.float64]
    up_mm: NDArray[np.float64]
    position_mm: NDArray[np.float64]
    density_hu: NDArray[np.float64]
    thickness_mm: NDArray[np.float64]
    whole_hu: float
    axis: str
    sign: int
    part: Literal["body", "pedicle"] = "body"
    judged_by: str = "the wall's own median"

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where the wall could be looked at."""
        return np.isfinite(self.density_hu)

    @property
    def left_of_density(self) -> NDArray[np.float64]:
        """Share of the wall's density that is left: 1 is whole, 0 is soft tissue."""
        return (self.density_hu - SOFT_HU) / max(self.whole_hu - SOFT_HU, 1.0)

    @property
    def pixel_mm2(self) -> float:
        """Area of one pixel."""
        return self.steps_mm[0] * self.steps_mm[1]

    @property
    def steps_mm(self) -> tuple[float, float]:
        """Size of a pixel, up and across."""
        return float(self.up_mm[1] - self.up_mm[0]), float(self.across_mm[1] - self.across_mm[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Opening:
    """A hole in a wall; `outline` is its mask on the wall's picture."""

    wall: str
    area_mm2: float
    across_mm: float
    up_mm: float
    width_mm: float
    height_mm: float
    third: str
    left_of_density: float
    at_edge: bool
    outline: NDArray[np.bool_] = field(repr=False)


def enough_seen(wall: Wall) -> bool:
    """Whether so much of the wall's picture is seen that "no defect" means anything."""
    columns = wall.seen.any(axis=0).sum()
    rows = wall.seen.any(axis=1).sum()
    return bool(columns and rows and wall.seen.sum() >= SEEN_SHARE * columns * rows and rows > FEWEST_ROWS)


def against_its_like(wall: Wall, like: Iterable[Wall], words: str) -> Wall:
    """The wall, judged by walls like it if most of it is gone.

    A hole that takes in half of a wall takes the wall's median with it: by that median nothing is open.

    Args:
        wall: as seen, with its own median.
        like: walls that should be as dense; those that were not seen are left out.
        words: what they are.
    """
    known = [other.whole_hu for other in like if np.isfinite(other.whole_hu)]
    expected = float(np.median(known)) if known else SOFT_HU
    # Written so that a wall that was not seen, whose median is NaN, stays as it is.
    if not wall.whole_hu - SOFT_HU < MOSTLY_GONE * (expected - SOFT_HU):
        return wall
    return replace(wall, whole_hu=expected, judged_by=f"{words}, most of the wall's own being gone")


def openings(wall: Wall) -> tuple[Opening, ...]:
    """Holes of a wall, largest first: a core without bone, grown over the blur to where the wall is whole.

    The edge of a hole is blurred over about a millimetre by the scanner, the slices and the smoothing here.
    The core alone is too small by that much; growing without end would run into the natural thinning about
    the basivertebral foramen. So a core grows to where most of the wall's density is left, but no further
    than the blur.
    """
    if not wall.seen.any():
        return ()
    share = smooth_share(wall)
    core = _cores(share)
    distance = distance_transform_edt(~core, sampling=wall.steps_mm)
    extent = (share < WHOLE_FRACTION) & (distance <= BLUR_MM)
    pieces = cc3d.connected_components((core | extent)[None].astype(np.uint8), connectivity=6)[0]
    heights = wall.up_mm[wall.seen.any(axis=1)]
    rows_seen = np.nonzero(wall.seen.any(axis=1))[0]
    border = np.zeros_like(wall.seen)
    border[[rows_seen[0], rows_seen[-1]]] = True
    found = []
    for number in np.unique(pieces[core]):
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
                outline=piece,
            )
        )
    return tuple(sorted(found, key=lambda o: -o.area_mm2))


def _cores(share: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where hardly any bone is left; a shallow core counts only if no deeper one lies in it."""
    open_share, empty_share = value("fracture.wall.defect_fraction"), value("fracture.wall.empty_fraction")
    shallow, deep = share < open_share, share < empty_share
    pieces = cc3d.connected_components(shallow[None].astype(np.uint8), connectivity=6)[0]
    deeper = np.isin(pieces, np.unique(pieces[deep]))
    return np.asarray(np.where(deeper, deep, shallow))


def smooth_share(wall: Wall) -> NDArray[np.float64]:
    """Share of the density with the noise of single rays taken out; infinite where nothing is seen."""
    weight = gaussian_filter(wall.seen.astype(float), SMOOTH_PIXELS)
    share = gaussian_filter(np.where(wall.seen, wall.left_of_density, 0.0), SMOOTH_PIXELS)
    return np.asarray(np.where(wall.seen, share / np.maximum(weight, 1e-6), np.inf))


def third_of(up_mm: float, bottom_mm: float, top_mm: float) -> str:
    """Upper, middle or lower third of a wall."""
    share = (up_mm - bottom_mm) / max(top_mm - bottom_mm, 1e-6)
    return "lower" if share < 1 / 3 else "upper" if share > 2 / 3 else "middle"
