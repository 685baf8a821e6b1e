"""Plan one level: every approach with its needles, what forbids the others, and which one to take."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kypho.anatomy import Labels, Vertebra
from kypho.planning.approach import SIDES, Approach, combined, ranked, why_first
from kypho.planning.fractured import SOUND, Considerations
from kypho.planning.needle import Scene
from kypho.planning.routes import Aim, Task
from kypho.planning.search import plan_needle
from kypho.planning.settings import PlanSettings, StrategyChoice
from kypho.planning.walls import build_walls, unlabelled
from kypho.space import Volume

__all__ = ["LevelPlan", "plan_level"]

AIMS: Mapping[StrategyChoice, tuple[Aim, ...]] = {
    "auto": ("midline", "paramedian"),
    "unilateral": ("midline",),
    "bilateral": ("paramedian",),
}
"""A single needle goes to the midline, each of two beside it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelPlan:
    """All approaches of a level, best first, and the reason for the choice in words.

    Attributes:
        level: "T7".
        approaches: best first.
        recommended: 0, the first approach; None where none is feasible.
        why: the reason in words.
        notes: what the labels leave out and what the fracture changed, in words.
    """

    level: str
    approaches: tuple[Approach, ...]
    recommended: int | None
    why: str
    notes: tuple[str, ...] = ()


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
    3. Approaches are ranked (`kypho.planning.approach.ranked`).

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
        through = list(pool.map(lambda t: plan_needle(scene, t, settings), tasks))
        blocked = [
            Task(side=t.side, aim=t.aim, route="extrapedicular")
            for t, p in zip(tasks, through, strict=True)
            if p.reasons
        ]
        beside = list(pool.map(lambda t: plan_needle(scene, t, settings), blocked))
    done = {p.needle.task: p for p in (*through, *beside)}
    approaches = ranked(combined(done, aims), fractured.damaged)
    return LevelPlan(
        level=vertebra.level,
        approaches=approaches,
        recommended=0 if approaches[0].feasible else None,
        why=why_first(approaches),
        notes=(*unlabelled(labels, vertebra.level), *fractured.notes),
    )
