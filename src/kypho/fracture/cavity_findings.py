"""Findings about cavities of the body: clefts and lytic areas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from kypho.evidence import interval, value
from kypho.fracture.cavity import PATCH_NOISE, Cavity
from kypho.fracture.findings import Finding, unknown

__all__ = ["cavity_findings", "told_clefts"]

SURFACE_MM = 1.5  # numerics: about a cortex and its blur
NEAR_WALL_MM = 2.0  # numerics: said in words only
CORTEX_MM = 2.5  # numerics: the soft core of a cavity at the cortex ends under its blur
CLEFT_EVIDENCE = tuple(
    f"fracture.cleft.{name}"
    for name in (
        *("gas_hu", "fluid_hu", "contrast_hu", "floor_hu", "bone_hu", "patch_hu", "marrow_hu"),
        *("core_ml", "smallest_ml", "noise_multiple"),
    )
)
LYTIC_EVIDENCE = (
    *(f"fracture.lytic.{name}" for name in ("core_hu", "contrast_hu", "bone_hu", "smallest_ml")),
    "fracture.cleft.noise_multiple",
)
FLAT = 0.6  # height over width; a cleft lies between endplates, a tumour is as tall as it is wide


def cavity_findings(
    holes: tuple[Cavity, ...],
    bone_hu: float | None,
    blocked: str,
    noise_hu: float,
    own_hu: float | None = None,
) -> tuple[Finding, Finding]:
    """Cleft, and lytic areas that suggest a pathological fracture.

    Args:
        holes: the cavities.
        bone_hu: density of the cancellous bone around; None where it cannot be read.
        blocked: why the density cannot be read, or an empty string.
        noise_hu: standard deviation of the noise, smoothed as the cavities are.
        own_hu: density in the middle of the body; where it is low, fluid may lie there unseen.
    """
    if blocked or bone_hu is None:
        why = blocked or "no cancellous bone to compare with"
        return (
            unknown("intravertebral_cleft", "mL", "body", why, CLEFT_EVIDENCE),
            unknown("pathological_fracture", "mL", "body", why, LYTIC_EVIDENCE),
        )
    noisy = ""
    seen, told_hu = _seen(holes), _told_hu(bone_hu, noise_hu)
    large = [c for c in seen if _told(c, told_hu, noise_hu)]
    if told_hu < interval("fracture.cleft.fluid_hu")[1] or len(large) < len(seen):
        noisy = f"noise of {noise_hu:.0f} HU (after smoothing) hides or feigns cavities without gas: see MRI"
    fluid = [c for c in large if c.content == "fluid"]
    soft = [c for c in large if c.content == "soft" and c.volume_ml >= value("fracture.lytic.smallest_ml")]
    flat = [c for c in soft if c.flatness < FLAT]
    clefts = told_clefts(holes, bone_hu, noise_hu)
    sure = [c for c in clefts if c.content == "fluid"]
    thinnest = bone_hu if own_hu is None else min(bone_hu, own_hu)
    doubt = "" if sure else _doubt(thinnest, fluid, soft) or noisy
    round_ones = [c for c in soft if c not in flat]
    return _cleft(clefts, bone_hu, doubt), _lytic(round_ones, bone_hu, flat, noisy)


def told_clefts(holes: Iterable[Cavity], bone_hu: float, noise_hu: float) -> list[Cavity]:
    """The cavities that are clefts: gas, and fluid that is no marrow, beyond the noise and large enough.

    Args:
        holes: the cavities, largest first.
        bone_hu: density of the cancellous bone around.
        noise_hu: standard deviation of the noise, smoothed as the cavities are.
    """
    dense, told_hu = bone_hu >= value("fracture.cleft.bone_hu"), _told_hu(bone_hu, noise_hu)
    large = [c for c in _seen(holes) if _told(c, told_hu, noise_hu)]
    gas = [c for c in large if c.content == "gas"]
    return gas + [c for c in large if c.content == "fluid" and (dense or c.contrast_hu is not None)]


def _seen(holes: Iterable[Cavity]) -> list[Cavity]:
    return [c for c in holes if c.volume_ml >= value("fracture.cleft.smallest_ml")]


def _told_hu(bone_hu: float, noise_hu: float) -> float:
    """Density below which a cavity is more than noise about the bone."""
    return float(bone_hu - value("fracture.cleft.noise_multiple") * noise_hu)


def _told(cavity: Cavity, told_hu: float, noise_hu: float) -> bool:
    """Whether noise does not explain a cavity; a patch averages much of the noise away."""
    if cavity.contrast_hu is None:
        return cavity.mean_hu <= told_hu
    if cavity.since_earlier:
        return True  # the noise of both scans is in the limit it has passed
    noise = value("fracture.cleft.noise_multiple") * noise_hu * PATCH_NOISE
    return bool(cavity.contrast_hu >= np.hypot(value("fracture.cleft.patch_hu"), noise))


def _doubt(bone_hu: float, fluid: list[Cavity], soft: list[Cavity]) -> str:
    """Why fluid can be neither seen nor excluded; empty where it can."""
    if bone_hu < value("fracture.cleft.bone_hu"):
        seen = f" ({fluid[0].volume_ml:.1f} mL of {fluid[0].mean_hu:.0f} HU are seen)" if fluid else ""
        return f"in bone of {bone_hu:.0f} HU fluid cannot be told from marrow{seen}: see MRI"
    if soft and not fluid:
        return f"a cavity of {soft[0].mean_hu:.0f} HU may be fluid blurred with bone: see MRI"
    return ""


def _none(factor: str, smallest_id: str, seen: str, doubt: str, evidence: tuple[str, ...]) -> Finding:
    """The finding where no cavity of a kind is seen: absent, or not assessable if there is a doubt."""
    return Finding(
        factor=factor,
        state="not_assessable" if doubt else "absent",
        value=None if doubt else 0.0,
        unit="mL",
        uncertainty=None if doubt else value(smallest_id),
        where="body",
        how=doubt or seen,
        evidence=evidence,
    )


def _some(factor: str, found: list[Cavity], where: str, how: str, evidence: tuple[str, ...]) -> Finding:
    """The finding of cavities of a kind, largest first."""
    total = sum(c.volume_ml for c in found)
    error_id = "volume" if found[0].content == "gas" else "cavity"
    share = value(f"fracture.uncertainty.{error_id}_percent") / 100
    return Finding(
        factor=factor,
        state="present",
        value=round(total, 2),
        unit="mL",
        uncertainty=round(total * share, 2),
        where=where,
        how=f"cavity of {found[0].mean_hu:.0f} HU{how}",
        evidence=(*evidence, f"fracture.uncertainty.{error_id}_percent"),
    )


def _cleft(clefts: list[Cavity], bone_hu: float, doubt: str) -> Finding:
    factor, evidence = "intravertebral_cleft", CLEFT_EVIDENCE
    if not clefts:
        seen = f"no gas and no fluid inside the body, whose bone has {bone_hu:.0f} HU"
        why = f"no gas; {doubt}" if doubt else ""
        return replace(_none(factor, "fracture.cleft.smallest_ml", seen, why, evidence), excludes_gas=True)
    best = clefts[0]
    touches = "reaches the surface of the body" if best.to_surface_mm < SURFACE_MM else "inside the body"
    if best.since_earlier:
        evidence = (*evidence, "fracture.cleft.change_hu")
    near = "; within 2 mm of the posterior wall" if best.to_wall_mm < NEAR_WALL_MM else ""
    return _some(
        factor,
        clefts,
        f"{best.content}, {touches}{near}",
        ", voxels at the rim by the share that is filled"
        + ("; darker than this place was on the earlier CT" if best.since_earlier else ""),
        evidence,
    )


def _lytic(lesions: list[Cavity], bone_hu: float, flat: list[Cavity], noisy: str) -> Finding:
    factor, evidence = "pathological_fracture", LYTIC_EVIDENCE
    if lesions:
        where = "reaches the cortex" if lesions[0].to_surface_mm < CORTEX_MM else "inside the body"
        how = " without cancellous bone: suspect, look for a primary tumour"
        return _some(factor, lesions, where, how, evidence)
    doubt = noisy
    if flat:
        doubt = f"a flat cavity of {flat[0].mean_hu:.0f} HU may be fluid or soft tissue: see MRI"
    elif bone_hu < value("fracture.lytic.bone_hu"):
        doubt = f"in bone of {bone_hu:.0f} HU a lytic area cannot be told from thin cancellous bone"
    seen = "no lytic area; this does not rule out a tumour in the marrow"
    return _none(factor, "fracture.lytic.smallest_ml", seen, doubt, evidence)
