"""The best needle of one task, by goals in order; or the nearest miss, and every limit that it misses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kypho.planning.climb import polish
from kypho.planning.corridor import Corridor, Line
from kypho.planning.devices import Device, largest_first
from kypho.planning.fields import Stack
from kypho.planning.needle import Needle, Scene, describe
from kypho.planning.optimum import Certificate, Goal, maximise
from kypho.planning.routes import Task, corridor_of, fixed_needs, walls_of
from kypho.planning.settings import PlanSettings
from kypho.planning.walls import WALLS

__all__ = ["Planned", "Reason", "plan_needle"]

KEEP_MM = 0.3  # numerics: half a pixel; margins closer than that are equal, and the next goal decides
ROUNDING_MM = 1e-3  # numerics: float32 distances of tens of mm are exact to a hundredth of this


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an approach is not acceptable: what was measured, its value, the limit it misses."""

    what: str
    value: float
    limit: float
    unit: str

    @property
    def missed_by(self) -> float:
        """How far the value lies from its limit."""
        return abs(self.limit - self.value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """The needle of a task and the hard limits it misses."""

    needle: Needle
    reasons: tuple[Reason, ...]


def plan_needle(scene: Scene, task: Task, settings: PlanSettings) -> Planned:
    """Find the best needle of a task, or the nearest miss and what it misses.

    Lexicographic: the largest device that fits; then the canal margin up to "enough"; then the wall
    margin up to "enough"; then the distance to the target.
    """
    corridor = corridor_of(scene.vertebra, task, scene.fractured.cleft_mm)
    limits, devices = settings.limits, largest_first(settings.device)
    spaces = {name: getattr(limits, f"{name}_mm") for name in walls_of(task.route)}
    fixed = fixed_needs(task.side, limits)
    stack = scene.walls.stack.only([*spaces, *fixed])
    start, proofs = None, {}
    for chosen in devices:
        # Only whether this radius fits is asked, so the search stops at the first line with that much room.
        fits = maximise(
            corridor,
            stack,
            Goal(offsets=spaces, needs=fixed, cap_mm=chosen.radius_mm, worth_mm=chosen.radius_mm),
            start=start,
        )
        start = fits.line
        if fits.certificate.objective_mm >= chosen.radius_mm - ROUNDING_MM and start is not None:
            break
        proofs[f"no_{chosen.name}"] = fits.certificate
    else:
        room = maximise(corridor, stack, Goal(offsets=spaces, needs=fixed), start=start)
        line = np.zeros(4) if room.line is None else room.line
        return _miss(scene, task, devices[-1], corridor, line, room.certificate, settings)
    radius = chosen.radius_mm
    needs = fixed | {name: limit + radius - ROUNDING_MM for name, limit in spaces.items()}
    line, certificates = _lexicographic(stack, task, radius, corridor, start, needs, settings)
    needle = describe(scene, task, chosen, corridor, line, proofs | certificates, settings)
    return Planned(needle=needle, reasons=(*_closed(scene, task), *_violations(needle, settings)))


def _lexicographic(
    stack: Stack,
    task: Task,
    radius_mm: float,
    corridor: Corridor,
    start: Line,
    needs: dict[str, float],
    settings: PlanSettings,
) -> tuple[Line, dict[str, Certificate]]:
    """Canal, then walls, then target; each keeps what the one before has reached."""
    canal = maximise(
        corridor,
        stack,
        Goal(offsets={"canal": radius_mm}, needs=needs, cap_mm=settings.enough_canal_mm),
        start=start,
    )
    # A limit above "enough" stays the limit.
    reached = canal.certificate.objective_mm + radius_mm - KEEP_MM
    needs = needs | {"canal": max(needs["canal"], reached)}
    beside = {name: radius_mm for name in walls_of(task.route) if name in WALLS and name != "canal"}
    near = maximise(
        corridor, stack, Goal(offsets=beside, needs=needs, cap_mm=settings.enough_wall_mm), start=canal.line
    )
    needs = needs | {
        name: max(needs[name], near.certificate.objective_mm + radius_mm - KEEP_MM) for name in beside
    }
    line = near.line if near.line is not None else start
    line = polish(corridor, line, stack, needs, corridor.target[0])
    return line, {"canal": canal.certificate, "walls": near.certificate}


def _miss(
    scene: Scene,
    task: Task,
    device: Device,
    corridor: Corridor,
    line: Line,
    room: Certificate,
    settings: PlanSettings,
) -> Planned:
    """The nearest miss with the smallest device, and the proof that nothing fits."""
    needle = describe(scene, task, device, corridor, line, {"room": room}, settings)
    widest = Reason(
        what="largest_device_diameter_that_fits",
        value=max(0.0, 2 * room.objective_mm),
        limit=device.outer_diameter_mm,
        unit="mm",
    )
    return Planned(needle=needle, reasons=(widest, *_closed(scene, task), *_violations(needle, settings)))


def _closed(scene: Scene, task: Task) -> tuple[Reason, ...]:
    """A pedicle with an open medial wall is not passed, however well a needle would fit."""
    damage = scene.fractured.closed.get(task.side)
    if damage is None or task.route != "transpedicular":
        return ()
    return (Reason(what=damage.factor, value=damage.area_mm2, limit=damage.limit_mm2, unit="mm2"),)


def _violations(needle: Needle, settings: PlanSettings) -> tuple[Reason, ...]:
    """Every hard limit the needle misses."""
    limits = settings.limits
    found = [
        (f"{name}_margin", needle.margins_mm[name], getattr(limits, f"{name}_mm"))
        for name in (*walls_of(needle.task.route), "anterior")
        if name in needle.margins_mm
    ]
    found += [(f"crosses_{name}", -needle.device.radius_mm, 0.0) for name in needle.crosses]
    found.append(("ap_lateral_rule_margin", needle.rule.min_margin_mm, 0.0))
    return tuple(
        Reason(what=what, value=float(number), limit=float(limit), unit="mm")
        for what, number, limit in found
        if number < limit - 2 * ROUNDING_MM
    )
