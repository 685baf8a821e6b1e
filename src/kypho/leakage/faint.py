"""A compact dense place in a body that holds no certain cement: faint cement, or sclerosis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.evidence import value
from kypho.leakage.scene import Scene
from kypho.leakage.segment import Limits

__all__ = ["dense_body_ml"]

BLOOM_VOXELS = 3  # numerics: two pixels of blur and one of streak around metal


def dense_body_ml(scene: Scene, cement: NDArray[np.bool_], metal: NDArray[np.bool_], limits: Limits) -> float:
    """Volume in mL of compact dense places in a body with next to no cement; 0 if too small to matter.

    Cement with little contrast agent, or much mixed with blood, is no denser than cortex, so that no limit
    tells it from a sclerotic body. Neither is said; that there is something is. Endplates and osteophytes are
    as dense, but thin: what a ball of `leak.faint_core_mm` does not fit into does not count. Neither
    does what blooms around metal.
    """
    if np.count_nonzero(cement & scene.body) * scene.voxel_ml >= value("leak.other_level_ml") / 2:
        return 0.0
    spacing, reach = scene.ct.grid.spacing_mm, value("leak.faint_core_mm")
    bar = max(value("leak.faint_hu"), value("leak.faint_cortex_share") * limits.cortex_hu)
    bloom = ndimage.binary_dilation(metal, iterations=BLOOM_VOXELS) if metal.any() else metal
    dense = (scene.ct.array > bar) & scene.body & ~bloom
    core = ndimage.distance_transform_edt(dense, sampling=spacing) > reach
    if not core.any():
        return 0.0
    compact = dense & (ndimage.distance_transform_edt(~core, sampling=spacing) <= reach)
    ml = float(np.count_nonzero(compact) * scene.voxel_ml)
    return ml if ml >= value("leak.faint_ml") else 0.0
