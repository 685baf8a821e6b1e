"""`kypho follow add ...`: one verb per kind of event that is no examination, laboratory value or image.

The commands have no body: what is typed is the event (see `kypho.cli.follow_event.stores`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kypho.cli.follow_event import stores

__all__ = ["add_app"]

add_app = typer.Typer(
    no_args_is_help=True, help="Add one event: procedure, symptom, decision, operation, ..."
)

Texts = list[str] | None


@add_app.command()
@stores("procedure", role="surgeon")
def procedure(
    level: Annotated[str, typer.Option("--level", help="Treated level, e.g. T7.")],
    procedure: Annotated[str, typer.Option("--procedure", help="PKP or PVP.")] = "PKP",
    approach: Annotated[
        str | None, typer.Option("--approach", help="Such as transpedicular, bilateral.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="Needle or balloon used.")] = None,
    cement: Annotated[str | None, typer.Option("--cement", help="Product or viscosity.")] = None,
    lot: Annotated[str | None, typer.Option("--lot", help="Lot of the cement.")] = None,
    volume_ml: Annotated[float | None, typer.Option("--volume-ml", help="Cement volume, mL.")] = None,
    rate_ml_min: Annotated[
        float | None, typer.Option("--rate-ml-min", help="Injection rate, mL/min.")
    ] = None,
    complications: Annotated[
        Texts, typer.Option("--complication", help="What went wrong. Repeatable.")
    ] = None,
) -> None:
    """The augmentation; --at is the end of the injection."""


@add_app.command()
@stores("symptom", role="patient")
def symptom(
    symptom: Annotated[str, typer.Argument(help="leg_weakness, numbness, pain, dyspnoea, fever, ...")],
    side: Annotated[str, typer.Option("--side", help="right, left, both, unknown")] = "unknown",
    trend: Annotated[
        str, typer.Option("--trend", help="new, progressive, stable, better, resolved, unknown")
    ] = "unknown",
    pain: Annotated[str | None, typer.Option("--pain", help="'hypochondrium 6 girdle new'")] = None,
    during_injection: Annotated[
        bool, typer.Option("--during-injection", help="It began while cement went in.")
    ] = False,
    text: Annotated[str | None, typer.Option("--text", help="Free text without names.")] = None,
) -> dict[str, Any]:
    """What the patient reports or somebody notices."""
    from kypho.followup.typed import read_pain

    return {"pain": read_pain(pain) if pain else None}


@add_app.command()
@stores("decision", role="surgeon")
def decision(
    decision: Annotated[str, typer.Argument(help="What was decided.")],
    closes: Annotated[Texts, typer.Option("--close", help="Rule whose alarm this answers for.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
) -> None:
    """A decision somebody answers for; the only thing that closes an alarm."""


@add_app.command()
@stores("operation", role="surgeon")
def operation(
    operation: Annotated[str, typer.Argument(help="What was done.")],
    decompression: Annotated[
        bool, typer.Option("--decompression", help="The operation decompresses cord or roots.")
    ] = False,
    levels: Annotated[Texts, typer.Option("--level", help="Level such as T7. Repeatable.")] = None,
    findings: Annotated[str | None, typer.Option("--findings", help="What was found.")] = None,
) -> None:
    """A later operation; --at is knife to skin."""


@add_app.command()
@stores("diagnosis", role="physician")
def diagnosis(
    diagnosis: Annotated[str, typer.Argument()],
    ais: Annotated[str | None, typer.Option("--ais", help="A to E, from a full examination.")] = None,
    certainty: Annotated[
        str, typer.Option("--certainty", help="confirmed, suspected, excluded")
    ] = "confirmed",
) -> None:
    """A diagnosis."""


@add_app.command()
@stores("treatment", role="physician")
def treatment(
    treatment: Annotated[str, typer.Argument()],
    dose: Annotated[str | None, typer.Option("--dose", help="With unit.")] = None,
    route: Annotated[str | None, typer.Option("--route", help="Such as oral, intravenous.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What it is for.")] = None,
) -> None:
    """A drug or another treatment that is no operation."""


@add_app.command()
@stores("encounter", role="physician")
def encounter(
    move: Annotated[str, typer.Argument(help="admitted, transferred, discharged or visit")],
    place: Annotated[
        str | None, typer.Option("--place", help="No names: 'own hospital', 'elsewhere'.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Free text without names.")] = None,
) -> None:
    """A door passed."""


@add_app.command()
@stores("note", role="physician")
def note(
    text: Annotated[str, typer.Argument()],
    care: Annotated[str | None, typer.Option("--care", help="CARE sub-item it speaks to, e.g. 11a.")] = None,
) -> None:
    """Free text without anything that identifies a person."""


@add_app.command()
@stores("perspective", role="patient")
def perspective(text: Annotated[str, typer.Argument(help="The patient's own words.")]) -> None:
    """The patient's own account."""


@add_app.command()
@stores("consent", role="patient")
def consent(
    given: Annotated[str, typer.Argument(help="yes or no")],
    scope: Annotated[str, typer.Option("--scope", help="What for, e.g. publication.")],
) -> None:
    """Whether the patient agreed."""


@add_app.command()
@stores("retraction", role="physician")
def retraction(
    corrects: Annotated[str, typer.Argument(metavar="event", help="Id of the event to take back.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
) -> None:
    """Take an event back; it stays in the history."""
