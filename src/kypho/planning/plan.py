"""Plan one level: every approach with its needles, what forbids the others, and which one to take."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kypho.anatomy import Labels, Side, Vertebra
from kypho.planning.devices import Device, largest_first
from kypho.planning.needle import Needle, Scene, describe
from kypho.planning.optimum import Certificate, Corridor, Goal, Line, Stack, maximise, polish
from kypho.planning.routes import Route, Task, corridor_of, fixed_needs, target_of, walls_of
from kypho.planning.settings import PlanSettings
from kypho.planning.walls import WALLS, build_walls
from kypho.space import Volume

__all__ = ["Approach", "LevelPlan", "Reason", "Strategy", "plan_level"]

Strategy = Literal["unilateral_left", "unilateral_right", "bilateral"]
SIDES: tuple[Side, Side] = ("left", "right")
KEEP_MM = 0.3  # numerics: half a pixel; margins closer than that are equal, and the target decides between them
ROUNDING_MM = 1e-3  # numerics: float32 distances of tens of mm are exact to a hundredth of this
P_CANAL_BAND = 0.05  # numerics: shares of displaced needles closer than this rank as equal


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why an approach is not acceptable: what was measured, its value, the limit it misses."""

    what: str
    value: float
    limit: float
    unit: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Approach:
    """One way to do the level.

    Attributes:
        strategy: unilateral from one side, or bilateral.
        route: "transpedicular" or "extrapedicular"; "mixed" where the two needles differ.
        needles: one or two; of an approach that is not feasible, the nearest miss.
        reasons: empty if and only if the approach is feasible.
    """

    strategy: Strategy
    route: Route | Literal["mixed"]
    needles: tuple[Needle, ...]
    reasons: tuple[Reason, ...]

    @property
    def feasible(self) -> bool:
        """True if every needle respects every hard limit."""
        return not self.reasons


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelPlan:
    """All approaches of a level, best first, and the reason for the choice in words."""

    level: str
    approaches: tuple[Approach, ...]
    recommended: int | None
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Planned:
    needle: Needle
    reasons: tuple[Reason, ...]


def plan_level(vertebra: Vertebra, ct: Volume, labels: Labels, settings: PlanSettings) -> LevelPlan:
    """Plan one level.

    1. Each side is planned transpedicularly to the midline (unilateral) and paramedian (bilateral).
    2. Where the isthmus cannot take the device, the extrapedicular route is planned too.
    3. Approaches are ranked: feasible first, through the pedicle before beside it, then by the chance
       that a displaced needle touches the canal, one puncture before two, the larger device, the margin.

    Args:
        vertebra: the model of the level.
        ct: CT in HU, for the way to the skin.
        labels: labels on the CT's grid; neighbours, ribs, organs and vessels are obstacles.
        settings: limits and choices.
    """
    scene = Scene(vertebra=vertebra, walls=build_walls(vertebra, labels), ct=ct, labels=labels)
    aims: tuple[Literal["midline", "paramedian"], ...] = ("midline", "paramedian")
    wanted = aims if settings.strategy == "auto" else (aims[0],) if settings.strategy == "unilateral" else (aims[1],)
    tasks = [Task(side=s, aim=a, route="transpedicular") for a in wanted for s in SIDES]
    with ThreadPoolExecutor(2) as pool:
        through = list(pool.map(lambda t: _plan_needle(scene, t, settings), tasks))
        blocked = [
            Task(side=t.side, aim=t.aim, route="extrapedicular")
            for t, p in zip(tasks, through, strict=True)
            if p.reasons
        ]
        beside = list(pool.map(lambda t: _plan_needle(scene, t, settings), blocked))
    done = {p.needle.task: p for p in (*through, *beside)}
    approaches = sorted(_approaches(done, wanted), key=_rank)
    recommended = 0 if approaches[0].feasible else None
    return LevelPlan(
        level=vertebra.level,
        approaches=tuple(approaches),
        recommended=recommended,
        why=_why(approaches),
    )


def _plan_needle(scene: Scene, task: Task, settings: PlanSettings) -> _Planned:
    """Find the best needle of a task, or the nearest miss and what it misses.

    Lexicographic: the largest device that fits; then the canal margin up to "enough"; then the wall
    margin up to "enough"; then the distance to the target.
    """
    vertebra, walls = scene.vertebra, scene.walls
    corridor = corridor_of(vertebra, task)
    limits, devices = settings.limits, largest_first(settings.device)
    spaces = {name: getattr(limits, f"{name}_mm") for name in walls_of(task.route)}
    fixed = fixed_needs(task.side, limits)
    stack = walls.stack.only([*spaces, *fixed])
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
    line, certificates = _lexicographic(vertebra, stack, task, radius, corridor, start, needs, settings)
    needle = describe(scene, task, chosen, corridor, line, proofs | certificates, settings)
    return _Planned(needle=needle, reasons=_violations(needle, settings))


def _lexicographic(
    vertebra: Vertebra,
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
        corridor, stack, Goal(offsets={"canal": radius_mm}, needs=needs, cap_mm=settings.enough_canal_mm), start=start
    )
    needs = needs | {"canal": canal.certificate.objective_mm + radius_mm - KEEP_MM}
    beside = {name: radius_mm for name in walls_of(task.route) if name in WALLS and name != "canal"}
    near = maximise(
        corridor, stack, Goal(offsets=beside, needs=needs, cap_mm=settings.enough_wall_mm), start=canal.line
    )
    needs = needs | {
        name: max(needs[name], near.certificate.objective_mm + radius_mm - KEEP_MM) for name in beside
    }
    line = near.line if near.line is not None else start
    line = polish(corridor, line, stack, needs, target_of(vertebra, task))
    return line, {"canal": canal.certificate, "walls": near.certificate}


def _miss(
    scene: Scene,
    task: Task,
    device: Device,
    corridor: Corridor,
    line: Line,
    room: Certificate,
    settings: PlanSettings,
) -> _Planned:
    """The nearest miss with the smallest device, and the proof that nothing fits."""
    needle = describe(scene, task, device, corridor, line, {"room": room}, settings)
    widest = Reason(
        what="largest_device_diameter_that_fits",
        value=2 * room.upper_bound_mm if np.isfinite(room.upper_bound_mm) else 0.0,
        limit=device.outer_diameter_mm,
        unit="mm",
    )
    return _Planned(needle=needle, reasons=(widest, *_violations(needle, settings)))


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


def _approaches(
    done: Mapping[Task, _Planned], aims: tuple[Literal["midline", "paramedian"], ...]
) -> list[Approach]:
    """Combine needles into approaches; routes that the pedicle takes need no detour."""
    found = []
    routes: tuple[Route, Route] = ("transpedicular", "extrapedicular")
    if "midline" in aims:
        for side in SIDES:
            for route in routes:
                planned = done.get(Task(side=side, aim="midline", route=route))
                if planned:
                    strategy: Strategy = "unilateral_left" if side == "left" else "unilateral_right"
                    found.append(
                        Approach(strategy=strategy, route=route, needles=(planned.needle,), reasons=planned.reasons)
                    )
    if "paramedian" in aims:
        through = [done[Task(side=s, aim="paramedian", route="transpedicular")] for s in SIDES]
        found.append(_bilateral(through))
        best = [
            done.get(Task(side=s, aim="paramedian", route="extrapedicular"), p)
            for s, p in zip(SIDES, through, strict=True)
        ]
        if any(a is not b for a, b in zip(best, through, strict=True)):
            found.append(_bilateral(best))
    return found


def _bilateral(pair: list[_Planned]) -> Approach:
    routes = {p.needle.task.route for p in pair}
    reasons = tuple(
        Reason(what=f"{p.needle.task.side}: {r.what}", value=r.value, limit=r.limit, unit=r.unit)
        for p in pair
        for r in p.reasons
    )
    return Approach(
        strategy="bilateral",
        route=routes.pop() if len(routes) == 1 else "mixed",
        needles=tuple(p.needle for p in pair),
        reasons=reasons,
    )


def _rank(approach: Approach) -> tuple:
    """Sort key, smallest first."""
    p_canal = max(n.robustness.p_canal for n in approach.needles)
    smallest = min(n.device.outer_diameter_mm for n in approach.needles)
    canal = min(n.margins_mm["canal"] for n in approach.needles)
    return (
        not approach.feasible,
        ("transpedicular", "mixed", "extrapedicular").index(approach.route),
        int(p_canal / P_CANAL_BAND),
        approach.strategy == "bilateral",
        -smallest,
        -round(canal, 1),
        approach.strategy,
    )


def _why(approaches: list[Approach]) -> str:
    """The choice in words."""
    best = approaches[0]
    if not best.feasible:
        return "no approach meets every hard limit; the nearest miss of each is listed with what it misses"
    words = []
    through = [a for a in approaches if a.strategy != "bilateral" and a.route == "transpedicular"]
    if best.strategy == "bilateral":
        misses = sorted({r.what.replace("_", " ") for a in through for r in a.reasons})
        because = f"the pedicles allow no straight path to the midline ({', '.join(misses)})" if misses else (
            "a displaced needle would touch the canal more often on a unilateral path"
        )
        words.append(because)
    else:
        words.append("one puncture reaches the midline within every limit")
    if best.route != "transpedicular":
        words.append("the isthmus cannot take the device with its margins")
    return "; ".join(words)
