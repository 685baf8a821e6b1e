"""Findings about walls, cavities and endplates, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kypho.evidence import interval, value
from kypho.fracture.cavity import Cavity
from kypho.fracture.endplates import Pit
from kypho.fracture.findings import Finding, graded
from kypho.fracture.walls import Opening, Wall, basivertebral, openings, retropulsion

__all__ = ["cavity_findings", "schmorl_finding", "wall_findings"]

WALL_EVIDENCE = ("fracture.wall.defect_fraction", "fracture.wall.threshold_area_mm2")
FORAMEN_EVIDENCE = ("fracture.bvf.width_mm", "fracture.bvf.height_mm")
SLICES_MM = (1.0, 1.5, 2.5)  # numerics: the thicknesses the uncertainty was measured at
SEEN_SHARE = 0.4
"""Share of the wall's picture that must be seen before "no defect" means anything."""


def _unknown(factor: str, unit: str, where: str, why: str, evidence: tuple[str, ...]) -> Finding:
    return Finding(
        factor=factor,
        state="not_assessable",
        value=None,
        unit=unit,
        uncertainty=None,
        where=where,
        how=why,
        evidence=evidence,
    )


def _area_error(area: float, slice_mm: float) -> float:
    share = np.interp(slice_mm, SLICES_MM, value("fracture.uncertainty.area_percent")) / 100
    return round(float(share * max(area, value("fracture.wall.threshold_area_mm2"))), 1)


def _smallest_mm2(slice_mm: float) -> float:
    """A hole must span this many slices to be told from partial volume."""
    return float(np.pi / 4 * (value("fracture.wall.resolvable_slices") * slice_mm) ** 2)


def wall_findings(walls: Mapping[str, Wall], slice_mm: float, blocked: str) -> tuple[Finding, ...]:
    """Cortical defects of the body, of its posterior wall, of the pedicles, and retropulsion."""
    posterior = _posterior(walls["posterior"], slice_mm, blocked)
    elsewhere = [walls[name] for name in ("anterior", "left", "right")]
    cortical = _largest("cortical_defect", elsewhere, "fracture.cortex.threshold_area_mm2", slice_mm, blocked)
    if posterior.state == "present" and cortical.state != "present":
        cortical = Finding(**{**vars(posterior), "factor": "cortical_defect"})
    pedicles = [wall for name, wall in walls.items() if "pedicle" in name]
    medial = _largest("pedicle_wall_defect", pedicles, "fracture.pedicle.area_mm2", slice_mm, blocked)
    return cortical, posterior, medial, _retropulsion(walls["posterior"], blocked)


def _seen(wall: Wall) -> bool:
    columns = wall.seen.any(axis=0).sum()
    rows = wall.seen.any(axis=1).sum()
    return bool(columns and rows and wall.seen.sum() >= SEEN_SHARE * columns * rows and rows > 4)


def _largest(factor: str, walls: list[Wall], limit_id: str, slice_mm: float, blocked: str) -> Finding:
    evidence = ("fracture.wall.defect_fraction", limit_id)
    unseen = [wall.name for wall in walls if not _seen(wall)]
    if blocked or len(unseen) == len(walls):
        return _unknown(factor, "mm2", "walls", blocked or "no wall could be followed", evidence)
    found = sorted((o for wall in walls for o in openings(wall)), key=lambda o: -o.area_mm2)
    area = found[0].area_mm2 if found else 0.0
    limit = value(limit_id)
    state = "present" if area >= limit else "absent"
    if state == "absent" and (unseen or _smallest_mm2(slice_mm) > limit):
        state = "not_assessable"
    names = ", ".join(wall.name for wall in walls)
    return Finding(
        factor=factor,
        state=state,  # type: ignore[arg-type]
        value=round(area, 1),
        unit="mm2",
        uncertainty=_area_error(area, slice_mm),
        where=f"{found[0].wall}, {found[0].third} third" if found else names,
        how=f"largest opening of the cortex on: {names}"
        + (f"; not seen: {', '.join(unseen)}" if unseen else "")
        + f"; smallest that {slice_mm:.1f} mm slices show is {_smallest_mm2(slice_mm):.0f} mm2",
        evidence=evidence,
    )


def _posterior(wall: Wall, slice_mm: float, blocked: str) -> Finding:
    factor, evidence = "posterior_wall_defect", (*WALL_EVIDENCE, *FORAMEN_EVIDENCE)
    if blocked or not _seen(wall):
        return _unknown(
            factor, "mm2", "posterior wall", blocked or "the wall could not be followed", evidence
        )
    found = openings(wall)
    foramen = basivertebral(wall, found)
    width_high, height_high = interval("fracture.bvf.width_mm")[1], interval("fracture.bvf.height_mm")[1]
    usual = np.pi / 4 * value("fracture.bvf.width_mm") * value("fracture.bvf.height_mm")
    largest_foramen = np.pi / 4 * width_high * height_high
    rest = [o for o in found if o not in foramen]
    where, how = "posterior wall", "cortex in front of the canal, density against the wall's own median"
    area = max((o.defect_mm2 for o in rest), default=0.0)
    open_mm2 = sum(o.area_mm2 for o in foramen)
    limit = value("fracture.wall.threshold_area_mm2")
    state = "present" if area >= limit else "absent"
    if state == "present":
        best = max(rest, key=lambda o: o.defect_mm2)
        where = f"{best.third} third, {_side(best.across_mm)}"
    elif open_mm2 > largest_foramen + _area_error(largest_foramen, slice_mm):
        state, area, where = "present", open_mm2, "middle third, midline"
        how += "; larger than a basivertebral foramen can be"
    elif open_mm2 > usual or (open_mm2 >= limit and _empty(foramen)):
        state, area, where = "not_assessable", open_mm2, "middle third, midline"
        how += "; a wide basivertebral foramen and a defect at its place look alike"
    elif foramen:
        how += f"; the basivertebral foramen is open ({open_mm2:.0f} mm2), as it may be"
    if state == "absent" and any(o.at_edge and o.area_mm2 > limit / 3 for o in rest):
        state, how = "not_assessable", f"{how}; an opening goes on beyond the part of the wall that is seen"
    if state == "absent" and _smallest_mm2(slice_mm) > limit:
        state, how = "not_assessable", f"{how}; slices of {slice_mm:.1f} mm hide defects of this size"
    return Finding(
        factor=factor,
        state=state,  # type: ignore[arg-type]
        value=round(area, 1),
        unit="mm2",
        uncertainty=_area_error(area, slice_mm),
        where=where,
        how=how,
        evidence=evidence,
    )


def _empty(foramen: tuple[Opening, ...]) -> bool:
    """Whether no trace of bone is left in an opening; the foramen's own rim leaves some."""
    return min(o.left_of_density for o in foramen) < value("fracture.bvf.empty_fraction")


def _side(across_mm: float) -> str:
    if abs(across_mm) < 2.0:
        return "midline"
    return "left" if across_mm > 0 else "right"


def _retropulsion(wall: Wall, blocked: str) -> Finding:
    evidence = ("fracture.retropulsion_mm", "fracture.uncertainty.retropulsion_mm")
    measured = retropulsion(wall)
    if measured is None:
        return _unknown("retropulsion", "mm", "posterior wall", "too little of the wall is seen", evidence)
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


def cavity_findings(
    holes: tuple[Cavity, ...], bone_hu: float | None, blocked: str
) -> tuple[Finding, Finding]:
    """Cleft, and lytic areas that suggest a pathological fracture."""
    cleft_ids = ("fracture.cleft.gas_hu", "fracture.cleft.fluid_hu", "fracture.cleft.smallest_ml")
    lytic_ids = ("fracture.lytic.core_hu", "fracture.lytic.smallest_ml")
    if blocked or bone_hu is None:
        why = blocked or "no cancellous bone to compare with"
        return (
            _unknown("intravertebral_cleft", "mL", "body", why, cleft_ids),
            _unknown("pathological_fracture", "mL", "body", why, lytic_ids),
        )
    clefts = [c for c in holes if c.content != "soft" and c.volume_ml >= value("fracture.cleft.smallest_ml")]
    soft = [c for c in holes if c.content == "soft" and c.volume_ml >= value("fracture.lytic.smallest_ml")]
    fluid_seen = bone_hu - value("fracture.cleft.contrast_hu") >= value("fracture.cleft.floor_hu")
    lytic_seen = bone_hu >= value("fracture.lytic.core_hu") + value("fracture.cleft.contrast_hu") / 2
    return _cleft(clefts, bone_hu, fluid_seen, cleft_ids), _lytic(soft, bone_hu, lytic_seen, lytic_ids)


def _cleft(clefts: list[Cavity], bone_hu: float, fluid_seen: bool, evidence: tuple[str, ...]) -> Finding:
    if not clefts:
        return Finding(
            factor="intravertebral_cleft",
            state="absent" if fluid_seen else "not_assessable",
            value=0.0 if fluid_seen else None,
            unit="mL",
            uncertainty=value("fracture.cleft.smallest_ml"),
            where="body",
            how="no gas and no fluid inside the body"
            if fluid_seen
            else f"no gas; in bone of {bone_hu:.0f} HU fluid cannot be told from marrow: see MRI",
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


def _lytic(soft: list[Cavity], bone_hu: float, seen: bool, evidence: tuple[str, ...]) -> Finding:
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


def schmorl_finding(pits: tuple[Pit, Pit], slice_mm: float, blocked: str) -> Finding:
    """A pit of either endplate."""
    evidence = ("fracture.schmorl.depth_mm", "fracture.schmorl.area_mm2")
    pit = max(pits, key=lambda p: p.depth_mm if p.area_mm2 >= value("fracture.schmorl.area_mm2") else 0.0)
    if blocked:
        return _unknown("schmorl_node", "mm", "endplates", blocked, evidence)
    large = pit.area_mm2 >= value("fracture.schmorl.area_mm2")
    depth = pit.depth_mm if large else 0.0
    state = graded(depth, value("fracture.schmorl.depth_mm"), 0.0, slice_mm)
    return Finding(
        factor="schmorl_node",
        state=state,
        value=round(depth, 2),
        unit="mm",
        uncertainty=round(slice_mm / 2, 2),
        where=f"{pit.endplate} endplate, {pit.area_mm2:.0f} mm2",
        how="depth below the smooth surface of the rest of the endplate; the pit reaches cancellous bone",
        evidence=evidence,
    )
