"""Retropulsion: a hump of the posterior wall over its own straight line."""

from __future__ import annotations

import numpy as np

from kypho.evidence import value
from kypho.fracture.findings import Finding, graded, unknown
from kypho.fracture.walls import Wall

__all__ = ["retropulsion", "retropulsion_finding"]

STRIP_MM = 2.5  # numerics: half width of the strip in which the wall's position is judged
SHORTEST_WALL_MM = 7.0  # numerics: less of the wall than this gives no line to judge by
HUMP_SHARE = (0.25, 0.78)  # share of the height within which a hump may peak; corners are no humps
CORNER_MM = 1.2  # numerics: the corners of the label are rounded by about a voxel
HUMP_HALF_MM = (3.0, 4.0, 5.0, 6.0, 7.5)  # numerics: half heights tried; a fragment is a third of the wall
LEAN_PENALTY = 30.0  # numerics: a line leaning by 0.3 costs as much as 1.3 mm off at one height


def retropulsion(wall: Wall) -> tuple[float, float] | None:
    """Height of a hump of the posterior wall over the straight line of the rest of it.

    A line and one rounded hump are fitted together along the midline, so that a hump near a corner, where
    no straight wall is left beside it, is still measured from the line.

    Returns:
        Depth in mm and the superior coordinate of the peak; None where too little of the wall is seen.
    """
    strip = np.abs(wall.across_mm) <= STRIP_MM
    position = wall.position_mm[:, strip]
    enough = np.isfinite(position).mean(axis=1) >= 0.5
    if enough.sum() * (wall.up_mm[1] - wall.up_mm[0]) < SHORTEST_WALL_MM:
        return None
    cut = round(CORNER_MM / (wall.up_mm[1] - wall.up_mm[0]))
    up = wall.up_mm[enough][cut:-cut]
    curve = np.nanmean(position[enough], axis=1)[cut:-cut]
    peaks = [float(up[0] + np.ptp(up) * share) for share in HUMP_SHARE]
    best = (np.inf, 0.0, 0.0)
    for middle in np.linspace(peaks[0], peaks[1], 15):
        for half in HUMP_HALF_MM:
            hump = np.cos(np.pi / 2 * np.clip((up - middle) / half, -1, 1)) ** 2
            design = np.column_stack([np.ones_like(up), up - up.mean(), hump])
            fit, *_ = np.linalg.lstsq(design, curve, rcond=None)
            left_over = float(((curve - design @ fit) ** 2).sum()) + LEAN_PENALTY * fit[1] ** 2
            if fit[2] > 0 and left_over < best[0]:
                best = (left_over, float(fit[2]), float(middle))
    return best[1], best[2]


def retropulsion_finding(wall: Wall, blocked: str) -> Finding:
    """The wall's hump as a finding."""
    evidence = ("fracture.retropulsion_mm", "fracture.uncertainty.retropulsion_mm")
    measured = retropulsion(wall)
    if measured is None:
        return unknown("retropulsion", "mm", "posterior wall", "too little of the wall is seen", evidence)
    depth, up = measured
    error = value("fracture.uncertainty.retropulsion_mm")
    state = graded(depth, value("fracture.retropulsion_mm"), error if blocked else 0.0, 0.0)
    return Finding(
        factor="retropulsion",
        state=state,
        value=round(depth, 2),
        unit="mm",
        uncertainty=error,
        where=f"{up:+.0f} mm from the middle of the body",
        how="hump of the wall over its own straight line, on the midline",
        evidence=evidence,
    )
