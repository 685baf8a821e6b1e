# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""Heat: ``rho c dT/dt = div(k grad T) + rho_c H dw/dt + perfusion``, explicit steps on a coarse grid.

The cement polymerises where it lies (`kypho.cement.cure`); bone, marrow and cement of a cell share one
temperature and mix by volume. A conducting face is the series of its two half cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from kypho.cement.cure import KELVIN, Kinetics, advance_conversion
from kypho.cement.dose import REFERENCE_C
from kypho.evidence import value

__all__ = ["HeatState", "Material", "advance_heat", "material", "stable_step_s"]

HARMLESS_C = 38.0  # numerics: a dose rate of 1e-3; spares a power per cell and step
"""At or below this no dose is counted."""

LN10 = float(np.log(10.0))


@dataclass(frozen=True, kw_only=True)
class Material:
    """Conductivity W/mK, density kg/m3, heat capacity J/kgK."""

    conductivity: float
    density: float
    capacity: float

    @property
    def volumetric(self) -> float:
        """Heat capacity per volume, J/m3K."""
        return self.density * self.capacity


def material(name: str) -> Material:
    """A recorded material (record ``cement.thermal``)."""
    return Material(**value("cement.thermal")[name])


@dataclass(kw_only=True, eq=False)
class HeatState:
    """Temperature and conversion of a box while time runs; the one thing here that changes.

    Attributes:
        spacing_m: cell sizes along ``(k, j, i)``.
        conductivity, volumetric: ``(nk, nj, ni)`` W/mK and J/m3K of what the cells hold now.
        cement: ``(nk, nj, ni)`` volume fraction of cement.
        perfusion: ``(nk, nj, ni)`` W/m3K to blood at body temperature.
        temperature_c, conversion: the state.
        peak_c, cem43_min, damage: highest temperature, thermal dose and Arrhenius damage so far.
        law, cement_density: of the cement.
        body_c: of the blood and of the box's faces.
    """

    spacing_m: tuple[float, float, float]
    conductivity: NDArray[np.float64]
    volumetric: NDArray[np.float64]
    cement: NDArray[np.float64]
    perfusion: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    conversion: NDArray[np.float64]
    peak_c: NDArray[np.float64]
    cem43_min: NDArray[np.float64]
    damage: NDArray[np.float64]
    law: Kinetics
    cement_density: float
    body_c: float


def stable_step_s(state: HeatState) -> float:
    """Longest explicit step: below this no cell gives away more heat than it has."""
    h = np.asarray(state.spacing_m)
    worst = float((state.conductivity / state.volumetric).max()) * 2 * float((1 / h**2).sum())
    return 0.9 / (worst + float((state.perfusion / state.volumetric).max()))


def advance_heat(state: HeatState, seconds: float) -> None:
    """Let the heat run for some seconds, in place."""
    steps = max(int(np.ceil(seconds / stable_step_s(state))), 1)
    law, arrhenius = state.law, value("cement.arrhenius")
    state.temperature_c = _march(
        steps,
        seconds / steps,
        np.asarray(state.spacing_m),
        state.temperature_c,
        np.empty_like(state.temperature_c),
        (state.conductivity, state.volumetric, state.cement, state.perfusion, state.body_c),
        (state.conversion, state.cement_density * law.heat_j_kg, *law.rate),
        (state.peak_c, state.cem43_min, state.damage, arrhenius["log10_a"] * LN10, arrhenius["b_k"]),
    )


@njit(cache=True, nogil=True)
def _march(steps, dt, h, t, spare, medium, reaction, harm):
    for _ in range(steps):
        _step(dt, h, t, spare, medium, reaction, harm)
        t, spare = spare, t
    return t


@njit(cache=True, parallel=True, nogil=True)
def _step(dt, h, t, new, medium, reaction, harm):
    conductivity, volumetric, cement, perfusion, body = medium
    w, heat, k0, energy, m, n, glass = reaction
    peak, cem43, damage, log_a, b_k = harm
    nk, nj, ni = t.shape
    for k in prange(nk):
        for j in range(nj):
            for i in range(ni):
                here, kappa = t[k, j, i], conductivity[k, j, i]
                flow = perfusion[k, j, i] * (body - here)
                for axis in range(3):
                    dk, dj, di = int(axis == 0), int(axis == 1), int(axis == 2)
                    for side in (-1, 1):
                        kn, jn, i_n = k + side * dk, j + side * dj, i + side * di
                        if kn < 0 or kn >= nk or jn < 0 or jn >= nj or i_n < 0 or i_n >= ni:
                            flow += 2 * kappa / h[axis] ** 2 * (body - here)
                        else:
                            other = conductivity[kn, jn, i_n]
                            face = 2 * kappa * other / (kappa + other) / h[axis] ** 2
                            flow += face * (t[kn, jn, i_n] - here)
                if cement[k, j, i] > 0:
                    grown = advance_conversion(w[k, j, i], here, dt, k0, energy, m, n, glass)
                    flow += cement[k, j, i] * heat * (grown - w[k, j, i]) / dt
                    w[k, j, i] = grown
                warm = here + dt * flow / volumetric[k, j, i]
                new[k, j, i] = warm
                if warm > peak[k, j, i]:
                    peak[k, j, i] = warm
                if warm > HARMLESS_C:
                    rate = (0.5 if warm >= REFERENCE_C else 0.25) ** (REFERENCE_C - warm)
                    cem43[k, j, i] += dt / 60 * rate
                    damage[k, j, i] += dt * np.exp(log_a - b_k / (warm + KELVIN))
