"""`kypho view-angles`: what to dial on the C-arm for a line in the patient, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kypho.cli.codes import EXIT_REFUSED
from kypho.cli.options import AsJson

if TYPE_CHECKING:
    from kypho.case.plan.schema import NeedlePart, PlanDocument

__all__ = ["view_angles"]

HALF_TURN_DEG = 180.0  # numerics: a C-arm turned further shows what it showed before


def view_angles(
    direction: Annotated[
        str | None,
        typer.Option("--direction", help="Line to look along, patient LPS: 'left,posterior,superior'."),
    ] = None,
    angles: Annotated[
        str | None, typer.Option("--angles", help="'LAO,CRA' in degrees; RAO and CAU negative.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", help="plan.json or its case folder: the bull's-eye view of each needle."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """C-arm angles for a line in the patient, the line for angles, or the views down a plan's needles.

    LAO and CRA name where the front end of the line leans (the tube, with the patient prone over it).
    Exit code 30: the plan was refused; its needles are shown, marked as not acceptable.
    Research and education; not a medical device.
    """
    from kypho.case.plan.read import read_plan
    from kypho.errors import SettingsError

    refused = False
    if sum(given is not None for given in (direction, angles, plan)) != 1:
        raise SettingsError("give exactly one of --direction, --angles and --plan")
    if direction is not None:
        line = _numbers(direction, 3, "--direction")
        longest = max(map(abs, line))
        if longest == 0:
            raise SettingsError(f"--direction {direction!r} has no length; give a line to look along")
        rows = [_view("line", [x / longest for x in line])]
    elif angles is not None:
        rows = [_dialled(_numbers(angles, 2, "--angles"))]
    else:
        found = read_plan(plan)  # type: ignore[arg-type]  # the count above leaves no other case
        rows, refused = _needles(found), found.recommended is None
    typer.echo(json.dumps(rows) if as_json else "\n".join(_line(row) for row in rows))
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _numbers(text: str, count: int, option: str) -> list[float]:
    import math

    from kypho.errors import SettingsError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise SettingsError(f"{option} takes {count} numbers with commas between them, got {text!r}")
    return numbers


def _view(what: str, line: Sequence[float]) -> dict[str, Any]:
    """Angles for a line of either sense: the tube takes its front end, or its left end if it has none."""
    import numpy as np

    from kypho.fluoroscopy import angles_of
    from kypho.space import unit

    ray = unit(line)
    towards_back = ray[1] if abs(ray[1]) > np.finfo(np.float32).eps else -ray[0]
    beam = -ray if towards_back < 0 else ray
    lao, cranial = angles_of(beam)
    return {"what": what, "lao_deg": lao, "cranial_deg": cranial, "beam_lps": [float(x) + 0.0 for x in beam]}


def _dialled(angles: Sequence[float]) -> dict[str, Any]:
    from kypho.errors import SettingsError
    from kypho.fluoroscopy import direction_of

    lao, cranial = angles
    if abs(lao) > HALF_TURN_DEG or abs(cranial) > HALF_TURN_DEG / 2:
        raise SettingsError(
            f"--angles {lao:g},{cranial:g}: LAO is within 180 degrees and CRA within 90; correct it"
        )
    beam = [float(x) + 0.0 for x in direction_of(lao, cranial).round(12)]
    return {"what": "angles", "lao_deg": lao, "cranial_deg": cranial, "beam_lps": beam}


def _needles(plan: PlanDocument) -> list[dict[str, Any]]:
    """A row per needle of every approach, with the standing of its approach."""
    return [
        {
            **_view(f"approach {number} ({approach.strategy}), {needle.side} needle", _way(needle)),
            "acceptable": approach.feasible,
            "recommended": number == plan.recommended,
        }
        for number, approach in enumerate(plan.approaches)
        for needle in approach.needles
    ]


def _way(needle: NeedlePart) -> list[float]:
    return [tip - entry for tip, entry in zip(needle.tip_lps_mm, needle.bone_entry_lps_mm, strict=True)]


def _line(row: dict[str, Any]) -> str:
    from kypho.fluoroscopy import angles_text

    standing = ", recommended" if row.get("recommended") else ""
    if not row.get("acceptable", True):
        standing = ", NOT ACCEPTABLE"
    left, posterior, superior = row["beam_lps"]
    beam = f"tube to detector L {left:+.4f} P {posterior:+.4f} S {superior:+.4f}"
    return f"{row['what']}{standing}: {angles_text(row['lao_deg'], row['cranial_deg'])}; {beam}"
