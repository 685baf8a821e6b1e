"""`kypho follow exam`: a bedside examination, typed or asked for finding by finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kypho.cli.follow_event import stores

__all__ = ["exam"]

Texts = list[str] | None
Ask = Annotated[bool, typer.Option("--ask", help="Ask for each finding; Enter leaves it unknown.")]


def _say_grade(fields: Mapping[str, Any]) -> None:
    """Say on stderr how many AIS grades the scored muscles and dermatomes leave open."""
    from kypho.followup.isncsci import classify, from_partial, verdict

    columns = ("motor", "light_touch", "pin_prick")
    if not any(fields[column] for column in columns):
        return
    sides = {side: {c: fields[c].get(side, {}) for c in columns} for side in ("right", "left")}
    anal = {name: fields[name] for name in ("voluntary_anal_contraction", "deep_anal_pressure")}
    typer.echo(f"ISNCSCI of this examination: {verdict(classify(from_partial({**sides, **anal})))}", err=True)


@stores("examination", role="nurse", then=_say_grade)
def exam(
    motor: Annotated[Texts, typer.Option("--motor", help="'right L2=5 L3=4', 'both legs=5'")] = None,
    light_touch: Annotated[Texts, typer.Option("--touch", help="Light touch: 'left T8=1 T9=0'")] = None,
    pin_prick: Annotated[Texts, typer.Option("--pin", help="Pin prick: 'left T8=1 T9=0'")] = None,
    reflexes: Annotated[Texts, typer.Option("--reflex", help="'both patellar=brisk'")] = None,
    pains: Annotated[Texts, typer.Option("--pain", help="'hypochondrium 6 girdle new'")] = None,
    pain_limited: Annotated[Texts, typer.Option("--pain-limited", help="'right L2'")] = None,
    legs: Annotated[
        str, typer.Option("--legs", help="normal, weak, immobile: only where not graded")
    ] = "unknown",
    sensation: Annotated[
        str, typer.Option("--sensation", help="normal, reduced, absent: only where not mapped")
    ] = "unknown",
    sensory_level: Annotated[
        str | None, typer.Option("--sensory-level", help="Sensory level, such as T8.")
    ] = None,
    saddle: Annotated[str, typer.Option("--saddle", help="normal, reduced, absent, NT")] = "NT",
    voluntary_anal_contraction: Annotated[
        str, typer.Option("--vac", help="Voluntary anal contraction: Yes, No, NT")
    ] = "NT",
    deep_anal_pressure: Annotated[str, typer.Option("--dap", help="Deep anal pressure: Yes, No, NT")] = "NT",
    voiding: Annotated[
        str | None, typer.Option("--voiding", help="normal, difficult, retention, incontinent")
    ] = None,
    pvr_ml: Annotated[float | None, typer.Option("--pvr-ml", help="Post-void residual.")] = None,
    catheter: Annotated[str, typer.Option("--catheter", help="yes, no, unknown")] = "unknown",
    temperature_c: Annotated[float | None, typer.Option("--temperature-c", help="Degrees Celsius.")] = None,
    spo2_percent: Annotated[
        float | None, typer.Option("--spo2-percent", help="Oxygen saturation, %.")
    ] = None,
    untestable: Annotated[str | None, typer.Option("--untestable", help="Why it could not be done.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Free text without names.")] = None,
    ask: Ask = False,
) -> dict[str, Any]:
    """A bedside examination. What is not given is unknown, never normal."""
    from kypho.followup.typed import read_pain, read_scores

    answers = _ask_examination() if ask else {}
    voiding, pvr_ml = answers.get("voiding", voiding), answers.get("pvr_ml", pvr_ml)
    known = voiding is not None or pvr_ml is not None or catheter != "unknown"
    bladder = {"voiding": voiding or "unknown", "pvr_ml": pvr_ml, "catheter": catheter}
    return {
        **{name: answers[name] for name in ("legs", "sensation", "saddle", "sensory_level") if ask},
        "motor": read_scores([*(motor or []), *answers.get("motor", [])]),
        "light_touch": read_scores(light_touch or []),
        "pin_prick": read_scores(pin_prick or []),
        "reflexes": read_scores(reflexes or []),
        "pains": [read_pain(item) for item in [*(pains or []), *answers.get("pains", [])]],
        "bladder": bladder if known else None,
        **dict.fromkeys(("voiding", "pvr_ml", "catheter", "ask")),
    }


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
        "pains": [pain] if (pain := _ask("pain: site, 0-10, words ('hypochondrium 6 girdle new')")) else [],
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
