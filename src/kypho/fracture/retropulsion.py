"""Retropulsion: a hump of the posterior wall that the wall's natural shape does not explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.stats import norm

from kypho.evidence import value
from kypho.fracture.findings import Finding, State, unknown
from kypho.fracture.walls import Wall

__all__ = ["Hump", "retropulsion", "retropulsion_finding"]

STRIPS_MM = (-5.0, -2.5, 0.0, 2.5, 5.0)  # numerics: strips side by side, over the width of a canal
STRIP_HALF_MM = 1.25  # numerics: half of their distance
SHORTEST_WALL_MM = 7.0  # numerics: less of the wall than this gives no line to judge by
CORNER_MM = 0.7  # numerics: the corners of the label are rounded by about a voxel
ROUND_MM = 1.0  # numerics: what is left strays by this much more at the rim of the endplate
ROUND_REACH_MM = 2.5  # numerics: and by less than half of it from here on
FAR_MM = 30.0  # numerics: where a strip stands as a whole is left open
LABEL_MM = 0.3  # numerics: rounding to voxels of a millimetre, which is one over the root of twelve
PLACES = np.linspace(0.2, 0.8, 25)  # shares of the height at which a hump may peak; corners are no humps
BESIDE_MM = (-2.5, 0.0, 2.5)  # numerics: a fragment may lie beside the midline
HALF_HEIGHTS_MM = (3.0, 4.0, 5.0, 6.0, 7.5)  # numerics: a fragment is a third to a half of the wall
HALF_WIDTHS_MM = (7.0, 9.0, 12.0)  # numerics: from a fragment to most of the wall between the pedicles
CANCEL = 2.0  # so many neighbours take off half of a shape that they share
CANCEL_BEFORE = 1.0  # one earlier picture of the wall takes off half: its own label strays as much
INTERVAL = float(norm.ppf(0.975))  # standard deviations on either side that hold 95 %
SURE_SHARE = 0.5  # of the limit; the interval of a hump that is present stays above it


@dataclass(frozen=True, kw_only=True)
class Hump:
    """A hump of the wall.

    Attributes:
        depth_mm: its height over the natural wall.
        error_mm: half width of the interval that holds the depth in 95 of 100.
        up_mm: superior coordinate of the peak.
    """

    depth_mm: float
    error_mm: float
    up_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Strips:
    """Pixels of a wall strip by strip: up, across, and the position over a share of the shape of its like."""

    up_mm: NDArray[np.float64]
    across_mm: NDArray[np.float64]
    position_mm: NDArray[np.float64]


def retropulsion(wall: Wall, beside: Sequence[Wall] = (), before: Wall | None = None) -> Hump | None:
    """The hump of the posterior wall that stands over the shape the wall may have had.

    No posterior wall is straight: it is hollow where the vein leaves, stands out at the rims and differs
    from its neighbours by half a millimetre, here more, there less. That is a Gaussian process over the
    wall, with the spread and the extent of intact walls, about a line in each strip and a shrunken mean of
    the shapes of walls like it. Over it one rounded hump of any depth from 0 on is looked for, of many places
    and sizes; the depth is the mean over all of them, each weighted by how well it explains the wall.

    Args:
        wall: the posterior wall.
        beside: those of the levels next to it; without any, its strips are taken as straight.
        before: the same wall on an earlier CT, without a hump; it then takes their place.

    Returns:
        The hump; None where too little of the wall is seen.
    """
    like = beside if before is None else (before,)
    strips = _strips(wall, like, CANCEL if before is None else CANCEL_BEFORE)
    if strips is None:
        return None
    up, across = strips.up_mm, strips.across_mm
    strays = value("fracture.wall.natural_mm" if before is None else "fracture.wall.repeat_mm")
    root = np.linalg.cholesky(_natural(up, across, strays))
    places, shapes = _humps(up, across)
    whitened = solve_triangular(root, shapes, lower=True)
    spread = 1 / np.sqrt((whitened**2).sum(axis=0))
    best = spread**2 * (whitened.T @ solve_triangular(root, strips.position_mm, lower=True))
    # Depths below 0 are cut off: each size leaves a normal distribution without its negative tail.
    ratio = best / spread
    hazard = np.exp(norm.logpdf(ratio) - norm.logcdf(ratio))
    depth = best + spread * hazard
    variance = spread**2 * (1 - hazard * (ratio + hazard))
    evidence = ratio**2 / 2 + np.log(spread) + norm.logcdf(ratio)
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    mean = float(weight @ depth)
    error = INTERVAL * float(np.sqrt(weight @ (variance + (depth - mean) ** 2)))
    return Hump(depth_mm=mean, error_mm=error, up_mm=float(weight @ places))


def _natural(up: NDArray, across: NDArray, strays_mm: float) -> NDArray[np.float64]:
    """Covariance of the pixels of an intact wall: shape, corners, lean, and each strip's own place."""
    tall, wide = value("fracture.wall.natural_extent_mm")
    apart = ((up[:, None] - up) / tall) ** 2 + ((across[:, None] - across) / wide) ** 2
    shape = strays_mm**2 * np.exp(-apart / 2)
    level = up - up.mean()
    near = ROUND_MM * np.exp((np.abs(level) - np.abs(level).max()) / ROUND_REACH_MM)
    corners = np.outer(near, near) * (level[:, None] * level > 0)
    lean = value("fracture.wall.natural_lean") ** 2 * np.outer(level, level)
    own = FAR_MM**2 * (across[:, None] == across)
    return np.asarray(shape + corners + lean + own + LABEL_MM**2 * np.eye(len(up)))


def _humps(up: NDArray, across: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peaks of every hump tried, and the humps of unit depth, shape (pixels, humps)."""
    peaks = up.min() + np.ptp(up) * PLACES
    tried = np.meshgrid(peaks, HALF_HEIGHTS_MM, BESIDE_MM, HALF_WIDTHS_MM, indexing="ij")
    place, tall, middle, wide = (part.ravel() for part in tried)
    return place, _bell(up, place, tall) * _bell(across, middle, wide)


def _bell(at: NDArray, middle: NDArray, half: NDArray) -> NDArray[np.float64]:
    """Squared cosines, 1 in the middle and 0 from `half` on, shape (pixels, humps)."""
    return np.asarray(np.cos(np.pi / 2 * np.clip((at[:, None] - middle) / half, -1, 1)) ** 2)


def _strips(wall: Wall, beside: Sequence[Wall], cancel: float) -> _Strips | None:
    """The wall's strips with a share of the shape of walls like it taken off; None if too little is seen."""
    parts = []
    for middle in STRIPS_MM:
        profile = _profile(wall, middle)
        if profile is None:
            continue
        up, curve = profile
        share = (up - up[0]) / np.ptp(up)
        shapes = [shape for other in beside if (shape := _shape(other, middle, share)) is not None]
        if shapes:
            curve = curve - len(shapes) / (len(shapes) + cancel) * np.mean(shapes, axis=0)
        parts.append((up, np.full_like(up, middle), curve - curve.mean()))
    if not parts:
        return None
    up, across, curve = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Strips(up_mm=up, across_mm=across, position_mm=curve)


def _profile(wall: Wall, across_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Superior coordinates and positions of a wall along a strip, corners cut off; None if too short."""
    position = wall.position_mm[:, np.abs(wall.across_mm - across_mm) <= STRIP_HALF_MM]
    step = wall.steps_mm[0]
    enough = np.isfinite(position).mean(axis=1) >= 0.5
    cut = round(CORNER_MM / step)
    if enough.sum() * step < SHORTEST_WALL_MM:
        return None
    inner = slice(cut, -cut or None)
    return wall.up_mm[enough][inner], np.nanmean(position[enough], axis=1)[inner]


def _shape(wall: Wall, across_mm: float, share: NDArray) -> NDArray[np.float64] | None:
    """How a wall strays from its own straight line, at shares of its height; None if too short."""
    profile = _profile(wall, across_mm)
    if profile is None:
        return None
    up, curve = profile
    own = (up - up[0]) / np.ptp(up)
    return np.interp(share, own, curve - np.polyval(np.polyfit(own, curve, 1), own))


def retropulsion_finding(
    wall: Wall,
    beside: Sequence[Wall],
    blocked: str,
    stairs_mm: float = 0.0,
    thick_mm: float = 0.0,
    *,
    before: Wall | None = None,
) -> Finding:
    """The wall's hump as a finding.

    Absent means none as large as `fracture.retropulsion_excluded_mm`; a smaller one hides in the uncertainty.

    Args:
        wall, beside: the posterior wall, and those of the levels next to it.
        blocked: why the body's density cannot be read, or an empty string.
        stairs_mm: step of a coarse label, as of `kypho.fracture.scan.stairs_mm`.
        thick_mm: distance of slices too thick to be among those measured on (`too_thick_mm`), half of which a
            hump may lose or gain.
        before: the same wall on an earlier CT.
    """
    stood_out = before is not None and not _was_flat(before, beside)
    if stood_out:
        before = None
    natural = "fracture.wall.natural_mm" if before is None else "fracture.wall.repeat_mm"
    evidence = ("fracture.retropulsion_mm", "fracture.retropulsion_excluded_mm", natural)
    hump = retropulsion(wall, beside, before)
    if hump is None:
        return unknown("retropulsion", "mm", "posterior wall", "too little of the wall is seen", evidence)
    error = (
        float(np.hypot(hump.error_mm, thick_mm / 2)) + stairs_mm
    )  # a stair is there or not: it does not average out
    state, said = _state(hump.depth_mm, error, blocked, stairs_mm)
    if stairs_mm:
        said += f"; the labels are drawn in steps of {stairs_mm:.1f} mm"
    against = "its own line and its neighbours' shape" if beside else "its own straight line"
    if before is not None:
        against = "its own line and its shape on the earlier CT"
    if stood_out:
        said += "; on the earlier CT it may have stood out already, so that is not what it is compared with"
    return Finding(
        factor="retropulsion",
        state=state,
        value=round(hump.depth_mm, 2),
        unit="mm",
        uncertainty=round(error, 2),
        where=f"{hump.up_mm:+.0f} mm from the middle of the body",
        how=f"hump of the wall over {against}, about the midline{said}",
        evidence=evidence,
    )


def _was_flat(before: Wall, beside: Sequence[Wall]) -> bool:
    """Whether an earlier wall had no hump: one that was there before is one all the same."""
    hump = retropulsion(before, beside)
    return hump is not None and _state(hump.depth_mm, hump.error_mm, "", 0.0)[0] == "absent"


def _state(depth: float, error: float, blocked: str, stairs_mm: float) -> tuple[State, str]:
    """What a hump of this depth means, and in words what else it may be."""
    limit, excluded = value("fracture.retropulsion_mm"), value("fracture.retropulsion_excluded_mm")
    if depth >= limit + stairs_mm and depth - error >= SURE_SHARE * limit:
        near = f"; within {error:.1f} mm of the {limit:g} mm from which it counts"
        return "present", near if depth - limit < error else ""
    if depth >= limit:
        return "not_assessable", "; it may be the wall's own shape"
    if blocked or depth + error >= excluded:
        return "not_assessable", f"; {blocked or f'one of {excluded:g} mm cannot be excluded'}"
    return "absent", f"; absent means none of {excluded:g} mm or more"
