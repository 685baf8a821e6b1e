"""Labels made after the operation: cement that the segmenter left out of the vertebra is given back to it."""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy import Labels
from kypho.evidence import value
from kypho.space import Volume

__all__ = ["mend_level"]

ROOM_MM = 3.0  # numerics: a gap in the rim this wide counts as closed


def mend_level(ct: Volume, labels: Labels, level: str) -> tuple[Labels, float]:
    """Fill the holes of a level that are mostly cement.

    A hole is what its label encloses in axial, coronal or sagittal slices, its rim closed over
    small gaps. The vertebral canal is such a hole too: it stays, for cement never fills most of it.

    Returns:
        The labels, and the volume given back in mL.
    """
    box = labels.box(level, margin_mm=2 * ROOM_MM)
    own = labels.part(level, box)
    free = labels.volume.array[box] == 0
    dense = (ct.array[box] > value("leak.seed_hu")) & free
    if not dense.any():
        return labels, 0.0
    enclosed = _enclosed(own, ct.grid.spacing_mm) & free
    pieces, n = cc3d.connected_components(enclosed, connectivity=6, return_N=True)
    size = np.bincount(pieces.ravel(), minlength=n + 1)
    held = np.bincount(pieces[dense], minlength=n + 1)
    filled = held > value("leak.swallowed_share") * size
    filled[0] = False
    given = filled[pieces]
    if not given.any():
        return labels, 0.0
    array = np.array(labels.volume.array)
    array[box][given] = next(n for n in labels.ids[level] if n in labels.present_ids)
    ml = float(np.count_nonzero(given & dense) * ct.grid.voxel_mm3 / 1000)
    return replace(labels, volume=labels.volume.like(array)), ml


def _enclosed(own: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Voxels within the label's rim in slices of at least one direction."""
    found = np.zeros_like(own)
    for axis in range(3):
        reach = [1 if n == axis else 2 * round(ROOM_MM / 2 / s) + 1 for n, s in enumerate(spacing_mm)]
        closed = ndimage.binary_closing(own, np.ones(reach, bool))
        plane = np.expand_dims(ndimage.generate_binary_structure(2, 1), axis)
        found |= ndimage.binary_fill_holes(closed, plane)
    return np.asarray(found & ~own)
