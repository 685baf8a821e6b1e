"""The rehearsal as a page: filling film with a slider, leak curves, heat, scenarios side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kypho.case.rehearsal.document import ALARMS, RehearsalDocument
from kypho.case.rehearsal.run import RehearsedCase
from kypho.cement.compartments import LEAK_REGIONS
from kypho.cement.ensemble import CANAL_ROUTES
from kypho.evidence import value
from kypho.fluoroscopy import Projector
from kypho.report.html import embed, own_and_others, render_page, save_figure
from kypho.report.rehearsal_film import CANAL, COLOURS, FILLING, Studio, colour_legend, film_of

__all__ = ["render_rehearsal", "standing"]

DASHES = ("--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
NERVES = ("dura", "cord", "root_left", "root_right")
"""Sites whose heat dose is held against the alarms."""
OWN_RECORDS = ("balloon", "cement")
"""Families of records listed one by one; those of planning and assessment are counted."""


def render_rehearsal(result: RehearsedCase, document: RehearsalDocument, folder: Path) -> None:
    """Write rehearsal.html and its figures into a folder."""
    figures = folder / "rehearsal-figures"
    projector = Projector(result.ct.volume if result.ct is not None else result.vertebra.hu)
    studios = [Studio(result, done, projector) for done in result.scenarios]
    drawn = {"leaks": _leak_figure(result), "temperature": _heat_figure(result)}
    own, others = own_and_others(document.unconfirmed_records, OWN_RECORDS)
    if len(studios) > 1:
        drawn["scenarios"] = _scenario_figure(result, studios)
    render_page(
        "rehearsal.html",
        folder / "rehearsal.html",
        doc=document,
        standing=standing(document),
        film=film_of(studios[0]),
        routes=list(LEAK_REGIONS),
        figures={name: embed(save_figure(figure, figures / f"{name}.png")) for name, figure in drawn.items()},
        synthetic=(result.ct is not None and result.ct.synthetic)
        or any("synthetic" in note.lower() for note in result.notes),
        records=own,
        others=others,
        nerves=NERVES,
        alarms={name: value(key) for name, key in ALARMS.items()},
        leak_threshold=value("cement.leak_threshold_ml"),
    )


def standing(document: RehearsalDocument) -> Literal["good", "open", "bad"]:
    """Colour of the verdict: what the ensemble's interval shows, not what its share happens to be.

    A few injections without a leak leave the interval above the probability that counts as safe, and what
    could not be assessed was rehearsed as sound: open.
    """
    if any(document.first_leak_ml[route] for route in CANAL_ROUTES):
        return "bad"
    if document.p_leak is None or document.safe_probability is None:
        return "open"
    low, high = document.p_leak["canal"].interval
    if low > document.safe_probability:
        return "bad"
    shown = (
        high <= document.safe_probability and "not_assessable" not in document.flow_paths.findings.values()
    )
    return "good" if shown else "open"


def _scenario_figure(result: RehearsedCase, studios: list[Studio]) -> Figure:
    """Every scenario at its end in one slice, and the canal leak of all of them."""
    n = len(studios)
    # All in the slice of the largest canal leak, so that they can be compared.
    number, worst = max(enumerate(studios, start=1), key=lambda each: each[1].leaked_canal_ml)
    figure = Figure(figsize=(max(3.1 * n, 8.0), 8.6), layout="constrained")
    figure.suptitle(
        f"all in one axial slice, z = {worst.place_mm[2]:.0f} mm, at {worst.place_name} of scenario {number}",
        fontsize=10,
    )
    rows = figure.subplots(3, n, squeeze=False, height_ratios=(1.0, 0.7, 0.9))
    for number, (column, studio) in enumerate(zip(rows.T, studios, strict=True)):
        amount = np.asarray(studio.done.result.cement.array)
        _, hu, cement, canal = studio.slices(amount, worst.place_mm)[0]
        column[0].imshow(hu, cmap="gray", vmin=-150, vmax=700)
        column[0].imshow(np.ma.masked_less(cement, 0.05), cmap=FILLING, vmin=0, vmax=1, alpha=0.8)
        if 0 < canal.sum() < canal.size:
            column[0].contour(canal, levels=[0.5], colors=CANAL, linewidths=0.8)
        column[0].set_title(_wrapped(f"{number + 1}: {studio.done.scenario.name}"), fontsize=9)
        column[1].imshow(studio.solids(amount))
        for ax in column[:2]:
            ax.set_axis_off()
        column[2].remove()
    grid = rows[2, 0].get_gridspec()
    below = figure.add_subplot(grid[2, :])
    for number, done in enumerate(result.scenarios):
        leak = np.sum([done.result.leaked_ml[route] for route in CANAL_ROUTES], axis=0)
        every = np.sum(list(done.result.leaked_ml.values()), axis=0)
        (line,) = below.plot(done.result.injected_ml, leak, label=f"{number + 1}, canal")
        below.plot(
            done.result.injected_ml, every, ls="--", color=line.get_color(), label=f"{number + 1}, all"
        )
    below.axhline(value("cement.leak_threshold_ml"), color="0.5", lw=0.8, ls=":")
    _label(below, "injected, mL", "leaked, mL", "leak into the canal (solid) and by all routes (dashed)")
    below.legend(fontsize=8, frameon=False, ncols=2)
    colour_legend(figure)
    return figure


def _wrapped(name: str) -> str:
    """At most two parts of a scenario's name on a line."""
    parts = name.split(", ")
    return ",\n".join(", ".join(parts[n : n + 2]) for n in range(0, len(parts), 2))


def _leak_figure(result: RehearsedCase) -> Figure:
    """Leaked volume and pressure of the injection; leak probability of the ensemble."""
    figure = Figure(figsize=(11.5, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    r = result.scenarios[0].result
    threshold = value("cement.leak_threshold_ml")
    for route, curve in r.leaked_ml.items():
        axes[0].plot(r.injected_ml, curve, **_line(route))
    axes[0].axhline(threshold, color="0.5", lw=0.8, ls=":")
    axes[0].set_ylim(top=max(axes[0].get_ylim()[1], 1.25 * threshold))
    _label(axes[0], "injected, mL", "leaked, mL", "single injection")
    axes[1].plot(r.injected_ml, r.tip_kpa, color="#1c2733")
    axes[1].set_ylim(bottom=0)
    _label(axes[1], "injected, mL", "pressure at the tip, kPa (100 kPa: 1 bar)", "pressure")
    if result.ensemble is None:
        axes[2].text(0.5, 0.5, "no ensemble was run", ha="center", va="center", color="0.4")
        axes[2].set_axis_off()
    else:
        e = result.ensemble
        for route in LEAK_REGIONS:
            axes[2].plot(e.volume_ml, 100 * e.p_leak[route], **_line(route))
        axes[2].axhline(100 * e.safe_probability, color="0.5", lw=0.8, ls=":")
        axes[2].set_ylim(-2, 102)
        _label(axes[2], "injected, mL", "leak probability, %", f"ensemble of {e.n}")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9, frameon=False)
    return figure


def _line(route: str) -> dict[str, Any]:
    """How a route's curve is drawn: by colour and by dashes, the canal's in full."""
    return {
        "color": COLOURS[route],
        "ls": "-" if route in CANAL_ROUTES else DASHES[list(LEAK_REGIONS).index(route) % len(DASHES)],
        "lw": 2.2 if route in CANAL_ROUTES else 1.6,
        "label": route.replace("_", " "),
    }


def _heat_figure(result: RehearsedCase) -> Figure:
    """Temperature against time at the sites, body centre left out of the left panel."""
    figure = Figure(figsize=(11.5, 3.4), layout="constrained")
    axes = figure.subplots(1, 2)
    r = result.scenarios[0].result
    minutes = r.curve_time_s / 60
    for name, curve in r.curve_c.items():
        axes[1 if name == "body_centre" else 0].plot(minutes, curve, label=name.replace("_", " "))
    axes[0].axhline(43, color="0.5", lw=0.8, ls=":")
    _label(axes[0], "minutes since the start", "hottest cell, °C", "around the cement (dotted: 43 °C)")
    axes[0].legend(fontsize=8, frameon=False)
    _label(axes[1], "minutes since the start", "hottest cell, °C", "middle of the body")
    return figure


def _label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(y, fontsize=9)
    ax.set_title(title, fontsize=10)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
