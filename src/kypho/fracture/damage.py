"""Findings about walls and endplates, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kypho.evidence import interval, value
from kypho.fracture.endplates import Pit
from kypho.fracture.findings import Finding, graded, unknown
from kypho.fracture.retropulsion import retropulsion_finding
from kypho.fracture.walls import Opening, Wall, basivertebral, openings

__all__ = ["schmorl_finding", "wall_findings"]

WALL_EVIDENCE = ("fracture.wall.defect_fraction", "fracture.wall.threshold_area_mm2")
FORAMEN_EVIDENCE = ("fracture.bvf.width_mm", "fracture.bvf.height_mm")
SLICES_MM = (1.0, 1.5, 2.5)  # numerics: the thicknesses the uncertainty was measured at
SEEN_SHARE = 0.4
"""Share of the wall's picture that must be seen before "no defect" means anything."""


def _area_error(area: float, slice_mm: float) -> float:
    share = np.interp(slice_mm, SLICES_MM, value("fracture.uncertainty.area_percent")) / 100
    return round(float(share * max(area, value("fracture.wall.threshold_area_mm2"))), 1)


def _smallest_mm2(slice_mm: float) -> float:
    """A hole must span this many slices to be told from partial volume."""
    return float(np.pi / 4 * (value("fracture.wall.resolvable_slices") * slice_mm) ** 2)


def wall_findings(
    walls: Mapping[str, Wall], slice_mm: float, blocked: str
) -> tuple[tuple[Finding, ...], tuple[Opening, ...]]:
    """Cortical defects of the body, of its posterior wall, of the pedicles, and retropulsion.

    Returns:
        The findings, and the openings behind those that are present.
    """
    posterior, behind = _posterior(walls["posterior"], slice_mm, blocked)
    elsewhere = [walls[name] for name in ("anterior", "left", "right")]
    limit_id = "fracture.cortex.threshold_area_mm2"
    cortical, around = _largest("cortical_defect", elsewhere, limit_id, slice_mm, blocked)
    if posterior.state == "present" and cortical.state != "present":
        cortical = replace(posterior, factor="cortical_defect")
    pedicles = [wall for name, wall in walls.items() if "pedicle" in name]
    medial, inner = _largest("pedicle_wall_defect", pedicles, "fracture.pedicle.area_mm2", slice_mm, blocked)
    hump = retropulsion_finding(walls["posterior"], blocked)
    return (cortical, posterior, medial, hump), (*behind, *around, *inner)


def _seen(wall: Wall) -> bool:
    columns = wall.seen.any(axis=0).sum()
    rows = wall.seen.any(axis=1).sum()
    return bool(columns and rows and wall.seen.sum() >= SEEN_SHARE * columns * rows and rows > 4)


def _largest(
    factor: str, walls: list[Wall], limit_id: str, slice_mm: float, blocked: str
) -> tuple[Finding, tuple[Opening, ...]]:
    evidence = ("fracture.wall.defect_fraction", limit_id)
    unseen = [wall.name for wall in walls if not _seen(wall)]
    if blocked or len(unseen) == len(walls):
        return unknown(factor, "mm2", "walls", blocked or "no wall could be followed", evidence), ()
    found = sorted((o for wall in walls for o in openings(wall)), key=lambda o: -o.area_mm2)
    area = found[0].area_mm2 if found else 0.0
    limit = value(limit_id)
    state = "present" if area >= limit else "absent"
    if state == "absent" and (unseen or _smallest_mm2(slice_mm) > limit):
        state = "not_assessable"
    names = ", ".join(wall.name for wall in walls)
    finding = Finding(
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
    return finding, tuple(o for o in found if o.area_mm2 >= limit)


def _posterior(wall: Wall, slice_mm: float, blocked: str) -> tuple[Finding, tuple[Opening, ...]]:
    factor, evidence = "posterior_wall_defect", (*WALL_EVIDENCE, *FORAMEN_EVIDENCE)
    if blocked or not _seen(wall):
        why = blocked or "the wall could not be followed"
        return unknown(factor, "mm2", "posterior wall", why, evidence), ()
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
    broken = tuple(o for o in rest if o.defect_mm2 >= limit)
    if state == "present":
        best = max(rest, key=lambda o: o.defect_mm2)
        where = f"{best.third} third, {_side(best.across_mm)}"
    elif open_mm2 > largest_foramen + _area_error(largest_foramen, slice_mm):
        state, area, where = "present", open_mm2, "middle third, midline"
        broken = foramen
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
    finding = Finding(
        factor=factor,
        state=state,  # type: ignore[arg-type]
        value=round(area, 1),
        unit="mm2",
        uncertainty=_area_error(area, slice_mm),
        where=where,
        how=how,
        evidence=evidence,
    )
    return finding, broken


def _empty(foramen: tuple[Opening, ...]) -> bool:
    """Whether no trace of bone is left in an opening; the foramen's own rim leaves some."""
    return min(o.left_of_density for o in foramen) < value("fracture.bvf.empty_fraction")


def _side(across_mm: float) -> str:
    if abs(across_mm) < 2.0:
        return "midline"
    return "left" if across_mm > 0 else "right"


def schmorl_finding(pits: tuple[Pit, Pit], slice_mm: float, blocked: str) -> Finding:
    """A pit of either endplate."""
    evidence = ("fracture.schmorl.depth_mm", "fracture.schmorl.area_mm2")
    pit = max(pits, key=lambda p: p.depth_mm if p.area_mm2 >= value("fracture.schmorl.area_mm2") else 0.0)
    if blocked:
        return unknown("schmorl_node", "mm", "endplates", blocked, evidence)
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
