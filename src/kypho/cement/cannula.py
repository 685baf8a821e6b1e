"""The cannula: pressure lost by a power-law fluid in a tube."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

from kypho.cement.rheology import Cement
from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["Cannula", "cannula", "tube_pressure_kpa"]


@dataclass(frozen=True, kw_only=True)
class Cannula:
    """A straight cannula."""

    bore_mm: float
    length_mm: float

    def __post_init__(self) -> None:
        if not (self.bore_mm > 0 and self.length_mm > 0):
            raise SettingsError(
                f"cannula bore {self.bore_mm} mm and length {self.length_mm} mm must be positive"
            )

    def pressure_kpa(self, cement: Cement, age_min: float, rate_ml_min: float) -> float:
        """Pressure lost along the cannula by cement of one age."""
        consistency = float(cement.consistency_pa_s(age_min))
        flow = tube_pressure_kpa(self, consistency, cement.flow_index, rate_ml_min)
        # A yielding fluid needs 2 L yield / R to move at all.
        return flow + 4 * cement.yield_pa * self.length_mm / self.bore_mm * 1e-3 * (rate_ml_min > 0)


def cannula(gauge: int, length_mm: float | None = None) -> Cannula:
    """A cannula by gauge.

    Raises:
        SettingsError: no bore is recorded for this gauge.
    """
    bores = value("cement.cannula.bore_mm")
    if str(gauge) not in bores:
        raise SettingsError(f"no bore known for gauge {gauge}; choose one of: {', '.join(bores)}")
    length = value("cement.cannula.length_mm") if length_mm is None else length_mm
    return Cannula(bore_mm=bores[str(gauge)], length_mm=length)


def tube_pressure_kpa(tube: Cannula, consistency: float, index: float, rate_ml_min: float) -> float:
    """``dp = (2 K L / R) ((3n + 1)/n Q / (pi R^3))^n``, the power-law form of Hagen-Poiseuille."""
    radius = tube.bore_mm * 1e-3 / 2
    flow = rate_ml_min * 1e-6 / 60
    shear = (3 * index + 1) / index * flow / (pi * radius**3)
    return 2 * consistency * tube.length_mm * 1e-3 / radius * shear**index * 1e-3
