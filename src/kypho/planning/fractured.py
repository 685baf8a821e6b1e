"""What the assessment changes in the plan: which pedicle is closed, which side to avoid, where to aim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Side
from kypho.evidence import value
from kypho.fracture import Assessment
from kypho.fracture.regions import WAYS_OUT
from kypho.fracture.walls import Opening

__all__ = ["SOUND", "Considerations", "Damage", "considerations_of"]

SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A hole in a wall: which finding it is, how large, and from which size it counts."""

    factor: str
    area_mm2: float
    limit_mm2: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Considerations:
    """How a fracture bears on the plan.

    Attributes:
        closed: pedicles whose medial wall is open; no needle passes them.
        damaged: sides whose posterior or lateral wall is open; the other side is preferred.
        cleft_mm: local centre of a cleft to aim at; None without one.
        notes: the same in words, for the report.
    """

    closed: Mapping[Side, Damage] = field(default_factory=dict)
    damaged: Mapping[Side, Damage] = field(default_factory=dict)
    cleft_mm: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()


SOUND = Considerations()
"""Nothing to consider: an unbroken vertebra, or none assessed."""


def considerations_of(assessment: Assessment) -> Considerations:
    """Read the findings that are present; what could not be assessed closes nothing but is noted."""
    notes = []
    closed, damaged = _closed(assessment), _damaged(assessment)
    for side, damage in closed.items():
        notes.append(
            f"the medial wall of the {side} pedicle is open ({damage.area_mm2:.0f} mm2): it is not passed"
        )
    for side, damage in damaged.items():
        what = damage.factor.replace("_", " ")
        notes.append(f"{what} on the {side} ({damage.area_mm2:.0f} mm2): the other side is preferred")
    behind = "posterior_wall_defect"
    if assessment.finding(behind).state == "present" and behind not in {d.factor for d in damaged.values()}:
        notes.append("the defect of the posterior wall reaches over the midline: neither side is preferred")
    cleft = _cleft(assessment)
    if cleft is not None:
        notes.append("the tip aims at the intravertebral cleft, which cement fills first")
    if assessment.foreign_ml > value("fracture.foreign_ml"):
        notes.append(
            f"{assessment.foreign_ml:.1f} mL of metal or cement lie in the body already: no needle is kept "
            "away from them, and what they hide was not assessed"
        )
    unknown = [name for name in WAYS_OUT if assessment.finding(name).state == "not_assessable"]
    if unknown:
        names = ", ".join(name.replace("_", " ") for name in unknown)
        notes.append(f"not assessable on this scan, so not considered: {names}")
    return Considerations(closed=closed, damaged=damaged, cleft_mm=cleft, notes=tuple(notes))


def _closed(assessment: Assessment) -> dict[Side, Damage]:
    if assessment.finding("pedicle_wall_defect").state != "present":
        return {}
    limit = float(value("fracture.pedicle.area_mm2"))
    found: dict[Side, Damage] = {}
    for side in SIDES:
        area = _largest(o for o in assessment.defects if o.wall.startswith(f"{side} pedicle"))
        if area:
            found[side] = Damage(factor="pedicle_wall_defect", area_mm2=area, limit_mm2=limit)
    return found


def _damaged(assessment: Assessment) -> dict[Side, Damage]:
    """Sides of the body with an open wall; a hole on the midline favours neither.

    Only the openings behind a finding that is present are damage: the natural foramen of the vein beside
    them, or a wall too thin to judge, is none.
    """
    found: dict[Side, Damage] = {}
    if assessment.finding("cortical_defect").state == "present":
        limit = float(value("fracture.cortex.threshold_area_mm2"))
        for side in SIDES:
            area = _largest(o for o in assessment.defects if o.wall == side)
            if area:
                found[side] = Damage(factor="cortical_defect", area_mm2=area, limit_mm2=limit)
    if assessment.finding("posterior_wall_defect").state == "present":
        behind = [o for o in assessment.defects if o.wall == "posterior"]
        beside = [o for o in behind if abs(o.across_mm) > o.width_mm / 2]
        hole = max(beside, key=lambda o: o.area_mm2, default=None)
        if hole is not None:
            open_side: Side = "left" if hole.across_mm > 0 else "right"
            limit = float(value("fracture.wall.threshold_area_mm2"))
            found[open_side] = Damage(factor="posterior_wall_defect", area_mm2=hole.area_mm2, limit_mm2=limit)
    return found


def _largest(holes: Iterable[Opening]) -> float:
    """Area in mm2 of the largest opening; 0 without any."""
    return max((hole.area_mm2 for hole in holes), default=0.0)


def _cleft(assessment: Assessment) -> NDArray[np.float64] | None:
    if not assessment.clefts:
        return None
    return np.asarray(max(assessment.clefts, key=lambda c: c.volume_ml).centre_mm, dtype=float)
