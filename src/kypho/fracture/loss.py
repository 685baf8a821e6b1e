"""What the heights of a body should be, what has been lost, and the grade after Genant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kypho.evidence import value
from kypho.fracture.heights import SITES, Heights

__all__ = ["Genant", "HeightLoss", "Reference", "genant", "height_loss"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An intact level to compare with, `away` levels up (negative) or down (positive)."""

    heights: Heights
    away: int


@dataclass(frozen=True, kw_only=True)
class HeightLoss:
    """Expected and lost height.

    Attributes:
        expected: heights expected of this level.
        percent: loss by site; None if there is no expectation.
        source: "neighbours", "one neighbour", "earlier CT", or "none".
        natural_percent: half width within which an intact level keeps to the expectation.
        measured_percent: half width of the measurement alone.
    """

    expected: Heights | None
    percent: dict[str, float | None]
    source: str
    natural_percent: float
    measured_percent: float

    def uncertainty_at(self, percent: float) -> float:
        """Half width of a loss: what is left of the body carries the doubt about how tall it was."""
        return float(np.hypot(self.natural_percent * (1 - percent / 100), self.measured_percent))

    @property
    def uncertainty_percent(self) -> float:
        """Half width at the site of the largest loss; NaN without an expectation."""
        known = [p for p in self.percent.values() if p is not None]
        return self.uncertainty_at(max(known)) if known else float("nan")


@dataclass(frozen=True, kw_only=True)
class Genant:
    """Semi-quantitative type and grade; all None where heights could not be compared.

    Attributes:
        type, grade: of the losses as measured.
        grade_range: smallest and largest grade within the uncertainty.
        reason: the loss that decides, and the other grades it may be.
    """

    type: Literal["none", "wedge", "biconcave", "crush"] | None
    grade: int | None
    grade_range: tuple[int, int] | None
    reason: str


def height_loss(
    own: Heights,
    references: Sequence[Reference],
    thick_mm: float = 0.0,
    *,
    earlier: Heights | None = None,
) -> HeightLoss:
    """Loss against what the nearest intact levels lead one to expect, or against an earlier CT of the level.

    Between a level above and one below the expectation is interpolated site by site; from one side alone
    it is that level's height and the usual growth from level to level. More levels, curves through the whole
    spine, and the level's own depth or posterior height as a covariate were tried on the intact levels of
    the development CT: none predicted a level better than its two neighbours.

    Args:
        own: heights of the level.
        references: intact levels.
        thick_mm: distance of slices too thick to be among those measured on (`too_thick_mm`). An endplate may
            then lie anywhere within a slice: 2 s / sqrt(6) on a height, at two standard deviations.
        earlier: heights of the same body before it broke; the other levels then have no say.
    """
    if earlier is not None and own.whole:
        return _lost(own, {s: earlier.at(s) for s in SITES}, "earlier CT", 0.0, thick_mm)
    near = [min((r for r in references if r.away * side > 0), key=lambda r: abs(r.away), default=None)
            for side in (-1, 1)]  # fmt: skip
    used = [r for r in near if r is not None and r.heights.whole]
    if not used or not own.whole:
        nothing: dict[str, float | None] = dict.fromkeys(SITES)
        unknown = float("nan")
        return HeightLoss(
            expected=None, percent=nothing, source="none", natural_percent=unknown, measured_percent=unknown
        )
    weight = [1 / abs(r.away) for r in used]
    # Heights from both sides carry their own growth.
    growth = 1 + value("fracture.height.growth_percent") / 100 if len(used) == 1 else 1.0
    grown = growth ** -used[0].away
    expected = {s: grown * float(np.average([r.heights.at(s) for r in used], weights=weight)) for s in SITES}
    both = len(used) == 2
    natural = value(f"fracture.height.natural_percent.{'two' if both else 'one'}")
    return _lost(own, expected, "neighbours" if both else "one neighbour", natural, thick_mm)


def _lost(
    own: Heights, expected: dict[str, float], source: str, natural_percent: float, thick_mm: float
) -> HeightLoss:
    """What the heights lack of those expected."""
    percent = {s: 100 * (1 - own.at(s) / e) if np.isfinite(own.at(s) / e) else None
               for s, e in expected.items()}  # fmt: skip
    within_slices = 100 * np.sqrt(2 / 3) * thick_mm / np.nanmin(list(expected.values()))
    return HeightLoss(
        expected=Heights(**{f"{site}_mm": e for site, e in expected.items()}),
        percent=percent,
        source=source,
        natural_percent=natural_percent,
        measured_percent=float(np.hypot(value("fracture.height.measured_percent"), within_slices)),
    )


def genant(loss: HeightLoss) -> Genant:
    """Type and grade after Genant: the largest loss gives the grade, where it lies gives the type."""
    front, middle, back = (loss.percent[s] for s in SITES[:3])
    if front is None or middle is None or back is None:
        return Genant(type=None, grade=None, grade_range=None, reason="no intact neighbour to compare with")
    limits = [value(f"fracture.genant.grade{n}_percent") for n in (1, 2, 3)]
    largest = max(front, middle, back)
    doubt = loss.uncertainty_at(largest)
    grade, low, high = (
        sum(loss_percent >= limit for limit in limits)
        for loss_percent in (largest, largest - doubt, largest + doubt)
    )
    kind: Literal["none", "wedge", "biconcave", "crush"]
    if grade == 0:
        kind, reason = "none", f"largest loss {largest:.0f} %, below {limits[0]:g} %"
    elif back >= limits[0] and back >= value("fracture.genant.crush_share") * largest:
        kind, reason = "crush", f"posterior loss {back:.0f} %"
    else:
        kind = "wedge" if front >= middle else "biconcave"
        reason = f"anterior {front:.0f} %, middle {middle:.0f} %"
    if low != high:
        reason += f"; near a bound: grade {low} to {high} within its uncertainty of {doubt:.0f} points"
    return Genant(type=kind, grade=grade, grade_range=(low, high), reason=reason)
