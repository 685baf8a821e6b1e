"""`kypho rehearse`: inject the cement before the operation does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from kypho.case.rehearsal import choices
from kypho.cli.codes import EXIT_INTERRUPTED, EXIT_STOPPED
from kypho.cli.inputs import READING, chosen_level, read_ct_and_labels
from kypho.cli.options import PROCEDURE, AsJson, Ct, LabelFile, Level, Out, Procedure, Scheme, Series
from kypho.cli.stop import Stopped

if TYPE_CHECKING:
    from kypho.case.rehearsal.document import RehearsalDocument
    from kypho.case.rehearsal.members import MemberFile
    from kypho.case.rehearsal.needles import Lines
    from kypho.case.rehearsal.settings import RehearseSettings, Scenario
    from kypho.formats import CtInput, LabelsInput

__all__ = ["rehearse"]

STEPS = (*READING, "vertebra model", "assessment", "needles", "injection", "ensemble", "report", "files")

PlanFolder = Annotated[
    Path | None,
    typer.Option("--plan", help="plan.json of kypho plan or its case folder: rehearse its needles."),
]
NeedleLines = Annotated[
    list[str] | None,
    typer.Option("--needle", help="A needle instead: entry:tip as L,P,S:L,P,S in mm. Repeatable."),
]
Approach = Annotated[str, typer.Option("--needles", help=f"One of: {', '.join(get_args(choices.Strategy))}.")]
# Reading the records is too slow for a --help: a test holds the words below to their names and numbers.
CementName = Annotated[str, typer.Option("--cement", help="low, medium or high viscosity.")]
VolumeMl = Annotated[
    float | None, typer.Option("--volume-ml", help="Cement volume, all needles together. Default 3.")
]
RateMlMin = Annotated[float | None, typer.Option("--rate-ml-min", help="Injection rate. Default 3.")]
StartMin = Annotated[float | None, typer.Option("--start-min", help="Minutes since mixing. Default 4.")]
Pauses = Annotated[
    list[str] | None,
    typer.Option("--pause", help="Wait after a volume, ML:MIN, for example 1.5:2. Repeatable."),
]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        help="Another scenario, for example 'cement=high,volume=4.5,procedure=pvp,needles=bilateral'. "
        f"Up to {choices.MOST_COMPARED}.",
    ),
]
Members = Annotated[
    int, typer.Option("--members", help=f"Size of the ensemble, 2 to {choices.MOST_MEMBERS}; 0 for none.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the ensemble.")]
Gauge = Annotated[
    int | None, typer.Option("--gauge", help="8, 10, 11 or 13. Default: the planned device's, else 11.")
]
GridMm = Annotated[float, typer.Option("--grid-mm", help="Cell size.")]


def rehearse(
    ct: Ct,
    labels: LabelFile = None,
    scheme: Scheme = "auto",
    level: Level = None,
    series: Series = None,
    plan: PlanFolder = None,
    needle: NeedleLines = None,
    needles: Approach = choices.STRATEGY,
    procedure: Procedure = PROCEDURE,
    cement: CementName = choices.CEMENT,
    volume_ml: VolumeMl = None,
    rate_ml_min: RateMlMin = None,
    start_min: StartMin = None,
    pause: Pauses = None,
    compare: Others = None,
    members: Members = choices.MEMBERS,
    seed: Seed = choices.SEED,
    gauge: Gauge = None,
    grid_mm: GridMm = choices.GRID_MM,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse a cement injection on a CT: where it goes, when it leaks, how warm it gets."""
    from kypho.case.layout import require_places
    from kypho.case.rehearsal.files import write_rehearsal
    from kypho.case.rehearsal.run import rehearse_case
    from kypho.case.rehearsal.settings import RehearseSettings, defaults_used
    from kypho.cli.progress import Steps
    from kypho.report.rehearsal import render_rehearsal

    asked = {"volume_ml": volume_ml, "rate_ml_min": rate_ml_min, "start_min": start_min, "gauge": gauge}
    base = _scenario(procedure, cement, needles, pause or [], asked)
    scenarios = (base, *(_changed(base, text) for text in compare or []))
    settings = RehearseSettings(scenarios=scenarios, grid_mm=grid_mm, members=members, seed=seed, gauge=gauge)
    lines, made_for = _lines(plan, needle or [], settings)
    with Steps(len(STEPS), quiet=as_json) as steps:
        image, found = read_ct_and_labels(ct, labels, steps, scheme=scheme, level=level, series=series)
        name = chosen_level(found.labels, level)
        if made_for:
            # The file of labels that a segmenter makes on the way differs from run to run.
            here = {"level": name, "CT images": image.sha256, "labels": found.sha256 if labels else None}
            _require_same(made_for, here, plan)
        folder = out or Path(f"kypho-{name}")
        require_places(folder, "rehearse")
        keep = _members(folder, image, found, name, settings, lines)
        with _members_kept(keep, members):
            result = rehearse_case(
                *(image, found, name, settings, steps.step),
                lines=lines,
                members=keep,
                on_member=lambda done: steps.count("ensemble", done, members),
            )
            plain = result.scenarios[0].lines[0].bore_mm == settings.bore_mm()
            defaults = tuple(name for name in defaults_used(asked) if name != "gauge" or plain)
            document = write_rehearsal(
                result, folder, steps.timings_s, steps.step, render_rehearsal, defaults
            )
        keep.remove()
    typer.echo(document.model_dump_json(by_alias=True) if as_json else _summary(document, folder))


def _scenario(
    procedure: str, cement: str, needles: str, pauses: list[str], asked: dict[str, float | None]
) -> Scenario:
    """The first scenario; what was not asked for comes from the evidence records."""
    from kypho.case.rehearsal.settings import Scenario

    given = {key: number for key, number in asked.items() if number is not None and key != "gauge"}
    return Scenario(
        procedure=procedure,  # type: ignore[arg-type]  # Scenario checks it
        cement=cement,
        needles=needles,  # type: ignore[arg-type]  # likewise
        pauses=_pauses(pauses),
        **given,
    )


def _pauses(texts: list[str]) -> tuple[tuple[float, float], ...]:
    from kypho.errors import SettingsError

    pauses = []
    for text in texts:
        try:
            at_ml, minutes = (float(x) for x in text.split(":"))
        except ValueError:
            raise SettingsError(f"--pause {text!r}: give ML:MIN, for example 1.5:2") from None
        pauses.append((at_ml, minutes))
    return tuple(sorted(pauses))


def _changed(base: Scenario, text: str) -> Scenario:
    """A scenario from 'key=value,...'."""
    from dataclasses import replace

    from kypho.errors import SettingsError

    numbers = {"volume": "volume_ml", "rate": "rate_ml_min", "start": "start_min"}
    words = ("procedure", "cement", "needles")
    changes: dict[str, object] = {}
    for entry in text.split(","):
        key, _, given = entry.strip().partition("=")
        if key not in (*numbers, *words, "pause") or not given:
            known = ", ".join((*words, *numbers, "pause"))
            raise SettingsError(f"--compare {entry!r}: give NAME=VALUE with NAME one of {known}")
        if {"pause": "pauses"}.get(key, numbers.get(key, key)) in changes:
            raise SettingsError(f"--compare {text!r}: {key} is named twice; give it once")
        if key == "pause":
            changes["pauses"] = () if given == "none" else _pauses(given.split("+"))
            continue
        try:
            changes[numbers.get(key, key)] = given if key in words else float(given)
        except ValueError:
            raise SettingsError(f"--compare {entry!r}: {given!r} is no number") from None
    return replace(base, **changes)  # type: ignore[arg-type]  # Scenario checks them


def _lines(
    plan: Path | None, needle: list[str], settings: RehearseSettings
) -> tuple[Lines | None, dict[str, str | None]]:
    """Where the cannulas come from, and for those of a plan what it was made for."""
    from kypho.case.rehearsal.needles import given_needles, needles_of_plan
    from kypho.errors import SettingsError

    if plan is not None and needle:
        raise SettingsError("--plan and --needle both name needles; give one of them")
    if needle:
        return given_needles(needle, settings), {}
    if plan is None:
        return None, {}
    lines, made_on, level = needles_of_plan(plan, settings)
    return lines, {"level": level, "CT images": made_on.ct_sha256, "labels": made_on.labels_sha256}


def _require_same(made_for: dict[str, str | None], here: dict[str, str | None], plan: Path | None) -> None:
    """Raise if the plan belongs to another level or image; what is None was not kept or does not last."""
    from kypho.errors import SettingsError

    for what, value in made_for.items():
        if None not in (value, here[what]) and value != here[what]:
            shown = f"{value} and not for {here[what]}" if what == "level" else f"other {what}"
            raise SettingsError(f"the plan in {plan} was made for {shown}; plan this one first")


def _members(
    folder: Path,
    ct: CtInput,
    labels: LabelsInput,
    level: str,
    settings: RehearseSettings,
    lines: Lines | None,
) -> MemberFile:
    """Where finished members are kept; needles planned on the way follow from the CT and the labels."""
    from dataclasses import asdict

    from kypho.case.rehearsal.members import MemberFile, inputs_hash

    chosen = asdict(settings)
    decisive = {key: chosen[key] for key in ("grid_mm", "seed", "gauge")} | {
        "scenario": chosen["scenarios"][0]
    }
    given = lines(settings.scenarios[0].needles)[0] if lines else ()
    needles = [[n.entry_mm.tolist(), n.tip_mm.tolist(), n.outer_mm, n.bore_mm] for n in given]
    inputs = {"ct": ct.sha256, "labels": labels.sha256, "level": level, "needles": needles, **decisive}
    return MemberFile(folder, inputs_hash(inputs))


@contextmanager
def _members_kept(keep: MemberFile, members: int) -> Iterator[None]:
    """Where the block is cut short, say what is kept of the ensemble and how to go on.

    Raises:
        OutputError: as the block raised it, with that.
    """
    from kypho.errors import OutputError

    try:
        yield
    except (KeyboardInterrupt, Stopped, OutputError) as cut:
        kept = len(keep.read())
        if not kept:
            raise
        waiting = f"{kept} of {members} members are kept in {keep.path.parent}"
        if isinstance(cut, OutputError):
            raise type(cut)(f"{cut}; {waiting} for the same command") from cut
        by, code = (
            ("stopped", EXIT_STOPPED) if isinstance(cut, Stopped) else ("interrupted", EXIT_INTERRUPTED)
        )
        typer.echo(f"kypho: {by}; {waiting}: run the same command again to go on", err=True)
        sys.exit(code)


def _summary(content: RehearsalDocument, folder: Path) -> str:
    """A few lines for the terminal."""
    lines = [
        f"{content.level}: {content.injected_ml:.2f} mL injected, "
        f"{100 * content.fill_fraction:.0f} % of the bone's void."
    ]
    if content.stalled:
        lines.append("  STALLED: the syringe could not press harder; the rest was not injected")
    began = {route: ml for route, ml in content.first_leak_ml.items() if ml is not None}
    lines += [
        f"  leak, {route.replace('_', ' ')}: {content.leaked_ml[route]:.2f} mL, from {ml:.1f} mL injected"
        for route, ml in began.items()
    ] or ["  no leak at the recorded threshold in the single injection"]
    if content.p_leak and content.ensemble and content.safe_probability is not None:
        p = content.p_leak["canal"]
        limit = content.safe_probability
        low, high = p.interval
        unsure = ", but so few cannot show it: take more members" if p.value <= limit < high else ""
        lines.append(
            f"  canal leak in {100 * p.value:.0f} % ({100 * low:.0f}-{100 * high:.0f}) of "
            f"{content.ensemble.n} injections; their share stays below {100 * limit:.0f} % up to "
            f"{content.safe_volume_ml:.1f} mL{unsure}"
        )
    hottest = ", ".join(
        f"{site.replace('_', ' ')} {c:.1f}"
        for site, c in content.peak_temperature_c.items()
        if site != "body_centre"
    )
    lines.append(f"  highest temperature, C: {hottest}")
    if content.defaults:
        named = ", ".join(f"--{d.name.replace('_', '-')} {d.value:g} ({d.status})" for d in content.defaults)
        lines.append(f"  not given, so by default: {named}")
    lines += [f"  {note}" for note in content.notes]
    lines.append(f"Report: {folder / 'rehearsal.html'}")
    lines.append(
        "Model outcome from mostly unconfirmed inputs. Research and education; not a medical device."
    )
    return "\n".join(lines)
