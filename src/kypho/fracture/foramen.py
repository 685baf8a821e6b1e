"""The basivertebral foramen: a hole that every posterior wall has, told from a defect by the neighbours' own.

The vein leaves the middle of the posterior wall through one hole or two side by side, and neighbouring
levels have them of like size. So an opening at its place is a defect only if it is larger than the
neighbours' by more than foramina differ between levels, or if it stands on one side where the other side
and the neighbours are whole. In between the two cannot be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import minimum_filter

from kypho.evidence import interval, value
from kypho.fracture.walls import WHOLE_FRACTION, Opening, Wall, openings, smooth_share

__all__ = ["ForamenNorm", "at_foramen", "foramen_norm", "unpaired_mm2"]

PLACE_SHARE = 0.2  # of the wall's height: the foramen's centre lies this near to mid height
MIDLINE_MM = 1.5  # numerics: the midline of a vein's two holes lies this near to the vertebra's own
NEIGHBOURS = 2


@dataclass(frozen=True, kw_only=True)
class ForamenNorm:
    """What a single foramen may measure.

    Attributes:
        usual_mm2: the level's own before, or the largest single one of the neighbours, or the published mean.
        largest_mm2: beyond it an opening is no foramen.
        source: "the earlier CT", "T6 and T8", or "published sizes".
    """

    usual_mm2: float
    largest_mm2: float
    source: str


def _ellipse_mm2(width_mm: float, height_mm: float) -> float:
    return float(np.pi / 4 * width_mm * height_mm)


def foramen_norm(neighbours: dict[str, Wall], before: Wall | None = None) -> ForamenNorm:
    """The norm from the posterior walls of the neighbours, by name; none or one fall back on publications.

    One standard deviation of published areas is allowed between neighbouring levels; it holds between
    patients, who differ more. With the level's own wall on an earlier CT the neighbours have no say, and as
    much is allowed between two scans, on which a thin foramen opens more or less; unless that wall was open
    by more than a foramen already.
    """
    width, height = interval("fracture.bvf.width_mm"), interval("fracture.bvf.height_mm")
    mean = _ellipse_mm2(value("fracture.bvf.width_mm"), value("fracture.bvf.height_mm"))
    published = _ellipse_mm2(width[1], height[1])
    spread = (published - _ellipse_mm2(width[0], height[0])) / 4
    own = [_widest_mm2(wall) for wall in neighbours.values()]
    if not own:
        norm = ForamenNorm(usual_mm2=mean, largest_mm2=published, source="published sizes")
    elif len(own) < NEIGHBOURS:
        usual = max(*own, mean)
        largest = max(usual + 2 * spread, published)
        norm = ForamenNorm(usual_mm2=usual, largest_mm2=largest, source=_names(neighbours))
    else:
        usual = max(own)
        norm = ForamenNorm(
            usual_mm2=usual, largest_mm2=min(usual + spread, published), source=_names(neighbours)
        )
    if before is None or (usual := _widest_mm2(before)) > norm.largest_mm2:
        return norm
    return ForamenNorm(usual_mm2=usual, largest_mm2=min(usual + spread, published), source="the earlier CT")


def _widest_mm2(wall: Wall) -> float:
    """The largest single opening at the place of the foramen."""
    return max((o.area_mm2 for o in at_foramen(wall, openings(wall))), default=0.0)


def _names(neighbours: dict[str, Wall]) -> str:
    return " and ".join(neighbours)


def at_foramen(wall: Wall, found: tuple[Opening, ...]) -> tuple[Opening, ...]:
    """The openings whose centre lies at the place of the foramen; one that reaches an endplate never does."""
    if not wall.seen.any():
        return ()
    heights = wall.up_mm[wall.seen.any(axis=1)]
    middle = float(heights.mean())
    half = PLACE_SHARE * float(np.ptp(heights))
    width = interval("fracture.bvf.width_mm")[1] / 2
    return tuple(
        o for o in found if abs(o.across_mm) <= width and abs(o.up_mm - middle) <= half and not o.at_edge
    )


def unpaired_mm2(wall: Wall, opening: Opening) -> float:
    """Area of an opening whose mirror image about the midline is whole wall, and so is all around it."""
    share = smooth_share(wall)
    size = [2 * round(MIDLINE_MM / step) + 1 for step in wall.steps_mm]
    thinnest = minimum_filter(np.where(np.isfinite(share), share, 0.0), size=size)
    mirror = np.searchsorted(wall.across_mm, -wall.across_mm - wall.steps_mm[1] / 2)
    other = thinnest[:, np.clip(mirror, 0, len(wall.across_mm) - 1)]
    return float((opening.outline & (other >= WHOLE_FRACTION)).sum() * wall.pixel_mm2)
