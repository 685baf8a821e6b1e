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
    """Approaches, best first.

    Acceptable ones first, then through the pedicle before beside it, then away from a damaged wall. Among
    those that are alike so far, a chance of touching the canal that exceeds the least by no more than the
    record `plan.ranking.p_canal` counts as the least: one puncture goes before two, and the larger device
    before the smaller. What exceeds it by more stands behind, in order of the excess.

    Args:
        approaches: in any order.
        damaged: sides to keep away from.
    """

    def place(approach: Approach) -> tuple[bool, int, int]:
        route = ("transpedicular", "mixed", "extrapedicular").index(approach.route)
        return not approach.feasible, route, sum(n.task.side in damaged for n in approach.needles)

    spare = value("plan.ranking.p_canal")
    least: dict[tuple[bool, int, int], float] = {}
    for approach in approaches:
        least[place(approach)] = min(approach.p_canal, least.get(place(approach), 1.0))

    def key(approach: Approach) -> tuple[tuple[bool, int, int], float, bool, float, float, str]:
        excess = round(approach.p_canal - least[place(approach)] - spare, DIGITS)
        smallest = min(n.device.outer_diameter_mm for n in approach.needles)
        two = approach.strategy == "bilateral"
        return place(approach), max(0.0, excess), two, -smallest, approach.p_canal, approach.strategy

    return tuple(sorted(approaches, key=key))


def why_first(approaches: Sequence[Approach]) -> str:
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
