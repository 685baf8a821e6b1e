"""The report of the post-operative check: worst slices first, one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kypho.case.leakage.document import LeakageDocument, SliceEntry
from kypho.case.leakage.run import LeakageResult
from kypho.evidence import record
from kypho.leakage import METAL, ROUTES
from kypho.report.html import embed, render_page, save_figure
from kypho.report.mri import mri_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["render_leakage"]

SHOWN = 6  # numerics: slices in the figure; the table holds all
EDGE_MM = 3.0  # numerics: of a letter from the edge of its picture
HALF_MM = 32.0  # numerics: half width of a drawn slice
WINDOW_HU = (-250.0, 1000.0)  # numerics: a bone window; cement, far above it, has its colour
PART_COLOURS = ("#ff5a3c", "#ffb428", "#faf050", "#78dcff", "#dc78ff", "#78ff96")
CANAL_COLOUR = "#35c6ff"
INSIDE_COLOUR = "#3fe07a"
METAL_COLOUR = "#9aa8ff"
REHEARSED_COLOUR = "#d78cff"
TINT = 0.55  # numerics: opacity of a colour over what it marks
ROUTE_WORDS = {
    "basivertebral": "along the basivertebral vein",
    "segmental": "along a segmental vein",
    "cortical_canal": "through the posterior cortex into the canal",
    "needle_track": "along the needle's track",
    "systemic": "carried away in veins",
    "indeterminate": "too small a speck to tell",
}
"""Routes whose name says too little by itself."""


def render_leakage(result: LeakageResult, document: LeakageDocument, folder: Path) -> None:
    """Write figures/leakage_*.png and leakage.html into a folder."""
    figures = {"slices": _slices_figure(result, document), "overview": _overview_figure(result)}
    if result.mri_fit is not None:
        figures["mri"] = mri_figure(result.leakage.scene.vertebra, result.mri_fit)
    if result.plan is not None and result.plan.field is not None:
        figures["rehearsed"] = _rehearsed_figure(result)
    files = {
        name: save_figure(figure, folder / "figures" / f"leakage_{name}.png")
        for name, figure in figures.items()
    }
    render_page(
        "leakage.html",
        folder / "leakage.html",
        leak=document,
        figures={name: embed(path) for name, path in files.items()},
        routes={route: ROUTE_WORDS.get(route, route) for route in ROUTES},
        actions=[(action, record(action.evidence)) for action in document.actions],
        evidence=[record(k) for k in document.unconfirmed if not k.startswith("action.")],
        dura=record("leak.dura_gap_mm"),
        xray=record("leak.xray_canal_seen"),
    )


def _worst(document: LeakageDocument, result: LeakageResult) -> list[SliceEntry]:
    """Slices with most of the canal taken; without canal cement those with most cement."""
    rows = document.canal.slices
    if document.canal.found:
        return [r for r in rows if r.encroachment_percent.value > 0][:SHOWN] or rows[:1]
    cement = result.leakage.cement
    outside = cement & (result.leakage.numbers > 1)
    amount = (outside if outside.any() else cement).sum(axis=(1, 2))
    return sorted(rows, key=lambda r: -int(amount[r.index - result.leakage.scene.start[0]]))[:SHOWN]


def _slices_figure(result: LeakageResult, document: LeakageDocument) -> Figure:
    from matplotlib.figure import Figure

    rows = _worst(document, result)
    columns = min(3, max(1, len(rows)))
    lines = int(np.ceil(max(1, len(rows)) / columns))
    figure = Figure(figsize=(3.4 * columns, 3.6 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, row in zip(axes, rows, strict=False):
        _draw_slice(axis, result, row.index)
        percent = row.encroachment_percent
        text = (
            f"slice {row.index}: {percent.value:.0f} % of the canal"
            if document.canal.found
            else f"slice {row.index}"
        )
        axis.set_title(text + ("" if row.readable else " (not readable)"), fontsize=9)
    return figure


def _draw_slice(axis: Axes, result: LeakageResult, index: int) -> None:
    """One axial slice, patient's right on the left of the picture, with canal and cement outlined."""
    scene = result.leakage.scene
    k = index - scene.start[0]
    extent, flip = _extent(scene)
    view = (slice(None, None, flip[0]), slice(None, None, flip[1]))
    axis.imshow(scene.ct.array[k][view], cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], extent=extent)
    numbers = result.leakage.numbers[k][view]
    _mark(axis, scene.canal[k][view], CANAL_COLOUR, extent, tint=0.0)
    masks = [(numbers == 1, INSIDE_COLOUR), (numbers == METAL, METAL_COLOUR)]
    masks += [
        (numbers == part.map_number, PART_COLOURS[(part.id - 1) % len(PART_COLOURS)])
        for part in result.leakage.parts
    ]
    for mask, colour in masks:
        _mark(axis, mask, colour, extent)
    x, y, _ = scene.vertebra.frame.to_world(np.array([0.0, 8.0, 0.0]))
    axis.set_xlim(x - HALF_MM, x + HALF_MM)
    axis.set_ylim(y + HALF_MM, y - HALF_MM)
    axis.text(x - HALF_MM + 1, y, "R", color="white", va="center", fontsize=9)
    axis.text(x + HALF_MM - 3.5, y, "L", color="white", va="center", fontsize=9)


def _mark(
    axis: Axes,
    mask: np.ndarray,
    colour: str,
    extent: tuple[float, float, float, float],
    *,
    style: str = "solid",
    tint: float = TINT,
) -> None:
    """Outline a mask in a colour and tint what it holds."""
    if not mask.any():
        return
    where = {"extent": extent, "origin": "upper", "colors": [colour]}
    axis.contour(mask.astype(float), [0.5], linewidths=1.2, linestyles=style, **where)
    if tint:
        axis.contourf(mask.astype(float), [0.5, 1.5], alpha=tint, **where)


def _extent(scene) -> tuple[tuple[float, float, float, float], tuple[int, int]]:  # type: ignore[no-untyped-def]
    """World extent of an axial slice (left, right, bottom, top in mm) and the steps that orient it."""
    grid = scene.ct.grid
    steps = (1 if grid.axes[1, 1] > 0 else -1, 1 if grid.axes[0, 2] > 0 else -1)
    corners = grid.to_world(np.array([[0, -0.5, -0.5], [0, grid.shape[1] - 0.5, grid.shape[2] - 0.5]]))
    x, y = np.sort(corners[:, 0]), np.sort(corners[:, 1])
    return (float(x[0]), float(x[1]), float(y[1]), float(y[0])), steps


def _overview_figure(result: LeakageResult) -> Figure:
    """Greatest density from in front and from the side, cement coloured, like two radiographs."""
    numbers = result.leakage.numbers
    layers = [
        (numbers == number, _colour(int(number)), "solid") for number in np.unique(numbers[numbers > 0])
    ]
    return _projections(result, layers, np.empty((0, 3)))


def _rehearsed_figure(result: LeakageResult) -> Figure:
    """The same views with the rehearsed cement and the planned targets."""
    plan = result.plan
    assert plan is not None  # the caller asked
    assert plan.field is not None
    layers = [
        (plan.field.found, INSIDE_COLOUR, "solid"),
        (plan.field.rehearsed, REHEARSED_COLOUR, "dashed"),
    ]
    targets = np.array([n.target_lps_mm for n in plan.needles]).reshape(-1, 3)
    return _projections(result, layers, targets)


def _colour(number: int) -> str:
    if number == 1:
        return INSIDE_COLOUR
    return METAL_COLOUR if number == METAL else PART_COLOURS[(number - 2) % len(PART_COLOURS)]


def _projections(
    result: LeakageResult, layers: list[tuple[np.ndarray, str, str]], points_lps_mm: np.ndarray
) -> Figure:
    """Two views along the scanner's axes, masks outlined, points marked."""
    from matplotlib.figure import Figure

    scene = result.leakage.scene
    figure = Figure(figsize=(9.2, 2.7), layout="constrained")
    low, high = scene.vertebra.body_box_mm
    # Projections run along the scanner's axes: right to the left as seen from in front, front to the left
    # as seen from the side.
    views = (("from in front", 1, 2, 0), ("from the left side", 2, 1, 1))
    for axis, (title, over, across, world) in zip(figure.subplots(1, 2), views, strict=True):
        image = scene.ct.array.max(axis=over)
        grid = scene.ct.grid
        step = 1 if grid.axes[world, across] > 0 else -1
        up = 1 if grid.axes[2, 0] > 0 else -1
        ends = [grid.to_world(np.zeros(3)), grid.to_world(np.asarray(grid.shape) - 1)]
        side = sorted(float(e[world]) for e in ends)
        height = sorted(float(e[2]) for e in ends)
        extent = (side[0], side[1], height[0], height[1])
        axis.imshow(image[::-up, ::step], cmap="gray", vmin=0, vmax=1500, extent=extent, aspect="equal")
        for mask, colour, style in layers:
            flat = np.asarray(mask.any(axis=over))[::-up, ::step]
            _mark(axis, flat, colour, extent, style=style, tint=TINT if style == "solid" else 0.0)
        axis.plot(points_lps_mm[:, world], points_lps_mm[:, 2], "x", color=REHEARSED_COLOUR, ms=7, mew=2)
        middle = scene.vertebra.frame.origin_mm
        axis.set_ylim(middle[2] + low[2] - 18, middle[2] + high[2] + 18)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
        _letters(axis, "RLHF" if world == 0 else "APHF", extent, axis.get_ylim())
    return figure


def _letters(
    axis: Axes, letters: str, across_mm: tuple[float, float, float, float], up_mm: tuple[float, float]
) -> None:
    """The patient's directions at the left, right, upper and lower edge of a picture."""
    from matplotlib.patheffects import withStroke

    (left, right, _, _), (bottom, top) = across_mm, up_mm
    middle, centre = (left + right) / 2, (bottom + top) / 2
    edges = (
        (left + EDGE_MM, centre),
        (right - EDGE_MM, centre),
        (middle, top - EDGE_MM),
        (middle, bottom + EDGE_MM),
    )
    for letter, (x, z) in zip(letters, edges, strict=True):
        text = axis.text(x, z, letter, color="white", ha="center", va="center", fontsize=9, clip_on=True)
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])
