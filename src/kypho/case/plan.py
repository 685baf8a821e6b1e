"""The planning stage of a case: inputs in, plan.json and its companions out."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra, build_vertebra
from kypho.case.assessment import AssessmentResult, assess_case, assessment_document
from kypho.case.folder import case_folder, write_json, write_volume
from kypho.case.manifest import manifest
from kypho.case.plan_document import plan_document
from kypho.case.plan_schema import PlanDocument
from kypho.formats import CtInput, LabelsInput, NeedleLine, slicer_markups
from kypho.formats.stl import cylinder_triangles, write_stl
from kypho.planning import LevelPlan, PlanSettings, plan_level
from kypho.planning.balloon import BalloonPlan, plan_balloon
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
        balloons = tuple(
            plan_balloon(vertebra, assessed.assessment, n.entry_mm, n.tip_mm)
            for n in plan.approaches[0].needles
        )
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
            write_json(staging / "markups.mrk.json", slicer_markups(_lines(result.plan)))
            write_volume(staging / "regions.nii.gz", result.vertebra.regions_on(result.labels.labels))
            _write_needles(staging / "needles.csv", document)
            write_stl(staging / "needles.stl", _shafts(result.plan))
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


def _lines(plan: LevelPlan) -> list[NeedleLine]:
    """Needles of the first approach, or its nearest miss, for 3D Slicer."""
    first = plan.approaches[0]
    standing = "planned" if first.feasible else "NOT ACCEPTABLE, nearest miss"
    return [
        NeedleLine(
            name=f"{plan.level} {n.task.side} {n.device.name}",
            entry_lps_mm=n.entry_mm,
            tip_lps_mm=n.tip_mm,
            description=f"{first.strategy}, {n.task.route}; {standing}. Research and education only.",
        )
        for n in first.needles
    ]


def _shafts(plan: LevelPlan) -> list[NDArray[np.float32]]:
    """Needles of the first approach as meshes, from the bone entry to the tip."""
    return [cylinder_triangles(n.entry_mm, n.tip_mm, n.device.radius_mm) for n in plan.approaches[0].needles]


def _write_needles(path: Path, document: PlanDocument) -> None:
    """One row per needle of every approach, for spreadsheets."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        points = [f"{point}_{axis}_mm" for point in ("entry", "tip") for axis in "lps"]
        table.writerow(
            [
                *("approach", "strategy", "route", "feasible", "side", "device"),
                *points,
                *("canal_margin_mm", "gertzbein_robbins", "rule_compliant", "p_canal"),
            ]
        )
        for number, approach in enumerate(document.approaches):
            for n in approach.needles:
                table.writerow(
                    [
                        *(number, approach.strategy, approach.route, approach.feasible, n.side, n.device),
                        *n.bone_entry_lps_mm,
                        *n.tip_lps_mm,
                        *(n.margins_mm["canal"], n.gertzbein_robbins),
                        *(n.ap_lateral_rule.compliant, n.robustness.p_canal),
                    ]
                )
