"""`kypho check`: read the CT after the operation for cement that is where it must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kypho.cli.codes import EXIT_CANAL_LEAK, EXIT_NOT_READABLE
from kypho.cli.inputs import READING, chosen_level, labels_on
from kypho.cli.options import AsJson, Scheme, Series

__all__ = ["check"]

STEPS = (
    *(*READING, "vertebra model", "anatomy on the CT", "cement and metal"),
    *("boundaries", "routes and canal", "report", "files"),
)


def check(
    ct: Annotated[
        Path, typer.Argument(help="CT after the operation: DICOM folder, zip, NIfTI, NRRD or MHA.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Labels on this CT; with --preop, labels on the pre-operative CT."),
    ] = None,
    level: Annotated[str | None, typer.Option("--level", help="Treated level, such as T7.")] = None,
    scheme: Scheme = "auto",
    series: Series = None,
    preop: Annotated[
        Path | None, typer.Option("--preop", help="CT before the operation: the vertebra is carried over.")
    ] = None,
    mri: Annotated[
        Path | None, typer.Option("--mri", help="T2 MRI after the operation (NIfTI, NRRD).")
    ] = None,
    mri_labels: Annotated[
        Path | None, typer.Option("--mri-labels", help="Cord and canal on that MRI.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Case folder; kypho-check-LEVEL by default.")
    ] = None,
    keep_identity: Annotated[
        bool, typer.Option("--keep-identity", help="Copy patient and study into SEG and SR, for an archive.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a post-operative CT for cement leaks.

    Exit code 0: no cement in the canal. 60: cement in the canal. 61: the canal cannot be read.
    """
    from kypho.case.leakage import check_case, write_leakage
    from kypho.cli.progress import Steps
    from kypho.formats import read_ct
    from kypho.report.leakage import render_leakage

    with Steps(len(STEPS), quiet=as_json) as steps:
        with steps.step("read the CT"):
            image = read_ct(ct, series=series)
            before = read_ct(preop) if preop else None
        source = image if before is None else before
        with steps.step("read the labels"):
            found = labels_on(source, labels, scheme=scheme, level=level)
        name = chosen_level(found.labels, level)
        reading = _mri(mri, mri_labels, found.labels, name, source.volume)
        result = check_case(image, found, name, steps.step, before=before, mri=reading)
        folder = out or Path(f"kypho-check-{name}")
        document = write_leakage(
            result, folder, steps.timings_s, steps.step, render_leakage, keep_identity=keep_identity
        )
    typer.echo(document.model_dump_json(by_alias=True) if as_json else _summary(document, folder))
    if document.canal.found:
        raise typer.Exit(EXIT_CANAL_LEAK)
    if not document.quality.readable:
        raise typer.Exit(EXIT_NOT_READABLE)


def _mri(mri: Path | None, mri_labels: Path | None, labels, level: str, ct):  # type: ignore[no-untyped-def]
    """Cord measures, if an MRI came with labels."""
    if mri is None and mri_labels is None:
        return None
    from kypho.errors import LabelsNeededError
    from kypho.formats import read_labels
    from kypho.formats.raw import read_image
    from kypho.leakage.mri import mri_at_level
    from kypho.space import Volume

    if mri_labels is None or mri is None:
        raise LabelsNeededError("--mri and --mri-labels go together: the image, and cord and canal on it")
    stored = read_image(mri)
    image = Volume(array=stored.array, grid=stored.grid, unit="1")
    on_mri = read_labels(mri_labels, ct=image).labels
    box = labels.box(level)
    middle = ct.grid.to_world([(s.start + s.stop - 1) / 2 for s in box])
    return mri_at_level(on_mri, level, float(middle[2]))


def _summary(document, folder: Path) -> str:  # type: ignore[no-untyped-def]
    """A few lines for the terminal."""
    c = document.cement_ml
    lines = [f"{document.level}: {c.value:.2f} mL of cement ({c.low:.2f} to {c.high:.2f})."]
    canal = document.canal
    if canal.found:
        p = canal.max_encroachment_percent
        lines.append(
            f"  CEMENT IN THE CANAL: {canal.state}, {canal.side}, up to {p.value:.0f} % of its area "
            f"({p.low:.0f} to {p.high:.0f})."
        )
    elif not document.quality.readable:
        lines.append("  THE CANAL CANNOT BE READ: streaks or metal; no statement on cement in it.")
    else:
        lines.append("  No cement found in the canal.")
    for part in document.parts:
        likely = f" (likely {part.likely_route})" if part.route != part.likely_route else ""
        lines.append(f"  part {part.id}: {part.ml.value:.2f} mL, {part.route}{likely}, {part.side}")
    for action in document.actions:
        lines.append(f"  {action.urgency.replace('_', ' ')}: {action.what} ({action.why})")
    if not document.dicom_objects:
        lines.append("  The CT is no DICOM series, so no SEG and no SR were written.")
    lines += [f"  note: {note}" for note in document.quality.notes]
    return "\n".join(
        [*lines, "  Research and education; not a medical device.", f"Report: {folder / 'report.html'}"]
    )
