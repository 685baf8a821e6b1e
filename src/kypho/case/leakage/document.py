"""leakage.json: the findings of the post-operative check as a document with a schema."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from kypho.case.document import USE, Part, Point, point, rounded, unconfirmed
from kypho.case.leakage.compared import HeightsEntry, PlanEntry, heights_entry, plan_entry
from kypho.case.leakage.run import LeakageResult
from kypho.case.mri import MriEntry
from kypho.leakage import Interval
from kypho.leakage.actions import Action, Urgency, most_urgent_first, mri_actions
from kypho.leakage.routes import BodySide, Route

__all__ = [
    "ActionEntry",
    "Bounds",
    "CanalEntry",
    "DenseEntry",
    "InsideEntry",
    "LeakageDocument",
    "PartEntry",
    "QualityEntry",
    "SliceEntry",
    "leakage_document",
]


class Bounds(Part):
    """A value with the bounds that fit the image almost as well."""

    value: float
    low: float
    high: float


class PartEntry(Part):
    """One part of the cement outside the vertebra; `likely_route` stands where the margin is too small."""

    id: int
    ml: Bounds
    route: Route
    likely_route: Route
    route_margin_mm: float
    compartments: list[str]
    side: BodySide
    exit_lps_mm: Point | None
    centre_lps_mm: Point
    extent_mm: Point
    canal_ml: float
    label: int
    notes: list[str]


class SliceEntry(Part):
    """One axial slice of the canal."""

    index: int
    z_mm: float
    canal_mm2: float
    encroachment_percent: Bounds
    free_diameter_mm: float
    cord_gap_mm: float | None
    streak_hu: float | None
    readable: bool


class CanalEntry(Part):
    """The canal of the level."""

    found: bool
    ml: float
    max_encroachment_percent: Bounds
    at_lps_mm: Point | None
    level: str
    side: str
    state: str
    inside_dura_share: float
    signs: list[str]
    doubts: list[str] = Field(description="what keeps a canal without a stated leak from being called free")
    free_diameter_mm: float | None
    cord_gap_mm: float | None
    slices: list[SliceEntry]


class InsideEntry(Part):
    """Cement inside the vertebra."""

    ml: Bounds
    fill_percent: Bounds
    left_share: float | None
    superior_gap_mm: float | None
    inferior_gap_mm: float | None
    superior_contact: bool | None
    inferior_contact: bool | None


class DenseEntry(Part):
    """Something as dense as cement that is not counted as this vertebra's."""

    lps_mm: Point
    from_level_mm: Point = Field(description="from the vertebra's centre: left, posterior, superior")
    ml: float
    canal_ml: float = Field(description="of it in the canal, or beside a labelled cord")
    structure: str | None = Field(description="the labelled structure that holds most of it")


class QualityEntry(Part):
    """How far the scan can be read.

    dense_body_ml is a compact dense place in a body without certain cement: faint cement or sclerosis. With
    one, `readable` is false, for a leak of such cement would not be seen.
    """

    readable: bool
    unreadable_slices: list[int]
    resolution_mm: Bounds
    resolution_measured: bool
    cortex_hu: float
    seed_hu: float
    saturation_hu: float
    metal_ml: float | None
    dense_body_ml: float
    doubtful_lps_mm: list[Point]
    dense_elsewhere: list[DenseEntry]
    registration_correlation: float | None
    notes: list[str]


class ActionEntry(Part):
    """What to do."""

    what: str
    urgency: Urgency
    why: str
    evidence: str
    evidence_status: Literal["confirmed", "unconfirmed"]


class LeakageDocument(Part):
    """leakage.json of `kypho check`."""

    schema_: Literal["kypho.leakage/1"] = Field("kypho.leakage/1", alias="schema")
    level: str
    use: str = USE
    cement_ml: Bounds
    parts: list[PartEntry]
    canal: CanalEntry
    inside: InsideEntry
    quality: QualityEntry
    mri: MriEntry | None
    plan: PlanEntry | None
    heights: HeightsEntry | None
    actions: list[ActionEntry]
    dicom_objects: bool
    unconfirmed: list[str]
    timings_s: dict[str, float]


def _bounds(interval: Interval, digits: int = 4) -> Bounds:
    return Bounds(
        value=round(interval.value, digits),
        low=round(interval.low, digits),
        high=round(interval.high, digits),
    )


def leakage_document(result: LeakageResult, timings_s: dict[str, float]) -> LeakageDocument:
    """The findings as they are written, worst slices first."""
    found = result.leakage
    actions = most_urgent_first((*found.actions, *_mri_actions(result)))
    return LeakageDocument(
        schema="kypho.leakage/1",
        level=found.level,
        cement_ml=_bounds(found.cement_ml),
        parts=_parts(result),
        canal=_canal(result),
        inside=InsideEntry(
            ml=_bounds(found.inside.ml),
            fill_percent=_bounds(found.inside.fill_percent, 1),
            left_share=rounded(found.inside.left_share, 3),
            superior_gap_mm=rounded(found.inside.superior_gap_mm),
            inferior_gap_mm=rounded(found.inside.inferior_gap_mm),
            superior_contact=found.inside.superior_contact,
            inferior_contact=found.inside.inferior_contact,
        ),
        quality=_quality(result),
        mri=result.mri,
        plan=plan_entry(result.plan),
        heights=heights_entry(result.heights),
        actions=[
            ActionEntry(
                what=a.what,
                urgency=a.urgency,
                why=a.why,
                evidence=a.evidence,
                evidence_status="confirmed" if a.confirmed else "unconfirmed",
            )
            for a in actions
        ],
        dicom_objects=result.has_objects,
        unconfirmed=unconfirmed(result.records | {a.evidence for a in actions}),
        timings_s=dict(timings_s),
    )


def _mri_actions(result: LeakageResult) -> tuple[Action, ...]:
    return () if result.mri is None else mri_actions(result.mri.mscc_percent, result.mri.mcc_percent)


def _parts(result: LeakageResult) -> list[PartEntry]:
    frame = result.leakage.scene.vertebra.frame
    rows = []
    for part in result.leakage.parts:
        points = frame.to_world(part.measured.points_mm)
        exit_mm = part.measured.exit_mm
        rows.append(
            PartEntry(
                id=part.id,
                ml=_bounds(part.measured.ml),
                route=part.routing.route,
                likely_route=part.routing.likely,
                route_margin_mm=part.routing.margin_mm,
                compartments=list(part.routing.compartments),
                side=part.routing.side,
                exit_lps_mm=None if exit_mm is None else point(frame.to_world(exit_mm), 2),
                centre_lps_mm=point(points.mean(axis=0), 2),
                extent_mm=point(points.max(axis=0) - points.min(axis=0), 2),
                canal_ml=round(part.measured.canal_ml, 4),
                label=part.map_number,
                notes=list(result.part_notes.get(part.id, ())),
            )
        )
    return rows


def _canal(result: LeakageResult) -> CanalEntry:
    canal = result.leakage.canal
    ordered = sorted(canal.slices, key=lambda s: -s.encroachment_percent.value)
    worst = ordered[0] if ordered and canal.found else None
    gaps = [s.cord_gap_mm for s in canal.slices if s.cord_gap_mm is not None]
    return CanalEntry(
        found=canal.found,
        ml=round(canal.ml, 4),
        max_encroachment_percent=_bounds(canal.max_encroachment_percent, 2),
        at_lps_mm=None if canal.at_lps_mm is None else point(canal.at_lps_mm, 2),
        level=result.leakage.level,
        side=canal.side,
        state=canal.dura.state,
        inside_dura_share=round(canal.dura.inside_share, 3),
        signs=list(canal.dura.signs),
        doubts=list(result.leakage.canal_doubts),
        free_diameter_mm=None if worst is None else rounded(worst.free_diameter_mm),
        cord_gap_mm=rounded(min(gaps)) if gaps else None,
        slices=[
            SliceEntry(
                index=s.index,
                z_mm=round(s.z_mm, 2),
                canal_mm2=round(s.canal_mm2, 1),
                encroachment_percent=_bounds(s.encroachment_percent, 2),
                free_diameter_mm=round(s.free_diameter_mm, 2),
                cord_gap_mm=rounded(s.cord_gap_mm),
                streak_hu=round(s.streak_hu, 0) if s.streak_hu < float("inf") else None,
                readable=s.readable,
            )
            for s in ordered
        ],
    )


def _quality(result: LeakageResult) -> QualityEntry:
    found = result.leakage
    blur, frame = found.blur, found.scene.vertebra.frame
    return QualityEntry(
        readable=found.canal.readable and result.dense_body_ml == 0,
        unreadable_slices=sorted(s.index for s in found.canal.slices if not s.readable),
        resolution_mm=Bounds(
            value=round(blur.fwhm_mm, 3), low=round(blur.low_mm, 3), high=round(blur.high_mm, 3)
        ),
        resolution_measured=blur.measured,
        cortex_hu=round(found.limits.cortex_hu, 0),
        seed_hu=round(found.limits.seed_hu, 0),
        saturation_hu=found.limits.saturation_hu,
        metal_ml=rounded(found.metal_ml, 3),
        dense_body_ml=round(result.dense_body_ml, 2),
        doubtful_lps_mm=[point(p, 2) for p in found.doubtful],
        dense_elsewhere=[
            DenseEntry(
                lps_mm=point(p.lps_mm, 2),
                from_level_mm=point(frame.to_local(np.array(p.lps_mm)), 1),
                ml=round(p.ml, 4),
                canal_ml=round(p.canal_ml, 4),
                structure=p.structure,
            )
            for p in found.elsewhere
        ],
        registration_correlation=rounded(result.similarity, 3),
        notes=list(result.notes),
    )
