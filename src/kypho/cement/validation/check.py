"""One line of the validation table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = ["Check", "meets", "near", "order_of_convergence", "within"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A quantity, what it should be, what it is.

    Attributes:
        benchmark: number in the ranking, 1 to 12.
        quantity: what is compared, with its unit.
        target: the expected value or band, in words.
        measured: what this program found.
        passed: the verdict.
        kind: "exact" for a formula, "bench" for a published experiment, "own" for a recomputed reference.
        note: why it deviates, what was assumed.
    """

    benchmark: int
    quantity: str
    target: str
    measured: float
    passed: bool
    kind: Literal["exact", "bench", "own"] = "exact"
    note: str = ""


def near(
    benchmark: int,
    quantity: str,
    expected: float,
    measured: float,
    *,
    relative: float = 0.0,
    absolute: float = 0.0,
    kind: Literal["exact", "bench", "own"] = "exact",
    note: str = "",
) -> Check:
    """A check that `measured` lies within a tolerance of `expected`."""
    allowed = max(relative * abs(expected), absolute)
    row = within(benchmark, quantity, expected - allowed, expected + allowed, measured, kind=kind, note=note)
    return replace(row, target=f"{expected:.4g} ± {allowed:.2g}")


def meets(
    benchmark: int, quantity: str, expected: float, allowed: float, found: list[float], *, note: str = ""
) -> Check:
    """A bench check that the range of several runs meets `expected` within `allowed`; keeps the nearest."""
    low, high = min(found), max(found)
    row = near(
        benchmark,
        quantity,
        expected,
        min(max(expected, low), high),
        absolute=allowed,
        kind="bench",
        note=note,
    )
    return replace(row, target=f"{row.target}, from a range of {low:.3g} to {high:.3g}")


def within(
    benchmark: int,
    quantity: str,
    low: float,
    high: float,
    measured: float,
    *,
    kind: Literal["exact", "bench", "own"] = "exact",
    note: str = "",
) -> Check:
    """A check that `measured` lies in a band; an infinite end is left out."""
    if np.isinf(high):
        band = f"at least {low:.4g}"
    elif np.isinf(low):
        band = f"at most {high:.4g}"
    else:
        band = f"{low:.4g} to {high:.4g}"
    passed = bool(low <= measured <= high)
    return Check(
        benchmark=benchmark,
        quantity=quantity,
        target=band,
        measured=float(measured),
        passed=passed,
        kind=kind,
        note=note,
    )


def order_of_convergence(spacing: list[float], error: list[float]) -> float:
    """Slope of log error against log spacing."""
    return float(np.polyfit(np.log(spacing), np.log(np.maximum(np.abs(error), 1e-15)), 1)[0])
