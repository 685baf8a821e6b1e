"""What is as dense as cement but not counted as this vertebra's: contrast, metal, another level's cement, or
cement that the blood has carried away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import LEVELS, Labels
from kypho.evidence import value
from kypho.leakage.scene import CANALS, Scene
from kypho.space import Volume

__all__ = ["DensePlace", "canal_levels", "dense_elsewhere"]

BESIDE_CORD_MM = 3.0  # numerics: a cord's label leaves out the fluid and fat around it
FIRST = ("heart", "pulmonary", "lung", "vena_cava", "aorta", "atri")
"""Beginnings of names of what cement is carried to, listed before bone and the rest."""


@dataclass(frozen=True, kw_only=True)
class DensePlace:
    """A dense cluster.

    Attributes:
        lps_mm: its centre.
        ml: volume of its voxels.
        canal_ml: of those that lie in the canal, or within `BESIDE_CORD_MM` of the label of a cord.
        level: of what lies in the canal, the labelled level nearest to it; None for the rest.
        structure: the labelled structure that holds most of what is labelled of it; None without one.
    """

    lps_mm: tuple[float, float, float]
    ml: float
    canal_ml: float
    level: str | None
    structure: str | None


def dense_elsewhere(
    ct: Volume, labels: Labels, scene: Scene, left_out: NDArray[np.bool_]
) -> tuple[DensePlace, ...]:
    """Clusters as dense as a seed of cement that are not this vertebra's.

    Those in the canal come first, however small, then those where blood carries cement, then the larger ones.
    Outside the scene every voxel counts that lies in no labelled bone but a vertebra, and of vertebrae what
    is large enough to be their own cement.

    Args:
        ct: the whole CT, HU.
        labels: labels on its grid.
        scene: the crop that was read.
        left_out: dense voxels of the scene that were not taken for its cement or metal.
    """
    where, canal = _voxels(ct, labels, scene, left_out)
    if not len(where):
        return ()
    low = where.min(axis=0)
    mask = np.zeros(where.max(axis=0) - low + 1, bool)
    mask[tuple((where - low).T)] = True
    pieces, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
    numbers = pieces[tuple((where - low).T)]
    ml = np.bincount(numbers, minlength=count + 1) * ct.grid.voxel_mm3 / 1000
    canal_ml = np.bincount(numbers, canal, minlength=count + 1) * ct.grid.voxel_mm3 / 1000
    centres = ct.grid.to_world(cc3d.statistics(pieces)["centroids"] + low)
    names = _structures(labels, where, numbers)
    places = [
        DensePlace(
            lps_mm=(float(centres[n][0]), float(centres[n][1]), float(centres[n][2])),
            ml=float(ml[n]),
            canal_ml=float(canal_ml[n]),
            level=_nearest(labels, centres[n]) if canal_ml[n] > 0 else None,
            structure=names.get(n),
        )
        for n in map(int, np.nonzero((ml >= value("leak.speck_mm3") / 1000) | (canal_ml > 0))[0])
        if canal_ml[n] > 0 or names.get(n) not in LEVELS or ml[n] >= value("leak.other_level_ml")
    ]
    return tuple(sorted(places, key=_order))


def canal_levels(places: Sequence[DensePlace]) -> str:
    """The levels at which something dense lies in the canal, in words."""
    return ", ".join(
        dict.fromkeys(place.level or "no labelled level" for place in places if place.canal_ml > 0)
    )


def _voxels(
    ct: Volume, labels: Labels, scene: Scene, left_out: NDArray[np.bool_]
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Indices (n, 3) of the dense voxels that are not this vertebra's, and which of them lie in the canal."""
    dense = ct.array > value("leak.seed_hu")
    dense[scene.place] = False
    where = np.argwhere(dense)
    other = [name for name in labels.bones() if name not in LEVELS]
    where = where[~np.isin(labels.volume.array[tuple(where.T)], labels.numbers(other))]
    inside = np.argwhere(left_out)
    here = scene.canal[tuple(inside.T)]
    return (
        np.concatenate([where, inside + scene.start]),
        np.concatenate([_in_canal(ct, labels, where), here]),
    )


def _in_canal(ct: Volume, labels: Labels, where: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Which voxels lie in a labelled canal, or in the plane near a labelled cord and in no bone."""
    numbers = labels.numbers(CANALS)
    step = [round(BESIDE_CORD_MM / spacing) for spacing in ct.grid.spacing_mm[1:]]
    found = np.zeros(len(where), bool)
    for j in (-step[0], 0, step[0]):
        for i in (-step[1], 0, step[1]):
            at = np.clip(where + np.array([0, j, i]), 0, np.asarray(ct.grid.shape) - 1)
            found |= np.isin(labels.volume.array[tuple(at.T)], numbers)
    bone = np.isin(labels.volume.array[tuple(where.T)], labels.numbers(labels.bones()))
    return np.asarray(found & ~bone)


def _structures(labels: Labels, where: NDArray[np.int_], numbers: NDArray) -> dict[int, str]:
    """By cluster, the structure that holds most of its labelled voxels."""
    names = {number: name for name, ids in labels.ids.items() for number in ids}
    held = labels.volume.array[tuple(where.T)].astype(np.int64)
    pairs, counts = np.unique(np.stack([numbers, held])[:, held > 0], axis=1, return_counts=True)
    found = {}
    for n in np.argsort(counts, kind="stable"):
        if int(pairs[1, n]) in names:
            found[int(pairs[0, n])] = names[int(pairs[1, n])]
    return found


def _nearest(labels: Labels, centre_mm: NDArray[np.float64]) -> str | None:
    """The level whose label's centre is nearest."""
    levels = labels.levels()
    away = [float(np.linalg.norm(labels.centre_mm(name) - centre_mm)) for name in levels]
    return levels[int(np.argmin(away))] if levels else None


def _order(place: DensePlace) -> tuple[bool, bool, float]:
    carried = place.structure is not None and place.structure.startswith(FIRST)
    return place.canal_ml == 0, not carried, -place.ml
