"""Needles put together to ways of doing a level, and which of these to take."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kypho.anatomy import Side
from kypho.evidence import value
from kypho.planning.needle import Needle
from kypho.planning.routes import Aim, Route, Task
from kypho.planning.search import Planned, Reason

__all__ = ["SIDES", "Approach", "Strategy", "combined", "ranked", "why_first"]

Strategy = Literal["unilateral_left", "unilateral_right", "bilateral"]
SIDES: tuple[Side, Side] = ("left", "right")
UNILATERAL: Mapping[Side, Strategy] = {"left": "unilateral_left", "right": "unilateral_right"}
DIGITS = 9
"""Decimals of a probability in which sums of binary floats agree."""


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

    @property
    def name(self) -> str:
        """Strategy and route in words."""
        return f"{self.strategy.replace('_', ' ')}, {self.route}"

    @property
    def miss(self) -> tuple[bool, int, float]:
        """How far it is from acceptable: through what must not be passed, limits missed, mm short in all."""
        barred = any(r.unit != "mm" or "crosses_" in r.what for r in self.reasons)
        return barred, len(self.reasons), sum(r.missed_by for r in self.reasons)

    @property
    def missed(self) -> str:
        """Every limit that it misses, in words."""
        return "; ".join(
            f"{r.what.replace('_', ' ')} {r.value:.2f} against {r.limit:.2f} {r.unit}"
            + (f", {r.missed_by:.2f} mm short" if r.unit == "mm" else "")
            for r in self.reasons
        )

    @property
    def p_canal(self) -> float:
        """Chance that any of its needles, each displaced on its own, touches the canal."""
        return float(1 - np.prod([1 - n.robustness.p_canal for n in self.needles]))


def combined(done: Mapping[Task, Planned], aims: tuple[Aim, ...]) -> list[Approach]:
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


def _bilateral(pair: list[Planned]) -> Approach:
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


def ranked(approaches: Sequence[Approach], damaged: Container[Side]) -> tuple[Approach, ...]:
    """Approaches, best first: the acceptable ones, then the others by how little they miss (`Approach.miss`).

    Args:
        approaches: in any order.
        damaged: sides to keep away from.
    """
    missed = sorted((a for a in approaches if not a.feasible), key=lambda a: (a.miss, a.strategy))
    return (*_acceptable([a for a in approaches if a.feasible], damaged), *missed)


def _acceptable(approaches: Sequence[Approach], damaged: Container[Side]) -> list[Approach]:
    """Acceptable approaches, best first.

    Through the pedicle before beside it, then away from a damaged wall. Among those that are alike so far, a
    chance of touching the canal that exceeds the least by no more than the record `plan.ranking.p_canal`
    counts as the least: one puncture goes before two, and the larger device before the smaller. What exceeds
    it by more stands behind, in order of the excess.
    """

    def place(approach: Approach) -> tuple[int, int]:
        route = ("transpedicular", "mixed", "extrapedicular").index(approach.route)
        return route, sum(n.task.side in damaged for n in approach.needles)

    spare = value("plan.ranking.p_canal")
    least: dict[tuple[int, int], float] = {}
    for approach in approaches:
        least[place(approach)] = min(approach.p_canal, least.get(place(approach), 1.0))

    def key(approach: Approach) -> tuple[tuple[int, int], float, bool, float, float, str]:
        excess = round(approach.p_canal - least[place(approach)] - spare, DIGITS)
        smallest = min(n.device.outer_diameter_mm for n in approach.needles)
        two = approach.strategy == "bilateral"
        return place(approach), max(0.0, excess), two, -smallest, approach.p_canal, approach.strategy

    return sorted(approaches, key=key)


def why_first(approaches: Sequence[Approach]) -> str:
    """The choice in words, with what was missed and by how much."""
    best = approaches[0]
    if not best.feasible:
        return f"no approach meets every hard limit; {best.name} comes nearest: {best.missed}"
    through = [a for a in approaches if a.route == "transpedicular"]
    single = [a for a in through if a.strategy != "bilateral"]
    if best.strategy != "bilateral":
        words = ["one puncture reaches the midline within every limit"]
    elif not single:
        words = ["two punctures, as asked, keep every limit"]
    elif any(a.feasible for a in single):
        words = ["a displaced needle would touch the canal more often on a unilateral path"]
    else:
        words = ["no single needle through a pedicle keeps every limit"]
        words += [f"{a.needles[0].task.side}: {a.missed}" for a in single]
    if best.route != "transpedicular":
        words += [f"through the pedicle: {a.missed}" for a in through if a.strategy == best.strategy]
    return "; ".join(words)
