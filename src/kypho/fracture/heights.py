"""Heights of a body, what they should be, and what has been lost: Genant type and grade, kyphosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kypho.evidence import value
from kypho.fracture.columns import Columns

__all__ = ["SITES", "Genant", "HeightLoss", "Heights", "body_heights", "cobb_deg", "genant", "height_loss"]

SITES = ("anterior", "middle", "posterior", "left", "right")
EDGE_SHARE = 0.05  # distance from the anterior edge and the posterior wall at which a height is read
STRIP = 0.3  # share of the half width over which the profile is taken
PROFILE_RANGE = (0.08, 0.94)  # share of the depth over which the profile is fitted


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


@dataclass(frozen=True, kw_only=True)
class HeightLoss:
    """Expected and lost height.

    Attributes:
        expected: heights expected of this level.
        percent: loss by site; None if there is no expectation.
        source: "neighbours", "one neighbour", or "none".
        uncertainty_percent: half width of the loss.
    """

    expected: Heights | None
    percent: dict[str, float | None]
    source: str
    uncertainty_percent: float


@dataclass(frozen=True, kw_only=True)
class Genant:
    """Semi-quantitative type and grade; both None where heights could not be compared."""

    type: Literal["none", "wedge", "biconcave", "crush"] | None
    grade: int | None
    reason: str


def body_heights(columns: Columns) -> Heights:
    """Heights at the anterior edge, the middle, the posterior wall and the two sides.

    Each comes from one parabola through the profile of the heights, fitted so that lips and bridging
    osteophytes at the rim do not bend it.
    """
    share = columns.depth_share()
    position = columns.x_mm / columns.half_width_mm
    height = columns.height_mm
    along = _parabola(share, _median(height[:, np.abs(position) <= STRIP], axis=1), PROFILE_RANGE)
    sides = _median(height[np.abs(share - 0.5) <= STRIP / 2], axis=0)
    across = _parabola((1 + position) / 2, sides, (0.1, 0.9))
    return Heights(
        anterior_mm=float(np.polyval(along, EDGE_SHARE)),
        middle_mm=float(np.polyval(along, 0.5)),
        posterior_mm=float(np.polyval(along, 1 - EDGE_SHARE)),
        left_mm=float(np.polyval(across, 0.85)),
        right_mm=float(np.polyval(across, 0.15)),
    )


def _median(values: NDArray, axis: int) -> NDArray:
    """Median of the finite values; NaN where fewer than half are finite."""
    enough = np.isfinite(values).mean(axis=axis) >= 0.5
    filled = np.where(np.isfinite(values).any(axis=axis, keepdims=True), values, 0.0)
    return np.asarray(np.where(enough, np.nanmedian(filled, axis=axis), np.nan))


def _parabola(share: NDArray, height: NDArray, span: tuple[float, float]) -> NDArray:
    """Coefficients of a parabola through a profile, by Cauchy weights; NaN with too few points."""
    use = (share >= span[0]) & (share <= span[1]) & np.isfinite(height)
    if use.sum() < 6:
        return np.full(3, np.nan)
    s, h = share[use], height[use]
    weight = np.ones(len(s))
    for _ in range(20):
        fit = np.polyfit(s, h, 2, w=np.sqrt(weight))
        off = np.abs(h - np.polyval(fit, s))
        scale = max(1.5 * float(np.median(off)), 0.2)
        weight = 1 / (1 + (off / scale) ** 2)
    return fit


def height_loss(own: Heights, above: Heights | None, below: Heights | None) -> HeightLoss:
    """Loss against what the neighbours lead one to expect.

    The expectation is the mean of the neighbours, site by site. Scaling it to the vertebra's own posterior
    height was tried and made the loss worse on virtual fractures.
    """
    neighbours = [h for h in (above, below) if h is not None and np.isfinite(h.posterior_mm)]
    if not neighbours:
        return HeightLoss(
            expected=None, percent=dict.fromkeys(SITES), source="none", uncertainty_percent=float("nan")
        )
    expected = {site: float(np.mean([h.at(site) for h in neighbours])) for site in SITES}
    percent = {
        site: 100 * (1 - own.at(site) / expected[site]) if np.isfinite(own.at(site)) else None
        for site in SITES
    }
    both = len(neighbours) == 2
    return HeightLoss(
        expected=Heights(**{f"{site}_mm": expected[site] for site in SITES}),
        percent=percent,
        source="neighbours" if both else "one neighbour",
        uncertainty_percent=value(f"fracture.height.uncertainty_percent.{'two' if both else 'one'}"),
    )


def genant(loss: HeightLoss) -> Genant:
    """Type and grade after Genant: the largest loss gives the grade, where it lies gives the type."""
    front, middle, back = (loss.percent[s] for s in ("anterior", "middle", "posterior"))
    if front is None or middle is None or back is None:
        return Genant(type=None, grade=None, reason="no intact neighbour to compare with")
    limits = [value(f"fracture.genant.grade{n}_percent") for n in (1, 2, 3)]
    largest = max(front, middle, back)
    grade = sum(largest >= limit for limit in limits)
    if grade == 0:
        return Genant(type="none", grade=0, reason=f"largest loss {largest:.0f} %, below {limits[0]:g} %")
    if back >= limits[0] and back >= value("fracture.genant.crush_share") * largest:
        return Genant(type="crush", grade=grade, reason=f"posterior loss {back:.0f} %")
    kind: Literal["wedge", "biconcave"] = "wedge" if front >= middle else "biconcave"
    return Genant(type=kind, grade=grade, reason=f"anterior {front:.0f} %, middle {middle:.0f} %")


def cobb_deg(upper: Columns, lower: Columns) -> float:
    """Angle from the superior endplate of `upper` to the inferior one of `lower`, positive in kyphosis."""
    _, _, top = upper.plane(True)
    _, _, bottom = lower.plane(False)
    first = upper.frame.direction_to_world([0.0, 1.0, top])
    second = lower.frame.direction_to_world([0.0, 1.0, bottom])
    frame = lower.frame
    angles = [np.degrees(np.arctan2(v @ frame.superior, v @ frame.posterior)) for v in (first, second)]
    return float(angles[0] - angles[1])
