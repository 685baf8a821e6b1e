"""The MR on a report page: beside the CT in one plane, and cord and canal along their line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import CANAL, Vertebra
from kypho.anatomy.cord import CordProfile
from kypho.case.mri import MriFit
from kypho.space import sample_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["mri_figure"]

WINDOW_HU = (-150.0, 750.0)  # numerics: bone window
AROUND_MM = ((-42.0, 42.0), (-34.0, 42.0))  # numerics: drawn above and below, in front and behind
STEP_MM = 0.5  # numerics: pixel of the drawn plane
BODY_COLOUR, CANAL_COLOUR, CORD_COLOUR = "#4da3ff", "#35c6ff", "#ffb428"


def mri_figure(vertebra: Vertebra, found: MriFit) -> Figure:
    """CT and MR in the vertebra's mid-sagittal plane with the CT's outlines, and the diameters.

    An MR that was refused is drawn in its own middle slice, without outlines of the CT.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    if found.fit is None or found.profile is None:
        axes = figure.subplots(1, 1)
        image = found.case.mr.volume
        thick = int(np.argmax(image.grid.spacing_mm))
        axes.imshow(np.take(image.array, image.grid.shape[thick] // 2, axis=thick), cmap="gray")
        axes.set_title("middle slice of the MR: not registered, nothing is read from it", fontsize=9)
        axes.set_axis_off()
        return figure
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    z = np.arange(*AROUND_MM[0], STEP_MM)
    y = np.arange(*AROUND_MM[1], STEP_MM)
    plane = np.stack(np.broadcast_arrays(0.0, y[None, :], z[:, None]), axis=-1)
    world = vertebra.frame.to_world(plane)
    ct = sample_at(vertebra.hu, world)
    signal = sample_at(found.case.mr.volume, found.fit.motion.point(world), outside=0.0)
    extent = (y[0], y[-1], z[0], z[-1])
    left.imshow(ct, origin="lower", extent=extent, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
    middle.imshow(signal, origin="lower", extent=extent, cmap="gray", vmin=0, vmax=np.percentile(signal, 99))
    for axes, title in ((left, "CT"), (middle, "MR in the same plane")):
        _outlines(axes, vertebra, world, y, z)
        axes.set_title(f"{title} (front to the left)", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("mm", fontsize=8)
    _profile(right, vertebra, found, found.profile)
    return figure


def _outlines(axes: Axes, vertebra: Vertebra, world: NDArray, y: NDArray, z: NDArray) -> None:
    """Body and canal as the CT has them."""
    regions = sample_at(vertebra.regions, world, order=0)
    for mask, colour in ((vertebra.body, BODY_COLOUR), (vertebra.regions.array == CANAL, CANAL_COLOUR)):
        share = sample_at(vertebra.regions.like(mask.astype(np.float32), "1"), world)
        if regions.any() and (share > 0.5).any():
            axes.contour(y, z, share, [0.5], colors=colour, linewidths=0.9)


def _profile(axes: Axes, vertebra: Vertebra, found: MriFit, profile: CordProfile) -> None:
    """Sagittal diameters against the height over the middle of the level."""
    if found.fit is None:
        return
    height = vertebra.frame.to_local(found.fit.motion.inverse.point(profile.centre_mm))[:, 2]
    for name, colour in (("canal", CANAL_COLOUR), ("cord", CORD_COLOUR)):
        diameter = getattr(profile, f"{name}_ap_mm")
        if np.isfinite(diameter).any():
            axes.plot(diameter, height, color=colour, lw=1.6, label=name)
    low, high = vertebra.inferior.height_mm, vertebra.superior.height_mm
    axes.axhspan(low, high, color="#5b6b7b", alpha=0.13)
    axes.text(0.3, (low + high) / 2, vertebra.level, va="center", fontsize=8, color="#5b6b7b")
    axes.set_xlim(left=0)
    axes.set_xlabel("sagittal diameter on the MR, mm", fontsize=8)
    axes.set_ylabel("height over the level's middle, mm", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=8, loc="lower right")
