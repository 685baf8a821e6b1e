"""Any leak: a log-odds sheet over a prevalence-weighted baseline, with intervals and three bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kypho.evidence import record, value
from kypho.risk.inputs import RiskInputs, RiskSettings
from kypho.risk.logodds import exposure_patterns, intercept_for

__all__ = ["Band", "Estimate", "Term", "any_leak", "band_of", "baseline_record", "in_words", "interval_of"]

Band = Literal["below the baseline", "about the baseline", "above the baseline"]


@dataclass(frozen=True, kw_only=True)
class Term:
    """One line of the log-odds sheet.

    Attributes:
        factor: name of the factor.
        state: what is known of it: True, False, a volume, or None.
        weight: what it adds to the log odds; None where unknown and averaged over the site.
        se: standard error of the coefficient.
        evidence: record ids.
        note: how an unknown was treated.
    """

    factor: str
    state: bool | float | None
    weight: float | None
    se: float
    evidence: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A probability with its interval and its band. Arithmetic on published effects, no more."""

    probability: float
    low: float
    high: float
    baseline: float
    band: Band
    intercept: float
    terms: tuple[Term, ...]


def baseline_record(procedure: str, detection: str) -> str:
    """Id of the published rate for a procedure and a way of looking for leaks."""
    return f"risk.model.baseline.{procedure}_{detection}"


def interval_of(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The central interval of the drawn probabilities, at the coverage of the records."""
    tail = (1 - value("risk.model.interval")) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def band_of(low: float, high: float, baseline: float) -> Band:
    """Three bands: the whole interval above the baseline, the whole below, or neither."""
    if low > baseline:
        return "above the baseline"
    return "below the baseline" if high < baseline else "about the baseline"


def in_words(estimate: Estimate, inputs: RiskInputs) -> str:
    """The estimate as a sentence of counts, which says what is compared with what."""
    low, high = round(100 * estimate.low), round(100 * estimate.high)
    counted = f"{low}" if low == high else f"{low} to {high}"
    against = {
        "above the baseline": "more than",
        "about the baseline": "not clearly more or fewer than",
        "below the baseline": "fewer than",
    }[estimate.band]
    operation = "kyphoplasty" if inputs.procedure == "pkp" else "vertebroplasty"
    seen = "looked for by CT" if inputs.detection == "ct" else "looked for by radiographs or CT"
    return (
        f"of 100 vertebrae with these findings {counted} would be expected to leak somewhere, {against} the "
        f"published {100 * estimate.baseline:.0f} of 100 for {operation} {seen}"
    )


def any_leak(inputs: RiskInputs, settings: RiskSettings | None = None) -> Estimate:
    """Probability of any leak from one vertebra.

    ``logit P = alpha + b1 cortical + b2 low viscosity + b3 (V - V0)``, where alpha makes the site's mix of
    vertebrae reproduce the published rate of the procedure under the chosen way of detection. An unknown
    factor is averaged over the site's mix. The interval redraws the coefficients from their standard errors
    and solves alpha anew for each draw, so that every draw still reproduces the published rate.
    """
    settings = settings or RiskSettings()
    baseline = float(value(baseline_record(inputs.procedure, inputs.detection)))
    suffix = ".sensitivity" if settings.coefficients == "sensitivity" else ""
    names = ("cortical_disruption", "low_viscosity")
    states = (inputs.cortical_disruption, inputs.low_viscosity)
    share = np.array([settings.prevalence_cortical, settings.prevalence_low_viscosity])
    beta = np.array([value(f"risk.model.beta.{n}{suffix}") for n in names])
    se = np.array([value(f"risk.model.se.{n}{suffix}") for n in names])
    extra_ml = 0.0 if inputs.volume_ml is None else inputs.volume_ml - value("risk.model.reference_volume_ml")
    slope, slope_se = value("risk.model.beta.volume"), value("risk.model.se.volume")

    random = np.random.default_rng(settings.seed)
    drawn = beta + se * random.standard_normal((settings.draws, 2))
    drawn_slope = slope + slope_se * random.standard_normal(settings.draws)
    point, alpha = _probability(beta, np.asarray(slope), extra_ml, states, share, baseline)
    draws, _ = _probability(drawn, drawn_slope, extra_ml, states, share, baseline)
    low, high = interval_of(draws)
    terms = [
        Term(
            factor=name,
            state=state,
            weight=None if state is None else float(b) * state,
            se=float(s),
            evidence=(f"risk.model.beta.{name}{suffix}",),
            note="unknown: averaged over the site's mix, not taken as absent" if state is None else "",
        )
        for name, state, b, s in zip(names, states, beta, se, strict=True)
    ]
    unknown_volume = "unknown: taken at the reference volume" if inputs.volume_ml is None else ""
    terms.append(
        Term(
            factor="volume_ml",
            state=inputs.volume_ml,
            weight=float(slope * extra_ml),
            se=float(slope_se * abs(extra_ml)),
            evidence=("risk.model.beta.volume", "risk.model.reference_volume_ml"),
            note=unknown_volume or (record("risk.model.beta.volume").note or ""),
        )
    )
    return Estimate(
        probability=float(point),
        low=low,
        high=high,
        baseline=baseline,
        band=band_of(low, high, baseline),
        intercept=float(alpha),
        terms=tuple(terms),
    )


def _probability(
    beta: NDArray[np.float64],
    slope: NDArray[np.float64],
    extra_ml: float,
    states: tuple[bool | None, ...],
    share: NDArray[np.float64],
    baseline: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability and intercept for each row of `beta`; unknown states are averaged over the site's mix."""
    alpha = intercept_for(baseline, beta, share)
    known = np.array([share[n] if s is None else float(s) for n, s in enumerate(states)])
    patterns, weights = exposure_patterns(known)
    logits = alpha[..., None] + beta @ patterns.T + (slope * extra_ml)[..., None]
    return expit(logits) @ weights, alpha
