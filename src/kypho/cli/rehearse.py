"""`kypho rehearse`: inject the cement before the operation does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kypho.cli.inputs import READING, chosen_level, read_ct_and_labels
from kypho.cli.options import AsJson, Ct, LabelFile, Level, Out, Scheme, Series

__all__ = ["rehearse"]

STEPS = (*READING, "vertebra model", "needles", "injection", "ensemble", "report", "files")


def rehearse(
    ct: Ct,
    labels: LabelFile = None,
    scheme: Scheme = "auto",
    level: Level = None,
    series: Series = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Case folder of kypho plan: rehearse its needles.")
    ] = None,
    procedure: Annotated[str, typer.Option("--procedure", help="pkp (balloon) or pvp.")] = "pvp",
    cement: Annotated[str, typer.Option("--cement", help="low, medium or high viscosity.")] = "medium",
    volume_ml: Annotated[
        float, typer.Option("--volume-ml", help="Cement volume.")
    ] = 3.0,  # numerics: an example
    rate_ml_min: Annotated[
        float, typer.Option("--rate-ml-min", help="Injection rate.")
    ] = 3.0,  # numerics: an example
    start_min: Annotated[
        float, typer.Option("--start-min", help="Minutes since mixing.")
    ] = 4.0,  # numerics: an example
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", help="Another scenario, for example 'cement=high,volume=4.5,procedure=pkp'. Up to 3."
        ),
    ] = None,
    members: Annotated[int, typer.Option("--members", help="Size of the ensemble; 0 for none.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the ensemble.")] = 1,
    gauge: Annotated[int, typer.Option("--gauge", help="Needle gauge: 8, 10, 11 or 13.")] = 11,
    grid_mm: Annotated[float, typer.Option("--grid-mm", help="Cell size.")] = 0.75,  # numerics: default cell
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse a cement injection on a CT: where it goes, when it leaks, how warm it gets."""
    import json

    from kypho.case.rehearsal import (
        RehearseSettings,
        Scenario,
        needles_of_plan,
        rehearse_case,
        write_rehearsal,
    )
    from kypho.cli.progress import Steps
    from kypho.report.rehearsal import render_rehearsal

    base = Scenario(
        procedure=procedure,  # type: ignore[arg-type]  # Scenario checks it
        cement=cement,
        volume_ml=volume_ml,
        rate_ml_min=rate_ml_min,
        start_min=start_min,
    )
    scenarios = (base, *(_changed(base, text) for text in compare or []))
    settings = RehearseSettings(scenarios=scenarios, grid_mm=grid_mm, members=members, seed=seed, gauge=gauge)
    lines = needles_of_plan(plan, settings) if plan is not None else None
    with Steps(len(STEPS), quiet=as_json) as steps:
        image, found = read_ct_and_labels(ct, labels, steps, scheme=scheme, series=series)
        name = chosen_level(found.labels, level)
        result = rehearse_case(image, found, name, settings, steps.step, lines=lines)
        folder = out or Path(f"kypho-{name}")
        content = write_rehearsal(result, folder, steps.timings_s, steps.step, render_rehearsal)
    typer.echo(json.dumps(content) if as_json else _summary(content, folder))


def _changed(base, text: str):  # type: ignore[no-untyped-def]
    """A scenario from 'key=value,...'."""
    from dataclasses import replace

    from kypho.errors import SettingsError

    names = {
        "procedure": "procedure",
        "cement": "cement",
        "volume": "volume_ml",
        "rate": "rate_ml_min",
        "start": "start_min",
    }
    changes: dict[str, object] = {}
    for entry in text.split(","):
        key, _, given = entry.strip().partition("=")
        if key not in names or not given:
            raise SettingsError(f"--compare {entry!r}: give NAME=VALUE with NAME one of {', '.join(names)}")
        try:
            changes[names[key]] = given if key in ("procedure", "cement") else float(given)
        except ValueError:
            raise SettingsError(f"--compare {entry!r}: {given!r} is no number") from None
    return replace(base, **changes)


def _summary(content: dict, folder: Path) -> str:
    """A few lines for the terminal."""
    lines = [
        f"{content['level']}: {content['injected_ml']:.2f} mL injected, "
        f"{100 * content['fill_fraction']:.0f} % of the bone's void."
    ]
    leaks = {k: v for k, v in content["leaked_ml"].items() if content["first_leak_ml"][k] is not None}
    if leaks:
        lines += [
            f"  leak, {k.replace('_', ' ')}: {v:.2f} mL, from {content['first_leak_ml'][k]:.1f} mL injected"
            for k, v in leaks.items()
        ]
    else:
        lines.append("  no leak at the recorded threshold in the single injection")
    if content["p_leak"]:
        p = content["p_leak"]["canal"]
        lines.append(
            f"  canal leak in {100 * p['value']:.0f} % ({100 * p['low']:.0f}-{100 * p['high']:.0f}) of "
            f"{content['ensemble']['n']} injections; below {100 * content['safe_probability']:.0f} % up to "
            f"{content['safe_volume_ml']:.1f} mL"
        )
    hottest = ", ".join(
        f"{k.replace('_', ' ')} {v:.1f}"
        for k, v in content["peak_temperature_c"].items()
        if k != "body_centre"
    )
    lines.append(f"  highest temperature, C: {hottest}")
    lines.append(f"Report: {folder / 'rehearsal.html'}")
    lines.append(
        "Model outcome from mostly unconfirmed inputs. Research and education; not a medical device."
    )
    return "\n".join(lines)
