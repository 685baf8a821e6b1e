"""`kypho follow`: keep watch over a patient after the procedure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from kypho.cli.codes import EXIT_RED
from kypho.cli.follow_add import DEFAULT, At, Case, Corrects, Role, Source, Store, add_app, put

__all__ = ["follow_app"]

follow_app = typer.Typer(
    no_args_is_help=True,
    help="Follow a patient after augmentation: examinations, red flags, clocks, the case report. "
    "Research and education; not a medical device.",
)
follow_app.add_typer(add_app, name="add")

AskOption = Annotated[bool, typer.Option("--ask", help="Ask for each finding; Enter leaves it unknown.")]


@follow_app.command()
def init(
    case: Case,
    at: At,
    birth_year: Annotated[int | None, typer.Option("--birth-year", help="The year only.")] = None,
    sex: Annotated[str, typer.Option("--sex", help="female, male, other or unknown")] = "unknown",
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the place, e.g. Asia/Shanghai.")] = "UTC",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="No real patient.")] = False,
    role: Role = "physician",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """Start following a case under a pseudonym."""
    raw = {"kind": "enrolment", "at": at, "role": role, "source": source, "corrects": corrects}
    put(store, case, {**raw, "birth_year": birth_year, "sex": sex, "zone": zone, "synthetic": synthetic})


@follow_app.command()
def exam(
    case: Case,
    at: At,
    motor: Annotated[
        list[str] | None, typer.Option("--motor", help="'right L2=5 L3=4', 'both legs=5'")
    ] = None,
    touch: Annotated[list[str] | None, typer.Option("--touch", help="Light touch: 'left T8=1 T9=0'")] = None,
    pin: Annotated[list[str] | None, typer.Option("--pin", help="Pin prick: 'left T8=1 T9=0'")] = None,
    reflex: Annotated[list[str] | None, typer.Option("--reflex", help="'both patellar=brisk'")] = None,
    pain: Annotated[list[str] | None, typer.Option("--pain", help="'hypochondrium 6 girdle new'")] = None,
    pain_limited: Annotated[list[str] | None, typer.Option("--pain-limited", help="'right L2'")] = None,
    legs: Annotated[
        str, typer.Option("--legs", help="normal, weak, immobile: only where not graded")
    ] = "unknown",
    sensation: Annotated[
        str, typer.Option("--sensation", help="normal, reduced, absent: only where not mapped")
    ] = "unknown",
    sensory_level: Annotated[str | None, typer.Option("--sensory-level")] = None,
    saddle: Annotated[str, typer.Option("--saddle", help="normal, reduced, absent, NT")] = "NT",
    vac: Annotated[str, typer.Option("--vac", help="Voluntary anal contraction: Yes, No, NT")] = "NT",
    dap: Annotated[str, typer.Option("--dap", help="Deep anal pressure: Yes, No, NT")] = "NT",
    voiding: Annotated[
        str | None, typer.Option("--voiding", help="normal, difficult, retention, incontinent")
    ] = None,
    pvr_ml: Annotated[float | None, typer.Option("--pvr-ml", help="Post-void residual.")] = None,
    catheter: Annotated[str, typer.Option("--catheter", help="yes, no, unknown")] = "unknown",
    temperature_c: Annotated[float | None, typer.Option("--temperature-c")] = None,
    spo2_percent: Annotated[float | None, typer.Option("--spo2-percent")] = None,
    untestable: Annotated[str | None, typer.Option("--untestable", help="Why it could not be done.")] = None,
    text: Annotated[str | None, typer.Option("--text")] = None,
    ask: AskOption = False,
    role: Role = "nurse",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """A bedside examination. What is not given is unknown, never normal."""
    from kypho.followup.typed import read_pain, read_scores

    if ask:
        answers = _ask_examination()
        motor, pain = (motor or []) + answers["motor"], (pain or []) + answers["pain"]
        legs, sensation, saddle = answers["legs"], answers["sensation"], answers["saddle"]
        voiding, pvr_ml, sensory_level = answers["voiding"], answers["pvr_ml"], answers["sensory_level"]
    bladder = {"voiding": voiding or "unknown", "pvr_ml": pvr_ml, "catheter": catheter}
    asked_bladder = voiding is not None or pvr_ml is not None or catheter != "unknown"
    fields = {
        "motor": read_scores(motor or []),
        "light_touch": read_scores(touch or []),
        "pin_prick": read_scores(pin or []),
        "reflexes": read_scores(reflex or []),
        "pains": [read_pain(item) for item in pain or []],
        "pain_limited": pain_limited or [],
        "legs": legs,
        "sensation": sensation,
        "sensory_level": sensory_level,
        "saddle": saddle,
        "voluntary_anal_contraction": vac,
        "deep_anal_pressure": dap,
        "bladder": bladder if asked_bladder else None,
        "temperature_c": temperature_c,
        "spo2_percent": spo2_percent,
        "untestable": untestable,
        "text": text,
    }
    head = {"kind": "examination", "at": at, "role": role, "source": source, "corrects": corrects}
    put(store, case, {**head, **fields})
    _say_grade(fields)


def _say_grade(fields: dict[str, Any]) -> None:
    """Say on stderr how many AIS grades the scored muscles and dermatomes leave open."""
    from kypho.followup.isncsci import classify, from_partial, verdict

    columns = ("motor", "light_touch", "pin_prick")
    if not any(fields[column] for column in columns):
        return
    sides = {side: {c: fields[c].get(side, {}) for c in columns} for side in ("right", "left")}
    anal = {name: fields[name] for name in ("voluntary_anal_contraction", "deep_anal_pressure")}
    typer.echo(f"ISNCSCI of this examination: {verdict(classify(from_partial({**sides, **anal})))}", err=True)


def _ask_examination() -> dict[str, Any]:
    """Ask in the order of a bedside examination. An empty answer is unknown."""
    typer.echo("Enter leaves a finding unknown. Strength 0-5 or NT.", err=True)
    motor = []
    muscles = {
        "L2": "hip bends",
        "L3": "knee straightens",
        "L4": "foot up",
        "L5": "big toe up",
        "S1": "foot down",
    }
    for side in ("right", "left"):
        scores = {level: _ask(f"{side} {words} ({level})") for level, words in muscles.items()}
        given = " ".join(f"{level}={score}" for level, score in scores.items() if score)
        motor += [f"{side} {given}"] if given else []
    pvr = _ask("residual after voiding, mL")
    return {
        "motor": motor,
        "legs": "unknown" if motor else _ask("legs: normal, weak or immobile") or "unknown",
        "sensation": _ask("feeling in legs and trunk: normal, reduced or absent") or "unknown",
        "sensory_level": _ask("no feeling below which dermatome, e.g. T7"),
        "saddle": _ask("feeling in the saddle: normal, reduced or absent") or "NT",
        "pain": [answer]
        if (answer := _ask("pain: site, 0-10, words ('hypochondrium 6 girdle new')"))
        else [],
        "voiding": _ask("passing urine: normal, difficult, retention or incontinent"),
        "pvr_ml": _number(pvr) if pvr else None,
    }


def _ask(question: str) -> str | None:
    answer: str = typer.prompt(question, default="", show_default=False, err=True)
    return answer.strip() or None


def _number(text: str) -> float:
    from kypho.errors import RecordError

    try:
        return float(text)
    except ValueError:
        raise RecordError(f"pvr_ml {text!r} is no number; write millilitres, e.g. 150") from None


@follow_app.command()
def labs(
    case: Case,
    at: At,
    values: Annotated[list[str], typer.Argument(help="'crp=14.3 mg/L [<=5]' 'urine_protein=1+ [negative]'")],
    role: Role = "physician",
    source: Source = "laboratory",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """Laboratory values, each with unit and the laboratory's range; all are stored or none."""
    from kypho.followup.typed import read_lab

    head = {"kind": "lab", "at": at, "role": role, "source": source, "corrects": corrects}
    put(store, case, [{**head, **read_lab(text)} for text in values])


@follow_app.command()
def imaging(
    case: Case,
    at: At,
    modality: Annotated[str, typer.Option("--modality", help="CT, MRI, XR, other")] = "CT",
    check: Annotated[Path | None, typer.Option("--from", help="leakage.json of kypho check.")] = None,
    canal_cement: Annotated[str, typer.Option("--canal-cement", help="yes, no, unknown")] = "unknown",
    level: Annotated[list[str] | None, typer.Option("--level")] = None,
    side: Annotated[str, typer.Option("--side")] = "unknown",
    compartment: Annotated[str, typer.Option("--compartment")] = "unknown",
    encroachment_percent: Annotated[float | None, typer.Option("--encroachment-percent")] = None,
    cord_compression: Annotated[str, typer.Option("--cord-compression", help="yes, no, unknown")] = "unknown",
    requested: Annotated[
        str | None, typer.Option("--requested", help="When the image was asked for.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text")] = None,
    role: Role = "radiologist",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """An imaging result, typed or from `kypho check`."""
    fields: dict[str, Any] = {
        "modality": modality,
        "canal_cement": canal_cement,
        "levels": level or [],
        "side": side,
        "compartment": compartment,
        "encroachment_percent": encroachment_percent,
        "cord_compression": cord_compression,
        "text": text,
    }
    if check is not None:
        fields = _from_check(check, level[0] if level else None)
        source = "kypho check" if source == "typed" else source
    head = {"kind": "imaging", "at": at, "role": role, "source": source, "corrects": corrects}
    put(store, case, {**head, **fields, "requested": requested})


def _from_check(path: Path, level: str | None) -> dict[str, Any]:
    from kypho.errors import UnreadableFileError
    from kypho.followup.typed import imaging_from_check

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UnreadableFileError(f"{path} cannot be read ({problem}); give a leakage.json") from None
    return imaging_from_check(result if isinstance(result, dict) else {}, level)


@follow_app.command()
def status(
    case: Annotated[str | None, typer.Argument(help="Pseudonym; without one, all cases.")] = None,
    now: Annotated[
        str | None, typer.Option("--now", help="Judge at this instant instead of the present.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every alarm in full.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    store: Store = DEFAULT,
) -> None:
    """Where a case stands: alarms and why, what to do by when, clocks, what is due, what is unknown."""
    from kypho.case.store import Store as Records
    from kypho.report.follow_text import TIER_WORDS, status_json, status_lines

    with Records(store, create=False) as records:
        found = [records.record(case)] if case else list(records.records())
    states = [_judge(record, now) for record in found]
    if as_json:
        rows = [status_json(state) for state in states]
        typer.echo(json.dumps(rows[0] if case else rows, indent=2, ensure_ascii=False))
    elif case:
        typer.echo("\n".join(status_lines(states[0], everything=everything)))
    else:
        for state in sorted(states, key=lambda s: s.case):
            rules = " ".join(alarm.rule.id for alarm in state.alarms)
            typer.echo(f"{state.case:<24} {TIER_WORDS[state.tier]:<8} {rules}  overdue {len(state.overdue)}")


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
    store: Store = DEFAULT,
) -> None:
    """Every event in order of time, with its id."""
    from kypho.case.store import Store as Records
    from kypho.report.follow_text import timeline_lines

    with Records(store, create=False) as records:
        record = records.record(case)
    width = shutil.get_terminal_size((140, 24)).columns
    for line in timeline_lines(record):
        typer.echo(line[: max(width, 80)])
    if out is not None:
        from kypho.report.timeline import save_timeline

        save_timeline(record, _judge(record, None), out)
        typer.echo(f"drawn: {out}", err=True)


@follow_app.command()
def watch(
    case: Annotated[str | None, typer.Argument(help="Pseudonym; without one, all cases.")] = None,
    now: Annotated[str | None, typer.Option("--now")] = None,
    store: Store = DEFAULT,
) -> None:
    """Due and overdue examinations and active alarms; exit code 62 if a red flag is active."""
    from kypho.case.store import Store as Records
    from kypho.report.follow_text import watch_lines

    with Records(store, create=False) as records:
        found = [records.record(case)] if case else list(records.records())
    red = False
    for record in found:
        state = _judge(record, now)
        red = red or state.tier in ("red", "red+")
        for line in watch_lines(state):
            typer.echo(line)
    if red:
        raise typer.Exit(EXIT_RED)


@follow_app.command()
def export(
    case: Case,
    out: Annotated[Path, typer.Option("--out", help="FILE.yaml, .json (FHIR R5), .html or .docx.")],
    store: Store = DEFAULT,
) -> None:
    """Write the case: YAML to import again, FHIR document, case report as HTML or DOCX."""
    from kypho.case.store import Store as Records
    from kypho.report.care_export import export_case

    with Records(store, create=False) as records:
        record = records.record(case)
    export_case(record, _judge(record, None), out)
    typer.echo(f"written: {out}")
