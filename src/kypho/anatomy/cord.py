"""Cord and canal along their own centreline: diameters, cross-sections, how far each is narrowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy.labels import Labels
from kypho.anatomy.mr_parts import canal_mask
from kypho.errors import LabelsError
from kypho.evidence import value
from kypho.space import Grid, unit

__all__ = ["CordProfile", "Narrowing", "compression_percent", "cord_profile"]

STEP_MM = 1.0  # numerics: distance of stations
REACH_MM = 1.5  # numerics: a section gathers voxels this far to either side
DEGREE = 5
FEWEST_POINTS = 200
END_MM = 8.0  # numerics: the ends of a label are cut obliquely, over about half its depth


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """The narrowest place of cord or canal near a level.

    Attributes:
        percent: loss of the sagittal diameter against the mean of above and below; None at an end.
        uncertainty_percent: what one voxel along the diameter does to it.
        diameter_mm: sagittal diameter there.
        area_mm2: cross-section there.
        at_mm: LPS point of the centreline there.
    """

    percent: float | None
    uncertainty_percent: float | None
    diameter_mm: float
    area_mm2: float
    at_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class CordProfile:
    """Measures at stations along the centreline, feet first.

    Attributes:
        along_mm: arc length of each station, shape (n,).
        centre_mm: LPS points, shape (n, 3).
        cord_ap_mm, cord_mm2: sagittal diameter and cross-section of the cord, NaN without.
        canal_ap_mm, canal_mm2: the same of the canal with all that is in it, NaN without a label of it.
        voxel_mm: size of a voxel along the sagittal diameter.
    """

    along_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    cord_ap_mm: NDArray[np.float64]
    cord_mm2: NDArray[np.float64]
    canal_ap_mm: NDArray[np.float64]
    canal_mm2: NDArray[np.float64]
    voxel_mm: float

    def station(self, lps_mm: NDArray) -> int:
        """The station nearest to a point."""
        return int(np.argmin(np.linalg.norm(self.centre_mm - np.asarray(lps_mm), axis=1)))

    def narrowest(self, what: str, near_mm: NDArray, reach_mm: float) -> Narrowing | None:
        """The narrowest place of "cord" or "canal" within a reach along the line; None where not seen.

        Args:
            what: "cord" or "canal".
            near_mm: LPS point beside which to look.
            reach_mm: half length searched.
        """
        diameter, area = (getattr(self, f"{what}_{unit_}") for unit_ in ("ap_mm", "mm2"))
        middle = self.station(near_mm)
        beside = np.abs(self.along_mm - self.along_mm[middle]) <= reach_mm
        seen = beside & np.isfinite(diameter)
        if not seen.any() or np.linalg.norm(self.centre_mm[middle] - near_mm) > 2 * reach_mm:
            return None
        at = int(np.nonzero(seen)[0][np.argmin(diameter[seen])])
        return self._narrowing(at, diameter, area)

    def _narrowing(self, station: int, diameter: NDArray, area: NDArray) -> Narrowing:
        """The narrowing at one station against the diameters above and below."""
        near, far = value("leak.mscc_reference_mm"), value("leak.mscc_extent_mm")
        offset = self.along_mm - self.along_mm[station]
        normal = []
        for side in (offset, -offset):
            window = (side >= near) & (side <= near + far) & np.isfinite(diameter)
            if window.any():
                normal.append(float(np.median(diameter[window])))
        percent = error = None
        if len(normal) == 2:
            percent = compression_percent(float(diameter[station]), *normal)
            error = 100 * 0.5 * self.voxel_mm / float(np.mean(normal))
        x, y, z = self.centre_mm[station]
        return Narrowing(
            percent=percent,
            uncertainty_percent=error,
            diameter_mm=float(diameter[station]),
            area_mm2=float(area[station]),
            at_mm=(float(x), float(y), float(z)),
        )


def compression_percent(diameter: float, above: float, below: float) -> float:
    """``100 (1 - d / ((d_above + d_below) / 2))`` (Fehlings et al. 1999)."""
    return 100 * (1 - diameter / ((above + below) / 2))


def cord_profile(labels: Labels, superior: NDArray, posterior: NDArray) -> CordProfile:
    """Sections perpendicular to the canal's centreline, whatever the direction of the slices.

    The sagittal diameter is that of the ellipse with the section's second moment, so it uses every voxel
    of the section and does not hang on the grid's directions.

    Args:
        labels: labels of the MR with cord or canal.
        superior: direction to the head, LPS.
        posterior: direction to the back.

    Raises:
        LabelsError: neither is there, or too little of it.
    """
    grid = labels.volume.grid
    canal = grid.to_world(np.argwhere(canal_mask(labels)))
    if len(canal) < FEWEST_POINTS:
        raise LabelsError("the MR labels hold too little of cord or canal to follow it; check them")
    line = _Centreline(canal, superior, posterior)
    cord = grid.to_world(np.argwhere(labels.mask("spinal_cord")))
    ends = line.along(canal)
    stations = np.arange(ends.min() + END_MM, ends.max() - END_MM + 1e-6, STEP_MM)
    nothing = np.full((len(stations), 2), np.nan)
    of_cord = _sections(line, cord, stations, grid) if len(cord) else nothing
    of_canal = _sections(line, canal, stations, grid) if labels.has("spinal_canal") else nothing
    back = line.back(stations)
    return CordProfile(
        along_mm=stations,
        centre_mm=line.point(stations),
        cord_ap_mm=of_cord[:, 0],
        cord_mm2=of_cord[:, 1],
        canal_ap_mm=of_canal[:, 0],
        canal_mm2=of_canal[:, 1],
        voxel_mm=float(_extent(grid, back[len(back) // 2])),
    )


class _Centreline:
    """A smooth curve through points, told by arc length."""

    def __init__(self, points: NDArray, superior: NDArray, posterior: NDArray) -> None:
        self._up = unit(superior)
        self._posterior = np.asarray(posterior, float)
        self._middle = points.mean(axis=0)
        height = (points - self._middle) @ self._up
        self._scale = float(np.abs(height).max())
        self._fit = np.polynomial.polynomial.polyfit(height / self._scale, points - self._middle, DEGREE)
        self._heights = np.linspace(height.min(), height.max(), 400)
        speed = np.linalg.norm(np.diff(self._at(self._heights), axis=0), axis=1)
        self._arc = np.concatenate([[0.0], np.cumsum(speed)])

    def _at(self, height: NDArray) -> NDArray[np.float64]:
        return self._middle + np.polynomial.polynomial.polyval(height / self._scale, self._fit).T

    def point(self, along: NDArray) -> NDArray[np.float64]:
        """LPS points (n, 3) of arc lengths."""
        return self._at(np.interp(along, self._arc, self._heights))

    def tangent(self, along: NDArray) -> NDArray[np.float64]:
        """Unit directions to the head."""
        along = np.clip(along, self._arc[0] + 0.5, self._arc[-1] - 0.5)
        return np.asarray(unit(self.point(along + 0.5) - self.point(along - 0.5)))

    def back(self, along: NDArray) -> NDArray[np.float64]:
        """Unit directions to the back, perpendicular to the line."""
        t = self.tangent(along)
        return np.asarray(unit(self._posterior - (t @ self._posterior)[:, None] * t))

    def along(self, points: NDArray) -> NDArray[np.float64]:
        """Arc length of the place on the line nearest to each point."""
        s = np.interp((points - self._middle) @ self._up, self._heights, self._arc)
        for _ in range(3):
            inside = np.clip(s, self._arc[0] + 0.5, self._arc[-1] - 0.5)
            s = inside + ((points - self.point(inside)) * self.tangent(inside)).sum(axis=1)
        return np.asarray(s)


def _extent(grid: Grid, direction: NDArray) -> NDArray[np.float64]:
    """Root mean square size of a voxel along directions (..., 3)."""
    return np.sqrt((((direction @ grid.axes) * np.asarray(grid.spacing_mm)) ** 2).sum(axis=-1))


def _sections(line: _Centreline, points: NDArray, stations: NDArray, grid: Grid) -> NDArray[np.float64]:
    """Sagittal diameter and area of the section at every station, NaN where there is none."""
    along = line.along(points)
    depth = ((points - line.point(along)) * line.back(along)).sum(axis=1)
    reach = np.maximum(REACH_MM, 0.75 * _extent(grid, line.tangent(stations)))
    across = _extent(grid, line.back(stations)) ** 2 / 12  # spread within a voxel
    order = np.argsort(along)
    along, depth = along[order], depth[order]
    first = np.searchsorted(along, stations - reach)
    last = np.searchsorted(along, stations + reach)
    out = np.full((len(stations), 2), np.nan)
    for n, (a, b) in enumerate(zip(first, last, strict=True)):
        if b - a < 5:
            continue
        # Weights that fall off to the sides, so that a row of voxels neither enters nor leaves at once.
        weight = 1 - np.abs(along[a:b] - stations[n]) / reach[n]
        mean = np.average(depth[a:b], weights=weight)
        spread = np.average((depth[a:b] - mean) ** 2, weights=weight) + across[n]
        out[n] = 4 * np.sqrt(spread), weight.sum() * grid.voxel_mm3 / reach[n]
    return out
