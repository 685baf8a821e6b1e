"""The rehearsal as a page: filling film with a slider, leak curves, heat, scenarios side by side."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kypho.case.rehearsal import RehearsedCase, RehearsedScenario
from kypho.cement.compartments import ROUTES
from kypho.evidence import all_records, value
from kypho.fluoroscopy import Look, Projector, field_shadow, to_film, true_ap, true_lateral
from kypho.fluoroscopy.carm import CArm
from kypho.report.html import embed, render_page, save_figure
from kypho.space import Volume, resample

__all__ = ["render_rehearsal"]

CEMENT_PER_MM = (
    0.07  # numerics: contrast of barium-loaded PMMA on the drawn frame, a look and not a measurement
)
FIELD_MM = 75.0  # numerics: collimation of the drawn frames
COLOURS = {
    "canal_epidural": "#a4161a",
    "canal_intradural": "#5a0f5f",
    "foramen": "#d97706",
    "disc": "#2563a8",
    "paravertebral": "#0b6e4f",
    "venous": "#3b3b98",
}


def render_rehearsal(result: RehearsedCase, document: dict[str, Any], folder: Path) -> None:
    """Write rehearsal.html and its figures into a folder."""
    figures = folder / "rehearsal-figures"
    names = {
        "leaks": save_figure(_leak_figure(result), figures / "leaks.png"),
        "heat": save_figure(_heat_figure(result), figures / "temperature.png"),
    }
    film = _film(result)
    render_page(
        "rehearsal.html",
        folder / "rehearsal.html",
        doc=document,
        film=film,
        routes=list(ROUTES),
        figures={k: embed(path) for k, path in names.items()},
        synthetic=any("synthetic" in note.lower() for note in result.notes),
        records=[r for k, r in sorted(all_records().items()) if k.startswith("cement.") and not r.confirmed],
        alarms={
            "watch": value("cement.dose.watch_cem43_min"),
            "nerve": value("cement.dose.nerve_cem43_min"),
            "cord": value("cement.dose.cord_cem43_min"),
        },
        leak_threshold=value("cement.leak_threshold_ml"),
    )


def _film(result: RehearsedCase) -> list[dict[str, Any]]:
    """One picture per frame: three slices and both fluoroscopy views of the same instant."""
    done = result.scenarios[0]
    frame = result.vertebra.frame
    views = {"AP": true_ap(frame, field_mm=FIELD_MM), "lateral": true_lateral(frame, field_mm=FIELD_MM)}
    ct = result.ct.volume if result.ct is not None else result.vertebra.hu
    projector = Projector(ct)
    patient = {name: projector.trace(carm) for name, carm in views.items()}
    hu = np.asarray(resample(result.vertebra.hu, done.bone.grid, outside=0.0).array)
    pictures = []
    for shot in done.result.frames:
        amount = (shot.saturation / 255.0 * done.bone.porosity).astype(np.float32)
        image = _picture(result, done, amount, hu, views, patient, shot.injected_ml, shot.time_s)
        leaked = {
            route: float(np.interp(shot.injected_ml, done.result.injected_ml, curve))
            for route, curve in done.result.leaked_ml.items()
        }
        pictures.append(
            {"image": image, "injected_ml": shot.injected_ml, "time_s": shot.time_s, "leaked": leaked}
        )
    return pictures


def _picture(
    result: RehearsedCase,
    done: RehearsedScenario,
    amount: NDArray[np.float32],
    hu: NDArray,
    views: dict[str, CArm],
    patient: dict[str, NDArray[np.float32]],
    injected_ml: float,
    time_s: float,
) -> str:
    grid = done.bone.grid
    tip = np.clip(np.rint(grid.to_index(result.lines[0].tip_mm)).astype(int), 0, np.array(grid.shape) - 1)
    figure = Figure(figsize=(12.5, 3.0), layout="constrained")
    axes = figure.subplots(1, 5)
    cuts = (
        ("axial", hu[tip[0]], amount[tip[0]]),
        ("sagittal", hu[:, :, tip[2]][::-1], amount[:, :, tip[2]][::-1]),
        ("coronal", hu[:, tip[1]][::-1], amount[:, tip[1]][::-1]),
    )
    for ax, (name, background, cement) in zip(axes[:3], cuts, strict=True):
        ax.imshow(background, cmap="gray", vmin=-150, vmax=700)
        ax.imshow(np.ma.masked_less(cement, 0.05), cmap="autumn_r", vmin=0, vmax=1, alpha=0.75)
        ax.set_title(name, fontsize=9)
    shadow = Volume(array=amount * np.float32(CEMENT_PER_MM), grid=grid, unit="1/mm")
    for ax, (name, carm) in zip(axes[3:], views.items(), strict=True):
        film = to_film(patient[name] + field_shadow(carm, shadow), Look.of(patient[name]))
        ax.imshow(film, cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"fluoroscopy, {name}", fontsize=9)
    for ax in axes:
        ax.set_axis_off()
    figure.suptitle(f"{injected_ml:.2f} mL, {time_s:.0f} s after the start", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, facecolor="white")
    figure.clear()
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _leak_figure(result: RehearsedCase) -> Figure:
    """Leaked volume and pressure of the injection; leak probability of the ensemble."""
    figure = Figure(figsize=(11.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    r = result.scenarios[0].result
    for route, curve in r.leaked_ml.items():
        axes[0].plot(r.injected_ml, curve, color=COLOURS[route], label=route.replace("_", " "))
    axes[0].axhline(value("cement.leak_threshold_ml"), color="0.6", lw=0.8, ls=":")
    _label(axes[0], "injected, mL", "leaked, mL", "single injection")
    axes[0].legend(fontsize=7, frameon=False)
    axes[1].plot(r.injected_ml, r.tip_kpa, color="#1c2733")
    _label(axes[1], "injected, mL", "pressure at the tip, kPa", "pressure")
    if result.ensemble is None:
        axes[2].text(0.5, 0.5, "no ensemble was run", ha="center", va="center", color="0.5")
        axes[2].set_axis_off()
    else:
        e = result.ensemble
        for route in ROUTES:
            axes[2].plot(
                e.volume_ml, 100 * e.p_leak[route], color=COLOURS[route], label=route.replace("_", " ")
            )
        axes[2].axhline(100 * e.safe_probability, color="0.6", lw=0.8, ls=":")
        axes[2].set_ylim(-2, 102)
        _label(axes[2], "injected, mL", "leak probability, %", f"ensemble of {e.n}")
    return figure


def _heat_figure(result: RehearsedCase) -> Figure:
    """Temperature against time at the sites, body centre left out of the left panel."""
    figure = Figure(figsize=(11.5, 3.4), layout="constrained")
    axes = figure.subplots(1, 2)
    r = result.scenarios[0].result
    minutes = r.curve_time_s / 60
    for name, curve in r.curve_c.items():
        axes[1 if name == "body_centre" else 0].plot(minutes, curve, label=name.replace("_", " "))
    axes[0].axhline(43, color="0.6", lw=0.8, ls=":")
    _label(axes[0], "minutes since the start", "hottest cell, C", "around the cement (dotted: 43 C)")
    axes[0].legend(fontsize=7, frameon=False)
    _label(axes[1], "minutes since the start", "hottest cell, C", "middle of the body")
    return figure


def _label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(y, fontsize=9)
    ax.set_title(title, fontsize=10)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
