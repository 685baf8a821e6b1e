"""What is as dense as cement but not counted as this vertebra's: contrast, metal, another level's cement, or
cement that the blood has carried away."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels
from kypho.evidence import value
from kypho.leakage.scene import Scene
from kypho.space import Volume

__all__ = ["DensePlace", "dense_elsewhere"]


@dataclass(frozen=True, kw_only=True)
class DensePlace:
    """A dense cluster: its LPS centre, the volume of its voxels, the labelled structure with most of it."""

    lps_mm: tuple[float, float, float]
    ml: float
    structure: str | None


def dense_elsewhere(
    ct: Volume, labels: Labels, scene: Scene, left_out: NDArray[np.bool_]
) -> tuple[DensePlace, ...]:
    """Clusters as dense as a seed of cement that are not this vertebra's, the largest first.

    Outside the scene every voxel counts that lies in no labelled bone. Vessels count: that is where cement
    goes that does not stay.

    Args:
        ct: the whole CT, HU.
        labels: labels on its grid.
        scene: the crop that was read.
        left_out: dense voxels of the scene that were not taken for its cement or metal.
    """
    dense = ct.array > value("leak.seed_hu")
    dense[scene.place] = False
    where = np.argwhere(dense)
    where = where[~np.isin(labels.volume.array[tuple(where.T)], labels.numbers(labels.bones()))]
    where = np.concatenate([where, np.argwhere(left_out) + scene.start])
    if not len(where):
        return ()
    low = where.min(axis=0)
    mask = np.zeros(where.max(axis=0) - low + 1, bool)
    mask[tuple((where - low).T)] = True
    pieces, n = cc3d.connected_components(mask, connectivity=26, return_N=True)
    numbers = pieces[tuple((where - low).T)]
    names = {number: name for name, ids in labels.ids.items() for number in ids}
    places = []
    for number in range(1, n + 1):
        voxels = where[numbers == number]
        ml = float(len(voxels) * ct.grid.voxel_mm3 / 1000)
        if 1000 * ml < value("leak.speck_mm3"):
            continue
        x, y, z = (float(c) for c in ct.grid.to_world(voxels.mean(axis=0)))
        within = int(np.bincount(labels.volume.array[tuple(voxels.T)].astype(int)).argmax())
        places.append(DensePlace(lps_mm=(x, y, z), ml=ml, structure=names.get(within)))
    return tuple(sorted(places, key=lambda place: -place.ml))
