"""What the leakage model asks for, and the settings it runs with. None means unknown, never "normal"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["Detection", "Population", "Procedure", "RiskInputs", "RiskSettings"]

Procedure = Literal["pkp", "pvp"]
Detection = Literal["ct", "mixed"]
Population = Literal["osteoporotic", "metastasis"]
Growth = Literal["slow", "moderate", "rapid"]

LARGEST_ML = 20.0  # numerics: a slip of typing beyond it, not a plan


@dataclass(frozen=True, kw_only=True)
class RiskInputs:
    """One vertebra before the operation.

    Attributes:
        procedure: kyphoplasty or vertebroplasty.
        detection: how a leak would be looked for afterwards; it moves the rate more than the balloon does.
        population: osteoporotic fracture, or metastasis, which has a model of its own.
        level: e.g. "T7"; only lung embolism uses it.
        cortical_disruption, low_viscosity, intravertebral_cleft: the weighted binary factors.
        volume_ml: cement meant to be injected.
        height_ratio: remaining over expected height, 0 to 1.
        fill_fraction: cement volume over body volume; above 1 where more is meant than the body holds.
        posterior_wall_defect, endplate_defect, basivertebral_foramen_wide: flags without a coefficient.
        treated_levels: vertebrae in this session.
        fracture_age_days: days since the fracture.
        primary_growth: growth of the primary tumour, metastasis only.
    """

    procedure: Procedure = "pkp"
    detection: Detection = "ct"
    population: Population = "osteoporotic"
    level: str | None = None
    cortical_disruption: bool | None = None
    low_viscosity: bool | None = None
    intravertebral_cleft: bool | None = None
    volume_ml: float | None = None
    height_ratio: float | None = None
    fill_fraction: float | None = None
    posterior_wall_defect: bool | None = None
    endplate_defect: bool | None = None
    basivertebral_foramen_wide: bool | None = None
    treated_levels: int | None = None
    fracture_age_days: float | None = None
    primary_growth: Growth | None = None

    def __post_init__(self) -> None:
        if self.volume_ml is not None and not 0 <= self.volume_ml <= LARGEST_ML:
            raise SettingsError(f"cement volume must be 0 to {LARGEST_ML:g} mL, got {self.volume_ml}")
        if self.height_ratio is not None and not 0 <= self.height_ratio <= 1:
            raise SettingsError(
                f"height_ratio is remaining over expected height, 0 to 1, got {self.height_ratio}"
            )
        if self.fill_fraction is not None and self.fill_fraction < 0:
            raise SettingsError(f"fill_fraction is a fraction of the body, got {self.fill_fraction}")
        if self.fracture_age_days is not None and not 0 <= self.fracture_age_days < np.inf:
            raise SettingsError(f"the fracture's age must be 0 days or more, got {self.fracture_age_days}")
        if self.treated_levels is not None and self.treated_levels < 1:
            raise SettingsError(f"treated levels must be at least 1, got {self.treated_levels}")


@dataclass(frozen=True, kw_only=True)
class RiskSettings:
    """How the model is run.

    Attributes:
        prevalence_cortical: share of the site's treated vertebrae with cortical disruption (an assumption).
        prevalence_low_viscosity: share of its procedures with low viscosity cement (an assumption).
        coefficients: "pooled" meta-analysis, or "sensitivity", the alternative published pair.
        draws: Monte Carlo draws per interval.
        seed: of the random generator.
    """

    prevalence_cortical: float = field(
        default_factory=lambda: float(value("risk.model.prevalence.cortical_disruption"))
    )
    prevalence_low_viscosity: float = field(
        default_factory=lambda: float(value("risk.model.prevalence.low_viscosity"))
    )
    coefficients: Literal["pooled", "sensitivity"] = "pooled"
    draws: int = field(default_factory=lambda: int(value("risk.model.draws")))
    seed: int = 0
