"""The files of a plan: plan.json, the report, and for other programs needles and the vertebra's parts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import ARCH, BODY, CANAL, LEFT_PEDICLE, RIGHT_PEDICLE
from kypho.case.assessment.document import assessment_document
from kypho.case.folder import case_folder, write_document, write_json, write_volume
from kypho.case.manifest import manifest
from kypho.case.plan.document import plan_document
from kypho.case.plan.run import PlanResult
from kypho.case.plan.schema import PlanDocument
from kypho.case.steps import Stepper
from kypho.formats import CtInput, NeedleLine, slicer_markups
from kypho.formats.dicom_out import Code, SegmentMask, write_seg
from kypho.formats.stl import cylinder_triangles, write_stl
from kypho.planning import LevelPlan
from kypho.space import Volume

__all__ = ["write_plan"]

PARTS: dict[int, tuple[Code, tuple[int, int, int]]] = {
    BODY: (("BODY", "99KYPHO", "Vertebral body"), (86, 180, 233)),
    LEFT_PEDICLE: (("LEFT_PEDICLE", "99KYPHO", "Left pedicle"), (230, 159, 0)),
    RIGHT_PEDICLE: (("RIGHT_PEDICLE", "99KYPHO", "Right pedicle"), (255, 200, 80)),
    ARCH: (("ARCH", "99KYPHO", "Posterior arch and processes"), (190, 190, 190)),
    CANAL: (("CANAL", "99KYPHO", "Spinal canal"), (240, 228, 66)),
}
"""Number in `Vertebra.regions` to code and colour, those of the report's figures."""


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
        document = plan_document(result, timings_s)
        with step("report"):
            render(result, document, staging)
        with step("files"):
            document = plan_document(result, timings_s)
            write_document(staging / "assessment.json", assessment_document(result.assessed))
            write_document(staging / "plan.json", document)
            _write_needles(staging, result.plan, document)
            regions = result.vertebra.regions_on(result.labels.labels)
            _write_regions(staging, regions, result.ct, document.level)
        write_json(
            staging / "manifest.json",
            manifest(
                command="plan",
                inputs={
                    "ct": result.ct.sha256,
                    "labels": result.labels.sha256,
                    **result.assessed.earlier_hashes,
                },
                settings=asdict(result.settings) | {"level": result.plan.level},
                timings_s=timings_s,
                folder=staging,
                notes=(*result.ct.notes, *result.labels.notes),
            ),
        )
    return document


def _write_needles(folder: Path, plan: LevelPlan, document: PlanDocument) -> None:
    """Needles of the first approach, or its nearest miss, for 3D Slicer and as STL; all as a table."""
    write_json(folder / "markups.mrk.json", slicer_markups(_lines(plan)))
    write_stl(folder / "needles.stl", _shafts(plan))
    _write_table(folder / "needles.csv", document)


def _write_regions(folder: Path, regions: Volume, ct: CtInput, level: str) -> None:
    """The vertebra's parts on the CT's grid as NIfTI; as DICOM SEG too where the CT is a DICOM series."""
    write_volume(folder / "regions.nii.gz", regions)
    if ct.sources:
        segments = [
            SegmentMask(
                label=f"{level} {code[2].lower()}",
                mask=regions.array == number,
                code=code,
                is_anatomy=True,
                colour=colour,
                level=level,
            )
            for number, (code, colour) in PARTS.items()
        ]
        write_seg(folder / "regions.seg.dcm", ct, segments, description=f"kypho plan {level}")


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


def _write_table(path: Path, document: PlanDocument) -> None:
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
