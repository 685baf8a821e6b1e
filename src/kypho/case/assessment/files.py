"""The files of an assessment: assessment.json, the report and the manifest; all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kypho.case.assessment.document import AssessmentDocument, assessment_document
from kypho.case.assessment.run import AssessmentResult
from kypho.case.folder import case_folder, write_document, write_json
from kypho.case.manifest import manifest
from kypho.case.mri import mri_hashes
from kypho.case.steps import Stepper

__all__ = ["write_assessment"]


def write_assessment(
    result: AssessmentResult,
    out: Path,
    timings_s: dict[str, float],
    step: Stepper,
    render: Callable[[AssessmentResult, AssessmentDocument, Path], None],
    settings: Mapping[str, Any],
) -> AssessmentDocument:
    """Write the case folder: all files or none.

    Args:
        result: the assessment.
        out: the case folder.
        timings_s: seconds per step so far; grows while this runs.
        step: marks named steps.
        render: writes report and figures into a folder; the report layer provides it.
        settings: what was known besides the images, for the manifest.

    Raises:
        OutputError: the folder cannot be written.
    """
    beside = mri_hashes(result.mri.case if result.mri else None) | result.earlier_hashes
    document = assessment_document(result)
    with case_folder(out) as staging:
        with step("report"):
            render(result, document, staging)
        with step("files"):
            write_document(staging / "assessment.json", document)
        write_json(
            staging / "assessment.manifest.json",
            manifest(
                command="assess",
                inputs={"ct": result.ct.sha256, "labels": result.labels.sha256, **beside},
                settings={"level": document.level, **settings},
                timings_s=timings_s,
                folder=staging,
                notes=document.notes,
            ),
        )
    return document
