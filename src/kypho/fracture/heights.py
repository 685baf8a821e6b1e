"""Heights of a body at the front, the middle, the back and the sides; angle between two endplates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.fracture.columns import Columns
from kypho.fracture.robust import robust_fit

__all__ = ["SITES", "Heights", "body_heights", "cobb_deg"]

Terms = Callable[[NDArray, NDArray], NDArray[np.float64]]

SITES = ("anterior", "middle", "posterior", "left", "right")
EDGE = 0.05  # heights of the edges are read this share of the depth inside them
SIDE = 0.15  # and those of the sides this share of the width
RIM = 0.4  # share of depth or width, from an edge inwards, over which an endplate is a plane
STRIP = 0.25  # of the half width: the front is round, and farther out its edge lies behind the columns
BACK = 0.85  # of the half width: the posterior wall is straight, and its middle is hollow about the foramen
BELT = 0.5  # of the half depth: the sides are read beside the middle
BOWL = (0.5, 0.85)  # of half width and half depth: the middle is a bowl, whether broken or not
LIP_MM = 1.5  # numerics: a rim stands out less than this beyond a bowl through its endplate, a lip more
ROUGH_MM = 2.0  # numerics: the staircase of thick slices about a smooth endplate
FEWEST = 20  # numerics: columns for six coefficients


@dataclass(frozen=True, kw_only=True)
class Heights:
    """Heights at the five sites, in mm; NaN where the body gives none."""

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    left_mm: float
    right_mm: float

    def at(self, site: str) -> float:
        """Height at a site of `SITES`."""
        return float(getattr(self, f"{site}_mm"))

    @property
    def whole(self) -> bool:
        """Whether the three sites of a grade are known."""
        return all(np.isfinite(self.at(site)) for site in SITES[:3])


def body_heights(columns: Columns) -> Heights:
    """Heights at the anterior edge, the middle, the posterior wall and the two sides.

    An endplate is read as a plane near an edge and as a bowl in the middle, each through many columns, so
    that the corner of a body, which a label rounds off, hardly counts. Lips and bridging osteophytes are
    left out.
    """
    along, across = np.meshgrid(
        2 * columns.depth_share() - 1, columns.x_mm / columns.half_width_mm, indexing="ij"
    )
    ends = [
        _without_lips(along, across, surface, outward)
        for surface, outward in ((columns.top_mm, 1), (columns.bottom_mm, -1))
    ]
    belt, inside = np.abs(along) <= BELT, 1 - 2 * RIM
    front = (along <= -inside) & (np.abs(across) <= STRIP)
    back = (along >= inside) & (np.abs(across) <= BACK)
    middle = (np.abs(across) <= BOWL[0]) & (np.abs(along) <= BOWL[1])
    edge, side = 1 - 2 * EDGE, 1 - 2 * SIDE
    return Heights(
        anterior_mm=_read(ends, along + edge, across, front, _plane),
        middle_mm=_read(ends, along, across, middle, _bowl),
        posterior_mm=_read(ends, along - edge, across, back, _plane),
        left_mm=_read(ends, along, across - side, (across >= inside) & belt, _plane),
        right_mm=_read(ends, along, across + side, (across <= -inside) & belt, _plane),
    )


def _without_lips(along: NDArray, across: NDArray, surface: NDArray, outward: int) -> NDArray[np.float64]:
    """An endplate without what stands out beyond a bowl through all of it."""
    use = np.isfinite(surface)
    if use.sum() < FEWEST:
        return surface
    design = _bowl(along[use], across[use])
    out = np.zeros_like(surface)
    out[use] = outward * (surface[use] - design @ robust_fit(design, surface[use]))
    return np.where(out <= LIP_MM, surface, np.nan)


def _read(ends: list[NDArray], along: NDArray, across: NDArray, where: NDArray, terms: Terms) -> float:
    """Height at the origin of two coordinates, from upper and lower endplate fitted over a part of them."""
    at = []
    for end in ends:
        use = where & np.isfinite(end)
        if use.sum() < FEWEST:
            return float("nan")
        at.append(robust_fit(terms(along[use], across[use]), end[use], floor_mm=ROUGH_MM)[0])
    return float(at[0] - at[1])


def _plane(u: NDArray, v: NDArray) -> NDArray[np.float64]:
    return np.column_stack([np.ones_like(u), u, v])


def _bowl(u: NDArray, v: NDArray) -> NDArray[np.float64]:
    return np.column_stack([np.ones_like(u), u, v, u**2, u * v, v**2])


def cobb_deg(upper: Columns, lower: Columns) -> float:
    """Angle from the superior endplate of `upper` to the inferior one of `lower`, positive in kyphosis."""
    _, _, top = upper.plane(True)
    _, _, bottom = lower.plane(False)
    first = upper.frame.direction_to_world([0.0, 1.0, top])
    second = lower.frame.direction_to_world([0.0, 1.0, bottom])
    frame = lower.frame
    angles = [np.degrees(np.arctan2(v @ frame.superior, v @ frame.posterior)) for v in (first, second)]
    return float(angles[0] - angles[1])
