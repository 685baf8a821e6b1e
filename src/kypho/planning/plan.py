"""Plan one level: every approach with its needles, what forbids the others, and which one to take."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kypho.anatomy import Labels, Side, Vertebra
from kypho.planning.devices import Device, largest_first
from kypho.planning.fractured import SOUND, Considerations
from kypho.planning.needle import Needle, Scene, describe
from kypho.planning.optimum import Certificate, Corridor, Goal, Line, Stack, maximise, polish
from kypho.planning.routes import Aim, Route, Task, corridor_of, fixed_needs, walls_of
from kypho.planning.settings import PlanSettings, StrategyChoice
from kypho.planning.walls import WALLS, build_walls
from kypho.space import Volume

__all__ = ["Approach", "LevelPlan", "Reason", "Strategy", "plan_level"]

Strategy = Literal["unilateral_left", "unilateral_right", "bilateral"]
SIDES: tuple[Side, Side] = ("left", "right")
UNILATERAL: Mapping[Side, Strategy] = {"left": "unilateral_left", "right": "unilateral_right"}
AIMS: Mapping[StrategyChoice, tuple[Aim, ...]] = {
    "auto": ("midline", "paramedian"),
    "unilateral": ("midline",),
    "bilateral": ("paramedian",),
}
"""A single needle goes to the midline, each of two beside it."""
KEEP_MM = 0.3  # numerics: half a pixel; margins closer than that are equal, and the next goal decides
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
    """All approaches of a level, best first, and the reason for the choice in words.

    Attributes:
        level: "T7".
        approaches: best first.
        recommended: 0, the first approach; None where none is feasible.
        why: the reason in words.
        notes: what the fracture changed, in words.
    """

    level: str
    approaches: tuple[Approach, ...]
    recommended: int | None
    why: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Planned:
    """The needle of a task and the hard limits it misses."""

    needle: Needle
    reasons: tuple[Reason, ...]


def plan_level(
    vertebra: Vertebra,
    ct: Volume,
    labels: Labels,
    settings: PlanSettings,
    fractured: Considerations = SOUND,
) -> LevelPlan:
    """Plan one level.

    1. Each side is planned transpedicularly to the midline (unilateral) and paramedian (bilateral).
    2. Where the isthmus cannot take the device, the extrapedicular route is planned too.
    3. Approaches are ranked: feasible first, through the pedicle before beside it, away from a
       damaged wall, then by the chance that a displaced needle touches the canal, one puncture before
       two, the larger device, the margin.

    Args:
        vertebra: the model of the level.
        ct: CT in HU, for the way to the skin.
        labels: labels on the CT's grid; neighbours, ribs, organs and vessels are obstacles.
        settings: limits and choices.
        fractured: what the assessment found; an open pedicle is not passed, a cleft is aimed at, and the
            side away from a damaged wall is preferred.
    """
    scene = Scene(
        vertebra=vertebra, walls=build_walls(vertebra, labels), ct=ct, labels=labels, fractured=fractured
    )
    aims = AIMS[settings.strategy]
    tasks = [Task(side=s, aim=a, route="transpedicular") for a in aims for s in SIDES]
    with ThreadPoolExecutor(2) as pool:
        through = list(pool.map(lambda t: _plan_needle(scene, t, settings), tasks))
        blocked = [
            Task(side=t.side, aim=t.aim, route="extrapedicular")
            for t, p in zip(tasks, through, strict=True)
            if p.reasons
        ]
        beside = list(pool.map(lambda t: _plan_needle(scene, t, settings), blocked))
    done = {p.needle.task: p for p in (*through, *beside)}
    approaches = sorted(_approaches(done, aims), key=lambda a: _rank(a, fractured))
    return LevelPlan(
        level=vertebra.level,
        approaches=tuple(approaches),
        recommended=0 if approaches[0].feasible else None,
        why=_why(approaches),
        notes=fractured.notes,
    )


def _plan_needle(scene: Scene, task: Task, settings: PlanSettings) -> _Planned:
    """Find the best needle of a task, or the nearest miss and what it misses.

    Lexicographic: the largest device that fits; then the canal margin up to "enough"; then the wall
    margin up to "enough"; then the distance to the target.
    """
    vertebra, walls = scene.vertebra, scene.walls
    corridor = corridor_of(vertebra, task, scene.fractured.cleft_mm)
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
    return _Planned(needle=needle, reasons=(*_closed(scene, task), *_violations(needle, settings)))


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
        corridor,
        stack,
        Goal(offsets={"canal": radius_mm}, needs=needs, cap_mm=settings.enough_canal_mm),
        start=start,
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
) -> _Planned:
    """The nearest miss with the smallest device, and the proof that nothing fits."""
    needle = describe(scene, task, device, corridor, line, {"room": room}, settings)
    widest = Reason(
        what="largest_device_diameter_that_fits",
        value=max(0.0, 2 * room.objective_mm),
        limit=device.outer_diameter_mm,
        unit="mm",
    )
    return _Planned(needle=needle, reasons=(widest, *_closed(scene, task), *_violations(needle, settings)))


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


def _approaches(done: Mapping[Task, _Planned], aims: tuple[Aim, ...]) -> list[Approach]:
    """Combine needles into approaches; routes that the pedicle takes need no detour."""
    found = [
        Approach(strategy=UNILATERAL[task.side], route=task.route, needles=(p.needle,), reasons=p.reasons)
        for task, p in done.items()
        if task.aim == "midline"
    ]
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
    """Both needles as one approach; its reasons name the side."""
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


def _rank(
    approach: Approach, fractured: Considerations
) -> tuple[bool, int, int, int, bool, float, float, str]:
    """Sort key, smallest first."""
    p_canal = max(n.robustness.p_canal for n in approach.needles)
    smallest = min(n.device.outer_diameter_mm for n in approach.needles)
    canal = min(n.margins_mm["canal"] for n in approach.needles)
    return (
        not approach.feasible,
        ("transpedicular", "mixed", "extrapedicular").index(approach.route),
        sum(n.task.side in fractured.damaged for n in approach.needles),
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
        if not through:
            words.append("two punctures, as asked, keep every limit")
        elif misses:
            words.append(f"the pedicles allow no straight path to the midline ({', '.join(misses)})")
        else:
            words.append("a displaced needle would touch the canal more often on a unilateral path")
    else:
        words.append("one puncture reaches the midline within every limit")
    if best.route != "transpedicular":
        words.append("the isthmus cannot take the device with its margins")
    return "; ".join(words)
