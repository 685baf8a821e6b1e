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
from kypho.fracture.earlier import measure_earlier
from kypho.fracture.mri import merge_cleft
from kypho.risk import LeakRisk, RiskInputs, RiskSettings, assess_risk

__all__ = ["AssessmentResult", "EarlierCase", "assess_case"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EarlierCase:
    """An earlier CT of the same patient with its labels."""

    ct: CtInput
    labels: LabelsInput


@dataclass(frozen=True, kw_only=True, eq=False)
class AssessmentResult:
    """What the assessment stage knows of one level.

    Attributes:
        earlier: an earlier CT of the level and its labels, if it was compared with them.
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
    earlier: EarlierCase | None
    records: frozenset[str]

    @property
    def earlier_hashes(self) -> dict[str, str]:
        """What the manifest says of the earlier CT; empty without one."""
        if self.earlier is None:
            return {}
        return {"earlier_ct": self.earlier.ct.sha256, "earlier_labels": self.earlier.labels.sha256}


def assess_case(
    ct: CtInput,
    labels: LabelsInput,
    vertebra: Vertebra,
    *,
    known: RiskInputs | None = None,
    settings: RiskSettings | None = None,
    mri: MriCase | None = None,
    earlier: EarlierCase | None = None,
) -> AssessmentResult:
    """Assess a level and work out its leak risk.

    Args:
        ct, labels: the inputs.
        vertebra: model of the level.
        known: what is known besides the images (procedure, detection, volume, viscosity, ...); findings
            of the CT fill what it leaves open.
        settings: of the risk model.
        mri: an MR with labels, registered at the level or refused.
        earlier: an earlier CT, which shows the body as it was before the fracture.

    Raises:
        FrameOfReferenceError, LevelError, LabelsError: the MR is required and does not fit.
        LevelError: the earlier CT does not show this vertebra whole.
    """
    with reading() as records:
        before = None
        if earlier is not None:
            before = measure_earlier(earlier.ct.volume, earlier.labels.labels, vertebra.level)
        found = assess_level(ct.volume, labels.labels, vertebra, earlier=before)
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
        earlier=earlier,
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
