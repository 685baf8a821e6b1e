"""`kypho assess`: what the fracture and the bone say before anyone punctures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kypho.cli.inputs import READING, chosen_level, read_ct_and_labels, read_earlier, read_mri
from kypho.cli.options import (
    PROCEDURE,
    AsJson,
    Ct,
    Earlier,
    EarlierLabels,
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

if TYPE_CHECKING:
    from kypho.case.assessment.document import AssessmentDocument
    from kypho.risk import RiskInputs

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
        str | None,
        typer.Option(
            "--metastasis",
            help="Known metastasis has its own model; growth of the primary: slow, moderate, rapid, unknown.",
        ),
    ] = None,
    treated_levels: Annotated[
        int | None, typer.Option("--treated-levels", help="Vertebrae to be filled in this session.")
    ] = None,
    fracture_age: Annotated[
        float | None, typer.Option("--fracture-age", help="Days since the fracture.")
    ] = None,
    earlier: Earlier = None,
    earlier_labels: EarlierLabels = None,
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
    from kypho.case.assessment.files import write_assessment
    from kypho.case.assessment.run import assess_case
    from kypho.case.layout import require_places
    from kypho.cli.progress import Steps
    from kypho.report.assessment import render_assessment

    stated = {
        "procedure": procedure,
        "detection": detection,
        "volume_ml": volume,
        "viscosity": viscosity,
        "metastasis": metastasis,
        "treated_levels": treated_levels,
        "fracture_age_days": fracture_age,
    }
    known = _known(**stated)  # type: ignore[arg-type]  # the same names and types
    with Steps(len(STEPS), quiet=as_json) as steps:
        image, found = read_ct_and_labels(ct, labels, steps, scheme=scheme, level=level, series=series)
        name = chosen_level(found.labels, level)
        folder = out or Path(f"kypho-{name}")
        require_places(folder, "assess")
        with steps.step("vertebra model"):
            vertebra = build_vertebra(image.volume, found.labels, name)
        with steps.step("assessment"):
            beside = read_mri(mri, mri_labels, scheme=mri_scheme, series=mri_series, required=require_mri)
            before = read_earlier(earlier, earlier_labels, scheme=scheme, level=name)
            result = assess_case(image, found, vertebra, known=known, mri=beside, earlier=before)
        document = write_assessment(
            result, folder, steps.timings_s, steps.step, render_assessment, settings=stated
        )
    typer.echo(document.model_dump_json(by_alias=True) if as_json else _summary(document, folder))


def _known(
    *,
    procedure: str,
    detection: str,
    volume_ml: float | None,
    viscosity: str | None,
    metastasis: str | None,
    treated_levels: int | None,
    fracture_age_days: float | None,
) -> RiskInputs:
    """The risk inputs stated on the command line.

    Raises:
        SettingsError: a word that no option has.
    """
    from kypho.errors import SettingsError
    from kypho.risk import RiskInputs

    if procedure not in ("pkp", "pvp"):
        raise SettingsError(f"--procedure must be pkp or pvp, got {procedure!r}")
    if detection not in ("ct", "mixed"):
        raise SettingsError(f"--detection must be ct or mixed, got {detection!r}")
    if viscosity not in (None, "low", "high"):
        raise SettingsError(f"--viscosity must be low or high, got {viscosity!r}")
    if metastasis not in (None, "slow", "moderate", "rapid", "unknown"):
        raise SettingsError(f"--metastasis must be slow, moderate, rapid or unknown, got {metastasis!r}")
    return RiskInputs(
        procedure=procedure,  # type: ignore[arg-type]  # checked above
        detection=detection,  # type: ignore[arg-type]  # checked above
        population="metastasis" if metastasis else "osteoporotic",
        primary_growth=None if metastasis == "unknown" else metastasis,  # type: ignore[arg-type]  # checked above
        treated_levels=treated_levels,
        fracture_age_days=fracture_age_days,
        volume_ml=volume_ml,
        low_viscosity=None if viscosity is None else viscosity == "low",
    )


def _summary(document: AssessmentDocument, folder: Path) -> str:
    """A few lines for the terminal."""
    from kypho.report.assessment import headline

    lines = [f"{document.level}: {headline(document)}"]
    if document.mri is not None and document.mri.reason:
        lines.append(f"  MR not assessable: {document.mri.reason}")
    if document.risk.any is not None:
        lines.append(f"  Any leak: {document.risk.any.words}; no prediction")
    lines += [
        f"Report: {folder / 'assessment.html'}",
        f"Next: kypho plan, same CT, --labels and --level {document.level}; it takes these findings in.",
        "Research and education; not a medical device.",
    ]
    return "\n".join(lines)
