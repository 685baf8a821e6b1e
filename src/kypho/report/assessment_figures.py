"""Pictures of an assessment: the body in two planes, and its cortex unfolded and in space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kypho.anatomy import Vertebra
from kypho.fracture import Assessment
from kypho.fracture.walls import Wall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    """The four walls unfolded, and the same in space: dense cortex dark, openings red."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    colours = LinearSegmentedColormap.from_list("cortex", ["#c1121f", "#f4a261", "#e9ecef", "#1d3557"])
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 4, width_ratios=[1, 1.3, 1, 1.3], height_ratios=[1, 1.7])
    image = None
    for n, name in enumerate(WALL_ORDER):
        axes = figure.add_subplot(grid[0, n])
        image = _unfolded(axes, result.walls[name], colours)
        axes.set_title(TITLES[name], fontsize=9)
    space = figure.add_subplot(grid[1, :3], projection="3d")
    _in_space(space, result, colours)
    thick = figure.add_subplot(grid[1, 3])
    wall = result.walls["posterior"]
    extent = (wall.across_mm[0], wall.across_mm[-1], wall.up_mm[0], wall.up_mm[-1])
    shown = thick.imshow(wall.thickness_mm, origin="lower", extent=extent, cmap="cividis", vmin=0, vmax=4)
    _frame(thick, wall)
    thick.set_title("extent of dense bone", fontsize=8)
    depth = figure.colorbar(shown, ax=thick, shrink=0.8)
    depth.set_label("mm, upper bound", fontsize=8)
    depth.ax.tick_params(labelsize=7)
    if image is not None:
        # The layout knows nothing of the z axis's label, which stands between bar and cube.
        bar = figure.colorbar(image, ax=space, shrink=0.7, location="left", pad=0.1)
        bar.set_label("density left (1: the wall's median,\n0: soft tissue)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def _unfolded(axes: Axes, wall: Wall, colours):  # type: ignore[no-untyped-def]
    extent = (wall.across_mm[0], wall.across_mm[-1], wall.up_mm[0], wall.up_mm[-1])
    image = axes.imshow(
        wall.left_of_density, origin="lower", extent=extent, cmap=colours, vmin=0, vmax=1.3, aspect="equal"
    )
    _frame(axes, wall)
    return image


def _frame(axes: Axes, wall: Wall) -> None:
    rows, columns = wall.seen.any(axis=1), wall.seen.any(axis=0)
    if rows.any():
        axes.set_xlim(wall.across_mm[columns].min() - 2, wall.across_mm[columns].max() + 2)
        axes.set_ylim(wall.up_mm[rows].min() - 2, wall.up_mm[rows].max() + 2)
    axes.tick_params(labelsize=7)
    along = "back" if wall.name in ("left", "right") else "patient's left"
    axes.set_xlabel(f"mm towards the {along}", fontsize=7)


def _in_space(axes, result: Assessment, colours) -> None:  # type: ignore[no-untyped-def]
    """Every seen ray of the four walls as a coloured point."""
    for name in WALL_ORDER:
        wall = result.walls[name]
        up, across = np.meshgrid(wall.up_mm, wall.across_mm, indexing="ij")
        seen = wall.seen & np.isfinite(wall.position_mm)
        sign = -1.0 if name in ("anterior", "right") else 1.0
        out = sign * wall.position_mm[seen]
        x, y = (out, across[seen]) if name in ("left", "right") else (across[seen], out)
        share = wall.left_of_density[seen]
        axes.scatter(x, y, up[seen], c=share, cmap=colours, vmin=0, vmax=1.3, s=5, linewidths=0)
    axes.set_xlabel("left", fontsize=7)
    axes.set_ylabel("posterior", fontsize=7)
    axes.set_zlabel("superior", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.set_box_aspect((1.4, 1.2, 1.0), zoom=1.15)
    axes.view_init(elev=18, azim=55)
    axes.set_title("in space, seen from behind and the left", fontsize=8)
