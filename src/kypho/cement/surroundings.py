"""Around the bone: canal, dura, cord, foramina, discs, soft tissue, and the veins that lead there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import BODY
from kypho.cement.compartments import CODES
from kypho.cement.scene import CellScene
from kypho.evidence import value

__all__ = ["basivertebral", "segmental_veins", "surroundings"]


def surroundings(scene: CellScene) -> NDArray[np.uint8]:
    """Regions of everything that is not this vertebra's bone."""
    region = np.full(scene.grid.shape, CODES["paravertebral"], np.uint8)
    xy = scene.xy
    upper, lower = scene.vertebra.superior.z_mm(xy), scene.vertebra.inferior.z_mm(xy)
    outline = (scene.part == BODY).any(axis=0)[None]
    region[np.broadcast_to(outline & (scene.z > upper - 3.0), region.shape)] = CODES["disc_above"]
    region[np.broadcast_to(outline & (scene.z < lower + 3.0), region.shape)] = CODES["disc_below"]
    canal = scene.inside > 0
    cells = np.argwhere(canal)
    if len(cells):
        y_range = scene.y.ravel()[cells[:, 1]]
        beside = (scene.y > y_range.min()) & (scene.y < np.quantile(y_range, 0.6)) & ~canal
        near = np.abs(scene.x) < np.abs(scene.x.ravel()[cells[:, 2]]).max() + 8.0
        region[np.broadcast_to(beside & near & (scene.x > 0), region.shape) & (scene.depth <= 0)] = CODES[
            "foramen_left"
        ]
        region[np.broadcast_to(beside & near & (scene.x < 0), region.shape) & (scene.depth <= 0)] = CODES[
            "foramen_right"
        ]
    region[canal] = CODES["canal_epidural"]
    inset = value("cement.dura_inset_mm")
    if canal.any() and scene.inside.max() > value("cement.dura_least_mm"):
        region[scene.inside > inset] = CODES["dura"]
        region[scene.inside > inset + 1.5 * scene.spacing_mm] = CODES["canal_intradural"]
        region[_cord(scene)] = CODES["cord"]
    other = (scene.hu > value("cement.hu_bone") * value("cement.cortex_bvtv") / 2) & (scene.depth < -1)
    region[other & (region == CODES["paravertebral"])] = CODES["bone_other"]
    return region


def _cord(scene: CellScene) -> NDArray[np.bool_]:
    """Cells within the cord's radius of the canal's middle, slice by slice."""
    deep = scene.inside > 0.75 * scene.inside.max()
    out = np.zeros(scene.grid.shape, bool)
    radius = value("cement.cord_radius_mm")
    y, x = np.broadcast_arrays(scene.y[0], scene.x[0])
    for k in np.nonzero(deep.any(axis=(1, 2)))[0]:
        cy, cx = y[deep[k]].mean(), x[deep[k]].mean()
        out[k] = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    least = value("cement.dura_inset_mm") + 1.5 * scene.spacing_mm
    return np.asarray(out & (scene.inside > least))


def basivertebral(scene: CellScene) -> NDArray[np.bool_]:
    """A tapering cleft from the middle of the posterior wall forwards, sized by the body."""
    low, high = scene.vertebra.body_box_mm
    width, depth, height = np.asarray(value("cement.basivertebral_fraction")) * (high - low)
    middle = (low[2] + high[2]) / 2
    wall = scene.vertebra.wall.y_mm(scene.z)
    into = wall - scene.y
    taper = np.clip(1 - into / depth, 0, 1)
    across = (scene.x / (width / 2)) ** 2 + ((scene.z - middle) / (height / 2)) ** 2
    return np.asarray((into > -2.5) & (into < depth) & (across < taper**2 + 1e-9))


def segmental_veins(scene: CellScene, bone: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
    """A straight vein through the lateral cortex on either side at mid-height, and its share of a cell."""
    diameter, length = value("cement.segmental_vein_diameter_mm"), value("cement.vein_length_mm")
    low, high = scene.vertebra.body_box_mm
    z, y = (low[2] + high[2]) / 2, low[1] + 0.4 * (high[1] - low[1])
    k = int(np.argmin(np.abs(scene.z.ravel() - z)))
    j = int(np.argmin(np.abs(scene.y.ravel() - y)))
    veins = np.zeros(scene.grid.shape, bool)
    row = bone[k, j]
    hits = np.nonzero(row)[0]
    reach = round(length / scene.spacing_mm)
    inward = round(2.0 * value("cement.shell_mm") / scene.spacing_mm) + 1
    if len(hits):
        veins[k, j, max(hits[0] - reach, 0) : hits[0] + inward] = True
        veins[k, j, hits[-1] - inward + 1 : hits[-1] + reach + 1] = True
    return veins, min(np.pi * diameter**2 / 4 / scene.spacing_mm**2, 1.0)
