"""Bone density from the CT itself, against the patient's other levels and published norms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from kypho.anatomy import Labels
from kypho.evidence import value
from kypho.fracture.cavity import Cancellous
from kypho.fracture.findings import Finding, unknown
from kypho.space import Volume

__all__ = ["OtherLevels", "density_class", "density_findings", "other_levels"]

BALL_MM = 5.0  # numerics: radius of the ball at the deepest point of a body, all cancellous bone
MOST_LEVELS = 6
FEWEST_LEVELS = 3


@dataclass(frozen=True, kw_only=True)
class OtherLevels:
    """Cancellous density of the nearest other levels; None where too few could be read."""

    mean_hu: float | None
    sd_hu: float | None
    levels: tuple[str, ...]

    def z_score(self, mean_hu: float) -> float | None:
        """How many standard deviations a density lies above the other levels'."""
        if self.mean_hu is None or not self.sd_hu:
            return None
        return (mean_hu - self.mean_hu) / self.sd_hu


def other_levels(ct: Volume, labels: Labels, level: str) -> OtherLevels:
    """Mean density of a ball at the deepest point of each of the nearest levels."""
    order = labels.levels()
    at = order.index(level)
    near = sorted((n for n in range(len(order)) if n != at), key=lambda n: abs(n - at))[:MOST_LEVELS]
    found = {}
    for n in sorted(near):
        density = _ball_hu(ct, labels, order[n])
        if density is not None and density < value("fracture.foreign_hu"):
            found[order[n]] = density
    if not found:
        return OtherLevels(mean_hu=None, sd_hu=None, levels=())
    values = np.array(list(found.values()))
    spread = float(values.std(ddof=1)) if len(values) >= FEWEST_LEVELS else None
    return OtherLevels(mean_hu=float(values.mean()), sd_hu=spread, levels=tuple(found))


def _ball_hu(ct: Volume, labels: Labels, name: str) -> float | None:
    """Mean HU of the ball; None if the body is too small for it, as one cut off by the scan's border is."""
    box = labels.box(name)
    mask = labels.part(name)
    spacing = ct.grid.spacing_mm
    depth = distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    if depth.max() < BALL_MM:
        return None
    deepest = np.array(np.unravel_index(int(np.argmax(depth)), depth.shape))
    offset = (np.indices(mask.shape).T - deepest).T * np.asarray(spacing)[:, None, None, None]
    ball = (offset**2).sum(axis=0) < BALL_MM**2
    return float(ct.array[box][ball & mask].mean())


def density_class(hu: float) -> str:
    """Opportunistic class after the two usual thresholds at the first lumbar vertebra."""
    if hu < value("fracture.bone.osteoporosis_hu"):
        return "osteoporosis likely"
    return "normal" if hu > value("fracture.bone.normal_hu") else "between"


def density_findings(bone: Cancellous | None, others: OtherLevels, blocked: str) -> tuple[Finding, Finding]:
    """Low density, and density so high that the needle meets resistance."""
    evidence = ("fracture.bone.osteoporosis_hu", "fracture.bone.normal_hu")
    if bone is None or blocked:
        why = blocked or "no cancellous bone in the region"
        return (
            unknown("low_bone_density", "HU", "body", why, evidence),
            unknown("high_resistance", "HU", "body", why, ("fracture.sclerosis_hu",)),
        )
    score = others.z_score(bone.mean_hu)
    z = "; too few other levels for a z-score"
    if score is not None:
        z = f"; z {score:+.1f} against {', '.join(others.levels)}"
    error = bone.sd_hu / np.sqrt(max(bone.volume_ml * 1000 / 8, 1))
    limit = value("fracture.bone.osteoporosis_hu")
    low = bone.mean_hu < limit
    near = (
        f"; within {2 * error:.0f} HU of the {limit:g} that count as low"
        if (abs(bone.mean_hu - limit) <= 2 * error)
        else ""
    )
    return (
        Finding(
            factor="low_bone_density",
            state="present" if low else "absent",
            value=round(bone.mean_hu, 1),
            unit="HU",
            uncertainty=round(float(2 * error), 1),
            where=bone.region,
            how=f"cancellous mean, SD {bone.sd_hu:.0f}: {density_class(bone.mean_hu)} "
            f"by thresholds made for L1 at 120 kV without contrast{z}{near}",
            evidence=evidence,
        ),
        Finding(
            factor="high_resistance",
            state="present" if bone.mean_hu > value("fracture.sclerosis_hu") else "absent",
            value=round(bone.mean_hu, 1),
            unit="HU",
            uncertainty=round(float(2 * error), 1),
            where=bone.region,
            how="cancellous mean; no effect on leakage is known",
            evidence=("fracture.sclerosis_hu",),
        ),
    )
