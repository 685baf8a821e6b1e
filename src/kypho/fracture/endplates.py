"""Pits of the endplates: Schmorl nodes and broken endplates."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy.ndimage import gaussian_filter

from kypho.fracture.columns import CORE_SHARE, Columns
from kypho.fracture.robust import robust_fit

__all__ = ["Pit", "deepest_pit"]

PIT_NOISE_MM = 0.2  # numerics: a bowl is told from a pit by less than the noise of its columns
FLOOR_MM = 1.2  # numerics: a pit's outline is drawn at this depth, above the noise of a labelled surface


@dataclass(frozen=True, kw_only=True)
class Pit:
    """The deepest pit of an endplate below the smooth bowl of the rest of it."""

    endplate: str
    depth_mm: float
    area_mm2: float
    left_mm: float
    posterior_mm: float


def deepest_pit(columns: Columns, *, upper: bool) -> Pit:
    """The deepest pit of one endplate.

    The endplate as it would be without the pit is a second-order surface through its columns with Cauchy
    weights, so that a pit does not pull it down.
    """
    surface = columns.top_mm if upper else -columns.bottom_mm
    use = columns.core(CORE_SHARE) & np.isfinite(surface)
    x, y = np.meshgrid(columns.x_mm, columns.y_mm)
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)
    design, z = terms[use], surface[use]
    fit = robust_fit(design, z, floor_mm=PIT_NOISE_MM)
    depth = gaussian_filter(np.where(use, terms @ fit - np.nan_to_num(surface), 0.0), 0.7)
    pieces = cc3d.connected_components((depth > FLOOR_MM)[None].astype(np.uint8), connectivity=6)[0]
    at = np.unravel_index(int(np.argmax(depth)), depth.shape)
    area = float((pieces == pieces[at]).sum()) if pieces[at] else 0.0
    pixel = float((columns.x_mm[1] - columns.x_mm[0]) * (columns.y_mm[1] - columns.y_mm[0]))
    return Pit(
        endplate="superior" if upper else "inferior",
        depth_mm=float(depth[at]),
        area_mm2=area * pixel,
        left_mm=float(columns.x_mm[at[1]]),
        posterior_mm=float(columns.y_mm[at[0]]),
    )
