"""Assess one level: every measure, every finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kypho.anatomy import Labels, Side, Vertebra
from kypho.errors import LevelIncompleteError
from kypho.evidence import value
from kypho.fracture.bone import OtherLevels, density_findings, other_levels
from kypho.fracture.carried import bone_before
from kypho.fracture.cavity import Cancellous, Cavity, cancellous, cavities, foreign_ml, surrounding_hu
from kypho.fracture.cavity_findings import cavity_findings, told_clefts
from kypho.fracture.columns import Columns, level_columns
from kypho.fracture.damage import schmorl_finding, wall_findings
from kypho.fracture.earlier import Earlier, require_same_body
from kypho.fracture.endplates import Pit, deepest_pit
from kypho.fracture.findings import Finding, State, unknown
from kypho.fracture.foramen import at_foramen, foramen_norm
from kypho.fracture.heights import Heights, body_heights, cobb_deg
from kypho.fracture.loss import Genant, HeightLoss, genant, height_loss
from kypho.fracture.neighbours import Neighbours, find_neighbours
from kypho.fracture.pedicle_walls import medial_wall
from kypho.fracture.retropulsion import retropulsion_finding
from kypho.fracture.scan import noise_hu, slice_mm, stairs_mm, too_thick_mm
from kypho.fracture.wall_pictures import body_walls, neighbour_posterior
from kypho.fracture.walls import Opening, Wall, against_its_like, openings
from kypho.space import Volume

__all__ = ["Assessment", "assess_level"]

LEAST_WIDTH = 0.65  # a fracture does not narrow a body; levels next to each other differ by far less
LEAST_AGREEMENT = np.cos(np.deg2rad(40.0))  # numerics: a wedge turns a body by 20, a kyphosis by less


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """What the CT says about one level before anyone punctures it.

    Attributes:
        level: "T7".
        slice_mm: distance of the slices, or the step of the labels where that is coarser; it decides what can
            be seen.
        findings: one per factor of `FACTORS`; `kypho.case.assessment.run` adds the MR's.
        heights, loss, genant: the body's heights.
        kyphosis_deg: local Cobb angle, positive in kyphosis; None without neighbours.
        kyphosis_of: the endplates it is measured between.
        body_ml: volume of the body.
        bone: cancellous density; None where it cannot be read.
        others: the patient's other levels.
        walls: pictures of the walls by name, for drawing.
        defects: the openings behind the wall findings that are present.
        foramen: openings at the place of the basivertebral foramen.
        cavities, pits: details behind the findings.
        clefts: those of the cavities that make a cleft present on the CT.
        foreign_ml: cement or metal already inside.
        notes: what was left out, and why.
    """

    level: str
    slice_mm: float
    findings: tuple[Finding, ...]
    heights: Heights
    loss: HeightLoss
    genant: Genant
    kyphosis_deg: float | None
    kyphosis_of: str
    body_ml: float
    bone: Cancellous | None
    others: OtherLevels
    walls: Mapping[str, Wall]
    defects: tuple[Opening, ...]
    foramen: tuple[Opening, ...]
    cavities: tuple[Cavity, ...]
    clefts: tuple[Cavity, ...]
    pits: tuple[Pit, Pit]
    foreign_ml: float
    notes: tuple[str, ...]

    def finding(self, factor: str) -> Finding:
        """The finding of a factor."""
        return next(f for f in self.findings if f.factor == factor)


def assess_level(
    ct: Volume, labels: Labels, vertebra: Vertebra, *, earlier: Earlier | None = None
) -> Assessment:
    """Measure one level and state its findings.

    Args:
        ct: the CT in HU.
        labels: labels on its grid.
        vertebra: model of the level, built from both.
        earlier: the level on an earlier CT, with which its heights, its posterior wall and its bone are then
            compared.

    Raises:
        LevelIncompleteError: the model faces another way than the levels beside it.
        LevelError: the earlier CT shows another vertebra, or a lower one.
    """
    level = vertebra.level
    slices, stairs = slice_mm(labels, level), stairs_mm(labels, level)
    own = level_columns(labels, level, vertebra.frame)
    heights = body_heights(own)
    beside = find_neighbours(labels, vertebra, heights)
    _require_agreement(vertebra, own, beside)
    notes = beside.notes
    thick = too_thick_mm(slices)
    if earlier is not None:
        require_same_body(own, heights, earlier, level)
        notes += earlier.notes
    loss = height_loss(
        heights,
        beside.references,
        thick,
        earlier=earlier.heights if earlier else None,
    )
    grade = genant(loss)
    foreign = foreign_ml(vertebra)
    reference = surrounding_hu(vertebra)
    blocked, noise = _blocked(foreign, slices), noise_hu(vertebra)
    before = None if blocked else bone_before(vertebra, own, earlier)
    holes = cavities(vertebra, reference, before) if reference is not None else ()
    bone = cancellous(vertebra, holes)
    others = other_levels(ct, labels, level)
    pits = deepest_pit(own, upper=True), deepest_pit(own, upper=False)
    near = zip(labels.neighbours(level), (beside.above, beside.below), strict=True)
    backs = {n: neighbour_posterior(ct, labels, n, c) for n, c in near if n and c is not None}
    walls = _walls(vertebra, backs)
    back = earlier.back if earlier is not None else None
    about_walls, defects = wall_findings(walls, foramen_norm(backs, back), slices, blocked)
    findings = (
        *about_walls,
        retropulsion_finding(walls["posterior"], tuple(backs.values()), blocked, stairs, thick, before=back),
        *cavity_findings(holes, reference, blocked, noise, bone.mean_hu if bone else None),
        _severe(loss, thick),
        *density_findings(bone, others, blocked),
        schmorl_finding(pits, slices, blocked, stairs),
    )
    if thick:
        notes += (f"slices {slices:g} mm apart: heights and the wall's shape are known only roughly",)
    if foreign > value("fracture.foreign_ml"):
        notes += (f"{foreign:.2f} mL of cement or metal inside the body",)
    cobb, cobb_of = _kyphosis(own, beside.above, beside.below, level, labels)
    return Assessment(
        level=level,
        slice_mm=slices,
        findings=findings,
        heights=heights,
        loss=loss,
        genant=grade,
        kyphosis_deg=cobb,
        kyphosis_of=cobb_of,
        body_ml=vertebra.body_ml,
        bone=None if blocked else bone,
        others=others,
        walls=walls,
        defects=defects,
        foramen=at_foramen(walls["posterior"], openings(walls["posterior"])),
        cavities=holes,
        clefts=() if blocked or reference is None else tuple(told_clefts(holes, reference, noise)),
        pits=pits,
        foreign_ml=foreign,
        notes=notes,
    )


def _walls(vertebra: Vertebra, backs: Mapping[str, Wall]) -> dict[str, Wall]:
    """Walls of body and pedicles; one that is mostly gone is judged by walls that should be as dense."""
    seen = body_walls(vertebra)
    rest = {name: [wall for other, wall in seen.items() if other != name] for name in seen}
    walls = {
        name: against_its_like(wall, rest[name], "the body's other walls") for name, wall in seen.items()
    }
    if backs:
        walls["posterior"] = against_its_like(
            seen["posterior"], backs.values(), f"the wall of {' and '.join(backs)}"
        )
    sides: tuple[Side, Side] = ("left", "right")
    return walls | {wall.name: wall for wall in (medial_wall(vertebra, side) for side in sides)}


def _require_agreement(vertebra: Vertebra, own: Columns, beside: Neighbours) -> None:
    """Raise LevelIncompleteError if the model faces another way, or is much narrower, than its neighbours."""
    near = [columns for columns in (beside.above, beside.below) if columns is not None]
    if not near:
        return
    fault = ""
    if max(float(c.frame.posterior @ vertebra.frame.posterior) for c in near) < LEAST_AGREEMENT:
        fault = "faces another way than"
    elif own.half_width_mm < LEAST_WIDTH * min(c.half_width_mm for c in near):
        fault = "has a body much narrower than"
    if fault:
        raise LevelIncompleteError(
            f"the model of {vertebra.level} {fault} the levels beside it, so its body was "
            "not found; check the labels of this level"
        )


def _blocked(foreign: float, slice_mm: float) -> str:
    """Why density cannot be read, or an empty string."""
    if foreign > value("fracture.foreign_ml"):
        return f"{foreign:.1f} mL of cement or metal in the body: streaks and its own density hide the bone"
    if too_thick_mm(slice_mm):
        return f"slices {slice_mm:.1f} mm apart are too thick to see a wall or a cleft"
    return ""


def _severe(loss: HeightLoss, thick_mm: float) -> Finding:
    limit = value("fracture.severe_compression_percent")
    known = {site: p for site, p in loss.percent.items() if p is not None}
    if not known:
        why = "no neighbour to say how tall this body was, or its own heights cannot be read"
        return unknown("severe_compression", "%", "body", why, ("fracture.severe_compression_percent",))
    site = max(known, key=lambda s: known[s])
    doubt = loss.uncertainty_at(known[site])
    close = abs(known[site] - limit) <= doubt
    near = f"; within {doubt:.0f} points of it" if close else ""
    measured: State = "present" if known[site] >= limit else "absent"
    return Finding(
        factor="severe_compression",
        state="not_assessable" if close and thick_mm else measured,
        value=round(known[site], 1),
        unit="%",
        uncertainty=round(doubt, 1),
        where=site,
        how=f"largest height loss against the {loss.source}; severe from {limit:g} %{near}",
        evidence=("fracture.severe_compression_percent", "fracture.height.measured_percent"),
    )


def _kyphosis(
    own: Columns, above: Columns | None, below: Columns | None, level: str, labels: Labels
) -> tuple[float | None, str]:
    """Cobb angle over the level, with neighbours where there are any."""
    names = labels.neighbours(level)
    upper, lower = above or own, below or own
    upper_name = names[0] if above else level
    lower_name = names[1] if below else level
    angle = cobb_deg(upper, lower)
    where = f"superior endplate of {upper_name} to inferior endplate of {lower_name}"
    return (angle, where) if np.isfinite(angle) else (None, where)
