"""Assess one level: every measure, every finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kypho.anatomy import Labels, Side, Vertebra
from kypho.anatomy.quality import inside_scan, quality_of
from kypho.errors import KyphoError
from kypho.evidence import value
from kypho.fracture.bone import OtherLevels, density_findings, other_levels
from kypho.fracture.cavity import Cancellous, Cavity, cancellous, cavities, foreign_ml
from kypho.fracture.cavity_findings import cavity_findings
from kypho.fracture.columns import Columns, neighbour_columns, vertebra_columns
from kypho.fracture.damage import schmorl_finding, wall_findings
from kypho.fracture.endplates import Pit, deepest_pit
from kypho.fracture.findings import Finding
from kypho.fracture.heights import Genant, HeightLoss, Heights, body_heights, cobb_deg, genant, height_loss
from kypho.fracture.pedicle_walls import medial_wall
from kypho.fracture.wall_pictures import body_walls
from kypho.fracture.walls import Opening, Wall, basivertebral, openings
from kypho.space import Volume

__all__ = ["Assessment", "assess_level"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """What the CT says about one level before anyone punctures it.

    Attributes:
        level: "T7".
        slice_mm: distance of the slices; it decides what can be seen.
        findings: every factor of `FACTORS`, and height loss.
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
    pits: tuple[Pit, Pit]
    foreign_ml: float
    notes: tuple[str, ...]

    def finding(self, factor: str) -> Finding:
        """The finding of a factor."""
        return next(f for f in self.findings if f.factor == factor)


def assess_level(ct: Volume, labels: Labels, vertebra: Vertebra) -> Assessment:
    """Measure one level and state its findings.

    Args:
        ct: the CT in HU.
        labels: labels on its grid.
        vertebra: model of the level, built from both.
    """
    level = vertebra.level
    slice_mm = max(ct.grid.spacing_mm)
    own = vertebra_columns(ct, labels, level, vertebra.frame)
    above, below, notes = _neighbours(ct, labels, vertebra)
    heights = body_heights(own)
    loss = height_loss(heights, _heights(above), _heights(below))
    grade = genant(loss)
    foreign = foreign_ml(vertebra)
    bone = cancellous(vertebra)
    others = other_levels(ct, labels, level)
    reference = bone.mean_hu if bone else others.mean_hu
    holes = cavities(vertebra, reference) if reference is not None else ()
    walls = dict(body_walls(vertebra))
    sides: tuple[Side, Side] = ("left", "right")
    walls |= {wall.name: wall for wall in (medial_wall(vertebra, side) for side in sides)}
    pits = deepest_pit(own, upper=True), deepest_pit(own, upper=False)
    blocked = _blocked(foreign, slice_mm)
    about_walls, defects = wall_findings(walls, slice_mm, blocked)
    findings = (
        *about_walls,
        *cavity_findings(holes, reference, blocked),
        _severe(loss),
        *density_findings(bone, others, blocked),
        schmorl_finding(pits, slice_mm, blocked),
    )
    if foreign > 0:
        notes += (f"{foreign:.2f} mL of cement or metal inside the body",)
    cobb, cobb_of = _kyphosis(own, above, below, level, labels)
    return Assessment(
        level=level,
        slice_mm=slice_mm,
        findings=findings,
        heights=heights,
        loss=loss,
        genant=grade,
        kyphosis_deg=cobb,
        kyphosis_of=cobb_of,
        body_ml=own.volume_ml(),
        bone=bone,
        others=others,
        walls=walls,
        defects=defects,
        foramen=basivertebral(walls["posterior"], openings(walls["posterior"])),
        cavities=holes,
        pits=pits,
        foreign_ml=foreign,
        notes=notes,
    )


def _heights(columns: Columns | None) -> Heights | None:
    return None if columns is None else body_heights(columns)


def _neighbours(
    ct: Volume, labels: Labels, vertebra: Vertebra
) -> tuple[Columns | None, Columns | None, tuple[str, ...]]:
    """Columns of the level above and below; None, with a note, where one cannot be measured."""
    out: list[Columns | None] = []
    notes: list[str] = []
    for where, name in zip(("above", "below"), labels.neighbours(vertebra.level), strict=True):
        if name is None:
            out.append(None)
            notes.append(f"no level {where} in the labels")
            continue
        columns, failed = _neighbour(ct, labels, name, vertebra)
        if failed:
            notes.append(f"{name} is not used for comparison: {'; '.join(failed)}")
        out.append(columns)
    return out[0], out[1], tuple(notes)


def _neighbour(ct: Volume, labels: Labels, name: str, vertebra: Vertebra) -> tuple[Columns | None, list[str]]:
    """Columns of one neighbour, or the reasons why it cannot be compared with."""
    failed = [check.reason for check in quality_of(labels, name) if not check.passed]
    if failed:
        return None, failed
    try:
        columns = neighbour_columns(ct, labels, name, vertebra.frame.superior)
    except KyphoError as error:
        return None, [str(error)]
    whole = inside_scan(labels, name, columns.surface_mm())
    return (columns, []) if whole.passed else (None, [whole.reason])


def _blocked(foreign: float, slice_mm: float) -> str:
    """Why density cannot be read, or an empty string."""
    if foreign > value("fracture.foreign_ml"):
        return f"{foreign:.1f} mL of cement or metal in the body: streaks and its own density hide the bone"
    if slice_mm > value("fracture.thickest_slice_mm"):
        return f"slices {slice_mm:.1f} mm apart are too thick to see a wall or a cleft"
    return ""


def _severe(loss: HeightLoss) -> Finding:
    limit = value("fracture.severe_compression_percent")
    known = {site: p for site, p in loss.percent.items() if p is not None}
    if not known:
        return Finding(
            factor="severe_compression",
            state="not_assessable",
            value=None,
            unit="%",
            uncertainty=None,
            where="body",
            how="no neighbour to say how tall this body was",
            evidence=("fracture.severe_compression_percent",),
        )
    site = max(known, key=lambda s: known[s])
    return Finding(
        factor="severe_compression",
        state="present" if known[site] >= limit else "absent",
        value=round(known[site], 1),
        unit="%",
        uncertainty=loss.uncertainty_percent,
        where=site,
        how=f"largest height loss against the {loss.source}; severe from {limit:g} %",
        evidence=("fracture.severe_compression_percent", "fracture.height.uncertainty_percent.two"),
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
