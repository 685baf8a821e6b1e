"""Retropulsion: a hump of the posterior wall over the wall its neighbours lead one to expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kypho.evidence import value
from kypho.fracture.findings import Finding, State, unknown
from kypho.fracture.walls import Wall

__all__ = ["retropulsion", "retropulsion_finding"]

STRIP_MM = 2.5  # numerics: half width of a strip in which the wall's position is judged
PLACES_MM = (-2.0, 0.0, 2.0)  # numerics: strips tried about the midline; a fragment may lie beside it
SHORTEST_WALL_MM = 7.0  # numerics: less of the wall than this gives no line to judge by
HUMP_SHARE = (0.23, 0.77)  # share of the height within which a hump may peak; corners are no humps
CORNER_MM = 1.2  # numerics: the corners of the label are rounded by about a voxel
PEAKS = 25  # numerics: places tried, half a millimetre apart
HUMP_HALF_MM = (3.0, 4.0, 5.0, 6.0, 7.5)  # numerics: half heights tried; a fragment is a third of the wall
LEAN_PENALTY = 15.0  # numerics: a line leaning by 0.3 costs as much as 1.2 mm off at one height


def retropulsion(wall: Wall, beside: Sequence[Wall] = ()) -> tuple[float, float] | None:
    """Height of a hump of the posterior wall over the wall one expects there.

    No posterior wall is straight: it is hollow where the vein leaves and stands out at the rims, by a
    millimetre or more, much as its neighbours do, but no two alike. The depth is the mean of that over the
    wall's own straight line and that over its neighbours' shape. The largest of three strips
    about the midline is told.

    Args:
        wall: the posterior wall.
        beside: those of the levels next to it; without any, the wall is taken as straight.

    Returns:
        Depth in mm and the superior coordinate of the peak; None where too little of the wall is seen.
    """
    found = [depth for across in PLACES_MM if (depth := _overhang(wall, beside, across)) is not None]
    return max(found, default=None)


def _overhang(wall: Wall, beside: Sequence[Wall], across_mm: float) -> tuple[float, float] | None:
    """Depth and place of the hump along one strip of the wall."""
    profile = _profile(wall, across_mm)
    if profile is None:
        return None
    up, curve = profile
    share = (up - up[0]) / np.ptp(up)
    shapes = [shape for other in beside if (shape := _shape(other, across_mm, share)) is not None]
    expected = [np.zeros_like(curve)] + ([np.mean(shapes, axis=0)] if shapes else [])
    found = [_hump(up, curve - shape) for shape in expected]
    return float(np.mean([depth for depth, _ in found])), found[-1][1]


def _hump(up: NDArray, curve: NDArray) -> tuple[float, float]:
    """Depth and place of a hump over a line.

    A line and one rounded hump are fitted together, so that a hump near a corner, where no quiet wall is
    left beside it, is still measured from the line.
    """
    best = (np.inf, 0.0, 0.0)
    for middle in up[0] + np.ptp(up) * np.linspace(*HUMP_SHARE, PEAKS):
        for half in HUMP_HALF_MM:
            hump = np.cos(np.pi / 2 * np.clip((up - middle) / half, -1, 1)) ** 2
            design = np.column_stack([np.ones_like(up), up - up.mean(), hump])
            fit, *_ = np.linalg.lstsq(design, curve, rcond=None)
            left_over = float(((curve - design @ fit) ** 2).sum()) + LEAN_PENALTY * fit[1] ** 2
            if fit[2] > 0 and left_over < best[0]:
                best = (left_over, float(fit[2]), float(middle))
    return best[1], best[2]


def _profile(wall: Wall, across_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Superior coordinates and positions of a wall along a strip, corners cut off; None if too short."""
    position = wall.position_mm[:, np.abs(wall.across_mm - across_mm) <= STRIP_MM]
    step = wall.up_mm[1] - wall.up_mm[0]
    enough = np.isfinite(position).mean(axis=1) >= 0.5
    if enough.sum() * step < SHORTEST_WALL_MM:
        return None
    cut = round(CORNER_MM / step)
    return wall.up_mm[enough][cut:-cut], np.nanmean(position[enough], axis=1)[cut:-cut]


def _shape(wall: Wall, across_mm: float, share: NDArray) -> NDArray[np.float64] | None:
    """How a wall strays from its own straight line, at shares of its height; None if too short."""
    profile = _profile(wall, across_mm)
    if profile is None:
        return None
    up, curve = profile
    own = (up - up[0]) / np.ptp(up)
    return np.interp(share, own, curve - np.polyval(np.polyfit(own, curve, 1), own))


def retropulsion_finding(wall: Wall, beside: Sequence[Wall], blocked: str, stairs_mm: float = 0.0) -> Finding:
    """The wall's hump as a finding.

    Absent means none as large as `fracture.retropulsion_excluded_mm`; a smaller one hides in the uncertainty.

    Args:
        wall, beside: the posterior wall, and those of the levels next to it.
        blocked: why the body's density cannot be read, or an empty string.
        stairs_mm: step of a coarse label, as of `kypho.fracture.scan.stairs_mm`.
    """
    evidence = (
        "fracture.retropulsion_mm",
        "fracture.retropulsion_excluded_mm",
        "fracture.uncertainty.retropulsion_mm",
    )
    measured = retropulsion(wall, beside)
    if measured is None:
        return unknown("retropulsion", "mm", "posterior wall", "too little of the wall is seen", evidence)
    depth, up = measured
    error = float(np.hypot(value("fracture.uncertainty.retropulsion_mm"), stairs_mm))
    limit, excluded = value("fracture.retropulsion_mm"), value("fracture.retropulsion_excluded_mm")
    state: State
    if depth >= limit + stairs_mm:
        state, said = "present", f"; within {error:.1f} mm of the {limit:g} mm from which it counts"
        said = said if depth - limit < error else ""
    elif blocked or depth + error >= excluded:
        state, said = "not_assessable", f"; {blocked or f'one of {excluded:g} mm cannot be excluded'}"
    else:
        state, said = "absent", f"; absent means none of {excluded:g} mm or more"
    if stairs_mm:
        said += f"; the labels are drawn in steps of {stairs_mm:.1f} mm"
    against = "its own line and its neighbours' shape" if beside else "its own straight line"
    return Finding(
        factor="retropulsion",
        state=state,
        value=round(depth, 2),
        unit="mm",
        uncertainty=round(error, 2),
        where=f"{up:+.0f} mm from the middle of the body",
        how=f"hump of the wall over {against}, about the midline{said}",
        evidence=evidence,
    )
