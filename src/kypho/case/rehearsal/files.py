"""The files of a rehearsal: document, fields, report, manifest; all of them or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from kypho.case.folder import case_folder, write_json, write_volume
from kypho.case.manifest import manifest
from kypho.case.rehearsal.document import RehearsalDocument, rehearsal_document
from kypho.case.rehearsal.run import RehearsedCase
from kypho.case.steps import Stepper
from kypho.space import Volume

__all__ = ["write_rehearsal"]


def write_rehearsal(
    result: RehearsedCase,
    out: Path,
    timings_s: dict[str, float],
    step: Stepper,
    render: Callable[[RehearsedCase, RehearsalDocument, Path], None],
    defaults: tuple[str, ...] = (),
) -> RehearsalDocument:
    """Write rehearsal.json, fields and report; all of it or nothing.

    Args:
        result: the rehearsal.
        out: the case folder.
        timings_s: seconds per step so far; grows while this runs.
        step: marks named steps.
        render: writes the report into a folder; the report layer provides it.
        defaults: settings that nobody chose.

    Raises:
        OutputError: the folder cannot be written.
    """
    with case_folder(out) as staging:
        with step("report"):
            render(result, rehearsal_document(result, timings_s, defaults), staging)
        with step("files"):
            _write_fields(result, staging)
        document = rehearsal_document(result, timings_s, defaults)
        content = document.model_dump(mode="json", by_alias=True)
        RehearsalDocument.model_validate(content)
        write_json(staging / "rehearsal.json", content)
        digests = {}
        if result.ct is not None and result.labels is not None:
            digests = {"ct": result.ct.sha256, "labels": result.labels.sha256}
        write_json(
            staging / "rehearsal.manifest.json",
            manifest(
                command="rehearse",
                inputs=digests,
                settings=asdict(result.settings) | {"level": result.level},
                timings_s=timings_s,
                folder=staging,
                notes=result.notes,
            ),
        )
    return document


def _write_fields(result: RehearsedCase, folder: Path) -> None:
    """Cement fraction, peak temperature and compartments of the first scenario."""
    first = result.scenarios[0]
    write_volume(folder / "cement.nii.gz", first.result.cement)
    if first.result.peak is not None:
        write_volume(folder / "temperature_peak.nii.gz", first.result.peak)
    region = Volume(array=first.bone.region, grid=first.bone.grid, unit="label")
    write_volume(folder / "compartments.nii.gz", region)
