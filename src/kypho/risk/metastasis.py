"""The one leakage model published with its whole equation: venous leak in metastasis (PUFHS)."""

from __future__ import annotations

from scipy.special import expit

from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["pufhs_points", "pufhs_probability"]

GROWTH = {"slow": 1, "moderate": 2, "rapid": 3}
COLLAPSED = 0.5
"""The score's own division of collapse."""


def pufhs_points(growth: str, treated_levels: int, collapse_fraction: float) -> tuple[int, int, int]:
    """The three points of the score.

    Args:
        growth: growth of the primary, "slow", "moderate" or "rapid".
        treated_levels: 1, 2, 3, or 4 and more.
        collapse_fraction: lost over expected height; 0 is none.
    """
    if growth not in GROWTH:
        raise SettingsError(f"primary growth must be slow, moderate or rapid, got {growth!r}")
    if collapse_fraction <= 0:
        collapse = 1
    else:
        collapse = 2 if collapse_fraction < COLLAPSED else 3
    return GROWTH[growth], min(max(treated_levels, 1), 4), collapse


def pufhs_probability(growth_points: int, level_points: int, collapse_points: int) -> float:
    """Probability of a venous leak per patient (Shi 2021, doi 10.1186/s12885-021-08503-2, Table 3)."""
    return float(
        expit(
            value("risk.pufhs.intercept")
            + value("risk.pufhs.growth") * growth_points
            + value("risk.pufhs.levels") * level_points
            + value("risk.pufhs.collapse") * collapse_points
        )
    )
