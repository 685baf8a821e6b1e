"""`kypho check`: read the CT after the operation for cement that is where it must not be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kypho.cli.codes import EXIT_CANAL_LEAK, EXIT_NO_CEMENT, EXIT_NOT_READABLE, EXIT_OK
from kypho.cli.inputs import READING, chosen_level, labels_on, read_mri
from kypho.cli.options import (
    AsJson,
    Mri,
    MriLabels,
    MriScheme,
    MriSeries,
    RequireMri,
    Scheme,
    Series,
    level_name,
    writable,
)

if TYPE_CHECKING:
    from kypho.case.leakage.document import LeakageDocument
    from kypho.case.leakage.plan import PlannedCase
    from kypho.case.mri import MriEntry

__all__ = ["check"]

STEPS = (
    *(*READING, "vertebra model", "anatomy on the CT", "cement and metal"),
    *("boundaries", "routes and canal", "report", "files"),
)

CtAfter = Annotated[
    Path, typer.Argument(help="CT after the operation: DICOM folder, zip, NIfTI, NRRD or MHA.")
]
LabelsOfOne = Annotated[
    Path | None,
    typer.Option("--labels", help="Labels on this CT; with --preop, labels on the pre-operative CT."),
]
TreatedLevel = Annotated[
    str | None, typer.Option("--level", help="Treated level, such as T7.", callback=level_name)
]
CtBefore = Annotated[
    Path | None, typer.Option("--preop", help="CT before the operation: the vertebra is carried over.")
]
PlanFolder = Annotated[
    Path | None,
    typer.Option("--plan", help="plan.json or its case folder (with rehearsal.json): compared with."),
]
ExpectNoCement = Annotated[
    bool, typer.Option("--expect-no-cement", help="No cement is no surprise: exit code 0, not 63.")
]
CheckOut = Annotated[
    Path | None,
    typer.Option("--out", help="Case folder; kypho-check-LEVEL by default.", callback=writable),
]
KeepIdentity = Annotated[
    bool, typer.Option("--keep-identity", help="Copy patient and study into SEG and SR, for an archive.")
]


def check(
    ct: CtAfter,
    labels: LabelsOfOne = None,
    level: TreatedLevel = None,
    scheme: Scheme = "auto",
    series: Series = None,
    preop: CtBefore = None,
    mri: Mri = None,
    mri_labels: MriLabels = None,
    mri_scheme: MriScheme = "auto",
    mri_series: MriSeries = None,
    require_mri: RequireMri = False,
    plan: PlanFolder = None,
    expect_no_cement: ExpectNoCement = False,
    out: CheckOut = None,
    keep_identity: KeepIdentity = False,
    as_json: AsJson = False,
) -> None:
    """Check a post-operative CT for cement leaks.

    Exit code 0: no cement in the canal. 60: cement in the canal. 61: the canal cannot be read, a dense speck
    lies in it or something as dense as cement in the canal of another level, or the body is dense but too
    faint for certain cement. 63: no cement at the level at all, which looks like a CT before the operation.
    """
    from kypho.case.layout import require_places
    from kypho.case.leakage.files import write_leakage
    from kypho.case.leakage.run import check_case
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
        folder = out or Path(f"kypho-check-{name}")
        require_places(folder, "check")
        beside = read_mri(mri, mri_labels, scheme=mri_scheme, series=mri_series, required=require_mri)
        result = check_case(
            image,
            found,
            name,
            steps.step,
            before=before,
            mri=beside,
            planned=_planned(plan, name) if plan else None,
            expect_no_cement=expect_no_cement,
        )
        document = write_leakage(
            result, folder, steps.timings_s, steps.step, render_leakage, keep_identity=keep_identity
        )
    typer.echo(document.model_dump_json(by_alias=True) if as_json else _summary(document, folder))
    code = _exit_code(document, expected=not expect_no_cement)
    if code:
        raise typer.Exit(code)


def _planned(plan: Path, level: str) -> PlannedCase:
    """What stands beside a plan.json, after the plan itself has been read as every command reads it."""
    from kypho.case.leakage.plan import read_planned
    from kypho.case.plan.read import plan_file, read_plan
    from kypho.errors import SettingsError

    file = plan_file(plan)
    if file.name != "plan.json":
        raise SettingsError(
            f"--plan {plan}: give a case folder, or the plan.json in it with what lies beside"
        )
    read_plan(file)
    return read_planned(file.parent, level)


def _exit_code(document: LeakageDocument, *, expected: bool) -> int:
    """What the findings say to a script; 0 where there is nothing to say, `expected` is cement."""
    if document.canal.found:
        return EXIT_CANAL_LEAK
    if not document.quality.readable or document.canal.doubts:
        return EXIT_NOT_READABLE
    return EXIT_NO_CEMENT if expected and document.cement_ml.value == 0 else EXIT_OK


def _mri_line(mri: MriEntry) -> str:
    if mri.state != "read":
        return f"  MR: not assessable: {mri.reason}"
    said = [
        f"{name} {percent:.0f} %" if percent is not None else f"{name} not assessable"
        for name, percent in (("cord compression", mri.mscc_percent), ("canal narrowing", mri.mcc_percent))
    ]
    if mri.cement_to_cord_mm is not None:
        said.append(
            f"cement {mri.cement_to_cord_mm:.1f} ± {mri.cement_to_cord_uncertainty_mm:.1f} mm from the cord"
        )
    return f"  MR: {', '.join(said)}."


def _compared_lines(document: LeakageDocument) -> list[str]:
    """The operation against the plan, the rehearsal and the CT before, a line each."""
    lines = []
    if document.plan is not None:
        gaps = ", ".join(f"{target.gap_mm:.1f} mm" for target in document.plan.targets) or "no cement inside"
        field = document.plan.field
        overlap = "" if field is None else f"; overlap with the rehearsed cement (Dice) {field.dice:.2f}"
        lines.append(f"  Against the plan: nearest cement to each target {gaps}{overlap}.")
    if document.heights is not None:
        gains = {site.site: site.gain_mm for site in document.heights.sites if site.gain_mm is not None}
        said = ", ".join(f"{name} {gain:+.1f} mm" for name, gain in gains.items()) or "not assessable"
        lines.append(f"  Heights gained: {said} (± {document.heights.uncertainty_mm:.1f} mm).")
    return lines


def _elsewhere_line(document: LeakageDocument) -> str:
    places = document.quality.dense_elsewhere
    said = ", ".join(f"{p.ml:.2f} mL in {_words(p.structure or 'nothing labelled')}" for p in places[:3])
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return (
        f"  As dense as cement elsewhere in the scan: {said}{more} (contrast, metal, or cement of another "
        "level or carried away)."
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _summary(document: LeakageDocument, folder: Path) -> str:
    """A few lines for the terminal."""
    c = document.cement_ml
    lines = [
        f"{document.level}: {c.value:.2f} mL of cement ({c.low:.2f} to {c.high:.2f}).",
        _canal_line(document),
    ]
    if document.quality.metal_ml:
        lines.append(f"  Metal: {document.quality.metal_ml:.2f} mL, told apart from cement.")
    for part in document.parts:
        likely = f" (likely {_words(part.likely_route)})" if part.route != part.likely_route else ""
        lines.append(f"  part {part.id}: {part.ml.value:.2f} mL, {_words(part.route)}{likely}, {part.side}")
        lines += [f"    {note}" for note in part.notes]
    if document.quality.dense_elsewhere:
        lines.append(_elsewhere_line(document))
    if document.mri is not None:
        lines.append(_mri_line(document.mri))
    lines += _compared_lines(document)
    for action in document.actions:
        lines.append(f"  {_words(action.urgency)}: {action.what} ({action.why})")
    if not document.dicom_objects:
        lines.append("  The CT is no DICOM series, so no SEG and no SR were written.")
    lines += [f"  note: {note}" for note in document.quality.notes]
    return "\n".join(
        [*lines, "  Research and education; not a medical device.", f"Report: {folder / 'leakage.html'}"]
    )


def _canal_line(document: LeakageDocument) -> str:
    canal, quality = document.canal, document.quality
    if canal.found:
        p = canal.max_encroachment_percent
        return (
            f"  CEMENT IN THE CANAL: {canal.state}, {canal.side}, up to {p.value:.0f} % of its area "
            f"({p.low:.0f} to {p.high:.0f})."
        )
    if quality.dense_body_ml > 0:
        return (
            f"  DOUBTFUL: dense body of {quality.dense_body_ml:.1f} mL, cement of low contrast or "
            "sclerosis; no statement on cement in the canal."
        )
    if not quality.readable:
        return "  THE CANAL CANNOT BE READ: streaks or metal; no statement on cement in it."
    if canal.doubts:
        return f"  DOUBTFUL: no leak into the canal is stated, but there is {'; '.join(canal.doubts)}."
    if document.cement_ml.value == 0 and not document.quality.metal_ml:
        return "  No cement at this level at all: a CT before the operation, or of another level?"
    return "  No cement found in the canal."
