# mypy: allow-untyped-defs
# numba infers the types of the compiled functions; everything called from outside is annotated.
"""Polymerisation: ``dw/dt = K0 exp(-E / RT) w^m (wmax(T) - w)^n`` and its heat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = [
    "Kinetics",
    "adiabatic_end_c",
    "advance_conversion",
    "conversion_rate",
    "half_time_s",
    "kinetics",
    "syringe_conversion",
]

GAS_CONSTANT = 8.314462618
KELVIN = 273.15
"""0 C in kelvin."""


@dataclass(frozen=True, kw_only=True)
class Kinetics:
    """One published parameter set (record ``cement.kinetics``).

    Attributes:
        k0_per_s, energy_j_mol, m, n: the rate law of the module.
        heat_j_kg: heat of the whole reaction.
        start: conversion when mixing ends.
        glass_k: glass transition; wmax is T over this, at most 1. 0 where the set has none: wmax is 1.
    """

    k0_per_s: float
    energy_j_mol: float
    m: float
    n: float
    heat_j_kg: float
    start: float
    glass_k: float

    @property
    def rate(self) -> tuple[float, float, float, float, float]:
        """The rate law's parameters, in the order of the compiled functions."""
        return self.k0_per_s, self.energy_j_mol, self.m, self.n, self.glass_k


def kinetics(name: str) -> Kinetics:
    """A parameter set by its letter.

    Raises:
        SettingsError: no set of this name.
    """
    sets = value("cement.kinetics")
    if name not in sets:
        raise SettingsError(f"unknown polymerisation set {name!r}; choose one of: {', '.join(sets)}")
    row = sets[name]
    return Kinetics(
        k0_per_s=row["k0_per_s"],
        energy_j_mol=row["energy_kj_mol"] * 1e3,
        m=row["m"],
        n=row["n"],
        heat_j_kg=row["heat_j_g"] * 1e3,
        start=row["start"],
        glass_k=value("cement.glass_transition_k") if row["glass"] else 0.0,
    )


@njit(cache=True, nogil=True)
def conversion_rate(w, temperature_c, k0, energy, m, n, glass_k):
    """dw/dt in 1/s of conversion w at a temperature."""
    kelvin = temperature_c + KELVIN
    limit = min(kelvin / glass_k, 1.0) if glass_k > 0 else 1.0
    if w >= limit or w <= 0:
        return 0.0
    return k0 * np.exp(-energy / (GAS_CONSTANT * kelvin)) * w**m * (limit - w) ** n


@njit(cache=True, nogil=True)
def advance_conversion(w, temperature_c, dt, k0, energy, m, n, glass_k):
    """Conversion `dt` seconds on at constant temperature: classical Runge-Kutta, never above the limit."""
    a = conversion_rate(w, temperature_c, k0, energy, m, n, glass_k)
    b = conversion_rate(w + 0.5 * dt * a, temperature_c, k0, energy, m, n, glass_k)
    c = conversion_rate(w + 0.5 * dt * b, temperature_c, k0, energy, m, n, glass_k)
    d = conversion_rate(w + dt * c, temperature_c, k0, energy, m, n, glass_k)
    return min(w + dt / 6.0 * (a + 2 * b + 2 * c + d), 1.0)


def syringe_conversion(
    law: Kinetics, temperature_c: float, seconds: float, start: float | None = None
) -> float:
    """Conversion after some seconds at one temperature, from `start` or the end of mixing."""
    conversion = law.start if start is None else start
    steps = max(int(np.ceil(seconds / 5.0)), 1)
    for _ in range(steps):
        conversion = advance_conversion(conversion, temperature_c, seconds / steps, *law.rate)
    return float(conversion)


def half_time_s(law: Kinetics, temperature_c: float) -> float:
    """Seconds from mixing to half conversion at constant temperature."""
    return float(_half_time(law.start, temperature_c, *law.rate))


@njit(cache=True, nogil=True)
def _half_time(w, temperature_c, k0, energy, m, n, glass_k):
    time, dt = 0.0, 0.25
    while time < 1e5:
        new = advance_conversion(w, temperature_c, dt, k0, energy, m, n, glass_k)
        if new >= 0.5:
            return time + dt * (0.5 - w) / (new - w)
        w, time = new, time + dt
    return np.inf


def adiabatic_end_c(
    law: Kinetics,
    capacity_j_kg_k: float,
    start_c: float,
    time_s: float = 7200.0,  # numerics: long past the end of the reaction
) -> float:
    """Temperature that a lump without losses ends at."""
    return float(_adiabatic(law.start, start_c, time_s, law.heat_j_kg / capacity_j_kg_k, *law.rate))


@njit(cache=True, nogil=True)
def _adiabatic(w, temperature_c, until, rise, k0, energy, m, n, glass_k):
    time, dt = 0.0, 0.1
    while time < until:
        new = advance_conversion(w, temperature_c, dt, k0, energy, m, n, glass_k)
        temperature_c += rise * (new - w)
        w, time = new, time + dt
    return temperature_c
