"""The balloon of a kyphoplasty: which size fits, where, and what lift the literature lets one hope for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.anatomy import Vertebra
from kypho.evidence import interval, value
from kypho.fracture import Assessment
from kypho.space import sample_at

__all__ = ["BalloonPlan", "plan_balloon"]

STEP_MM = 0.5  # numerics: places along the needle at which the room is looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class BalloonPlan:
    """One balloon.

    Attributes:
        size: "15/3" or "20/3" (length in mm, shaft); None if none fits.
        centre_mm: LPS centre, on the needle's axis.
        largest_ml: fill at which it comes within the margin of a wall, or its own limit.
        limited_by: "room" or "balloon".
        lift_mm: range to expect of the anterior height: from none to the published mean difference, and
            never more than was lost.
        kyphosis_deg: range of the correction, likewise.
        limit_kpa: pressure limit of the usual balloons.
        notes: what speaks against it or changes it.
        evidence: record ids; all of them unconfirmed.
    """

    size: str | None
    centre_mm: NDArray[np.float64]
    largest_ml: float
    limited_by: str
    lift_mm: tuple[float, float]
    kyphosis_deg: tuple[float, float]
    limit_kpa: float
    notes: tuple[str, ...]
    evidence: tuple[str, ...]


def plan_balloon(
    vertebra: Vertebra, found: Assessment, entry_mm: ArrayLike, tip_mm: ArrayLike
) -> BalloonPlan:
    """Place a balloon on a planned needle.

    The centre goes where the inside of the body leaves most room along the needle's axis, in front of the
    posterior wall; an inflated balloon is taken as a ball of its volume.

    Args:
        vertebra: model of the level.
        found: its assessment.
        entry_mm, tip_mm: LPS points of the needle.
    """
    entry, tip = np.asarray(entry_mm, dtype=float), np.asarray(tip_mm, dtype=float)
    length = float(np.linalg.norm(tip - entry))
    along = np.linspace(0, 1, max(round(length / STEP_MM), 2))
    points = entry + along[:, None] * (tip - entry)
    local = vertebra.frame.to_local(points)
    margin = value("balloon.wall_margin_mm")
    depth = sample_at(vertebra.bone_mm, points, outside=-1.0)
    before_wall = vertebra.wall.y_mm(local[:, 2]) - local[:, 1]
    room = np.minimum(depth, before_wall) - margin
    best = int(np.argmax(room))
    radius = max(float(room[best]), 0.0)
    room_ml = 4 / 3 * np.pi * radius**3 / 1000
    sizes = sorted(value("balloon.sizes_ml").items(), key=lambda item: item[1])
    fitting = [(name, ml) for name, ml in sizes if room_ml >= ml / 2]
    size, own_ml = fitting[-1] if fitting else (None, 0.0)
    lost = found.loss.percent["anterior"]
    lost_mm = 0.0
    if lost is not None and found.loss.expected is not None:
        lost_mm = max(found.loss.expected.anterior_mm * lost / 100, 0.0)
    return BalloonPlan(
        size=size,
        centre_mm=points[best],
        largest_ml=float(min(room_ml, own_ml)),
        limited_by="room" if room_ml < own_ml or size is None else "balloon",
        lift_mm=(0.0, min(value("balloon.height_gain_mm"), lost_mm)),
        kyphosis_deg=(0.0, interval("balloon.kyphosis_gain_deg")[1] if lost_mm > 0 else 0.0),
        limit_kpa=float(value("balloon.limit_kpa")),
        notes=_notes(found, lost),
        evidence=(
            "balloon.sizes_ml",
            "balloon.limit_kpa",
            "balloon.wall_margin_mm",
            "balloon.height_gain_mm",
            "balloon.kyphosis_gain_deg",
        ),
    )


def _notes(found: Assessment, lost: float | None) -> tuple[str, ...]:
    notes = ["averages of patients: the range says little about this one; every number here is unconfirmed"]
    state = {f.factor: f.state for f in found.findings}
    if state["posterior_wall_defect"] != "absent":
        notes.append("posterior wall open or not seen: a balloon may push bone into the canal")
    if state["retropulsion"] == "present":
        notes.append("retropulsed bone: inflate in front of it, in small steps")
    if state["intravertebral_cleft"] == "present":
        notes.append("a cleft may open without pressure: height can come from posture alone")
    if state["high_resistance"] == "present":
        notes.append("sclerotic bone: expect the pressure limit before the volume")
    if lost is None:
        notes.append("height loss unknown: no lift can be expected from a number")
    return tuple(notes)
