"""The filling as a film: three slices, the solid, and both fluoroscopy views of the same instant."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from kypho.case.rehearsal.run import RehearsedCase, RehearsedScenario
from kypho.cement.compartments import CODES, INSIDE, LEAK_REGIONS
from kypho.cement.ensemble import CANAL_ROUTES
from kypho.evidence import value
from kypho.fluoroscopy import (
    Look,
    Projector,
    edge_letters,
    field_shadow,
    needle_shadow,
    to_film,
    true_ap,
    true_lateral,
)
from kypho.report.rehearsal_solid import SolidView
from kypho.space import Volume, resample

__all__ = ["CANAL", "COLOURS", "FILLING", "Studio", "colour_legend", "film_of"]

CEMENT_PER_MM = (
    0.07  # numerics: contrast of barium-loaded PMMA on the drawn frame, a look and not a measurement
)
FIELD_MM = 75.0  # numerics: collimation of the drawn frames
SHAFT_MM = 60.0  # numerics: how much of the cannula outside the bone is drawn
LEAST = 0.05
"""Volume fraction of cement below which a cell is drawn empty."""
COLOURS = {
    "canal_epidural": "#c1121f",
    "canal_intradural": "#ff5da2",
    "foramen": "#7f4f24",
    "disc": "#35a7e0",
    "paravertebral": "#3a9d5d",
    "venous": "#1b2f7a",
}
"""Apart from each other in hue and in lightness, and from the cement's yellow."""
CEMENT, STEEL, CANAL = "#f2a541", "#8a939c", "#4cc9f0"
FILLING = "Wistia"
"""Colours of a slice's filling, yellow to orange: red is what lies in the canal."""
BONY = (*INSIDE, "cortex", "endplate", "posterior_elements", "cannula")


class Studio:
    """Everything of one scenario's pictures that does not change while cement flows."""

    def __init__(self, result: RehearsedCase, done: RehearsedScenario, projector: Projector) -> None:
        self.done, self.grid = done, done.bone.grid
        frame = result.vertebra.frame
        self.carms = {
            "AP": true_ap(frame, field_mm=FIELD_MM),
            "lateral": true_lateral(frame, field_mm=FIELD_MM),
        }
        half_balloon = value("cement.balloon.back_mm") if done.scenario.procedure == "pkp" else 0.0
        self.outlet_mm = done.lines[0].point(half_balloon)
        self.patient, self.look = {}, {}
        for name, carm in self.carms.items():
            patient = projector.trace(carm)
            self.look[name] = Look.of(patient)
            for line in done.lines:
                way = (line.tip_mm - line.entry_mm) / np.linalg.norm(line.tip_mm - line.entry_mm)
                start = line.entry_mm - SHAFT_MM * way
                patient = patient + needle_shadow(
                    carm, start, line.point(2 * half_balloon), line.outer_mm / 2
                )
            self.patient[name] = patient
        self.hu = np.asarray(resample(result.vertebra.hu, self.grid, outside=0.0).array)
        self.canal = np.isin(
            done.bone.region, [CODES[name] for route in CANAL_ROUTES for name in LEAK_REGIONS[route]]
        )
        self.solid = SolidView(done.bone.mask(*BONY))
        self.steel = done.bone.mask("cannula")
        self.routes = {
            route: np.isin(done.bone.region, [CODES[r] for r in regions])
            for route, regions in LEAK_REGIONS.items()
        }

    @property
    def place(self) -> tuple[int, int, int]:
        """Cell (k, j, i) on all three slices: the canal leak at its thickest, else the cement's outlet."""
        leak = np.asarray(self.done.result.cement.array) * self.canal
        if leak.sum() * self.grid.voxel_mm3 * 1e-3 >= value("cement.leak_threshold_ml"):
            k, j, i = (int(np.argmax(leak.sum(axis=axes))) for axes in ((1, 2), (0, 2), (0, 1)))
            return k, j, i
        return self._cell(self.outlet_mm)

    def film(self, view: str, amount: NDArray[np.float32]) -> NDArray[np.float64]:
        """The fluoroscopy frame with this much cement (volume fraction per cell)."""
        shadow = Volume(array=amount * np.float32(CEMENT_PER_MM), grid=self.grid, unit="1/mm")
        frame = to_film(self.patient[view] + field_shadow(self.carms[view], shadow), self.look[view])
        return np.asarray(frame, np.float64)

    def solids(self, amount: NDArray[np.float32]) -> NDArray[np.float64]:
        """The oblique picture: bone translucent, cement by where it is, cannula grey."""
        filled = amount > LEAST
        outside = np.zeros_like(filled)
        parts = []
        for route, where in self.routes.items():
            outside |= where
            parts.append((filled & where, COLOURS[route]))
        return self.solid.picture([(filled & ~outside, CEMENT), (self.steel, STEEL), *parts])

    def _cell(self, point_mm: NDArray[np.float64]) -> tuple[int, int, int]:
        """The cell (k, j, i) that holds an LPS point, or the nearest to it."""
        index = np.rint(self.grid.to_index(point_mm)).astype(int)
        k, j, i = (int(n) for n in np.clip(index, 0, np.array(self.grid.shape) - 1))
        return k, j, i

    @property
    def leaked_canal_ml(self) -> float:
        """Cement in the canal at the end."""
        return float(sum(self.done.result.leaked_ml[route][-1] for route in CANAL_ROUTES))

    @property
    def place_name(self) -> str:
        """What `place` is."""
        return "the canal leak" if self.canal[self.place] else "the cement's outlet"

    @property
    def place_mm(self) -> NDArray[np.float64]:
        """LPS point of `place`."""
        return np.asarray(self.grid.to_world(np.array(self.place, float)))

    def slices(
        self, amount: NDArray[np.float32], place_mm: NDArray[np.float64]
    ) -> list[tuple[str, NDArray, NDArray, NDArray]]:
        """Name, CT, cement and canal of slices through a point; head up, the patient's right on the left."""
        k, j, i = self._cell(place_mm)
        cuts: dict[str, Any] = {"axial": np.s_[k], "sagittal": np.s_[::-1, :, i], "coronal": np.s_[::-1, j]}
        return [(name, self.hu[cut], amount[cut], self.canal[cut]) for name, cut in cuts.items()]


def colour_legend(figure: Figure) -> None:
    """What the colours of slices and solids stand for, below everything else."""
    kinds = {"cement in bone": CEMENT} | {route.replace("_", " "): COLOURS[route] for route in COLOURS}
    handles: list[Artist] = [Patch(color=colour, label=name) for name, colour in kinds.items()]
    handles += [
        Patch(color=STEEL, label="cannula"),
        Line2D([], [], color=CANAL, label="outline of the canal"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8, frameon=False)


def film_of(studio: Studio) -> list[dict[str, Any]]:
    """One picture per kept frame, as data addresses, with what had been injected and leaked."""
    done = studio.done
    figure = Figure(figsize=(9.6, 7.0))
    figure.set_layout_engine("constrained", h_pad=0.1)
    axes = figure.subplots(2, 3).ravel()
    empty = np.zeros(studio.grid.shape, np.float32)
    layers = []
    for ax, (name, hu, cement, canal) in zip(axes[:3], studio.slices(empty, studio.place_mm), strict=True):
        ax.imshow(hu, cmap="gray", vmin=-150, vmax=700)
        layers.append(ax.imshow(_clear(cement), cmap=FILLING, vmin=0, vmax=1, alpha=0.8))
        if 0 < canal.sum() < canal.size:
            ax.contour(canal, levels=[0.5], colors=CANAL, linewidths=0.8)
        ax.set_title(f"{name}, at {studio.place_name}", fontsize=10)
        _letters(ax, *("AP" if name == "sagittal" else "RL"))
    solid = axes[3].imshow(studio.solids(empty))
    axes[3].set_title("from behind and the left", fontsize=10)
    shadows = {}
    for ax, name in zip(axes[4:], studio.carms, strict=True):
        shadows[name] = ax.imshow(studio.film(name, empty), cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"simulated fluoroscopy, true {name}", fontsize=10)
        edges = edge_letters(studio.carms[name])
        _letters(ax, edges.get("left", ""), edges.get("right", ""))
    for ax in axes:
        ax.set_axis_off()
        ax.set_anchor("N")
    colour_legend(figure)
    pictures = []
    for shot in done.result.frames:
        amount = (shot.saturation / 255.0 * done.bone.porosity).astype(np.float32)
        for layer, (_, _, cement, _) in zip(layers, studio.slices(amount, studio.place_mm), strict=True):
            layer.set_data(_clear(cement))
        solid.set_data(studio.solids(amount))
        for name, shadow in shadows.items():
            shadow.set_data(studio.film(name, amount))
        figure.suptitle(
            f"Simulated: {shot.injected_ml:.2f} mL, {shot.time_s:.0f} s after the start",
            fontsize=11,
            weight="bold",
        )
        leaked = {
            route: float(np.interp(shot.injected_ml, done.result.injected_ml, curve))
            for route, curve in done.result.leaked_ml.items()
        }
        pictures.append(
            {
                "image": _address(figure),
                "injected_ml": shot.injected_ml,
                "time_s": shot.time_s,
                "leaked": leaked,
            }
        )
        # The layout is found once; it does not change with the cement.
        figure.set_layout_engine("none")
    return pictures


def _letters(ax: Axes, left: str, right: str) -> None:
    """The patient's directions at the left and right edge of a picture."""
    for x, letter, side in ((0.03, left, "left"), (0.97, right, "right")):
        text = ax.text(
            x, 0.5, letter, transform=ax.transAxes, color="white", ha=side, va="center", fontsize=9
        )
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])


def _clear(cement: NDArray) -> NDArray:
    return np.ma.masked_less(cement, LEAST)


def _address(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=90, facecolor="white", pil_kwargs={"quality": 82})
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
