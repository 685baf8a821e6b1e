"""Leaks by route. Each route is a model of its own; the routes do not add up to "any leak"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from kypho.evidence import interval, record, value
from kypho.risk.inputs import RiskInputs, RiskSettings
from kypho.risk.leak import interval_of
from kypho.risk.logodds import exposure_patterns, intercept_for
from kypho.risk.metastasis import pufhs_points, pufhs_probability

__all__ = ["RISK_ROUTES", "RouteRisk", "route_risk"]

RISK_ROUTES = ("venous", "intradiscal", "paravertebral", "spinal_canal", "embolism")

CLEFT_UNKNOWN = "cleft unknown: the range covers both cases"
VERTEBROPLASTY = "base rate from vertebroplasty; no rate by route after kyphoplasty on CT was read"


@dataclass(frozen=True, kw_only=True)
class RouteRisk:
    """One route.

    Attributes:
        route: see `RISK_ROUTES`.
        probability: None where the evidence supports no probability for this vertebra.
        low, high: interval, or the range of the published rates where there is no probability; None without.
        base: the published rate started from.
        notes: what a reader must know before using the number.
        evidence: record ids.
        flags: factors present that have no usable coefficient for this route.
    """

    route: str
    probability: float | None
    low: float | None
    high: float | None
    base: float
    notes: tuple[str, ...]
    evidence: tuple[str, ...]
    flags: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """ "confirmed" only if every record used is."""
        return "confirmed" if all(record(i).confirmed for i in self.evidence) else "unconfirmed"


def route_risk(inputs: RiskInputs, settings: RiskSettings | None = None) -> tuple[RouteRisk, ...]:
    """Every route, in the order of `RISK_ROUTES`."""
    settings = settings or RiskSettings()
    venous = _venous_metastasis(inputs) if inputs.population == "metastasis" else _venous(inputs, settings)
    routes = (
        venous,
        _intradiscal(inputs, settings),
        _paravertebral(inputs, settings),
        _canal(inputs),
        _embolism(inputs, settings),
    )
    # A rate that no coefficient moves has no interval, and one without width would read as certainty.
    return tuple(replace(r, low=None, high=None) if r.low == r.high else r for r in routes)


def _cleft_route(
    route: str, inputs: RiskInputs, settings: RiskSettings
) -> tuple[float | None, float, float, tuple[str, ...], tuple[str, ...]]:
    """A route whose only weighted factor is the cleft: probability, interval, notes, evidence."""
    evidence = tuple(f"risk.route.{route}.{n}" for n in ("base_no_cleft", "beta.cleft"))
    base, beta, se = (value(f"risk.route.{route}.{n}") for n in ("base_no_cleft", "beta.cleft", "se.cleft"))
    random = np.random.default_rng(settings.seed)
    draws = expit(logit(base) + beta + se * random.standard_normal(settings.draws))
    low, high = interval_of(draws)
    with_cleft = float(expit(logit(base) + beta))
    if inputs.intravertebral_cleft is None:
        return None, min(base, low), max(base, high), (CLEFT_UNKNOWN,), evidence
    if inputs.intravertebral_cleft:
        return with_cleft, low, high, (), evidence
    return base, base, base, ("without a cleft: the reference group's own rate, no interval drawn",), evidence


def _venous(inputs: RiskInputs, settings: RiskSettings) -> RouteRisk:
    probability, low, high, notes, evidence = _cleft_route("venous", inputs, settings)
    notes += (VERTEBROPLASTY,)
    if inputs.low_viscosity is False:
        name = "risk.route.venous.rr_high_viscosity"
        ratio, (ratio_low, ratio_high) = value(name), interval(name)
        # A risk ratio multiplies the risk; as an odds ratio it would mislead at a rate of 70 %.
        probability = None if probability is None else probability * ratio
        low, high = min(low * ratio_low, 1.0), min(high * ratio_high, 1.0)
        notes += ("high viscosity applied as a risk ratio; the ends multiply the ends of both intervals",)
        evidence += (name,)
    return RouteRisk(
        route="venous",
        probability=probability,
        low=low,
        high=high,
        base=value("risk.route.venous.base"),
        flags=_present(wide_basivertebral_foramen=inputs.basivertebral_foramen_wide),
        notes=notes,
        evidence=evidence,
    )


def _venous_metastasis(inputs: RiskInputs) -> RouteRisk:
    evidence = tuple(f"risk.pufhs.{n}" for n in ("intercept", "growth", "levels", "collapse", "validation"))
    known = None not in (inputs.primary_growth, inputs.treated_levels, inputs.height_ratio)
    probability = None
    if known:
        points = pufhs_points(
            inputs.primary_growth or "", inputs.treated_levels or 1, 1 - (inputs.height_ratio or 0.0)
        )
        probability = pufhs_probability(*points)
    return RouteRisk(
        route="venous",
        probability=probability,
        low=None,
        high=None,
        base=value("risk.route.venous.base"),
        notes=(
            "PUFHS score for metastasis, per patient, as published; not for osteoporotic fractures",
            "no standard errors are printed, so no interval",
            *(() if known else ("needs growth of the primary, number of levels and height",)),
        ),
        evidence=evidence,
    )


def _intradiscal(inputs: RiskInputs, settings: RiskSettings) -> RouteRisk:
    probability, low, high, notes, evidence = _cleft_route("intradiscal", inputs, settings)
    notes += (VERTEBROPLASTY,)
    if inputs.procedure == "pkp" and inputs.intravertebral_cleft and inputs.height_ratio is not None:
        beta = value("risk.route.intradiscal.beta.height_ratio")
        factor = float(np.exp(-beta / 10))
        notes += (
            f"kyphoplasty with a cleft: odds times {factor:.2f} for every tenth of height less; "
            "no intercept is printed, so this does not enter the probability",
        )
        evidence += ("risk.route.intradiscal.beta.height_ratio",)
    return RouteRisk(
        route="intradiscal",
        probability=probability,
        low=low,
        high=high,
        base=value("risk.route.intradiscal.base"),
        flags=_present(endplate_defect=inputs.endplate_defect),
        notes=notes,
        evidence=evidence,
    )


def _paravertebral(inputs: RiskInputs, settings: RiskSettings) -> RouteRisk:
    """Cleft and cortical disruption; the latter's coefficient is borrowed from "any leak"."""
    if inputs.intravertebral_cleft is None:
        both = [
            _paravertebral(replace(inputs, intravertebral_cleft=state), settings) for state in (False, True)
        ]
        return replace(
            both[0],
            probability=None,
            low=min(r.low or 0.0 for r in both),
            high=max(r.high or 0.0 for r in both),
            notes=(CLEFT_UNKNOWN, *both[0].notes),
        )
    name = "risk.route.paravertebral"
    evidence = (f"{name}.base_no_cleft", f"{name}.beta.cleft", "risk.model.beta.cortical_disruption")
    base = value(f"{name}.base_no_cleft")
    beta = np.array([value("risk.model.beta.cortical_disruption"), value(f"{name}.beta.cleft")])
    se = np.array([value("risk.model.se.cortical_disruption"), value(f"{name}.se.cleft")])
    share = np.array([settings.prevalence_cortical])
    drawn = beta + se * np.random.default_rng(settings.seed).standard_normal((settings.draws, 2))
    known = share if inputs.cortical_disruption is None else np.array([float(inputs.cortical_disruption)])
    patterns, weights = exposure_patterns(known)

    def chance(rows: np.ndarray) -> np.ndarray:
        alpha = intercept_for(base, rows[..., :1], share)
        cleft = rows[..., 1] * float(bool(inputs.intravertebral_cleft))
        return expit((alpha + cleft)[..., None] + rows[..., :1] @ patterns.T) @ weights

    low, high = interval_of(chance(drawn))
    return RouteRisk(
        route="paravertebral",
        probability=float(chance(beta)),
        low=low,
        high=high,
        base=base,
        notes=("cortical coefficient borrowed from any leak", VERTEBROPLASTY),
        evidence=evidence,
    )


def _canal(inputs: RiskInputs) -> RouteRisk:
    names = ("base_posterior", "base_basivertebral_low", "base_basivertebral_high")
    evidence = tuple(f"risk.route.canal.{n}" for n in names)
    posterior, low, high = (float(value(i)) for i in evidence)
    thirds = ", ".join(f"{share:.0%}" for share in value("risk.route.canal.wall_reached"))
    return RouteRisk(
        route="spinal_canal",
        probability=None,
        low=low,
        high=high,
        base=posterior,
        flags=_present(
            posterior_wall_defect=inputs.posterior_wall_defect,
            wide_basivertebral_foramen=inputs.basivertebral_foramen_wide,
        ),
        notes=(
            "no adjusted effect is known, so no probability: the range is that of published rates "
            "through the basivertebral foramen, the base that through the posterior wall",
            f"leak into the canal once cement reaches the upper, middle, lower third of the wall: {thirds}",
        ),
        evidence=(*evidence, "risk.route.canal.wall_reached"),
    )


def _embolism(inputs: RiskInputs, settings: RiskSettings) -> RouteRisk:
    name = "risk.route.embolism"
    exposures = ("three_levels", "thoracic", "fresh")
    evidence = (f"{name}.base", *(f"{name}.beta.{n}" for n in exposures))
    evidence += tuple(f"{name}.prevalence.{n}" for n in exposures)
    base = value(f"{name}.base")
    lumbar, states = _embolism_states(inputs)
    low: float | None
    high: float | None
    if lumbar:
        probability, (low, high) = None, interval(f"{name}.base")
        notes: tuple[str, ...] = (
            "lumbar: the printed odds ratio lies outside its own interval; base rate only",
        )
    else:
        beta = np.array([value(f"{name}.beta.{n}") for n in exposures])
        se = np.array([value(f"{name}.se.{n}") for n in exposures])
        share = np.array([value(f"{name}.prevalence.{n}") for n in exposures])
        known = np.array([share[n] if s is None else float(s) for n, s in enumerate(states)])
        patterns, weights = exposure_patterns(known)
        noise = np.random.default_rng(settings.seed).standard_normal((settings.draws, 3))
        rows = np.vstack([beta, beta + se * noise])
        chance = expit(intercept_for(base, rows, share)[:, None] + rows @ patterns.T) @ weights
        probability = float(chance[0])
        low, high = interval_of(chance[1:])
        notes = ("per patient; the shares of the exposures are assumed", "most are found by chance on CT")
    return RouteRisk(
        route="embolism",
        probability=probability,
        low=low,
        high=high,
        base=base,
        notes=notes,
        evidence=evidence,
    )


def _embolism_states(inputs: RiskInputs) -> tuple[bool, tuple[bool | None, bool | None, bool | None]]:
    """Whether the level is lumbar proper, and the three exposures."""
    level = inputs.level
    junction = level in value("risk.thoracolumbar_levels")
    lumbar = bool(level and level.startswith("L") and not junction)
    thoracic = None if level is None else level.startswith("T") and not junction
    many, fresh_d = (value(f"risk.route.embolism.{n}") for n in ("many_levels", "fresh_d"))
    three = None if inputs.treated_levels is None else inputs.treated_levels >= many
    fresh = None if inputs.fracture_age_days is None else inputs.fracture_age_days <= fresh_d
    return lumbar, (three, thoracic, fresh)


def _present(**flags: bool | None) -> tuple[str, ...]:
    """Names of the flags that are set; an unknown one says so."""
    named = [(name.replace("_", " "), state) for name, state in flags.items()]
    return tuple(name if state else f"{name} (unknown)" for name, state in named if state is not False)
