"""Drawing a fluoroscopic frame with what the operator looks for on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kypho.errors import SettingsError
from kypho.fluoroscopy.carm import CArm, angles_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KINDS", "PARTS", "Overlay", "draw_view", "edge_letters"]

# Okabe and Ito's palette keeps apart for every colour vision; dashes say the same in print.
KINDS: dict[str, dict[str, Any]] = {
    "needle": {"color": "#E69F00", "linestyle": "-", "linewidth": 1.6},
    "planned_needle": {"color": "#E69F00", "linestyle": (0, (2, 2)), "linewidth": 1.2},
    "pedicle_ring": {"color": "#56B4E9", "linestyle": "-", "linewidth": 1.4},
    "posterior_wall": {"color": "#F0E442", "linestyle": (0, (6, 2)), "linewidth": 1.4},
    "midline": {"color": "#CC79A7", "linestyle": (0, (1, 2)), "linewidth": 1.4},
    "outline": {"color": "#009E73", "linestyle": (0, (6, 2, 1, 2)), "linewidth": 1.2},
    "target": {"color": "#D55E00", "linestyle": "none", "linewidth": 1.4, "marker": "+", "markersize": 9},
}
"""What an overlay can stand for, with its line style."""

PARTS = frozenset((*KINDS, "caption", "letters", "legend", "scale"))
"""Everything `draw_view` can show or leave out."""

LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Letters of the positive and negative end of the LPS axes, as radiographs are marked."""
EDGE_ON = 0.75
"""Least cosine of an image edge's direction with a patient's axis for that axis's letter: 41 degrees."""
SCALE_BAR_MM = 20.0  # numerics: length of a drawn ruler
ORIGIN = "simulated from CT"
HALO = "black"


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """A line in the patient to draw on the image.

    Attributes:
        kind: one of `KINDS`.
        points_lps: polyline, shape (n, 3); a single point is drawn by its marker.
        label: name in the legend; overlays of one kind and label share an entry, "" has none.
        closed: join the last point to the first.
        tip: put a dot on the last point.

    Raises:
        SettingsError: unknown kind.
    """

    kind: str
    points_lps: NDArray[np.float64]
    label: str = ""
    closed: bool = False
    tip: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"overlay kind {self.kind!r} is unknown; one of {', '.join(KINDS)}")
        points = np.array(self.points_lps, dtype=float).reshape(-1, 3)
        points.setflags(write=False)
        object.__setattr__(self, "points_lps", points)


def draw_view(
    ax: Axes,
    film: NDArray[np.float32],
    carm: CArm,
    overlays: Sequence[Overlay] = (),
    *,
    title: str = "",
    lines: Sequence[str] = (),
    show: Collection[str] = PARTS,
) -> None:
    """Draw a frame and its overlays into a matplotlib axes.

    Args:
        ax: the axes; its ticks are removed.
        film: grey picture from `to_film`, shape `carm.shape`.
        carm: the pose the film was traced at.
        overlays: lines in the patient, LPS.
        title: the view's name, first in the caption; the dialled angles follow it, and at the end that the
            picture is simulated.
        lines: further lines of the caption, such as step and depth.
        show: the parts to draw, out of `PARTS`; leave one out to switch it off.

    Raises:
        SettingsError: a part that does not exist.
    """
    unknown = set(show) - PARTS
    if unknown:
        raise SettingsError(f"view part {sorted(unknown)[0]!r} is unknown; one of {', '.join(sorted(PARTS))}")
    rows, cols = carm.shape
    ax.imshow(film, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    for overlay in overlays:
        if overlay.kind in show:
            _draw_overlay(ax, carm, overlay)
    ax.set(xlim=(-0.5, cols - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    if "caption" in show:
        caption = [line for line in (title, angles_text(*carm.angles_deg), *lines, ORIGIN) if line]
        _text(ax, 0.02, 0.985, "\n".join(caption), ha="left", va="top")
    if "letters" in show:
        _draw_letters(ax, carm)
    if "scale" in show:
        _draw_scale(ax, carm)
    if "legend" in show:
        _draw_legend(ax)


def edge_letters(carm: CArm) -> dict[str, str]:
    """The patient's side at each edge of the image: "left", "right", "top", "bottom" to L R A P H F.

    An edge whose direction is not near any of the patient's axes is left out.
    """
    letters = {}
    for vector, edges in ((carm.right, ("right", "left")), (-carm.down, ("top", "bottom"))):
        axis = int(np.argmax(np.abs(vector)))
        if abs(vector[axis]) > EDGE_ON:
            ahead, behind = LETTERS[axis] if vector[axis] > 0 else LETTERS[axis][::-1]
            letters.update({edges[0]: ahead, edges[1]: behind})
    return letters


def _halo(width: float) -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=HALO)]


def _text(ax: Axes, x: float, y: float, text: str, **where: Any) -> None:
    ax.text(
        x,
        y,
        text,
        transform=ax.transAxes,
        color="white",
        fontsize=7,
        path_effects=_halo(1.8),
        zorder=6,
        **where,
    )


def _draw_overlay(ax: Axes, carm: CArm, overlay: Overlay) -> None:
    pixels = carm.project(overlay.points_lps)
    if overlay.closed:
        pixels = np.vstack([pixels, pixels[:1]])
    style = KINDS[overlay.kind]
    shown = ax.get_legend_handles_labels()[1]
    label = overlay.label if overlay.label and overlay.label not in shown else "_"
    ax.plot(
        pixels[:, 1],
        pixels[:, 0],
        label=label,
        path_effects=_halo(style["linewidth"] + 1.2),
        zorder=4,
        **style,
    )
    if overlay.tip:
        ax.plot(
            *pixels[-1, ::-1],
            "o",
            color=style["color"],
            markeredgecolor=HALO,
            markersize=4,
            zorder=5,
            label="_",
        )


def _draw_letters(ax: Axes, carm: CArm) -> None:
    places = {
        "left": (0.02, 0.5, "left", "center"),
        "right": (0.98, 0.5, "right", "center"),
        "top": (0.98, 0.985, "right", "top"),
        "bottom": (0.02, 0.015, "left", "bottom"),
    }
    for edge, letter in edge_letters(carm).items():
        x, y, ha, va = places[edge]
        _text(ax, x, y, letter, ha=ha, va=va, weight="bold")


def _draw_scale(ax: Axes, carm: CArm) -> None:
    """A ruler, true in the plane of the isocentre."""
    rows, cols = carm.shape
    length = SCALE_BAR_MM * carm.magnification / carm.pixel_mm
    x, y = 0.97 * cols, 0.97 * rows
    ax.plot([x - length, x], [y, y], color="white", linewidth=1.5, path_effects=_halo(3), zorder=6, label="_")
    _text(ax, 0.97 - length / cols / 2, 0.04, f"{SCALE_BAR_MM:g} mm", ha="center", va="bottom")


def _draw_legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        ax.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0.0, -0.01),
            borderaxespad=0.0,
            fontsize=7,
            ncols=2,
            frameon=False,
            handlelength=3.0,
        )
