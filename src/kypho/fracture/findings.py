"""A finding: present, absent, or not assessable, with how it was measured and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FACTORS", "Finding", "State", "graded", "unknown"]

State = Literal["present", "absent", "not_assessable"]

FACTORS = (
    "cortical_defect",
    "posterior_wall_defect",
    "pathological_fracture",
    "severe_compression",
    "high_resistance",
    "low_bone_density",
    "intravertebral_cleft",
    "schmorl_node",
    "pedicle_wall_defect",
    "retropulsion",
)
"""Every assessment carries these; one with an MR has those of `kypho.fracture.mri` besides."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One factor of one level.

    Attributes:
        factor: its name.
        state: "not_assessable" is a result of its own and never reads as "absent".
        value: what was measured; None where there is nothing to measure or it could not be.
        unit: of the value and the uncertainty.
        uncertainty: half width within which the value is expected at this slice thickness.
        where: place in words.
        how: how it was measured, or why it could not be.
        evidence: record ids.
        excludes_gas: of a cleft: this scan has shown that there is no gas, whatever it says of fluid.
    """

    factor: str
    state: State
    value: float | None
    unit: str
    uncertainty: float | None
    where: str
    how: str
    evidence: tuple[str, ...]
    excludes_gas: bool = False


def graded(value: float, threshold: float, uncertainty: float, floor: float) -> State:
    """State of a measured size: present from the threshold on, absent below what can be seen.

    Args:
        value: the measured size.
        threshold: size from which it counts.
        uncertainty: half width of the measurement.
        floor: smallest size this scan resolves; a threshold below it cannot be called absent.
    """
    if value >= threshold:
        return "present"
    if threshold < floor or value + uncertainty >= threshold:
        return "not_assessable"
    return "absent"


def unknown(factor: str, unit: str, where: str, why: str, evidence: tuple[str, ...]) -> Finding:
    """A finding that could not be made, and why."""
    return Finding(
        factor=factor,
        state="not_assessable",
        value=None,
        unit=unit,
        uncertainty=None,
        where=where,
        how=why,
        evidence=evidence,
    )
