"""What a plan must respect and prefer; every default is an evidence record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["Limits", "PlanSettings", "StrategyChoice"]

StrategyChoice = Literal["auto", "unilateral", "bilateral"]


def _default(record_id: str) -> float:
    """A field whose default is read from the ledger when it is needed."""
    return field(default_factory=lambda: float(value(record_id)))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hard limits: smallest distance from the surface of the device, in mm (anterior: from the tip).

    Each is named after a wall of `kypho.planning.walls.WALLS` or a kind of `OBSTACLES`, by which the search
    and the report look it up; `rule_mm` is the room the search keeps in the AP/lateral rule.
    """

    canal_mm: float = _default("plan.limit.canal_mm")
    medial_mm: float = _default("plan.limit.medial_mm")
    lateral_mm: float = _default("plan.limit.lateral_mm")
    superior_mm: float = _default("plan.limit.superior_mm")
    inferior_mm: float = _default("plan.limit.inferior_mm")
    anterior_mm: float = _default("plan.limit.anterior_mm")
    endplate_superior_mm: float = _default("plan.limit.endplate_mm")
    endplate_inferior_mm: float = _default("plan.limit.endplate_mm")
    organ_mm: float = _default("plan.limit.organ_mm")
    bone_mm: float = _default("plan.limit.bone_mm")
    rule_mm: float = _default("plan.limit.rule_mm")


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """Settings of one plan.

    Raises:
        SettingsError: a setting out of its range.
    """

    device: str = "auto"
    strategy: StrategyChoice = "auto"
    limits: Limits = field(default_factory=Limits)
    enough_canal_mm: float = _default("plan.enough.canal_mm")
    enough_wall_mm: float = _default("plan.enough.wall_mm")
    entry_sigma_mm: float = _default("plan.error.entry_sigma_mm")
    angle_sigma_deg: float = _default("plan.error.angle_sigma_deg")
    robustness_draws: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in ("auto", "unilateral", "bilateral"):
            raise SettingsError(f"unknown strategy {self.strategy!r}; choose auto, unilateral or bilateral")
        for name, number in {**asdict(self.limits), **asdict(self)}.items():
            if isinstance(number, float) and not 0 <= number < 100:
                raise SettingsError(f"{name} = {number} is out of range; give 0 to 100")
        if self.robustness_draws < 1:
            raise SettingsError(f"robustness_draws = {self.robustness_draws}; give a positive number")
