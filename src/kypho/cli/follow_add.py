"""`kypho follow add ...`: one verb per kind of event that is no examination, laboratory value or image."""

from __future__ import annotations

from typing import Annotated, Any

import typer

__all__ = ["At", "Case", "Corrects", "Role", "Source", "Store", "add_app", "put"]

Case = Annotated[str, typer.Argument(help="Pseudonym of the case.")]
At = Annotated[
    str,
    typer.Option(
        "--at", help="When: 2023-09-04, 2023-09-04T10:30, 2023-07, FIRST..LAST. Vague times stay vague."
    ),
]
Role = Annotated[str, typer.Option("--role", help="Who says so: surgeon, physician, nurse, patient, ...")]
Source = Annotated[str, typer.Option("--source", help="Where it comes from.")]
Store = Annotated[
    str, typer.Option("--store", envvar="KYPHO_STORE", help="SQLite file or database URL.", show_default=True)
]
Corrects = Annotated[str | None, typer.Option("--corrects", help="Id of the event this one replaces.")]
DEFAULT = "kypho-follow.sqlite"

add_app = typer.Typer(
    no_args_is_help=True, help="Add one event: procedure, symptom, decision, operation, ..."
)


def put(store: str, case: str, raw: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Store events, all or none, and say their ids and the tier they leave the case at."""
    from kypho.case.store import Store as Records
    from kypho.followup import status, utc_now
    from kypho.report.follow_text import TIER_WORDS

    raws = raw if isinstance(raw, list) else [raw]
    with Records(store) as records:
        for event, new in records.add_all(case, raws):
            typer.echo(f"{event.id}  {event.kind}  {'stored' if new else 'was there already'}")
        typer.echo(f"{case}: {TIER_WORDS[status(records.record(case), utc_now()).tier]}")


def _head(kind: str, at: str, role: str, source: str, corrects: str | None) -> dict[str, Any]:
    return {"kind": kind, "at": at, "role": role, "source": source, "corrects": corrects}


@add_app.command()
def procedure(
    case: Case,
    at: At,
    level: Annotated[str, typer.Option("--level", help="Treated level, e.g. T7.")],
    procedure: Annotated[str, typer.Option("--procedure", help="PKP or PVP.")] = "PKP",
    approach: Annotated[str | None, typer.Option("--approach")] = None,
    device: Annotated[str | None, typer.Option("--device")] = None,
    cement: Annotated[str | None, typer.Option("--cement")] = None,
    lot: Annotated[str | None, typer.Option("--lot")] = None,
    volume_ml: Annotated[float | None, typer.Option("--volume-ml")] = None,
    rate_ml_min: Annotated[float | None, typer.Option("--rate-ml-min")] = None,
    complication: Annotated[list[str] | None, typer.Option("--complication")] = None,
    role: Role = "surgeon",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """The augmentation; --at is the end of the injection."""
    fields = {
        "level": level,
        "procedure": procedure,
        "approach": approach,
        "device": device,
        "cement": cement,
        "lot": lot,
        "volume_ml": volume_ml,
        "rate_ml_min": rate_ml_min,
        "complications": complication or [],
    }
    put(store, case, {**_head("procedure", at, role, source, corrects), **fields})


@add_app.command()
def symptom(
    case: Case,
    at: At,
    symptom: Annotated[str, typer.Argument(help="leg_weakness, numbness, pain, dyspnoea, fever, ...")],
    side: Annotated[str, typer.Option("--side")] = "unknown",
    trend: Annotated[str, typer.Option("--trend")] = "unknown",
    pain: Annotated[str | None, typer.Option("--pain", help="'hypochondrium 6 girdle new'")] = None,
    during_injection: Annotated[bool, typer.Option("--during-injection")] = False,
    text: Annotated[str | None, typer.Option("--text")] = None,
    role: Role = "patient",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """What the patient reports or somebody notices."""
    from kypho.followup.typed import read_pain

    fields = {
        "symptom": symptom,
        "side": side,
        "trend": trend,
        "pain": read_pain(pain) if pain else None,
        "during_injection": during_injection,
        "text": text,
    }
    put(store, case, {**_head("symptom", at, role, source, corrects), **fields})


@add_app.command()
def decision(
    case: Case,
    at: At,
    decision: Annotated[str, typer.Argument(help="What was decided.")],
    close: Annotated[
        list[str] | None, typer.Option("--close", help="Rule whose alarm this answers for.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason")] = None,
    role: Role = "surgeon",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """A decision somebody answers for; the only thing that closes an alarm."""
    fields = {"decision": decision, "closes": close or [], "reason": reason}
    put(store, case, {**_head("decision", at, role, source, corrects), **fields})


@add_app.command()
def operation(
    case: Case,
    at: At,
    operation: Annotated[str, typer.Argument(help="What was done.")],
    decompression: Annotated[bool, typer.Option("--decompression")] = False,
    level: Annotated[list[str] | None, typer.Option("--level")] = None,
    findings: Annotated[str | None, typer.Option("--findings")] = None,
    role: Role = "surgeon",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """A later operation; --at is knife to skin."""
    fields = {
        "operation": operation,
        "decompression": decompression,
        "levels": level or [],
        "findings": findings,
    }
    put(store, case, {**_head("operation", at, role, source, corrects), **fields})


@add_app.command()
def diagnosis(
    case: Case,
    at: At,
    diagnosis: Annotated[str, typer.Argument()],
    ais: Annotated[str | None, typer.Option("--ais", help="A to E, from a full examination.")] = None,
    certainty: Annotated[str, typer.Option("--certainty")] = "confirmed",
    role: Role = "physician",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """A diagnosis."""
    fields = {"diagnosis": diagnosis, "ais": ais, "certainty": certainty}
    put(store, case, {**_head("diagnosis", at, role, source, corrects), **fields})


@add_app.command()
def treatment(
    case: Case,
    at: At,
    treatment: Annotated[str, typer.Argument()],
    dose: Annotated[str | None, typer.Option("--dose")] = None,
    route: Annotated[str | None, typer.Option("--route")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose")] = None,
    role: Role = "physician",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """A drug or another treatment that is no operation."""
    fields = {"treatment": treatment, "dose": dose, "route": route, "purpose": purpose}
    put(store, case, {**_head("treatment", at, role, source, corrects), **fields})


@add_app.command()
def encounter(
    case: Case,
    at: At,
    move: Annotated[str, typer.Argument(help="admitted, transferred, discharged or visit")],
    place: Annotated[
        str | None, typer.Option("--place", help="No names: 'own hospital', 'elsewhere'.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text")] = None,
    role: Role = "physician",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """A door passed."""
    put(
        store,
        case,
        {**_head("encounter", at, role, source, corrects), "move": move, "place": place, "text": text},
    )


@add_app.command()
def note(
    case: Case,
    at: At,
    text: Annotated[str, typer.Argument()],
    care: Annotated[str | None, typer.Option("--care", help="CARE sub-item it speaks to, e.g. 11a.")] = None,
    role: Role = "physician",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """Free text without anything that identifies a person."""
    put(store, case, {**_head("note", at, role, source, corrects), "text": text, "care": care})


@add_app.command()
def perspective(
    case: Case,
    at: At,
    text: Annotated[str, typer.Argument(help="The patient's own words.")],
    role: Role = "patient",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """The patient's own account."""
    put(store, case, {**_head("perspective", at, role, source, corrects), "text": text})


@add_app.command()
def consent(
    case: Case,
    at: At,
    given: Annotated[str, typer.Argument(help="yes or no")],
    scope: Annotated[str, typer.Option("--scope", help="What for, e.g. publication.")],
    role: Role = "patient",
    source: Source = "typed",
    corrects: Corrects = None,
    store: Store = DEFAULT,
) -> None:
    """Whether the patient agreed."""
    put(store, case, {**_head("consent", at, role, source, corrects), "given": given, "scope": scope})


@add_app.command()
def retraction(
    case: Case,
    at: At,
    event: Annotated[str, typer.Argument(help="Id of the event to take back.")],
    reason: Annotated[str, typer.Option("--reason")],
    role: Role = "physician",
    source: Source = "typed",
    store: Store = DEFAULT,
) -> None:
    """Take an event back; it stays in the history."""
    put(store, case, {**_head("retraction", at, role, source, event), "reason": reason})
