"""Figures of a puncture plan: sections along the needle, C-arm views per step, the rule and the margins."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kypho.anatomy import ARCH, BODY, CANAL, LEFT_PEDICLE, RIGHT_PEDICLE, Vertebra
from kypho.case.plan.run import PlanResult
from kypho.fluoroscopy import (
    CArm,
    Look,
    Overlay,
    Projector,
    angles_text,
    draw_view,
    en_face,
    needle_shadow,
    to_film,
    true_ap,
    true_lateral,
)
from kypho.planning import Approach, Needle
from kypho.planning.routes import walls_of
from kypho.planning.walls import WALLS
from kypho.space import sample_at, unit

__all__ = ["rule_figure", "sections_figure", "steps_figure"]

COLOURS = {
    BODY: "#56B4E9",
    LEFT_PEDICLE: "#E69F00",
    RIGHT_PEDICLE: "#E69F00",
    ARCH: "#999999",
    CANAL: "#F0E442",
}
NAMES = {BODY: "body", LEFT_PEDICLE: "pedicle", ARCH: "arch", CANAL: "canal"}
NEEDLE = "#D55E00"
ROUNDING_MM = 2e-3  # numerics: a margin this close to its limit keeps it, as the planner counts
SECTION_MM = 0.4  # numerics: pixel of a drawn section, finer than the CT
WINDOW_HU = (-150, 850)  # numerics: a bone window for display
FIELD_MM = 90.0  # numerics: collimation of the drawn views, about four thoracic vertebrae
APART_MM = 2.0  # numerics: steps closer than this look the same on a view


def sections_figure(result: PlanResult, approach: Approach) -> Figure:
    """CT sections that contain each needle: one near-transverse, one near-sagittal."""
    count = len(approach.needles)
    figure = Figure(figsize=(9.0, 4.3 * count), layout="constrained")
    axes = figure.subplots(count, 2, squeeze=False)
    for row, needle in zip(axes, approach.needles, strict=True):
        _section(row[0], result.vertebra, needle, result.vertebra.frame.left, "transverse")
        _section(row[1], result.vertebra, needle, result.vertebra.frame.superior, "sagittal")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return figure


def _section(ax: Axes, vertebra: Vertebra, needle: Needle, second: NDArray, name: str) -> None:
    """Draw the plane that holds the needle and the direction `second`.

    Transverse: the patient's left on the image's right, front up, as seen from the feet.
    Sagittal: front on the image's left, head up.
    """
    along = needle.direction
    across = unit(second - (second @ along) * along)
    middle = (needle.entry_mm + needle.tip_mm) / 2
    # The picture's vertical is the vertebra's own axis as far as the plane allows.
    vertical = -vertebra.frame.posterior if name == "transverse" else vertebra.frame.superior
    up = unit((vertical @ along) * along + (vertical @ across) * across)
    if name == "transverse":
        right = unit(across - (across @ up) * up)
    else:
        back, normal = vertebra.frame.posterior, unit(np.cross(along, across))
        right = unit(back - (back @ up) * up - (back @ normal) * normal)
    u = np.arange(-42.0, 42.0, SECTION_MM)
    v = np.arange(-38.0, 42.0, SECTION_MM)
    points = middle + v[:, None, None] * up + u[None, :, None] * right
    hu = sample_at(vertebra.hu, points, outside=np.nan)
    part = sample_at(vertebra.regions, points, order=0)
    low, high = WINDOW_HU
    ax.imshow(hu, cmap="gray", vmin=low, vmax=high, extent=(u[0], u[-1], v[0], v[-1]), origin="lower")
    for number, colour in COLOURS.items():
        if (part == number).any():
            ax.contour(u, v, part == number, levels=[0.5], colors=colour, linewidths=1.1)
            if number in NAMES:
                ax.plot([], [], color=colour, label=NAMES[number])
    _draw_shaft(ax, needle, middle, right, up)
    ax.set(xlim=(-40, 40), ylim=(-36, 40), xticks=[], yticks=[])
    ax.set_facecolor("black")
    ax.set_title(f"{vertebra.level} {needle.task.side}, needle's {name} plane", fontsize=10)
    letters = ("R", "L") if name == "transverse" else ("A", "P")
    for x, letter, ha in ((0.02, letters[0], "left"), (0.98, letters[1], "right")):
        ax.text(x, 0.5, letter, transform=ax.transAxes, color="white", ha=ha, va="center", weight="bold")


def _draw_shaft(ax: Axes, needle: Needle, middle: NDArray, right: NDArray, up: NDArray) -> None:
    """The needle at its true width, from beyond the bone to its tip."""
    start = needle.entry_mm - 18.0 * needle.direction
    ends = np.array([start, needle.tip_mm]) - middle
    flat = np.column_stack([ends @ right, ends @ up])
    side = needle.device.radius_mm * np.array([-(flat[1] - flat[0])[1], (flat[1] - flat[0])[0]])
    side /= np.linalg.norm(flat[1] - flat[0])
    corners = np.array([flat[0] + side, flat[1] + side, flat[1] - side, flat[0] - side])
    look = {"facecolor": NEEDLE, "edgecolor": "white", "linewidth": 0.6, "alpha": 0.85}
    ax.fill(corners[:, 0], corners[:, 1], label="needle", **look)
    target = needle.target_mm - middle
    ax.plot(target @ right, target @ up, "+", color="white", markersize=9, markeredgewidth=1.6)


def steps_figure(result: PlanResult, needle: Needle, acceptable: bool) -> Figure:
    """AP and lateral view at each step, and the view down the needle below them."""
    projector = Projector(result.ct.volume)
    frame = result.vertebra.frame
    steps = _steps(needle)
    figure = Figure(figsize=(10.0, 8.6), layout="constrained")
    axes = figure.subplots(3, len(steps))
    ap, lateral = true_ap(frame, field_mm=FIELD_MM), true_lateral(frame, field_mm=FIELD_MM)
    for row, (view, carm) in enumerate((("True AP", ap), ("True lateral", lateral))):
        patient = projector.trace(carm)
        look = Look.of(patient)
        for ax, (step, depth) in zip(axes[row], steps.items(), strict=True):
            tip = needle.entry_mm + depth * needle.direction
            film = to_film(patient + _shaft(carm, needle, tip), look)
            _draw(ax, film, carm, _overlays(result.vertebra, needle, tip, view))
            ax.set_title(f"{step}, {depth:.0f} mm", fontsize=9)
        axes[row, 0].set_ylabel(f"{view}\n{angles_text(*carm.angles_deg)}", fontsize=9)
    carm = en_face(frame, needle.entry_mm, needle.tip_mm, field_mm=FIELD_MM)
    patient = projector.trace(carm)
    for ax, name in zip(axes[2], ("entry", "needle in place"), strict=False):
        shadow = 0.0 if name == "entry" else _shaft(carm, needle, needle.tip_mm)
        film = to_film(patient + shadow, Look.of(patient))
        _draw(ax, film, carm, _overlays(result.vertebra, needle, needle.tip_mm, "Down the needle")[:1])
        ax.set_title(name, fontsize=9)
    axes[2, 0].set_ylabel(f"Down the needle\n{angles_text(*carm.angles_deg)}", fontsize=9)
    for ax in axes[2, 2:]:
        ax.set_axis_off()
    title = f"{result.vertebra.level}, {needle.task.side} needle, {needle.device.name}; simulated from CT"
    figure.suptitle(title if acceptable else f"{title}: NOT ACCEPTABLE, nearest miss", fontsize=11)
    axes[2, 2].legend(*axes[1, 0].get_legend_handles_labels(), loc="upper left", frameon=False, fontsize=10)
    return figure


def _steps(needle: Needle) -> dict[str, float]:
    """Steps of the needle and their depth past the bone entry, mm.

    A needle that enters the bone at the posterior wall or in front of it passes no pedicle: its way is cut
    into thirds instead.
    """
    depth = {d.name: d.from_bone_mm for d in needle.depths}
    wall, tip = depth["posterior_wall"], depth["tip"]
    pedicle = (depth["pedicle_entry"] + wall) / 2
    if np.diff([0.0, pedicle, wall, tip]).min() >= APART_MM:
        return {"docked on bone": 0.0, "middle of the pedicle": pedicle, "posterior wall": wall, "final": tip}
    return {"docked on bone": 0.0, "a third of the way": tip / 3, "two thirds": 2 * tip / 3, "final": tip}


def _shaft(carm: CArm, needle: Needle, tip: NDArray) -> NDArray[np.float32]:
    outer = needle.entry_mm - 120.0 * needle.direction if needle.skin_mm is None else needle.skin_mm
    return needle_shadow(carm, outer, tip, needle.device.radius_mm)


def _overlays(vertebra: Vertebra, needle: Needle, tip: NDArray, view: str) -> list[Overlay]:
    """Ring of the pedicle and needle, from the side the posterior wall too."""
    overlays = [
        Overlay(
            kind="pedicle_ring",
            points_lps=vertebra.pedicles[needle.task.side].contour_mm,
            label="pedicle ring",
            closed=True,
        ),
        Overlay(kind="needle", points_lps=np.array([needle.entry_mm, tip]), label="needle in bone", tip=True),
    ]
    if view == "True lateral":
        heights = np.linspace(vertebra.inferior.height_mm, vertebra.superior.height_mm, 25)
        line = np.column_stack([np.zeros_like(heights), vertebra.wall.y_mm(heights), heights])
        overlays.append(
            Overlay(kind="posterior_wall", points_lps=vertebra.frame.to_world(line), label="posterior wall")
        )
    return overlays


def _draw(ax: Axes, film: NDArray, carm: CArm, overlays: list[Overlay]) -> None:
    shown = {"needle", "pedicle_ring", "posterior_wall", "letters", "scale"}
    draw_view(ax, film, carm, overlays, show=shown)


def rule_figure(result: PlanResult, approach: Approach) -> Figure:
    """The AP/lateral rule along each needle, and the margins against their limits."""
    count = len(approach.needles)
    figure = Figure(figsize=(9.0, 3.2 * count), layout="constrained")
    axes = figure.subplots(count, 2, squeeze=False)
    for row, needle in zip(axes, approach.needles, strict=True):
        _rule(row[0], needle)
        _margins(row[1], needle, result)
    return figure


def _rule(ax: Axes, needle: Needle) -> None:
    steps = needle.rule.steps
    depth = [s.depth_mm for s in steps]
    ax.axhline(0, color="black", linewidth=0.8)
    ax.plot(depth, [s.ap_mm for s in steps], color="#0072B2", label="AP: lateral of the medial border")
    past = [s.lateral_mm for s in steps]
    ax.plot(depth, past, color="#D55E00", linestyle="--", label="lateral: in front of the wall")
    bad = [s.depth_mm for s in steps if not s.ok]
    if bad:
        ax.plot(bad, np.zeros(len(bad)), "x", color="#a4161a", label="rule broken")
    ax.set(xlabel="depth past the bone entry, mm", ylabel="mm", title=f"AP/lateral rule, {needle.task.side}")
    ax.legend(fontsize=8, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)


def _margins(ax: Axes, needle: Needle, result: PlanResult) -> None:
    # A needle beside the pedicle enters through the lateral wall, which is no limit then.
    limited = (*walls_of(needle.task.route), "anterior")
    names = [n for n in (*WALLS, "organ", "bone") if n in needle.margins_mm and n in limited]
    values = [needle.margins_mm[n] for n in names]
    limits = [getattr(result.settings.limits, f"{n}_mm") for n in names]
    place = np.arange(len(names))[::-1]
    kept = np.asarray(values) >= np.asarray(limits) - ROUNDING_MM
    ax.barh(place, values, color=np.where(kept, "#56B4E9", "#a4161a").tolist())
    # A number stands beyond both bar and limit, so that neither covers it.
    for at, number, limit in zip(place, values, limits, strict=True):
        beyond = (max(number, limit, 0.0), at)
        ax.annotate(f"{number:.1f}", beyond, (5, 0), textcoords="offset points", va="center", fontsize=8)
    ax.margins(x=0.12)  # room for the numbers
    ax.plot(limits, place, "|", color="black", markersize=12, markeredgewidth=2, label="limit")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(place, [n.replace("_", " ") for n in names])
    ax.set(xlabel="margin, mm", title=f"Distance to each wall, {needle.task.side}")
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
