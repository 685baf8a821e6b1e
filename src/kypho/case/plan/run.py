"""The planning stage of a case: inputs in, plan.json and its companions out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from kypho.anatomy import Vertebra, build_vertebra
from kypho.case.assessment.document import assessment_document
from kypho.case.assessment.run import AssessmentResult, assess_case
from kypho.case.folder import case_folder, write_json
from kypho.case.manifest import manifest
from kypho.case.plan.document import plan_document
from kypho.case.plan.files import write_needles, write_regions
from kypho.case.plan.schema import PlanDocument
from kypho.formats import CtInput, LabelsInput
from kypho.planning import LevelPlan, PlanSettings, plan_level
from kypho.planning.balloon import BalloonPlan, plan_balloons
from kypho.planning.fractured import considerations_of

__all__ = ["PlanResult", "Stepper", "plan_case", "write_plan"]

Stepper = Callable[[str], AbstractContextManager[None]]
"""Marks a named step of long work, for progress bar and timings."""


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


def write_plan(
    result: PlanResult,
    out: Path,
    timings_s: dict[str, float],
    step: Stepper,
    render: Callable[[PlanResult, PlanDocument, Path], None],
) -> PlanDocument:
    """Write the case folder: all files or none.

    Args:
        result: the plan.
        out: the case folder.
        timings_s: seconds per step so far; grows while this runs.
        step: marks named steps.
        render: writes report and figures into a folder; the report layer provides it.

    Raises:
        OutputError: the folder cannot be written.
    """
    with case_folder(out) as staging:
        document = _document(result, timings_s)
        with step("report"):
            render(result, document, staging)
        with step("files"):
            document = _document(result, timings_s)
            assessment = assessment_document(result.assessed)
            write_json(staging / "assessment.json", assessment.model_dump(mode="json", by_alias=True))
            write_json(staging / "plan.json", document.model_dump(mode="json", by_alias=True))
            write_needles(staging, result.plan, document)
            write_regions(
                staging, result.vertebra.regions_on(result.labels.labels), result.ct, document.level
            )
        write_json(
            staging / "manifest.json",
            manifest(
                command="plan",
                inputs={"ct": result.ct.sha256, "labels": result.labels.sha256},
                settings=asdict(result.settings) | {"level": result.plan.level},
                timings_s=timings_s,
                outputs=[p for p in staging.rglob("*") if p.is_file()],
                folder=staging,
                notes=(*result.ct.notes, *result.labels.notes),
            ),
        )
    return document


def _document(result: PlanResult, timings_s: dict[str, float]) -> PlanDocument:
    return plan_document(result.ct, result.settings, result.vertebra, result.plan, result.balloons, timings_s)
