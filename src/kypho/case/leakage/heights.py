"""Heights of the body and its wedge before and after the operation, where cement lets them be read.

The labels belong to the CT before. Each endplate's profile of density, averaged over a site, is looked for on
the CT after: how far it has moved along the body's axis, against the registration of the whole vertebra, is
what the operation has raised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels
from kypho.anatomy.rigid import Rigid
from kypho.errors import KyphoError
from kypho.evidence import value
from kypho.fracture.columns import Columns, level_columns
from kypho.fracture.heights import SITES, body_heights
from kypho.leakage import Leakage
from kypho.leakage.scene import axial
from kypho.space import Frame, Volume, sample_at

__all__ = ["HeightChange", "Heightening", "compare_heights"]

NEAR_SHARE = 0.15  # half width of the strip at a site, share of the depth
CENTRES = {"anterior": 0.05, "middle": 0.5, "posterior": 0.95}  # as `fracture.heights` reads them
ACROSS = 0.7  # as `fracture.heights` reads the sides
STEP_MM = 0.25  # numerics: a tenth of a thick slice
CLIP_HU = (-100.0, 400.0)  # numerics: disc to dense bone, so that a streak has no weight of its own
FILLED = 0.3  # numerics: of a voxel, from which a point beside an endplate counts as cement


@dataclass(frozen=True, kw_only=True)
class HeightChange:
    """Height at one site, mm; None where it is not assessable, with the reason."""

    site: str
    before_mm: float | None
    after_mm: float | None
    reason: str

    @property
    def gain_mm(self) -> float | None:
        """After less before; None where either is not assessable."""
        if self.before_mm is None or self.after_mm is None:
            return None
        return self.after_mm - self.before_mm


@dataclass(frozen=True, kw_only=True)
class Heightening:
    """Heights at every site, the angle between the body's own endplates, and how sure they are.

    Attributes:
        sites: one per site of `fracture.heights.SITES`.
        angle_before_deg, angle_after_deg: upper against lower endplate, positive in kyphosis; None where not
            assessable.
        uncertainty_mm: half width of a gain: half a slice of each scan, as independent errors.
        uncertainty_deg: the same as an angle over the body's depth.
        reason: why there is no angle; empty with one.
    """

    sites: tuple[HeightChange, ...]
    angle_before_deg: float | None
    angle_after_deg: float | None
    uncertainty_mm: float
    uncertainty_deg: float
    reason: str


def compare_heights(
    before: Volume, labels: Labels, before_frame: Frame, after: Volume, leakage: Leakage
) -> Heightening | None:
    """Measure the treated body on both CTs.

    A site is not assessable where cement reaches an endplate over more than `leak.endplate_hidden_share`,
    or where the endplate's profile is not found again.

    Args:
        before: the CT before the operation.
        labels: labels on it.
        before_frame: the vertebra's frame on it.
        after: the CT after the operation.
        leakage: the check, whose vertebra was carried over from the first CT.

    Returns:
        None if the body cannot be measured on the CT before.
    """
    try:
        columns = level_columns(labels, leakage.level, before_frame)
    except KyphoError:
        return None
    old = body_heights(columns)
    # The columns have a frame of their own, levelled by the endplates; it moves as the vertebra does.
    motion = Rigid.between(before_frame, leakage.scene.vertebra.frame)
    frame = Frame(
        origin_mm=motion.point(columns.frame.origin_mm), rotation=motion.rotation @ columns.frame.rotation
    )
    rows = [_site(columns, site, old.at(site), before, after, frame, leakage) for site in SITES]
    gain = {row.site: row.gain_mm for row in rows}
    front, back = gain["anterior"], gain["posterior"]
    spread = float(np.hypot(axial(before).grid.spacing_mm[0], axial(after).grid.spacing_mm[0]) / 2)
    arm = (CENTRES["posterior"] - CENTRES["anterior"]) * columns.depth_mm
    wedge = _wedge_deg(columns)
    angle_after = None
    if wedge is not None and front is not None and back is not None:
        angle_after = wedge - float(np.degrees(np.arctan((front - back) / arm)))
    return Heightening(
        sites=tuple(rows),
        angle_before_deg=wedge,
        angle_after_deg=angle_after,
        uncertainty_mm=spread,
        uncertainty_deg=float(np.degrees(np.arctan(spread / arm))),
        reason="" if angle_after is not None else "needs the heights in front and behind",
    )


def _site(
    columns: Columns,
    site: str,
    height_mm: float,
    before: Volume,
    after: Volume,
    frame: Frame,
    leakage: Leakage,
) -> HeightChange:
    """Height at a site before, and after by the shifts of both endplates."""
    if not np.isfinite(height_mm):
        return HeightChange(site=site, before_mm=None, after_mm=None, reason="no height on the CT before")
    strip = _strip(columns, site)
    y, x = np.meshgrid(columns.y_mm, columns.x_mm, indexing="ij")
    shifts = []
    for name, surface in (("superior", columns.top_mm), ("inferior", columns.bottom_mm)):
        points = np.stack([x[strip], y[strip], surface[strip]], axis=-1)
        hidden = _hidden(points, 1 if name == "inferior" else -1, frame, leakage)
        if not len(points):
            reason = f"no {name} endplate there on the CT before"
            return HeightChange(site=site, before_mm=height_mm, after_mm=None, reason=reason)
        if np.mean(hidden) > value("leak.endplate_hidden_share"):
            near, share = value("leak.endplate_contact_mm"), 100 * np.mean(hidden)
            reason = f"cement or metal within {near:g} mm of {share:.0f} % of the {name} endplate there"
            return HeightChange(site=site, before_mm=height_mm, after_mm=None, reason=reason)
        out = 1 if name == "superior" else -1
        shift = _shift(points[~hidden], out, before, columns.frame, after, frame)
        if shift is None:
            reason = f"the {name} endplate is not found again there"
            return HeightChange(site=site, before_mm=height_mm, after_mm=None, reason=reason)
        shifts.append(shift)
    return HeightChange(site=site, before_mm=height_mm, after_mm=height_mm + shifts[0] - shifts[1], reason="")


def _hidden(points: NDArray, inwards: int, frame: Frame, leakage: Leakage) -> NDArray[np.bool_]:
    """Which endplate points lie within `leak.endplate_contact_mm` of cement or metal."""
    scene = leakage.scene
    dense = scene.ct.like((leakage.numbers > 0).astype(np.float32), "1")
    hidden = np.zeros(len(points), bool)
    for depth in np.linspace(-1, 1, 5) * value("leak.endplate_contact_mm"):
        hidden |= sample_at(dense, frame.to_world(points + np.array([0, 0, inwards * depth]))) > FILLED
    return hidden


def _shift(
    points: NDArray, out: int, before: Volume, first: Frame, after: Volume, second: Frame
) -> float | None:
    """How far the mean profile through endplate points has moved up, mm; None where it is not found."""
    inwards, outwards = value("leak.height_profile_mm")
    search = value("leak.height_search_mm")
    low, high = (-inwards, outwards) if out > 0 else (-outwards, inwards)
    profile = _profile(points, before, first, low, high)
    wide = _profile(points, after, second, low - search, high + search)
    n = len(profile)
    fits = [float(np.corrcoef(profile, wide[m : m + n])[0, 1]) for m in range(len(wide) - n + 1)]
    best = int(np.nanargmax(fits)) if np.isfinite(fits).any() else 0
    if not np.isfinite(fits[best]) or fits[best] < value("leak.height_alike") or best in (0, len(fits) - 1):
        return None
    left, middle, right = fits[best - 1 : best + 2]
    peak = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-9)
    return float((best + np.clip(peak, -0.5, 0.5)) * STEP_MM - search)


def _profile(points: NDArray, ct: Volume, frame: Frame, low: float, high: float) -> NDArray[np.float64]:
    """Mean density along the body's axis through the points, between two distances from them."""
    along = np.arange(round(low / STEP_MM), round(high / STEP_MM) + 1) * STEP_MM
    lines = points[:, None] + along[:, None] * np.array([0.0, 0.0, 1.0])
    return np.asarray(np.clip(sample_at(ct, frame.to_world(lines)), *CLIP_HU).mean(axis=0))


def _strip(columns: Columns, site: str) -> NDArray[np.bool_]:
    """The columns at a site."""
    along = columns.depth_share()[:, None]
    across = (columns.x_mm / columns.half_width_mm)[None, :]
    if site in CENTRES:
        strip = (np.abs(along - CENTRES[site]) <= NEAR_SHARE) & (np.abs(across) <= 2 * NEAR_SHARE)
    else:
        sign = 1 if site == "left" else -1
        strip = (np.abs(along - 0.5) <= NEAR_SHARE) & (np.abs(sign * across - ACROSS) <= NEAR_SHARE)
    return np.asarray(strip & np.isfinite(columns.height_mm))


def _wedge_deg(columns: Columns) -> float | None:
    """Sagittal angle of the upper against the lower endplate, positive where the front is low."""
    _, _, top = columns.plane(True)
    _, _, bottom = columns.plane(False)
    angle = float(np.degrees(np.arctan(top) - np.arctan(bottom)))
    return angle if np.isfinite(angle) else None
