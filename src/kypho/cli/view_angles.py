"""`kypho view-angles`: what to dial on the C-arm for a line in the patient, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kypho.cli.options import AsJson

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
    Research and education; not a medical device.
    """
    from kypho.errors import SettingsError

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
        rows = _needles(plan)  # type: ignore[arg-type]  # the count above leaves no other case
    typer.echo(json.dumps(rows) if as_json else "\n".join(_line(row) for row in rows))


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


def _needles(path: Path) -> list[dict[str, Any]]:
    from kypho.case.folder import read_json
    from kypho.errors import UnreadableFileError

    plan = read_json(path / "plan.json" if path.is_dir() else path, "give a plan.json of kypho plan")
    try:
        rows = [
            _view(
                f"approach {number} ({approach['strategy']}), {needle['side']} needle",
                [
                    tip - entry
                    for tip, entry in zip(needle["tip_lps_mm"], needle["bone_entry_lps_mm"], strict=True)
                ],
            )
            for number, approach in enumerate(plan["approaches"])
            for needle in approach["needles"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableFileError(f"{path} is no plan.json of kypho; make one with 'kypho plan'") from error
    if not rows:
        raise UnreadableFileError(f"{path} holds no needle; see its reasons for the refusal")
    return rows


def _line(row: dict[str, Any]) -> str:
    from kypho.fluoroscopy import angles_text

    left, posterior, superior = row["beam_lps"]
    beam = f"tube to detector L {left:+.4f} P {posterior:+.4f} S {superior:+.4f}"
    return f"{row['what']}: {angles_text(row['lao_deg'], row['cranial_deg'])}; {beam}"
