"""Cord and canal on T2 MRI, given labels: cross-sections and how much the cord is compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels
from kypho.errors import LabelsError
from kypho.evidence.records import value

__all__ = ["MriReading", "compression_percent", "mri_at_level", "read_mri"]


@dataclass(frozen=True, kw_only=True)
class MriReading:
    """Measures at the narrowest place of the cord within the labels.

    Attributes:
        mscc_percent: loss of the cord's sagittal diameter against the mean of above and below.
        mcc_percent: the same of the canal.
        cord_ap_mm: sagittal diameter of the cord there.
        cord_mm2, canal_mm2: cross-sections there; None without that label.
    """

    mscc_percent: float | None
    mcc_percent: float | None
    cord_ap_mm: float | None
    cord_mm2: float | None
    canal_mm2: float | None


def compression_percent(diameter: float, above: float, below: float) -> float:
    """``100 (1 - d / ((d_above + d_below) / 2))`` (Fehlings et al. 1999)."""
    return 100 * (1 - diameter / ((above + below) / 2))


def read_mri(labels: Labels, z_mm: float, reach_mm: float) -> MriReading:
    """Measure cord and canal on axial sections around a height.

    Args:
        labels: labels of the MRI with "spinal_cord" and, where there is one, "spinal_canal".
        z_mm: LPS superior coordinate of the treated level in the MRI.
        reach_mm: half height in which the narrowest place is looked for.

    Raises:
        LabelsError: no cord in the labels.
    """
    if not labels.has("spinal_cord"):
        raise LabelsError("the MRI labels hold no spinal cord; give labels with cord (and canal)")
    cord = _profile(labels, "spinal_cord")
    canal = _profile(labels, "spinal_canal") if labels.has("spinal_canal") else None
    near = np.abs(cord[:, 0] - z_mm) <= reach_mm
    if not near.any():
        raise LabelsError("the MRI labels show no cord at the level; check that it covers the level")
    at = cord[near][int(np.argmin(cord[near, 1]))]
    row = None if canal is None else canal[int(np.argmin(np.abs(canal[:, 0] - at[0])))]
    return MriReading(
        mscc_percent=_against_neighbours(cord, at),
        mcc_percent=None if canal is None or row is None else _against_neighbours(canal, row),
        cord_ap_mm=float(at[1]),
        cord_mm2=float(at[2]),
        canal_mm2=None if row is None else float(row[2]),
    )


def _profile(labels: Labels, name: str) -> NDArray[np.float64]:
    """Height, sagittal diameter and area of every axial section, shape (n, 3), feet first.

    The labels may have been acquired sagittally: sections are cut by height in the world, one voxel
    of the coarsest axis along it thick.
    """
    grid = labels.volume.grid
    points = grid.to_world(np.argwhere(labels.mask(name)))
    up = int(np.argmax(np.abs(grid.axes[2])))
    step = grid.spacing_mm[up]
    station = np.rint((points[:, 2] - points[:, 2].min()) / step).astype(int)
    rows = []
    for n in np.unique(station):
        section = points[station == n]
        middle = np.median(section[:, 0])
        column = section[
            np.abs(section[:, 0] - middle) <= 1.5 * max(grid.spacing_mm[m] for m in range(3) if m != up)
        ]
        thick = grid.spacing_mm[int(np.argmax(np.abs(grid.axes[1])))]
        depth = float(np.ptp(column[:, 1])) + thick
        rows.append([section[:, 2].mean(), depth, len(section) * grid.voxel_mm3 / step])
    return np.array(rows)


def _against_neighbours(profile: NDArray, at: NDArray) -> float | None:
    """Compression against the diameters `leak.mscc_reference_mm` above and below; None at an end."""
    reach = value("leak.mscc_reference_mm")
    normal = []
    for sign in (1, -1):
        distance = sign * (profile[:, 0] - at[0])
        beside = (distance > 0.7 * reach) & (distance < 1.6 * reach)
        if not beside.any():
            return None
        normal.append(float(np.median(profile[beside, 1])))
    return compression_percent(float(at[1]), *normal)


def mri_at_level(labels: Labels, level: str, z_mm: float) -> MriReading:
    """Measures at a level: at the MRI's own label of it, or at the CT's height in a shared frame.

    Args:
        labels: labels of the MRI.
        level: "T7".
        z_mm: LPS superior coordinate of the level in the CT, used if the MRI does not label the level.
    """
    if labels.has(level):
        box = np.argwhere(labels.mask(level))
        z_mm = float(labels.volume.grid.to_world(box)[:, 2].mean())
    return read_mri(labels, z_mm, value("leak.mscc_search_mm"))
