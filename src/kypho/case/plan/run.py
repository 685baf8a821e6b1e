"""The planning stage of a case: a level's model, its assessment, its needles and balloons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kypho.anatomy import Vertebra, build_vertebra
from kypho.case.assessment.run import AssessmentResult, EarlierCase, assess_case
from kypho.case.steps import Stepper
from kypho.evidence import reading
from kypho.formats import CtInput, LabelsInput
from kypho.planning import LevelPlan, Limits, PlanSettings, plan_level
from kypho.planning.balloon import BalloonPlan, plan_balloons
from kypho.planning.fractured import considerations_of

__all__ = ["PlanResult", "plan_case"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanResult:
    """What the planning stage knows of one level.

    Attributes:
        records: ids of the evidence records that it rests on.
    """

    ct: CtInput
    labels: LabelsInput
    settings: PlanSettings
    vertebra: Vertebra
    assessed: AssessmentResult
    plan: LevelPlan
    balloons: tuple[BalloonPlan, ...]
    records: frozenset[str]


def plan_case(
    ct: CtInput,
    labels: LabelsInput,
    level: str,
    settings: PlanSettings,
    step: Stepper,
    *,
    earlier: EarlierCase | None = None,
) -> PlanResult:
    """Build the vertebra model of a level, assess it, and plan it with what was found.

    Raises:
        LevelError: the level is missing or incomplete, here or on the earlier CT.
    """
    with step("vertebra model"), reading() as model:
        vertebra = build_vertebra(ct.volume, labels.labels, level)
    with step("assessment"):
        assessed = assess_case(ct, labels, vertebra, earlier=earlier)
    with step("needles"), reading() as needles:
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
        records=frozenset(model | assessed.records | needles | _devices(plan) | _unchanged(settings)),
    )


def _devices(plan: LevelPlan) -> set[str]:
    """Records of the devices in use."""
    return {needle.device.evidence for approach in plan.approaches for needle in approach.needles}


def _unchanged(settings: PlanSettings) -> set[str]:
    """Records that stand behind the settings which nobody changed."""
    usual = PlanSettings()
    limits, others = _changes(settings.limits, usual.limits), _changes(settings, usual)
    with reading() as records:
        PlanSettings(**others | {"limits": Limits(**limits)})
    return records


def _changes(settings: Any, usual: Any) -> dict[str, Any]:
    return {name: given for name, given in vars(settings).items() if given != vars(usual)[name]}
