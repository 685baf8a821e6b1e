"""The files of a check: leakage.json, the cement's map, DICOM objects, report and manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kypho.case.folder import case_folder, write_document, write_json, write_volume
from kypho.case.leakage.dicom import write_dicom
from kypho.case.leakage.document import LeakageDocument, leakage_document
from kypho.case.leakage.run import LeakageResult
from kypho.case.manifest import manifest
from kypho.case.mri import mri_hashes
from kypho.case.steps import Stepper
from kypho.space import resample

__all__ = ["write_leakage"]

OPTIONAL = ("cement.seg.dcm", "leakage.sr.dcm", "figures/leakage_*.png")
"""Files that not every check writes: those of an earlier check must not stay beside a new result."""


def write_leakage(
    result: LeakageResult,
    out: Path,
    timings_s: dict[str, float],
    step: Stepper,
    render: Callable[[LeakageResult, LeakageDocument, Path], None],
    *,
    keep_identity: bool = False,
) -> LeakageDocument:
    """Write the case folder: all files or none.

    leakage.json, leakage.nii.gz (the cement map), leakage.html with its figures, leakage.manifest.json, and
    for DICOM input cement.seg.dcm and leakage.sr.dcm. No other stage writes under these names.

    Raises:
        OutputError: the folder cannot be written.
    """
    beside = mri_hashes(result.mri_fit.case if result.mri_fit else None)
    with case_folder(out, mine=OPTIONAL) as staging:
        document = leakage_document(result, timings_s)
        with step("report"):
            render(result, document, staging)
        with step("files"):
            write_document(staging / "leakage.json", document)
            cement = resample(result.leakage.cement_map, result.ct.volume.grid)
            write_volume(staging / "leakage.nii.gz", cement)
            if result.has_objects:
                write_dicom(result.leakage, cement, result.ct, staging, keep_identity=keep_identity)
        write_json(
            staging / "leakage.manifest.json",
            manifest(
                command="check",
                inputs={**result.inputs, **beside},
                settings={
                    "level": result.leakage.level,
                    "expect_no_cement": result.expect_no_cement,
                    "keep_identity": keep_identity,
                },
                timings_s=timings_s,
                folder=staging,
                notes=result.notes,
            ),
        )
    return document
