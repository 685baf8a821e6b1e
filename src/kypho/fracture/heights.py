"""Heights of a body at the front, the middle, the back and the sides; angle between two endplates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.fracture.columns import Columns
from kypho.fracture.robust import robust_fit

__all__ = ["SITES", "Heights", "body_heights", "cobb_deg"]

SITES = ("anterior", "middle", "posterior", "left", "right")
DEPTHS = (0.05, 0.5, 0.95)  # share of the depth at which anterior, middle and posterior heights are read
SIDE = 0.7  # share of the half width at which the heights of the sides are read
STRIP = 0.25  # share of the half width over which the profile along the depth is taken
BELT = 0.15  # share of the depth, to either side of the middle, over which that across is taken
LIP_MM = 1.0  # numerics: a rim stands out less than this beyond a parabola through its endplate, a lip more
ROUGH_MM = 2.0  # numerics: the staircase of thick slices about a smooth endplate


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

    Each endplate is a smooth curve through hundreds of columns, of the fourth degree along the depth, so
    that a dent in the middle does not lift the rims. Columns that stand out beyond a parabola are lips and
    bridging osteophytes, and are left out.
    """
    share = 2 * columns.depth_share() - 1
    side = columns.x_mm / columns.half_width_mm
    along, across = np.meshgrid(share, side, indexing="ij")
    depth = 2 * np.array(DEPTHS) - 1
    front, middle, back = _read(columns, along, across, np.abs(across) <= STRIP, depth, degree=4)
    left, right = _read(columns, across, along, np.abs(along) <= 2 * BELT, np.array([SIDE, -SIDE]), degree=2)
    return Heights(anterior_mm=front, middle_mm=middle, posterior_mm=back, left_mm=left, right_mm=right)


def _read(
    columns: Columns, along: NDArray, across: NDArray, band: NDArray, at: NDArray, degree: int
) -> list[float]:
    """Heights at places `at` of a coordinate, from both endplates fitted over a band of the footprint."""
    ends = []
    for surface, outward in ((columns.top_mm, 1), (columns.bottom_mm, -1)):
        use = band & np.isfinite(surface)
        t, side, z = along[use], across[use], surface[use]
        if len(t) < 4 * degree or np.ptp(t) < 1.0:
            return [float("nan")] * len(at)
        stiff = np.column_stack([np.ones_like(t), t, t**2, side, side * t])
        no_lip = outward * (z - stiff @ robust_fit(stiff, z)) <= LIP_MM
        design = np.column_stack([stiff, *(t**n for n in range(3, degree + 1))])
        fit = robust_fit(design[no_lip], z[no_lip], floor_mm=ROUGH_MM)
        coefficients = np.concatenate([fit[:3], fit[5:]])
        ends.append(np.vander(at, degree + 1, increasing=True) @ coefficients)
    return [float(h) for h in ends[0] - ends[1]]


def cobb_deg(upper: Columns, lower: Columns) -> float:
    """Angle from the superior endplate of `upper` to the inferior one of `lower`, positive in kyphosis."""
    _, _, top = upper.plane(True)
    _, _, bottom = lower.plane(False)
    first = upper.frame.direction_to_world([0.0, 1.0, top])
    second = lower.frame.direction_to_world([0.0, 1.0, bottom])
    frame = lower.frame
    angles = [np.degrees(np.arctan2(v @ frame.superior, v @ frame.posterior)) for v in (first, second)]
    return float(angles[0] - angles[1])
