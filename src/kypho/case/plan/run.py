"""The planning stage of a case: a level's model, its assessment, its needles and balloons."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.anatomy import Vertebra, build_vertebra
from kypho.case.assessment.run import AssessmentResult, assess_case
from kypho.case.steps import Stepper
from kypho.formats import CtInput, LabelsInput
from kypho.planning import LevelPlan, PlanSettings, plan_level
from kypho.planning.balloon import BalloonPlan, plan_balloons
from kypho.planning.fractured import considerations_of

__all__ = ["PlanResult", "plan_case"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanResult:
    """What the planning stage knows of one level."""

    ct: CtInput
    labels: LabelsInput
    settings: PlanSettings
    vertebra: Vertebra
    assessed: AssessmentResult
    plan: LevelPlan
    balloons: tuple[BalloonPlan, ...]


def plan_case(
    ct: CtInput, labels: LabelsInput, level: str, settings: PlanSettings, step: Stepper
) -> PlanResult:
    """Build the vertebra model of a level, assess it, and plan it with what was found.

    Raises:
        LevelError: the level is missing or incomplete.
    """
    with step("vertebra model"):
        vertebra = build_vertebra(ct.volume, labels.labels, level)
    with step("assessment"):
        assessed = assess_case(ct, labels, vertebra)
    with step("needles"):
        fractured = considerations_of(assessed.assessment)
        plan = plan_level(vertebra, ct.volume, labels.labels, settings, fractured)
        lines = [(n.entry_mm, n.tip_mm) for n in plan.approaches[0].needles]
        balloons = plan_balloons(vertebra, assessed.assessment, lines)
    return PlanResult(
        ct=ct,
        labels=labels,
        settings=settings,
        vertebra=vertebra,
        assessed=assessed,
        plan=plan,
        balloons=balloons,
    )
