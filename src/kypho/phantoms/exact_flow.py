"""Exact solutions of cement flow and heat: what the solvers are held against.

Lengths in mm, volumes in mL, pressures in kPa, viscosities in Pa s, permeabilities in m2, times in s.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BuckleyLeverett",
    "Cylinder",
    "PowerLawSphere",
    "Sphere",
    "contact_temperature",
    "ellipsoid_axis_ratio",
    "heated_sphere",
]


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """Cement from a ball of radius r0 pushes marrow outwards to pressure zero at radius Re, at constant flow.

    Mass: ``R^3 = r0^3 + 3 V / (4 pi phi)``. Momentum: Darcy's law in two shells,
    ``dp = Q / (4 pi k) (mu_c (1/r0 - 1/R) + mu_m (1/R - 1/Re))``.
    """

    flow_ml_s: float = 0.1
    porosity: float = 0.9
    permeability_m2: float = 4e-8
    cement_pa_s: float = 100.0
    marrow_pa_s: float = 0.1
    inner_mm: float = 1.7
    outer_mm: float = 15.0

    def front_mm(self, volume_ml: float) -> float:
        """Radius of the front when this much was injected beyond the inner ball."""
        return (self.inner_mm**3 + 3 * volume_ml * 1e3 / (4 * pi * self.porosity)) ** (1 / 3)

    def pressure_kpa(self, volume_ml: float) -> float:
        """Pressure at the inner ball."""
        r0, front, outer = self.inner_mm * 1e-3, self.front_mm(volume_ml) * 1e-3, self.outer_mm * 1e-3
        shells = self.cement_pa_s * (1 / r0 - 1 / front) + self.marrow_pa_s * (1 / front - 1 / outer)
        return self.flow_ml_s * 1e-6 / (4 * pi * self.permeability_m2) * shells * 1e-3


@dataclass(frozen=True, kw_only=True)
class Cylinder:
    """The same between two plates a height apart: ``R^2 = r0^2 + V / (pi phi h)``, with logarithms."""

    flow_ml_s: float = 0.1
    porosity: float = 0.9
    permeability_m2: float = 4e-8
    cement_pa_s: float = 100.0
    marrow_pa_s: float = 0.1
    inner_mm: float = 1.7
    outer_mm: float = 15.0
    height_mm: float = 20.0

    def front_mm(self, volume_ml: float) -> float:
        """Radius of the front."""
        return sqrt(self.inner_mm**2 + volume_ml * 1e3 / (pi * self.porosity * self.height_mm))

    def pressure_kpa(self, volume_ml: float) -> float:
        """Pressure at the inner radius."""
        front = self.front_mm(volume_ml)
        shells = self.cement_pa_s * np.log(front / self.inner_mm) + self.marrow_pa_s * np.log(
            self.outer_mm / front
        )
        scale = self.flow_ml_s * 1e-6 / (2 * pi * self.permeability_m2 * self.height_mm * 1e-3)
        return float(scale * shells * 1e-3)


@dataclass(frozen=True, kw_only=True)
class PowerLawSphere:
    """A ball of power-law cement, marrow neglected.

    ``mu_eff = K / 12 (9 + 3/n)^n (150 k phi)^((1-n)/2)`` (Christopher & Middleman 1965) and
    ``dp = mu_eff / k (Q / 4 pi)^n (r0^(1-2n) - R^(1-2n)) / (2n - 1)``.
    """

    consistency: float
    index: float
    flow_ml_s: float = 0.1
    porosity: float = 0.9
    permeability_m2: float = 4e-8
    inner_mm: float = 1.7

    def pressure_kpa(self, volume_ml: float) -> float:
        """Pressure drop from the inner ball to the front."""
        n = self.index
        front = Sphere(porosity=self.porosity, inner_mm=self.inner_mm).front_mm(volume_ml) * 1e-3
        factor = self.consistency / 12 * (9 + 3 / n) ** n
        mu = factor * (150 * self.permeability_m2 * self.porosity) ** ((1 - n) / 2)
        r0 = self.inner_mm * 1e-3
        radii = (r0 ** (1 - 2 * n) - front ** (1 - 2 * n)) / (2 * n - 1)
        return mu / self.permeability_m2 * (self.flow_ml_s * 1e-6 / (4 * pi)) ** n * radii * 1e-3


@dataclass(frozen=True, kw_only=True)
class BuckleyLeverett:
    """Corey exponent 2 at viscosity ratio a = cement over marrow: a rarefaction behind a shock."""

    ratio: float

    def flow(self, s: ArrayLike) -> NDArray[np.float64]:
        """Fractional flow of cement."""
        s = np.asarray(s, dtype=float)
        return s**2 / (s**2 + self.ratio * (1 - s) ** 2)

    @property
    def shock_saturation(self) -> float:
        """Saturation behind the shock, by Welge's tangent: ``sqrt(a / (1 + a))``."""
        return sqrt(self.ratio / (1 + self.ratio))

    @property
    def shock_speed(self) -> float:
        """Speed of the shock over that of the fluid."""
        return float(self.flow(self.shock_saturation)) / self.shock_saturation

    def profile(self, position: ArrayLike) -> NDArray[np.float64]:
        """Saturation at position over (fluid speed times time)."""
        s = np.linspace(self.shock_saturation, 1.0, 20001)
        slope = 2 * self.ratio * s * (1 - s) / (s**2 + self.ratio * (1 - s) ** 2) ** 2
        x = np.asarray(position, dtype=float)
        inside = np.interp(x, slope[::-1], s[::-1], left=1.0)
        return np.where(x > self.shock_speed, 0.0, inside)


def ellipsoid_axis_ratio(permeability_ratio: float) -> float:
    """Axis ratio of the plume of a point source: the axes scale with the root of the permeability."""
    return sqrt(permeability_ratio)


def heated_sphere(radius_mm: float, distance_mm: float, time_s: float, diffusivity_m2_s: float) -> float:
    """Temperature over its start value at a distance from the centre of a ball that was hot at t = 0."""
    spread = 2 * sqrt(diffusivity_m2_s * time_s) * 1e3
    near, far = radius_mm - distance_mm, radius_mm + distance_mm
    ends = exp(-((near / spread) ** 2)) - exp(-((far / spread) ** 2))
    return 0.5 * (erf(near / spread) + erf(far / spread)) - spread / (2 * distance_mm * sqrt(pi)) * ends


def contact_temperature(
    first_c: float, first_effusivity: float, second_c: float, second_effusivity: float
) -> float:
    """Temperature of the face where two half-spaces touch; effusivity is ``sqrt(k rho c)``."""
    total = first_effusivity + second_effusivity
    return (first_effusivity * first_c + second_effusivity * second_c) / total
