"""`kypho plan`: from a CT to a puncture plan, or a refusal with numbers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kypho.cli.codes import EXIT_REFUSED
from kypho.cli.inputs import READING, levels_chosen, read_ct_and_labels, read_earlier
from kypho.cli.options import AsJson, Ct, Earlier, EarlierLabels, LabelFile, Out, Scheme, Series, level_name

if TYPE_CHECKING:
    from kypho.case.assessment.run import EarlierCase
    from kypho.case.plan.schema import ApproachPart, NeedlePart, PlanDocument
    from kypho.cli.progress import Steps
    from kypho.formats import CtInput, LabelsInput
    from kypho.planning import PlanSettings

__all__ = ["plan"]

STEPS = (*READING, "vertebra model", "assessment", "needles", "report", "files")


def plan(
    ct: Ct,
    labels: LabelFile = None,
    scheme: Scheme = "auto",
    level: Annotated[
        str | None, typer.Option("--level", help="T7, or 'all'. Without it: list them.", callback=level_name)
    ] = None,
    series: Series = None,
    device: Annotated[str, typer.Option("--device", help="auto, 13G, 11G, 10G, 8G or pkp-cannula.")] = "auto",
    strategy: Annotated[str, typer.Option("--strategy", help="auto, unilateral or bilateral.")] = "auto",
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", help="Change a hard limit, for example canal=1.5 (mm). Repeatable."),
    ] = None,
    earlier: Earlier = None,
    earlier_labels: EarlierLabels = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Plan a kyphoplasty puncture on a CT. Exit code 30: no acceptable approach (reasons in plan.json)."""
    from kypho.case.layout import require_places
    from kypho.cli.progress import Steps
    from kypho.errors import LevelIncompleteError

    settings = _settings(device, strategy, limit or [])
    refused: list[bool] = []
    with Steps(len(STEPS), quiet=as_json) as steps:
        image, found = read_ct_and_labels(ct, labels, steps, scheme=scheme, level=level, series=series)
        many = level is not None and level.lower() == "all"
        names = levels_chosen(found.labels, level)
        folders = {name: _folder(out, name, many=many) for name in names}
        for folder in folders.values():
            require_places(folder, "plan")
        before = read_earlier(earlier, earlier_labels, scheme=scheme, level=None if many else names[0])
        for name, folder in folders.items():
            outcome = _one(
                image, found, name, settings, folder, steps, before, as_json=as_json, keep_going=many
            )
            refused += [] if outcome is None else [outcome]
    if not refused:
        raise LevelIncompleteError("no level is complete enough to be planned; mend the labels")
    if any(refused):
        raise typer.Exit(EXIT_REFUSED)


def _one(
    image: CtInput,
    found: LabelsInput,
    name: str,
    settings: PlanSettings,
    folder: Path,
    steps: Steps,
    earlier: EarlierCase | None,
    *,
    as_json: bool,
    keep_going: bool,
) -> bool | None:
    """Plan and write one level; True if it was refused, None if it was skipped as incomplete."""
    from kypho.case.plan.files import write_plan
    from kypho.case.plan.run import plan_case
    from kypho.errors import LevelError
    from kypho.report.plan import render_plan

    try:
        result = plan_case(image, found, name, settings, steps.step, earlier=earlier)
    except LevelError as error:
        if not keep_going:
            raise
        if earlier is None:
            typer.echo(f"skipped: {error}", err=True)
            return None
        typer.echo(f"{name}: tried again without the earlier CT: {error}", err=True)
        return _one(image, found, name, settings, folder, steps, None, as_json=as_json, keep_going=True)
    document = write_plan(result, folder, steps.timings_s, steps.step, render_plan)
    if as_json:
        typer.echo(document.model_dump_json(by_alias=True))
    else:
        typer.echo(_summary(document, folder))
    return document.recommended is None


def _settings(device: str, strategy: str, limits: list[str]) -> PlanSettings:
    """The settings of the command line.

    Raises:
        SettingsError: an unknown device, strategy or limit, or a number out of range.
    """
    from kypho.errors import SettingsError
    from kypho.planning import Limits, PlanSettings
    from kypho.planning.devices import largest_first

    largest_first(device)
    changed: dict[str, float] = {}
    known = [name.removesuffix("_mm") for name in vars(Limits())]
    for entry in limits:
        name, _, number = entry.partition("=")
        try:
            if name not in known:
                raise ValueError
            changed[f"{name}_mm"] = float(number)
        except ValueError:
            raise SettingsError(
                f"--limit {entry!r}: give NAME=MM with NAME one of {', '.join(known)}"
            ) from None
    return PlanSettings(device=device, strategy=strategy, limits=Limits(**changed))  # type: ignore[arg-type]


def _folder(out: Path | None, level: str, *, many: bool) -> Path:
    if out is None:
        return Path(f"kypho-{level}")
    return out / level if many else out


def _summary(document: PlanDocument, folder: Path) -> str:
    """A few lines for the terminal."""
    lines = []
    if document.recommended is None:
        lines.append(f"{document.level}: REFUSED. {document.why}.")
        for approach in document.approaches:
            lines.append(f"  {approach.strategy.replace('_', ' ')}, {approach.route}: {_missed(approach)}")
    else:
        best = document.approaches[document.recommended]
        name = best.strategy.replace("_", " ")
        lines.append(f"{document.level}: {name}, {best.route}; {document.why}.")
        lines += [_needle_line(needle) for needle in best.needles]
    lines += [f"  note: {note}" for note in document.fracture_notes]
    lines.append(f"Report: {folder / 'report.html'}")
    if document.recommended is not None:
        place = shlex.quote(str(folder))
        lines.append(f"Next: kypho rehearse, same CT, --labels and --level, --plan {place} --out {place}")
    lines.append("Research and education; not a medical device.")
    return "\n".join(lines)


def _missed(approach: ApproachPart) -> str:
    return "; ".join(
        f"{r.what.replace('_', ' ')} {r.value:.2f} against {r.limit:.2f} {r.unit}" for r in approach.reasons
    )


def _needle_line(needle: NeedlePart) -> str:
    rule = "kept" if needle.ap_lateral_rule.compliant else "BROKEN"
    grade = needle.gertzbein_robbins.replace("_", " ")
    return (
        f"  {needle.side}, {needle.device} ({needle.outer_diameter_mm:.2f} mm): "
        f"canal margin {needle.margins_mm['canal']:.1f} mm, grade {grade}, "
        f"AP/lateral rule {rule}, "
        f"canal touched in {_share(needle.robustness.p_canal)} % of displaced needles"
    )


def _share(p: float) -> str:
    """A share in per cent; none of some thousand draws is not never."""
    return "under 1" if p < 0.005 else f"{100 * p:.0f}"
