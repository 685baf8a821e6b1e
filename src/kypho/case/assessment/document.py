"""assessment.json: a level's findings and its leak risk as a document with a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from pydantic import Field

from kypho.case.assessment.run import AssessmentResult
from kypho.case.document import USE, Number, Part, unconfirmed
from kypho.case.mri import MriEntry, mri_entry
from kypho.evidence import record
from kypho.fracture import Assessment
from kypho.fracture.bone import density_class
from kypho.fracture.findings import Finding, State
from kypho.risk import LeakRisk, in_words

__all__ = [
    "ASSESSMENT_SCHEMA",
    "AssessmentDocument",
    "BonePart",
    "EstimatePart",
    "FindingPart",
    "GenantPart",
    "IntervalPart",
    "RatePart",
    "RiskPart",
    "RoutePart",
    "SitesPart",
    "TermPart",
    "assessment_document",
]

ASSESSMENT_SCHEMA: Literal["kypho.assessment/1"] = "kypho.assessment/1"


class FindingPart(Part):
    """One factor."""

    factor: str
    state: State
    value: Number | None
    unit: str
    uncertainty: Number | None
    where: str
    how: str
    source: Literal["ct", "mri", "ct and mri"]
    evidence: list[str]
    unconfirmed: list[str] = Field(description="those of `evidence` that no source confirms")


class SitesPart(Part):
    """A number at the anterior edge, the middle, the posterior wall; null where it cannot be had."""

    anterior: Number | None
    middle: Number | None
    posterior: Number | None


class GenantPart(Part):
    """Type and grade after Genant, and the grades it may be; null where heights could not be compared."""

    type: str | None
    grade: int | None
    grade_range: tuple[int, int] | None
    reason: str


class BonePart(Part):
    """Cancellous density; null where it cannot be read."""

    mean_hu: Number | None
    sd_hu: Number | None
    region: str | None
    opportunistic_class: str | None
    z_score: Number | None
    compared_with: list[str]


class IntervalPart(Part):
    """An interval of a probability."""

    low: Number | None
    high: Number | None
    coverage: Number


class TermPart(Part):
    """One line of the log-odds sheet; the weight is null where an unknown is averaged over the site's mix."""

    factor: str
    state: bool | Number | None
    weight: Number | None
    se: Number
    note: str
    evidence: list[str]


class EstimatePart(Part):
    """Any leak from this vertebra; arithmetic on published effects."""

    probability: Number
    baseline: Number
    band: str
    interval: IntervalPart
    words: str = Field(description="the same as a sentence of counts")
    intercept: Number = Field(description="log odds of a vertebra without any of the terms")
    terms: list[TermPart]


class RoutePart(Part):
    """One route of leakage; probability null where the evidence supports none."""

    probability: Number | None
    interval: IntervalPart
    base: Number
    status: str
    flags: list[str]
    notes: list[str]
    evidence: list[str]


class RatePart(Part):
    """A published rate shown beside the estimate."""

    name: str
    rate: Number
    status: str
    evidence: str


class RiskPart(Part):
    """The leak-risk sheet."""

    any: EstimatePart | None
    routes: dict[str, RoutePart]
    interval: IntervalPart | None
    inputs: dict[str, Any]
    baselines: list[RatePart]
    harm: list[RatePart]
    assumptions: list[str]
    no_weight: dict[str, str]
    not_claimed: list[str]


class AssessmentDocument(Part):
    """assessment.json."""

    schema_: Literal["kypho.assessment/1"] = Field(alias="schema")
    level: str
    ct_sha256: str
    labels_sha256: str
    slice_mm: Number
    findings: list[FindingPart]
    height_mm: SitesPart
    height_expected_mm: SitesPart
    height_loss_percent: SitesPart
    height_loss_left_right_percent: list[Number | None]
    height_loss_uncertainty_percent: Number | None
    height_loss_against: str
    genant: GenantPart
    kyphosis_deg: Number | None
    kyphosis_between: str
    body_volume_ml: Number | None
    bone: BonePart
    basivertebral_foramen_mm2: Number | None
    foreign_material_ml: Number
    advice: list[dict[str, str]]
    risk: RiskPart
    mri: MriEntry | None
    notes: list[str]
    unconfirmed: list[str] = Field(description="records that went into findings and advice, unconfirmed")
    use: str


def _source(evidence: tuple[str, ...]) -> Literal["ct", "mri", "ct and mri"]:
    """The scan that a finding rests on."""
    from_mri = [i.startswith("mri.") for i in evidence]
    if not any(from_mri):
        return "ct"
    return "ct and mri" if any(i.startswith("fracture.") for i in evidence) else "mri"


def _sites(numbers: Mapping[str, float | None]) -> SitesPart:
    return SitesPart(**{s: _number(numbers.get(s)) for s in ("anterior", "middle", "posterior")})


def _number(x: float | None) -> float | None:
    return float(x) if x is not None and np.isfinite(x) else None


def assessment_document(result: AssessmentResult) -> AssessmentDocument:
    """assessment.json of a result."""
    a = result.assessment
    sites = ("anterior", "middle", "posterior")
    expected = {s: a.loss.expected.at(s) for s in sites} if a.loss.expected else {}
    return AssessmentDocument(
        schema=ASSESSMENT_SCHEMA,
        level=a.level,
        ct_sha256=result.ct.sha256,
        labels_sha256=result.labels.sha256,
        slice_mm=a.slice_mm,
        findings=[_finding(f) for f in a.findings],
        height_mm=_sites({s: a.heights.at(s) for s in sites}),
        height_expected_mm=_sites(expected),
        height_loss_percent=_sites(a.loss.percent),
        height_loss_left_right_percent=[_number(a.loss.percent[s]) for s in ("left", "right")],
        height_loss_uncertainty_percent=_number(a.loss.uncertainty_percent),
        height_loss_against=a.loss.source,
        genant=GenantPart(**asdict(a.genant)),
        kyphosis_deg=a.kyphosis_deg,
        kyphosis_between=a.kyphosis_of,
        body_volume_ml=_number(a.body_ml),
        bone=_bone(a),
        basivertebral_foramen_mm2=sum(o.area_mm2 for o in a.foramen) if a.foramen else None,
        foreign_material_ml=a.foreign_ml,
        advice=[asdict(line) for line in result.advice],
        risk=_risk_part(result.risk),
        mri=None if result.mri is None else mri_entry(result.mri, result.vertebra),
        notes=[*a.notes, *result.ct.notes, *result.labels.notes],
        unconfirmed=unconfirmed(result.records),
        use=USE,
    )


def _finding(found: Finding) -> FindingPart:
    told = asdict(found)
    del told["excludes_gas"]  # in its words already
    return FindingPart(
        **{**told, "evidence": list(found.evidence)},
        source=_source(found.evidence),
        unconfirmed=unconfirmed(found.evidence),
    )


def _bone(a: Assessment) -> BonePart:
    bone, others = a.bone, a.others
    return BonePart(
        mean_hu=bone.mean_hu if bone else None,
        sd_hu=bone.sd_hu if bone else None,
        region=bone.region if bone else None,
        opportunistic_class=density_class(bone.mean_hu) if bone else None,
        z_score=others.z_score(bone.mean_hu) if bone else None,
        compared_with=list(others.levels),
    )


def _risk_part(risk: LeakRisk) -> RiskPart:
    coverage = float(record("risk.model.interval").value)  # type: ignore[arg-type]
    whole = None
    if risk.any is not None:
        between = IntervalPart(low=risk.any.low, high=risk.any.high, coverage=coverage)
        whole = EstimatePart(
            probability=risk.any.probability,
            baseline=risk.any.baseline,
            band=risk.any.band,
            interval=between,
            words=in_words(risk.any, risk.inputs),
            intercept=risk.any.intercept,
            terms=[TermPart(**{**asdict(t), "evidence": list(t.evidence)}) for t in risk.any.terms],
        )
    return RiskPart(
        any=whole,
        routes={
            r.route: RoutePart(
                probability=r.probability,
                interval=IntervalPart(low=r.low, high=r.high, coverage=coverage),
                base=r.base,
                status=r.status,
                flags=list(r.flags),
                notes=list(r.notes),
                evidence=list(r.evidence),
            )
            for r in risk.routes
        },
        interval=whole.interval if whole else None,
        inputs=asdict(risk.inputs),
        baselines=[RatePart(**asdict(b)) for b in risk.baselines],
        harm=[RatePart(**asdict(b)) for b in risk.harm],
        assumptions=list(risk.assumptions),
        no_weight={z.factor: z.reason for z in risk.zero_weights},
        not_claimed=list(risk.not_claimed),
    )
