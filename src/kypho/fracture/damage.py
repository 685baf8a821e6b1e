"""Findings about walls and endplates, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kypho.evidence import value
from kypho.fracture.endplates import Pit
from kypho.fracture.findings import Finding, State, graded, unknown
from kypho.fracture.foramen import ForamenNorm, at_foramen, unpaired_mm2
from kypho.fracture.walls import Opening, Wall, enough_seen, openings

__all__ = ["schmorl_finding", "wall_findings"]

OPEN_EVIDENCE = (
    "fracture.wall.defect_fraction",
    "fracture.wall.empty_fraction",
    "fracture.wall.resolvable_slices",
    "fracture.uncertainty.area_percent",
)
FORAMEN_EVIDENCE = ("fracture.bvf.width_mm", "fracture.bvf.height_mm", "fracture.bvf.empty_fraction")
SLICES_MM = (1.0, 1.5, 2.5)  # numerics: the thicknesses the uncertainty was measured at


def _area_error(area: float, slice_mm: float) -> float:
    share = np.interp(slice_mm, SLICES_MM, value("fracture.uncertainty.area_percent")) / 100
    return round(float(share * max(area, value("fracture.wall.threshold_area_mm2"))), 1)


def _smallest_mm2(slice_mm: float) -> float:
    """A hole must span this many slices to be told from partial volume."""
    return float(np.pi / 4 * (value("fracture.wall.resolvable_slices") * slice_mm) ** 2)


def wall_findings(
    walls: Mapping[str, Wall], norm: ForamenNorm, slice_mm: float, blocked: str
) -> tuple[tuple[Finding, ...], tuple[Opening, ...]]:
    """Cortical defects of the body, of its posterior wall and of the pedicles.

    Returns:
        The findings, and the openings behind those that are present.
    """
    posterior, behind = _posterior(walls["posterior"], norm, slice_mm, blocked)
    elsewhere = [walls[name] for name in ("anterior", "left", "right")]
    limit_id = "fracture.cortex.threshold_area_mm2"
    cortical, around = _largest("cortical_defect", elsewhere, limit_id, slice_mm, blocked)
    if posterior.state == "present" and cortical.state != "present":
        cortical = replace(posterior, factor="cortical_defect", where=f"posterior wall: {posterior.where}")
    elif posterior.state == "not_assessable" and cortical.state == "absent":
        cortical = replace(
            cortical, state="not_assessable", how=f"{cortical.how}; the posterior wall cannot be judged"
        )
    pedicles = [wall for wall in walls.values() if wall.part == "pedicle"]
    medial, inner = _largest("pedicle_wall_defect", pedicles, "fracture.pedicle.area_mm2", slice_mm, blocked)
    return (cortical, posterior, medial), (*behind, *around, *inner)


def _largest(
    factor: str, walls: list[Wall], limit_id: str, slice_mm: float, blocked: str
) -> tuple[Finding, tuple[Opening, ...]]:
    evidence = (*OPEN_EVIDENCE, limit_id)
    unseen = [wall.name for wall in walls if not enough_seen(wall)]
    if blocked or len(unseen) == len(walls):
        return unknown(factor, "mm2", "walls", blocked or "no wall could be followed", evidence), ()
    found = sorted((o for wall in walls for o in openings(wall)), key=lambda o: -o.area_mm2)
    area = found[0].area_mm2 if found else 0.0
    limit = value(limit_id)
    state = graded(area, limit, _area_error(area, slice_mm), _smallest_mm2(slice_mm))
    if state == "absent" and unseen:
        state = "not_assessable"
    names = ", ".join(wall.name for wall in walls)
    finding = Finding(
        factor=factor,
        state=state,
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


def _posterior(
    wall: Wall, norm: ForamenNorm, slice_mm: float, blocked: str
) -> tuple[Finding, tuple[Opening, ...]]:
    factor = "posterior_wall_defect"
    evidence = (*OPEN_EVIDENCE, "fracture.wall.threshold_area_mm2", *FORAMEN_EVIDENCE)
    if blocked or not enough_seen(wall):
        why = blocked or "the wall could not be followed"
        return unknown(factor, "mm2", "posterior wall", why, evidence), ()
    found = openings(wall)
    central = at_foramen(wall, found)
    limit = value("fracture.wall.threshold_area_mm2")
    broken = tuple(
        o for o in found if (_beyond_foramen(wall, o, norm) if o in central else o.area_mm2 >= limit)
    )
    largest = max(broken or found, key=lambda o: o.area_mm2, default=None)
    state: State
    state, why = ("present", "") if broken else _whole_or_unknown(found, central, norm, slice_mm)
    area = sum(o.area_mm2 for o in broken) if broken else largest.area_mm2 if largest else 0.0
    # Half of a foramen is taken off: it is not known how much of it the defect took in.
    hidden = norm.usual_mm2 / 2 if any(o in central for o in broken) else 0.0
    error = float(np.hypot(_area_error(area, slice_mm), hidden))
    finding = Finding(
        factor=factor,
        state=state,
        value=round(area - hidden, 1),
        unit="mm2",
        uncertainty=round(error, 1),
        where="posterior wall" if largest is None else f"{largest.third} third, {_side(largest.across_mm)}",
        how=f"cortex in front of the canal, density against {wall.judged_by}{why}; "
        f"foramen compared with {norm.source}",
        evidence=evidence,
    )
    return finding, broken


def _beyond_foramen(wall: Wall, opening: Opening, norm: ForamenNorm) -> bool:
    """Whether an opening at the place of the foramen is more than a foramen."""
    limit = value("fracture.wall.threshold_area_mm2")
    return opening.area_mm2 >= norm.largest_mm2 + limit or unpaired_mm2(wall, opening) >= limit


def _whole_or_unknown(
    found: tuple[Opening, ...], central: tuple[Opening, ...], norm: ForamenNorm, slice_mm: float
) -> tuple[State, str]:
    """Absent, or why that cannot be said, of a wall without an opening that is surely a defect."""
    limit = value("fracture.wall.threshold_area_mm2")
    rest = [o for o in found if o not in central]
    if _smallest_mm2(slice_mm) > limit:
        return "not_assessable", f"; slices of {slice_mm:.1f} mm hide defects of this size"
    if any(o.at_edge and o.area_mm2 > limit / 3 for o in rest):
        return "not_assessable", "; an opening goes on beyond the part of the wall that is seen"
    if any(o.area_mm2 + _area_error(o.area_mm2, slice_mm) >= limit for o in rest):
        return "not_assessable", "; an opening is as large as a defect within its uncertainty"
    foramen = max((o.area_mm2 for o in central), default=0.0)
    wide = foramen + _area_error(foramen, slice_mm) >= limit
    if central and wide and (foramen > norm.usual_mm2 or _empty(central)):
        return "not_assessable", "; a wide basivertebral foramen and a defect at its place look alike"
    return (
        "absent",
        f"; the basivertebral foramen is open ({foramen:.0f} mm2), as it may be" if central else "",
    )


def _empty(foramen: tuple[Opening, ...]) -> bool:
    """Whether no trace of bone is left in an opening; the foramen's own rim leaves some."""
    return min(o.left_of_density for o in foramen) < value("fracture.bvf.empty_fraction")


def _side(across_mm: float) -> str:
    if abs(across_mm) < 2.0:
        return "midline"
    return "left" if across_mm > 0 else "right"


def schmorl_finding(pits: tuple[Pit, Pit], slice_mm: float, blocked: str, stairs_mm: float = 0.0) -> Finding:
    """A pit of either endplate; the stairs of a coarse label are pits of their own and count for none."""
    evidence = ("fracture.schmorl.depth_mm", "fracture.schmorl.area_mm2")
    pit = max(pits, key=lambda p: p.depth_mm if p.area_mm2 >= value("fracture.schmorl.area_mm2") else 0.0)
    if blocked:
        return unknown("schmorl_node", "mm", "endplates", blocked, evidence)
    large = pit.area_mm2 >= value("fracture.schmorl.area_mm2")
    depth = pit.depth_mm if large else 0.0
    limit = value("fracture.schmorl.depth_mm")
    state = graded(depth, limit, 0.0, slice_mm)
    if stairs_mm and depth < limit + stairs_mm:
        state = "not_assessable"
    drawn = f"; the labels are drawn in steps of {stairs_mm:.1f} mm" if stairs_mm else ""
    return Finding(
        factor="schmorl_node",
        state=state,
        value=round(depth, 2),
        unit="mm",
        uncertainty=round(max(slice_mm / 2, stairs_mm), 2),
        where=f"{pit.endplate} endplate, {pit.area_mm2:.0f} mm2",
        how=f"depth below the smooth surface of the rest of the endplate{drawn}",
        evidence=evidence,
    )
