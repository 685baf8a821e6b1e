"""Findings about cavities of the body: clefts and lytic areas."""

from __future__ import annotations

from kypho.evidence import value
from kypho.fracture.cavity import Cavity
from kypho.fracture.findings import Finding, unknown

__all__ = ["cavity_findings"]

FLAT = 0.6  # height over width; a cleft lies between endplates, a tumour is as tall as it is wide


def cavity_findings(
    holes: tuple[Cavity, ...], bone_hu: float | None, blocked: str
) -> tuple[Finding, Finding]:
    """Cleft, and lytic areas that suggest a pathological fracture."""
    cleft_ids = ("fracture.cleft.gas_hu", "fracture.cleft.fluid_hu", "fracture.cleft.bone_hu")
    lytic_ids = ("fracture.lytic.core_hu", "fracture.lytic.smallest_ml")
    if blocked or bone_hu is None:
        why = blocked or "no cancellous bone to compare with"
        return (
            unknown("intravertebral_cleft", "mL", "body", why, cleft_ids),
            unknown("pathological_fracture", "mL", "body", why, lytic_ids),
        )
    large = [c for c in holes if c.volume_ml >= value("fracture.cleft.smallest_ml")]
    gas = [c for c in large if c.content == "gas"]
    fluid = [c for c in large if c.content == "fluid"]
    soft = [c for c in large if c.content == "soft" and c.volume_ml >= value("fracture.lytic.smallest_ml")]
    flat = [c for c in soft if c.flatness < FLAT]
    doubt = _doubt(bone_hu, fluid, flat)
    clefts = gas if doubt else gas + fluid
    round_ones = [c for c in soft if c not in flat]
    return _cleft(clefts, bone_hu, doubt, cleft_ids), _lytic(round_ones, bone_hu, flat, lytic_ids)


def _doubt(bone_hu: float, fluid: list[Cavity], flat: list[Cavity]) -> str:
    """Why fluid can be neither seen nor excluded; empty where it can."""
    if bone_hu < value("fracture.cleft.bone_hu"):
        seen = f" ({fluid[0].volume_ml:.1f} mL of {fluid[0].mean_hu:.0f} HU are seen)" if fluid else ""
        return f"in bone of {bone_hu:.0f} HU fluid cannot be told from marrow{seen}: see MRI"
    if flat and not fluid:
        return f"a flat cavity of {flat[0].mean_hu:.0f} HU may be fluid blurred with bone: see MRI"
    return ""


def _cleft(clefts: list[Cavity], bone_hu: float, doubt: str, evidence: tuple[str, ...]) -> Finding:
    if not clefts:
        return Finding(
            factor="intravertebral_cleft",
            state="not_assessable" if doubt else "absent",
            value=None if doubt else 0.0,
            unit="mL",
            uncertainty=value("fracture.cleft.smallest_ml"),
            where="body",
            how=f"no gas; {doubt}"
            if doubt
            else f"no gas and no fluid inside the body, whose bone has {bone_hu:.0f} HU",
            evidence=evidence,
        )
    best = clefts[0]
    total = sum(c.volume_ml for c in clefts)
    touches = "reaches the surface of the body" if best.to_surface_mm < 1.5 else "inside the body"
    near = "; within 2 mm of the posterior wall" if best.to_wall_mm < 2.0 else ""
    return Finding(
        factor="intravertebral_cleft",
        state="present",
        value=round(total, 2),
        unit="mL",
        uncertainty=round(total * value("fracture.uncertainty.volume_percent") / 100, 2),
        where=f"{best.content}, {touches}{near}",
        how=f"cavity of {best.mean_hu:.0f} HU, cut at half density",
        evidence=evidence,
    )


def _lytic(soft: list[Cavity], bone_hu: float, flat: list[Cavity], evidence: tuple[str, ...]) -> Finding:
    seen = bone_hu >= value("fracture.lytic.core_hu") + value("fracture.cleft.contrast_hu") / 2 and not flat
    if not soft:
        return Finding(
            factor="pathological_fracture",
            state="absent" if seen else "not_assessable",
            value=0.0 if seen else None,
            unit="mL",
            uncertainty=value("fracture.lytic.smallest_ml"),
            where="body",
            how="no lytic area; this does not rule out a tumour in the marrow"
            if seen
            else f"a flat cavity of {flat[0].mean_hu:.0f} HU may be fluid or soft tissue: see MRI"
            if flat
            else f"in bone of {bone_hu:.0f} HU a lytic area cannot be told from thin cancellous bone",
            evidence=evidence,
        )
    best = soft[0]
    return Finding(
        factor="pathological_fracture",
        state="present",
        value=round(sum(c.volume_ml for c in soft), 2),
        unit="mL",
        uncertainty=round(best.volume_ml * value("fracture.uncertainty.volume_percent") / 100, 2),
        where="reaches the cortex" if best.to_surface_mm < 2.5 else "inside the body",
        how=f"area of {best.mean_hu:.0f} HU without cancellous bone: suspect, look for a primary tumour",
        evidence=evidence,
    )
