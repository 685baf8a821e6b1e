"""Thermal dose: CEM43 and Arrhenius damage."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.cement.cure import KELVIN
from kypho.evidence import value

__all__ = ["arrhenius_damage", "arrhenius_rate", "cem43_min", "cem43_rate"]

REFERENCE_C = 43.0  # numerics: part of the definition of CEM43
"""The temperature whose minutes are counted."""


def cem43_rate(temperature_c: ArrayLike) -> NDArray[np.float64]:
    """Equivalent minutes at 43 C per minute: R^(43 - T), R = 0.5 from 43 C up and 0.25 below."""
    t = np.asarray(temperature_c, dtype=float)
    return np.where(t >= REFERENCE_C, 0.5, 0.25) ** (REFERENCE_C - t)


def arrhenius_rate(temperature_c: ArrayLike) -> NDArray[np.float64]:
    """Damage per second, ``A exp(-B / T)`` (Henriques)."""
    law = value("cement.arrhenius")
    kelvin = np.asarray(temperature_c, dtype=float) + KELVIN
    return np.exp(law["log10_a"] * np.log(10.0) - law["b_k"] / kelvin)


def cem43_min(temperature_c: ArrayLike, time_s: ArrayLike) -> float:
    """CEM43 of a temperature curve, by the trapezoidal rule."""
    return float(np.trapezoid(cem43_rate(temperature_c), np.asarray(time_s, dtype=float) / 60))


def arrhenius_damage(temperature_c: ArrayLike, time_s: ArrayLike) -> float:
    """Arrhenius damage of a temperature curve; tissue dies at 1."""
    return float(np.trapezoid(arrhenius_rate(temperature_c), np.asarray(time_s, dtype=float)))
