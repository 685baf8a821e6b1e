"""`kypho assess`: what the fracture and the bone say before anyone punctures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kypho.cli.inputs import READING, chosen_level, read_ct_and_labels, read_mri
from kypho.cli.options import (
    PROCEDURE,
    AsJson,
    Ct,
    LabelFile,
    Level,
    Mri,
    MriLabels,
    MriScheme,
    MriSeries,
    Out,
    Procedure,
    RequireMri,
    Scheme,
    Series,
)

__all__ = ["assess"]

STEPS = (*READING, "vertebra model", "assessment", "report", "files")


def assess(
    ct: Ct,
    labels: LabelFile = None,
    scheme: Scheme = "auto",
    level: Level = None,
    series: Series = None,
    procedure: Procedure = PROCEDURE,
    detection: Annotated[
        str, typer.Option("--detection", help="How leaks would be looked for: ct or mixed.")
    ] = "ct",
    volume: Annotated[float | None, typer.Option("--volume", help="Cement meant to be used, mL.")] = None,
    viscosity: Annotated[str | None, typer.Option("--viscosity", help="low or high; else unknown.")] = None,
    metastasis: Annotated[
        bool, typer.Option("--metastasis", help="Known metastasis: its own model.")
    ] = False,
    mri: Mri = None,
    mri_labels: MriLabels = None,
    mri_scheme: MriScheme = "auto",
    mri_series: MriSeries = None,
    require_mri: RequireMri = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure a fractured level: heights, walls, cleft, bone, and the leak risk they bring."""
    from kypho.anatomy import build_vertebra
    from kypho.case.assessment.document import assessment_document
    from kypho.case.assessment.run import assess_case
    from kypho.case.folder import case_folder, write_json
    from kypho.case.manifest import manifest
    from kypho.case.mri import mri_hashes
    from kypho.cli.progress import Steps
    from kypho.report.assessment import headline, render_assessment

    known = _known(procedure, detection, volume, viscosity, metastasis)
    with Steps(len(STEPS), quiet=as_json) as steps:
        image, found = read_ct_and_labels(ct, labels, steps, scheme=scheme, level=level, series=series)
        name = chosen_level(found.labels, level)
        with steps.step("vertebra model"):
            vertebra = build_vertebra(image.volume, found.labels, name)
        with steps.step("assessment"):
            beside = read_mri(mri, mri_labels, scheme=mri_scheme, series=mri_series, required=require_mri)
            result = assess_case(image, found, vertebra, known=known, mri=beside)
        document = assessment_document(result)
        folder = out or Path(f"kypho-{name}")
        with case_folder(folder) as staging:
            with steps.step("report"):
                render_assessment(result, document, staging)
            with steps.step("files"):
                write_json(staging / "assessment.json", document.model_dump(mode="json", by_alias=True))
            write_json(
                staging / "assessment.manifest.json",
                manifest(
                    command="assess",
                    inputs={"ct": image.sha256, "labels": found.sha256, **mri_hashes(beside)},
                    settings={
                        "level": name,
                        "procedure": procedure,
                        "detection": detection,
                        "volume_ml": volume,
                        "viscosity": viscosity,
                        "metastasis": metastasis,
                    },
                    timings_s=steps.timings_s,
                    outputs=[p for p in staging.rglob("*") if p.is_file() and ".replaced-" not in str(p)],
                    folder=staging,
                    notes=document.notes,
                ),
            )
    if as_json:
        typer.echo(document.model_dump_json(by_alias=True))
        return
    typer.echo(f"{document.level}: {headline(document)}")
    if document.mri is not None and document.mri.reason:
        typer.echo(f"  MR not assessable: {document.mri.reason}")
    if document.risk.any is not None:
        typer.echo(f"  Any leak: {document.risk.any.words}; no prediction")
    typer.echo(f"Report: {folder / 'assessment.html'}")
    typer.echo("Research and education; not a medical device.")


def _known(procedure: str, detection: str, volume: float | None, viscosity: str | None, metastasis: bool):  # type: ignore[no-untyped-def]
    """The risk inputs stated on the command line."""
    from kypho.errors import SettingsError
    from kypho.risk import RiskInputs

    if procedure not in ("pkp", "pvp"):
        raise SettingsError(f"--procedure must be pkp or pvp, got {procedure!r}")
    if detection not in ("ct", "mixed"):
        raise SettingsError(f"--detection must be ct or mixed, got {detection!r}")
    if viscosity not in (None, "low", "high"):
        raise SettingsError(f"--viscosity must be low or high, got {viscosity!r}")
    return RiskInputs(
        procedure=procedure,  # type: ignore[arg-type]  # checked above
        detection=detection,  # type: ignore[arg-type]  # checked above
        population="metastasis" if metastasis else "osteoporotic",
        volume_ml=volume,
        low_viscosity=None if viscosity is None else viscosity == "low",
    )
