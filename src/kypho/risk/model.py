"""The leak-risk sheet: any leak, the routes, both baselines, and what is not claimed."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.evidence import all_records, record, value
from kypho.risk.inputs import RiskInputs, RiskSettings
from kypho.risk.leak import Estimate, any_leak
from kypho.risk.routes import RouteRisk, route_risk

__all__ = ["NOT_CLAIMED", "Baseline", "LeakRisk", "ZeroWeight", "assess_risk", "zero_weights"]

NOT_CLAIMED = (
    "a calibrated probability for one person: only the arithmetic is checked, against published tables",
    "that kyphoplasty leaks in fewer than half of the vertebrae when CT is used to look",
    "that needle angle, tip position, experience, bone density or sclerosis change the risk by a known sum",
    "a probability of a leak into the canal in osteoporotic fractures",
    "that a cleft raises leakage overall: it raises some routes and lowers others",
    "that the metastasis scores hold in osteoporosis",
    "that a leak means harm; harm is given as a population rate only",
    "that cement volume causes leaks: it goes with the size of the bone and the approach",
    "clinical validation of any kind",
)
"""Printed with every estimate."""

ZERO_WEIGHT_FACTORS = {
    "intravertebral cleft (any leak)": "intravertebral_cleft.any_leak",
    "bone density, HU": "bmd.any_leak|hu.any_leak",
    "age": "age.any_leak",
    "sex": "sex.any_leak",
    "level": "level.any_leak",
    "one or two needles": "approach_laterality.any_leak",
    "operator": "operator_experience",
    "needle angle": "",
    "tip position": "",
    "sclerosis": "",
    "fracture severity": "fracture_severity.any_leak",
}


@dataclass(frozen=True, kw_only=True)
class ZeroWeight:
    """A factor without a usable effect: no source, or sources that contradict each other."""

    factor: str
    reason: str
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A published or claimed rate shown beside the estimate."""

    name: str
    rate: float
    status: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class LeakRisk:
    """Everything the risk page prints."""

    inputs: RiskInputs
    any: Estimate | None
    routes: tuple[RouteRisk, ...]
    baselines: tuple[Baseline, ...]
    zero_weights: tuple[ZeroWeight, ...]
    harm: tuple[Baseline, ...]
    not_claimed: tuple[str, ...]
    assumptions: tuple[str, ...]


def zero_weights() -> tuple[ZeroWeight, ...]:
    """The factors with coefficient zero, each with its published rows."""
    out = []
    for factor, patterns in ZERO_WEIGHT_FACTORS.items():
        wanted = [f"risk.row.{p}" for p in patterns.split("|") if p]
        rows = tuple(i for i in all_records() if any(i.startswith(w) for w in wanted))
        reason = "null or conflicting evidence" if rows else "no effect size known"
        out.append(ZeroWeight(factor=factor, reason=reason, rows=rows))
    return tuple(out)


def _baseline(name: str, record_id: str) -> Baseline:
    item = record(record_id)
    return Baseline(name=name, rate=float(value(record_id)), status=item.status, evidence=record_id)


def assess_risk(inputs: RiskInputs, settings: RiskSettings | None = None) -> LeakRisk:
    """The whole sheet for one vertebra.

    For a metastasis `any` is None: no model of any leak was published for it, and the osteoporotic one is
    not carried over.
    """
    settings = settings or RiskSettings()
    return LeakRisk(
        inputs=inputs,
        any=None if inputs.population == "metastasis" else any_leak(inputs, settings),
        routes=route_risk(inputs, settings),
        baselines=(
            _baseline("founding case report, ceiling for kyphoplasty", "risk.model.baseline.founding_paper"),
            _baseline("kyphoplasty, CT, randomised trial", "risk.model.baseline.pkp_ct"),
            _baseline("vertebroplasty, CT, randomised trial", "risk.model.baseline.pvp_ct"),
            _baseline("kyphoplasty, radiographs and CT mixed", "risk.model.baseline.pkp_mixed"),
        ),
        zero_weights=zero_weights(),
        harm=(
            _baseline("decompression after vertebroplasty", "risk.harm.decompression"),
            _baseline("nerve or cord symptoms after kyphoplasty", "risk.harm.symptoms"),
        ),
        not_claimed=NOT_CLAIMED,
        assumptions=(
            f"share of vertebrae with cortical disruption {settings.prevalence_cortical:.0%}, assumed",
            f"share of procedures with low viscosity cement {settings.prevalence_low_viscosity:.0%}, assumed",
            "unadjusted pooled effects are added, so the interval is too narrow rather than too wide",
            f"volume counted from {value('risk.model.reference_volume_ml'):g} mL, a convention",
        ),
    )
