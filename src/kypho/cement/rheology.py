# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""Cement as a fluid: viscosity against age, temperature and shear.

Age counts minutes at 25 C: ``d age / dt = 2^((T - 25) / 12)``, which halves the curing time from 25 to
37 C as measured (Nicholas 2007). Apparent viscosity at 1/s grows as ``mu0 exp(g age)`` while the cement can
be worked and runs up to the common final viscosity as it sets:
``ln mu = ln mu0 + g age + (ln(mu_set / mu0) - g set) (age / set)^8``. Shear thins it by a power law on
top of a yield stress, ``mu = mu(age) rate^(n-1) + yield / rate``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = [
    "Cement",
    "ageing_rate",
    "cement",
    "cement_names",
    "consistency",
    "darcy_viscosity",
    "shear_factor",
    "yield_viscosity",
]

SETTING_STEEPNESS = 8


@dataclass(frozen=True, kw_only=True)
class Cement:
    """A cement of the catalogue.

    Attributes:
        name: "low", "medium", "high" or a name of one's own.
        viscosity_pa_s: apparent viscosity at a shear rate of 1/s, extrapolated to the end of mixing.
        growth_per_min: growth of its logarithm per minute at 25 C.
        set_min: age in minutes at 25 C at which it has set.
        set_viscosity_pa_s: viscosity then.
        flow_index: exponent of shear thinning, 1 for none.
        yield_pa: yield stress.
        kinetics: polymerisation set, "A", "B" or "C" (see `kypho.cement.cure`).
    """

    name: str
    viscosity_pa_s: float
    growth_per_min: float
    set_min: float
    set_viscosity_pa_s: float
    flow_index: float = 1.0
    yield_pa: float = 0.0
    kinetics: str = "B"

    def __post_init__(self) -> None:
        if not (0 < self.viscosity_pa_s < self.set_viscosity_pa_s) or not 0.3 < self.flow_index <= 1:
            raise SettingsError(
                f"cement {self.name!r}: viscosity {self.viscosity_pa_s} Pa s or flow index {self.flow_index} "
                "out of range; give 0 < viscosity < set viscosity and 0.3 < flow index <= 1"
            )

    def consistency_pa_s(self, age_min: ArrayLike) -> NDArray[np.float64]:
        """Apparent viscosity at 1/s after this many minutes at 25 C."""
        return np.asarray(
            _consistency(
                np.atleast_1d(np.asarray(age_min, dtype=float)),
                np.log(self.viscosity_pa_s),
                self.growth_per_min,
                self.set_min,
                np.log(self.set_viscosity_pa_s),
            )
        ).reshape(np.shape(age_min))

    def scaled(self, factor: float) -> Cement:
        """The same cement, thicker by a factor at every age before it sets."""
        return replace(self, viscosity_pa_s=min(self.viscosity_pa_s * factor, 0.9 * self.set_viscosity_pa_s))


def cement_names() -> tuple[str, ...]:
    """The cements of the catalogue."""
    return tuple(value("cement.catalogue"))


def cement(name: str) -> Cement:
    """A cement of the catalogue (record ``cement.catalogue``, unconfirmed).

    Raises:
        SettingsError: no cement of this name.
    """
    catalogue = value("cement.catalogue")
    if name not in catalogue:
        known = ", ".join(catalogue)
        raise SettingsError(f"unknown cement {name!r}; choose one of: {known}")
    return Cement(name=name, set_viscosity_pa_s=value("cement.set_viscosity_pa_s"), **catalogue[name])


def ageing_rate(temperature_c: ArrayLike) -> NDArray[np.float64]:
    """Minutes of age per minute at a temperature."""
    step, reference = value("cement.cure_rate_temperature_step_c"), value("cement.cure_reference_c")
    return np.asarray(2.0 ** ((np.asarray(temperature_c, dtype=float) - reference) / step))


@njit(cache=True, nogil=True)
def _consistency(age, log_start, growth, set_min, log_set):
    out = np.empty(age.shape)
    flat, ages = out.ravel(), age.ravel()
    for c in range(flat.size):
        a = min(ages[c], set_min)
        tail = (log_set - log_start - growth * set_min) * (a / set_min) ** SETTING_STEEPNESS
        flat[c] = np.exp(log_start + growth * a + tail)
    return out


def shear_factor(flow_index: float) -> float:
    """c(n) in ``shear rate = c u / sqrt(150 k phi)``, from the power law in a bundle of pores.

    Christopher & Middleman 1965: ``mu = K / 12 (9 + 3/n)^n (150 k phi)^((1-n)/2) u^(n-1)``, written as
    ``K rate^(n-1)``. The factor tends to 12 exp(-1/4) as n goes to 1.
    """
    n = flow_index
    if abs(1 - n) < 1e-6:
        return float(12 * np.exp(-0.25))
    return float((12 / (9 + 3 / n) ** n) ** (1 / (1 - n)))


def consistency(cement: Cement, age_min: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apparent viscosity at 1/s for a whole field of ages."""
    return _consistency(
        age_min,
        np.log(cement.viscosity_pa_s),
        cement.growth_per_min,
        cement.set_min,
        np.log(cement.set_viscosity_pa_s),
    )


def darcy_viscosity(
    cement: Cement,
    consistency_pa_s: NDArray[np.float64],
    speed_m_s: NDArray,
    permeability_m2: NDArray,
    porosity: NDArray,
) -> NDArray[np.float64]:
    """Viscosity in Pa s of cement flowing through bone at a Darcy speed; all arrays of one shape."""
    if cement.flow_index == 1.0 and cement.yield_pa == 0.0:
        return consistency_pa_s
    return _darcy_viscosity(
        consistency_pa_s,
        speed_m_s,
        permeability_m2,
        porosity,
        cement.flow_index,
        cement.yield_pa,
        shear_factor(cement.flow_index),
        value("cement.shear_rate_floor_per_s"),
    )


def yield_viscosity(
    yield_pa: NDArray[np.float64], speed_m_s: NDArray, permeability_m2: NDArray, porosity: NDArray
) -> NDArray[np.float64]:
    """What a yield stress adds to the viscosity, Pa s.

    In a bundle of pores of porosity phi and permeability k nothing moves below the pressure gradient
    ``yield sqrt(phi / 2k)``: four times the yield stress over the pore's diameter ``sqrt(32 k / phi)``.
    Written as a viscosity that is ``yield sqrt(k phi / 2) / u``, held constant below the smallest shear rate.
    """
    return _yield_viscosity(
        yield_pa, speed_m_s, permeability_m2, porosity, value("cement.shear_rate_floor_per_s")
    )


@njit(cache=True, nogil=True)
def _yielding(yield_pa, u, k, phi, floor):
    if k <= 0 or phi <= 0:
        return yield_pa / floor
    return yield_pa / max(u * np.sqrt(2.0 / (k * phi)), floor)


@njit(cache=True, nogil=True)
def _yield_viscosity(yield_pa, speed, permeability, porosity, floor):
    out = np.empty(yield_pa.shape)
    flat, tau, u, k, phi = (
        out.ravel(),
        yield_pa.ravel(),
        speed.ravel(),
        permeability.ravel(),
        porosity.ravel(),
    )
    for c in range(flat.size):
        flat[c] = _yielding(tau[c], u[c], k[c], phi[c], floor) if tau[c] > 0 else 0.0
    return out


@njit(cache=True, nogil=True)
def _darcy_viscosity(consistency_pa_s, speed, permeability, porosity, index, yield_pa, factor, floor):
    out = np.empty(consistency_pa_s.shape)
    flat, k, u, phi, mu = (
        out.ravel(),
        permeability.ravel(),
        speed.ravel(),
        porosity.ravel(),
        consistency_pa_s.ravel(),
    )
    for c in range(flat.size):
        rate = floor
        if k[c] > 0 and phi[c] > 0:
            rate = max(factor * u[c] / np.sqrt(150.0 * k[c] * phi[c]), floor)
        flat[c] = mu[c] * rate ** (index - 1.0) + _yielding(yield_pa, u[c], k[c], phi[c], floor)
    return out
