"""The assessment stage of a case: a level's findings and its leak risk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from kypho.anatomy import Vertebra
from kypho.case.mri import MriCase, MriFit, fit_mri, mri_factor_findings
from kypho.evidence import reading
from kypho.formats import CtInput, LabelsInput
from kypho.fracture import Assessment, assess_level
from kypho.fracture.advice import Advice, advice
from kypho.fracture.mri import merge_cleft
from kypho.risk import LeakRisk, RiskInputs, RiskSettings, assess_risk

__all__ = ["AssessmentResult", "assess_case"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AssessmentResult:
    """What the assessment stage knows of one level.

    Attributes:
        records: ids of the evidence records that findings and advice were made with; those of the risk stand
            in `risk`.
    """

    ct: CtInput
    labels: LabelsInput
    vertebra: Vertebra
    assessment: Assessment
    risk: LeakRisk
    advice: tuple[Advice, ...]
    mri: MriFit | None
    records: frozenset[str]


def assess_case(
    ct: CtInput,
    labels: LabelsInput,
    vertebra: Vertebra,
    *,
    known: RiskInputs | None = None,
    settings: RiskSettings | None = None,
    mri: MriCase | None = None,
) -> AssessmentResult:
    """Assess a level and work out its leak risk.

    Args:
        ct, labels: the inputs.
        vertebra: model of the level.
        known: what is known besides the images (procedure, detection, volume, viscosity, ...); findings
            of the CT fill what it leaves open.
        settings: of the risk model.
        mri: an MR with labels, registered at the level or refused.

    Raises:
        FrameOfReferenceError, LevelError, LabelsError: the MR is required and does not fit.
    """
    with reading() as records:
        found = assess_level(ct.volume, labels.labels, vertebra)
        fit = None if mri is None else fit_mri(mri, labels.labels, vertebra)
        if fit is not None:
            found = _with_mri(found, fit, vertebra)
        advised = advice(found)
    return AssessmentResult(
        ct=ct,
        labels=labels,
        vertebra=vertebra,
        assessment=found,
        risk=assess_risk(_risk_inputs(found, known or RiskInputs()), settings),
        advice=advised,
        mri=fit,
        records=frozenset(records),
    )


def _with_mri(found: Assessment, fit: MriFit, vertebra: Vertebra) -> Assessment:
    """The assessment with what the MR adds, and with its answer where the CT had none on a cleft."""
    added = mri_factor_findings(fit, vertebra)
    cleft = next(f for f in added if f.factor == "mri_cleft")
    kept = (merge_cleft(f, cleft) if f.factor == "intravertebral_cleft" else f for f in found.findings)
    return replace(found, findings=(*kept, *added))


def _risk_inputs(found: Assessment, known: RiskInputs) -> RiskInputs:
    """The findings as inputs of the risk model; what the caller states stands."""
    as_bool = {"present": True, "absent": False, "not_assessable": None}
    state = {f.factor: as_bool[f.state] for f in found.findings}
    losses = [p for p in found.loss.percent.values() if p is not None]
    seen: dict[str, Any] = {
        "level": found.level,
        "cortical_disruption": state["cortical_defect"],
        "intravertebral_cleft": state["intravertebral_cleft"],
        "posterior_wall_defect": state["posterior_wall_defect"],
        "endplate_defect": state["schmorl_node"],
        "height_ratio": min(max(1 - max(losses) / 100, 0.0), 1.0) if losses else None,
        "fill_fraction": known.volume_ml / found.body_ml if known.volume_ml and found.body_ml > 0 else None,
    }
    stated = {name: held for name, held in asdict(known).items() if held is not None}
    return RiskInputs(**{**seen, **stated})
