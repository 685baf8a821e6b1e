"""The cortical walls of a body: where they stand, how dense they are, where they are open.

Each wall is looked at from outside along one axis of the vertebra's frame and becomes a picture: density of
the cortex, its thickness, its position. A wall is open where its density is near that of soft tissue.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kypho.evidence import interval, value

__all__ = ["SOFT_HU", "WALLS", "Opening", "Wall", "basivertebral", "openings", "third_of"]

WALLS = ("posterior", "anterior", "left", "right")
SOFT_HU = 40.0  # numerics: muscle, cord and vessels without contrast
SMOOTH_PIXELS = 0.9  # numerics: less than a native pixel
EXTENT_FRACTION = 0.5  # numerics: the rim of a hole is where half of the wall's density is left


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
    in_foramen_mm2: float
    at_edge: bool
    outline: NDArray[np.bool_] = field(repr=False)

    @property
    def defect_mm2(self) -> float:
        """Area less half of what lies in the usual outline of the basivertebral foramen.

        Half, because it is not known whether the foramen was open there before.
        """
        return self.area_mm2 - self.in_foramen_mm2 / 2


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
                outline=piece,
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
