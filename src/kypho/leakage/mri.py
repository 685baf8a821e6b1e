"""Cord and canal on an MR after the operation, at the cement and at the levels beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kypho.anatomy import Labels, Vertebra
from kypho.anatomy.cord import CordProfile, Narrowing
from kypho.anatomy.mr_parts import canal_mask
from kypho.anatomy.register_mr import MrRegistration
from kypho.evidence import value

__all__ = ["CordLevel", "MriReading", "read_mri"]


@dataclass(frozen=True, kw_only=True)
class CordLevel:
    """Cord and canal at mid body of one level; None where not labelled."""

    level: str
    cord_ap_mm: float | None
    cord_mm2: float | None
    canal_ap_mm: float | None
    canal_mm2: float | None


@dataclass(frozen=True, kw_only=True)
class MriReading:
    """Measures on the MR, carried to the CT.

    Attributes:
        cord, canal: the narrowest place near the level.
        cord_at_cement, canal_at_cement: beside the cement in the canal; None without any there.
        levels: the treated level and its neighbours, from head to tail.
        cord_gap_mm: least distance from the canal's cement on the CT to the cord on the MR; 0 if they
            overlap; None without either.
        gap_uncertainty_mm: what registration and the MR's voxels add to it.
        inside_share: share of the canal's cement within the canal label of the MR; None without either.
    """

    cord: Narrowing | None
    canal: Narrowing | None
    cord_at_cement: Narrowing | None
    canal_at_cement: Narrowing | None
    levels: tuple[CordLevel, ...]
    cord_gap_mm: float | None
    gap_uncertainty_mm: float | None
    inside_share: float | None


def read_mri(
    on_mr: Labels, vertebra: Vertebra, fit: MrRegistration, profile: CordProfile, cement_mm: NDArray
) -> MriReading:
    """Measure cord and canal on a registered MR.

    Args:
        on_mr: labels of the MR.
        vertebra: model of the treated level on the CT.
        fit: where it lies on the MR.
        profile: cord and canal along their centreline.
        cement_mm: LPS points (n, 3) of the cement in the canal on the CT; may be empty.
    """
    reach = value("leak.mscc_search_mm")
    beside = fit.motion.point(vertebra.frame.to_world(np.array([0.0, vertebra.wall.a, 0.0])))
    cement = fit.motion.point(cement_mm) if len(cement_mm) else np.empty((0, 3))
    at: dict[str, Narrowing | None] = {"cord": None, "canal": None}
    if len(cement):
        half = float(np.ptp(profile.along_mm[[profile.station(p) for p in _ends(cement, vertebra, fit)]])) / 2
        for what in at:
            at[what] = profile.narrowest(what, cement.mean(axis=0), max(half, 2.0))
    gap = _gap_mm(on_mr, cement)
    return MriReading(
        cord=profile.narrowest("cord", beside, reach),
        canal=profile.narrowest("canal", beside, reach),
        cord_at_cement=at["cord"],
        canal_at_cement=at["canal"],
        levels=_levels(on_mr, vertebra, beside, profile),
        cord_gap_mm=gap,
        gap_uncertainty_mm=None if gap is None else float(np.hypot(fit.surface_mm, profile.voxel_mm)),
        inside_share=_inside_share(on_mr, cement),
    )


def _ends(cement: NDArray, vertebra: Vertebra, fit: MrRegistration) -> NDArray[np.float64]:
    """The lowest and the highest point of the cement."""
    height = cement @ fit.motion.rotation @ vertebra.frame.superior
    return cement[[int(np.argmin(height)), int(np.argmax(height))]]


def _levels(
    on_mr: Labels, vertebra: Vertebra, beside_mm: NDArray, profile: CordProfile
) -> tuple[CordLevel, ...]:
    places = {vertebra.level: beside_mm}
    if on_mr.has(vertebra.level):
        step = beside_mm - on_mr.centre_mm(vertebra.level)
        above, below = on_mr.neighbours(vertebra.level)
        places = {
            name: beside_mm if name == vertebra.level else on_mr.centre_mm(name) + step
            for name in (above, vertebra.level, below)
            if name is not None
        }
    return tuple(_at_level(name, place, profile) for name, place in places.items())


def _at_level(name: str, place_mm: NDArray, profile: CordProfile) -> CordLevel:
    n = profile.station(place_mm)
    measures = ("cord_ap_mm", "cord_mm2", "canal_ap_mm", "canal_mm2")
    read = {key: float(getattr(profile, key)[n]) for key in measures}
    numbers = {key: held if np.isfinite(held) else None for key, held in read.items()}
    return CordLevel(level=name, **numbers)


def _gap_mm(on_mr: Labels, cement: NDArray) -> float | None:
    """Least distance of the cement from the cord's voxels, less half a voxel."""
    cord = on_mr.volume.grid.to_world(np.argwhere(on_mr.mask("spinal_cord")))
    if not (len(cement) and len(cord)):
        return None
    half = min(on_mr.volume.grid.spacing_mm) / 2
    return float(max(cKDTree(cord).query(cement)[0].min() - half, 0.0))


def _inside_share(on_mr: Labels, cement: NDArray) -> float | None:
    if not (len(cement) and on_mr.has("spinal_canal")):
        return None
    index = np.rint(on_mr.volume.grid.to_index(cement)).astype(int)
    inside = np.all((index >= 0) & (index < np.asarray(on_mr.volume.grid.shape)), axis=1)
    within = np.zeros(len(cement), bool)
    within[inside] = canal_mask(on_mr)[tuple(index[inside].T)]
    return float(within.mean())
