"""Pictures of an assessment: the body in two planes, and its cortex unfolded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra
from kypho.fracture import Assessment
from kypho.fracture.walls import Wall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["body_figure", "cortex_figure"]

WINDOW_HU = (-150.0, 750.0)  # numerics: bone window
WALL_ORDER = ("right", "anterior", "left", "posterior")
TITLES = {
    "right": "right wall",
    "anterior": "anterior wall",
    "left": "left wall",
    "posterior": "posterior wall",
}


def body_figure(vertebra: Vertebra, result: Assessment) -> Figure:
    """Mid-sagittal and mid-axial CT of the level with heights, lost and left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    sagittal, axial = figure.subplots(1, 2, width_ratios=[1.15, 1.0])
    z, y, x = vertebra.axes_mm
    hu = vertebra.hu.array
    middle = int(np.argmin(np.abs(x)))
    low, high = WINDOW_HU
    box = (y[0], y[-1], z[0], z[-1])
    sagittal.imshow(hu[:, :, middle], origin="lower", extent=box, cmap="gray", vmin=low, vmax=high)
    sagittal.contour(y, z, vertebra.body[:, :, middle], [0.5], colors="#4da3ff", linewidths=0.9)
    _heights(sagittal, vertebra, result)
    near = vertebra.body_box_mm
    sagittal.set_xlim(near[0][1] - 12, near[1][1] + 28)
    sagittal.set_ylim(near[0][2] - 12, near[1][2] + 14)
    sagittal.set_title("mid-sagittal (front to the left)", fontsize=9)
    level = int(np.argmin(np.abs(z)))
    side = (x[0], x[-1], y[-1], y[0])
    axial.imshow(hu[level], extent=side, cmap="gray", vmin=low, vmax=high)
    axial.contour(x, y, vertebra.body[level], [0.5], colors="#4da3ff", linewidths=0.9)
    axial.set_xlim(-34, 34)
    axial.set_ylim(near[1][1] + 34, near[0][1] - 8)
    axial.set_title("through the middle (patient's left on the right)", fontsize=9)
    for axes in (sagittal, axial):
        axes.set_xlabel("mm", fontsize=8)
        axes.tick_params(labelsize=7)
    return figure


def _heights(axes: Axes, vertebra: Vertebra, result: Assessment) -> None:
    from matplotlib.patheffects import withStroke

    front, back = vertebra.body_box_mm[0][1], vertebra.wall.a
    places = {"anterior": front + 2.0, "middle": (front + back) / 2, "posterior": back - 2.0}
    for site, y in places.items():
        bottom, top = (float(e.z_mm(np.array([0.0, y]))) for e in (vertebra.inferior, vertebra.superior))
        axes.plot([y, y], [bottom, top], color="#ffd400", lw=1.4)
        loss = result.loss.percent[site]
        text = f"{result.heights.at(site):.1f} mm"
        text += "\n" + _against(loss)
        axes.annotate(
            text,
            (y, top),
            (0, 12),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color="#ffd400",
            path_effects=[withStroke(linewidth=2.5, foreground="black")],
        )


def _against(loss: float | None) -> str:
    if loss is None:
        return "loss not known"
    if round(loss) == 0:
        return "as expected"
    return f"{loss:.0f} % lost" if loss > 0 else f"{-loss:.0f} % over"


def cortex_figure(result: Assessment) -> Figure:
    """The four walls unfolded to one scale, dense cortex dark, openings red; how deep the posterior is."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    colours = LinearSegmentedColormap.from_list("cortex", ["#c1121f", "#f4a261", "#e9ecef", "#1d3557"])
    figure = Figure(figsize=(9.0, 5.4), layout="constrained")
    *maps, deep, empty = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    empty.set_axis_off()
    for axes, name in zip(maps, WALL_ORDER, strict=True):
        wall = result.walls[name]
        density = _map(axes, wall, wall.left_of_density, TITLES[name], cmap=colours, vmin=0, vmax=1.3)
    wall = result.walls["posterior"]
    title = "depth of dense bone behind the\nposterior wall's surface, at most"
    depth = _map(deep, wall, wall.thickness_mm, title, cmap="cividis", vmin=0, vmax=4)
    limits = [_seen_mm(result.walls[name]) for name in WALL_ORDER]
    deep.set_xlim(min(low[0] for low, _ in limits) - 2, max(high[0] for _, high in limits) + 2)
    deep.set_ylim(min(low[1] for low, _ in limits) - 2, max(high[1] for _, high in limits) + 2)
    bars = (
        (density, 0.25, "density left (1: the wall's median,\n0: soft tissue)"),
        (depth, 0.7, "depth, mm"),
    )
    for image, place, label in bars:
        bar = figure.colorbar(
            image, cax=empty.inset_axes((0.05, 1 - place - 0.05, 0.9, 0.1)), orientation="horizontal"
        )
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def _map(axes: Axes, wall: Wall, values: NDArray[np.float64], title: str, **look: Any) -> AxesImage:
    """One wall unfolded, mm across and up."""
    extent = (wall.across_mm[0], wall.across_mm[-1], wall.up_mm[0], wall.up_mm[-1])
    image = axes.imshow(values, origin="lower", extent=extent, aspect="equal", **look)
    along = "back" if wall.name in ("left", "right") else "patient's left"
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(f"mm towards the {along}", fontsize=8)
    axes.tick_params(labelsize=7, labelbottom=True)
    return image


def _seen_mm(wall: Wall) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner (across, up) of what was seen of a wall."""
    up, across = np.nonzero(wall.seen)
    corners = np.column_stack([wall.across_mm[across], wall.up_mm[up]])
    return corners.min(axis=0), corners.max(axis=0)
