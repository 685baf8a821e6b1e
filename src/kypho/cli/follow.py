"""`kypho follow`: keep watch over a patient after the procedure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from kypho.cli.codes import EXIT_RED
from kypho.cli.follow_add import add_app
from kypho.cli.follow_event import DEFAULT_STORE, Case, Source, Store, stores
from kypho.cli.follow_exam import exam
from kypho.errors import RecordError, UnreadableFileError

__all__ = ["follow_app"]

follow_app = typer.Typer(
    no_args_is_help=True,
    help="Follow a patient after augmentation: examinations, red flags, clocks, the case report. "
    "Research and education; not a medical device.",
)
follow_app.add_typer(add_app, name="add")


@follow_app.command()
@stores("enrolment", role="physician")
def init(
    birth_year: Annotated[int | None, typer.Option("--birth-year", help="The year only.")] = None,
    sex: Annotated[str, typer.Option("--sex", help="female, male, other or unknown")] = "unknown",
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the place, e.g. Asia/Shanghai.")] = "UTC",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="No real patient.")] = False,
) -> None:
    """Start following a case under a pseudonym."""


follow_app.command()(exam)


@follow_app.command()
@stores("lab", role="physician", source="laboratory")
def labs(
    values: Annotated[list[str], typer.Argument(help="'crp=14.3 mg/L [<=5]' 'urine_protein=1+ [negative]'")],
) -> list[dict[str, Any]]:
    """Laboratory values, each with unit and the laboratory's range; all are stored or none."""
    from kypho.followup.typed_lab import read_lab

    return [{**read_lab(text), "values": None} for text in values]


@follow_app.command()
@stores("imaging", role="radiologist")
def imaging(
    modality: Annotated[str, typer.Option("--modality", help="CT, MRI, XR, other")] = "CT",
    check: Annotated[Path | None, typer.Option("--from", help="leakage.json of kypho check.")] = None,
    canal_cement: Annotated[str, typer.Option("--canal-cement", help="yes, no, unknown")] = "unknown",
    levels: Annotated[list[str] | None, typer.Option("--level", help="Level such as T7. Repeatable.")] = None,
    side: Annotated[
        str, typer.Option("--side", help="Side of the cement: right, left, both, unknown.")
    ] = "unknown",
    compartment: Annotated[
        str, typer.Option("--compartment", help="epidural, intradural, both, undetermined, unknown")
    ] = "unknown",
    encroachment_percent: Annotated[
        float | None, typer.Option("--encroachment-percent", help="Share of the canal taken, %.")
    ] = None,
    cord_compression: Annotated[str, typer.Option("--cord-compression", help="yes, no, unknown")] = "unknown",
    requested: Annotated[
        str | None, typer.Option("--requested", help="When the image was asked for.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Free text without names.")] = None,
    source: Source = "typed",
) -> dict[str, Any]:
    """An imaging result, typed or from `kypho check`."""
    if check is None:
        return {"check": None}
    typed = {"--modality": modality != "CT", "--side": side != "unknown", "--text": text is not None}
    typed |= {"--canal-cement": canal_cement != "unknown", "--compartment": compartment != "unknown"}
    typed |= {"--encroachment-percent": encroachment_percent is not None}
    if any(typed.values()):
        named = ", ".join(name for name, given in typed.items() if given)
        raise RecordError(f"--from says what {named} would say; give one of the two")
    return {
        **_from_check(check, levels or []),
        "source": "kypho check" if source == "typed" else source,
        "check": None,
    }


def _from_check(path: Path, levels: list[str]) -> dict[str, Any]:
    from kypho.case.followup.plain_data import read_plain
    from kypho.followup.typed import imaging_from_check

    return imaging_from_check(read_plain(path, "give a leakage.json"), levels)


@follow_app.command()
def status(
    case: Annotated[str | None, typer.Argument(help="Pseudonym; without one, all cases.")] = None,
    now: Annotated[
        str | None, typer.Option("--now", help="Judge at this instant instead of the present.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every alarm in full.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON instead of a summary.")
    ] = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Where a case stands: alarms and why, what to do by when, clocks, what is due, what is unknown."""
    from kypho.report.follow_text import TIER_WORDS, status_json, status_lines

    states, broken = _states(store, case, now)
    if as_json:
        rows = [status_json(state) for state in states]
        typer.echo(json.dumps(rows[0] if case else rows, indent=2, ensure_ascii=False))
    elif case:
        typer.echo("\n".join(status_lines(states[0], everything=everything)))
    else:
        for state in sorted(states, key=lambda s: s.case):
            rules = " ".join(alarm.rule.id for alarm in state.alarms)
            typer.echo(f"{state.case:<24} {TIER_WORDS[state.tier]:<8} {rules}  overdue {len(state.overdue)}")
    if broken:
        raise typer.Exit(broken)


def _states(store: str, case: str | None, now: str | None) -> tuple[list[Any], int]:
    """The state of a case or of all; of several, one that cannot be judged is named and stops no other.

    The exit code is that of such a case; one that begins later is no failure.
    """
    from kypho.case.followup.store import Store as Records
    from kypho.followup import NotBegunError, parse_when

    if now:
        parse_when(now, ZoneInfo("UTC"))  # what is no time at all is refused before any case is looked at
    with Records(store, create=False) as records:
        found = [records.record(case)] if case else list(records.each())
        where = records.where  # without the password of a URL
    broken = 0
    states = []
    for one in found:
        if isinstance(one, UnreadableFileError):
            typer.echo(f"kypho: {one}", err=True)
            broken = one.exit_code
        else:
            try:
                states.append(_judge(one, now))
            except RecordError as problem:
                if case:
                    raise
                typer.echo(f"kypho: case {one.case!r} not judged: {problem}", err=True)
                if not isinstance(problem, NotBegunError):
                    broken = problem.exit_code
    if not found:
        typer.echo(f"no case in {where}; start one with: kypho follow init", err=True)
    return states, broken


def _judge(record: Any, now: str | None) -> Any:
    from kypho.followup import parse_when, utc_now
    from kypho.followup import status as judge
    from kypho.followup.times import parse_zone

    moment = parse_when(now, parse_zone(record.enrolment.zone)).start if now else utc_now()
    return judge(record, moment)


@follow_app.command()
def timeline(
    case: Case,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also draw timeline and trends into this PNG.")
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Every event in order of time, with its id."""
    from kypho.case.followup.store import Store as Records
    from kypho.report.follow_text import timeline_lines

    with Records(store, create=False) as records:
        record = records.record(case)
    if out is not None:
        from kypho.report.timeline import save_timeline

        save_timeline(record, _judge(record, None), out)
        typer.echo(f"drawn: {out}", err=True)
    width = shutil.get_terminal_size((140, 24)).columns
    for line in timeline_lines(record, width):
        typer.echo(line)


@follow_app.command()
def watch(
    case: Annotated[str | None, typer.Argument(help="Pseudonym; without one, all cases.")] = None,
    now: Annotated[
        str | None, typer.Option("--now", help="Judge at this instant instead of the present.")
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Due and overdue examinations and active alarms; exit code 62 if a red flag is active."""
    from kypho.report.follow_text import watch_lines

    states, broken = _states(store, case, now)
    for state in states:
        for line in watch_lines(state):
            typer.echo(line)
    code = EXIT_RED if any(state.tier in ("red", "red+") for state in states) else broken
    if code:
        raise typer.Exit(code)


@follow_app.command()
def export(
    case: Case,
    out: Annotated[Path, typer.Option("--out", help="FILE.yaml, .json (FHIR R5), .html or .docx.")],
    store: Store = DEFAULT_STORE,
) -> None:
    """Write the case: YAML to import again, FHIR document, case report as HTML or DOCX."""
    from kypho.case.followup.store import Store as Records
    from kypho.report.care_export import export_case

    with Records(store, create=False) as records:
        record = records.record(case)
    export_case(record, _judge(record, None), out)
    typer.echo(f"written: {out}")
