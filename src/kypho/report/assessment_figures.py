"""Pictures of an assessment: the body in two planes, and its cortex unfolded and in space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra
from kypho.fracture import Assessment
from kypho.fracture.walls import Wall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from mpl_toolkits.mplot3d.axes3d import Axes3D

__all__ = ["body_figure", "cortex_figure"]

WINDOW_HU = (-150.0, 750.0)  # numerics: bone window
WALL_ORDER = ("right", "anterior", "left", "posterior")
TITLES = {
    "right": "right wall",
    "anterior": "anterior wall",
    "left": "left wall",
    "posterior": "posterior wall",
}
VIEWS = {55.0: "from behind and the left", 235.0: "from the front and the right"}
"""Directions of view about the superior axis, degrees from the patient's left towards the back."""

LONGEST_MM = 2.0  # numerics: three pixels
MOST_DENSE = 1.3
"""Share of the wall's median at which the colours end."""


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
    """The walls unfolded to one scale and in space, dense cortex dark, openings red; how deep one is."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    colours = LinearSegmentedColormap.from_list("cortex", ["#c1121f", "#f4a261", "#e9ecef", "#1d3557"])
    figure = Figure(figsize=(9.0, 8.8), layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=(5.4, 3.4))
    flat, solid = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    *maps, deep, empty = flat.subplots(2, 3, sharex=True, sharey=True).ravel()
    empty.set_axis_off()
    for n, (azimuth, seen_from) in enumerate(VIEWS.items(), start=1):
        space = solid.add_subplot(1, 2, n, projection="3d")
        _in_space(space, result, colours, azimuth)
        space.set_title(seen_from, fontsize=9)
    for axes, name in zip(maps, WALL_ORDER, strict=True):
        wall = result.walls[name]
        density = _map(axes, wall, wall.left_of_density, TITLES[name], cmap=colours, vmin=0, vmax=MOST_DENSE)
    wall = result.walls["posterior"]
    title = "depth of dense bone behind the\nposterior wall's surface, at most"
    depth = _map(deep, wall, wall.thickness_mm, title, cmap="cividis", vmin=0, vmax=4)
    seen = [_seen_mm(result.walls[name]) for name in WALL_ORDER if result.walls[name].seen.any()]
    if seen:
        low = np.min([corner for corner, _ in seen], axis=0)
        high = np.max([corner for _, corner in seen], axis=0)
        deep.set(xlim=(low[0] - 2, high[0] + 2), ylim=(low[1] - 2, high[1] + 2))
    bars = (
        (density, 0.25, "density left (1: the wall's median,\n0: soft tissue)"),
        (depth, 0.7, "depth, mm"),
    )
    for image, place, label in bars:
        bar = flat.colorbar(
            image, cax=empty.inset_axes((0.05, 1 - place - 0.05, 0.9, 0.1)), orientation="horizontal"
        )
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def _map(axes: Axes, wall: Wall, values: NDArray[np.float64], title: str, **look: Any) -> AxesImage:
    """One wall unfolded, mm across and up."""
    extent = (wall.across_mm[0], wall.across_mm[-1], wall.up_mm[0], wall.up_mm[-1])
    image = axes.imshow(values, origin="lower", extent=extent, aspect="equal", **look)
    along = "back" if wall.axis == "x" else "patient's left"
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(f"mm towards the {along}", fontsize=8)
    axes.tick_params(labelsize=7, labelbottom=True)
    return image


def _in_space(axes: Axes3D, result: Assessment, colours: Colormap, azimuth: float) -> None:
    """The four walls as shaded surfaces, each facet in the colour of its density."""
    from matplotlib.colors import LightSource
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    facets, shares = [], []
    for name in WALL_ORDER:
        wall = result.walls[name]
        points, left = _surface_mm(wall), wall.left_of_density
        corners = [np.s_[:-1, :-1], np.s_[1:, :-1], np.s_[1:, 1:], np.s_[:-1, 1:]]
        if (wall.axis == "x") == (wall.sign > 0):
            corners.reverse()  # outward normals, which the light falls on
        facet = np.stack([points[corner] for corner in corners], axis=2)
        # A facet much longer than a pixel bridges a step behind the wall: NaN compares as false.
        whole = np.ptp(facet, axis=2).max(axis=-1) <= LONGEST_MM
        facets.append(facet[whole])
        shares.append(np.mean([left[corner][whole] for corner in corners], axis=0))
    every = np.concatenate(facets)
    axes.set_axis_off()
    if not len(every):
        return
    light = LightSource(azdeg=azimuth - 45, altdeg=40)
    colour = colours(np.concatenate(shares) / MOST_DENSE)
    axes.add_collection3d(
        Poly3DCollection(every, facecolors=colour, edgecolors=colour, shade=True, lightsource=light)
    )
    low, high = every.min(axis=(0, 1)), every.max(axis=(0, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low, zoom=1.5)
    axes.view_init(elev=20, azim=azimuth)


def _surface_mm(wall: Wall) -> NDArray[np.float64]:
    """Local points (left, posterior, superior) of a wall's surface, shape (n_up, n_across, 3); NaN unseen."""
    up, across = np.meshgrid(wall.up_mm, wall.across_mm, indexing="ij")
    out = np.where(wall.seen, wall.sign * wall.position_mm, np.nan)
    return np.stack([out, across, up] if wall.axis == "x" else [across, out, up], axis=-1)


def _seen_mm(wall: Wall) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner (across, up) of what was seen of a wall."""
    up, across = np.nonzero(wall.seen)
    corners = np.column_stack([wall.across_mm[across], wall.up_mm[up]])
    return corners.min(axis=0), corners.max(axis=0)
