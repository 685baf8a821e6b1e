"""What is rehearsed: scenarios, cannulas, grid, ensemble; and which of it nobody chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from kypho.case.rehearsal.choices import (
    CEMENT,
    GRID_MM,
    MEMBERS,
    MOST_COMPARED,
    MOST_MEMBERS,
    SEED,
    STRATEGY,
    Strategy,
)
from kypho.cement import Cannula, Needle, Pause, Schedule, Stage, cement
from kypho.cement.vertebra import Track
from kypho.errors import SettingsError
from kypho.evidence import Record, record, value
from kypho.risk.inputs import Procedure, RiskInputs

__all__ = ["BORES", "DEFAULTS", "NeedleLineMm", "RehearseSettings", "Scenario", "defaults_used"]

LONGEST_MIN = 120.0  # numerics: long after every cement has set; a mistyped rate must not run for days
FASTEST_ML_MIN = 60.0  # numerics: a syringe of 10 mL in ten seconds, which no hand does with cement
MOST_ML = 30.0  # numerics: more than the void of the largest lumbar body

DEFAULTS = {
    "volume_ml": "cement.default_volume_ml",
    "rate_ml_min": "cement.default_rate_ml_min",
    "start_min": "cement.default_start_min",
    "gauge": "cement.needle_gauge_default",
}
"""Setting to the evidence record that stands in for it."""

BORES = "cement.cannula.bore_mm"
"""The record of every cannula's bore."""


def defaults_used(given: Mapping[str, Any]) -> dict[str, Record]:
    """The records that stand in for the settings of `DEFAULTS` that are missing or None."""
    return {name: record(key) for name, key in DEFAULTS.items() if given.get(name) is None}


def _default(name: str) -> Any:
    return field(default_factory=lambda: value(DEFAULTS[name]))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way to inject.

    Attributes:
        procedure: "pkp" with a balloon, "pvp" without.
        needles: "best" as planned, or the best unilateral or bilateral approach.
        pauses: (mL injected, minutes to wait there), in growing order of the volume.

    Raises:
        SettingsError: unknown procedure or needles; volume or rate not positive; start negative; a pause
            outside the injection; an end later than any cement can be injected.
    """

    procedure: Procedure = RiskInputs.procedure
    cement: str = CEMENT
    volume_ml: float = _default("volume_ml")
    rate_ml_min: float = _default("rate_ml_min")
    start_min: float = _default("start_min")
    needles: Strategy = STRATEGY
    pauses: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.procedure not in get_args(Procedure):
            raise SettingsError(f"unknown procedure {self.procedure!r}; choose pvp or pkp")
        if self.needles not in get_args(Strategy):
            raise SettingsError(f"unknown needles {self.needles!r}; choose best, unilateral or bilateral")
        cement(self.cement)
        self.schedule(1)
        if self.volume_ml > MOST_ML or self.rate_ml_min > FASTEST_ML_MIN:
            raise SettingsError(
                f"{self.volume_ml:g} mL at {self.rate_ml_min:g} mL/min; no vertebra takes more than "
                f"{MOST_ML:g} mL and no hand gives more than {FASTEST_ML_MIN:g} mL/min, so correct it"
            )
        end_min = self.start_min + self.volume_ml / self.rate_ml_min + sum(m for _, m in self.pauses)
        if end_min > LONGEST_MIN:
            raise SettingsError(
                f"{self.volume_ml:g} mL at {self.rate_ml_min:g} mL/min from {self.start_min:g} min end "
                f"{end_min:g} min after mixing, {LONGEST_MIN:g} are allowed and cement has set long before; "
                "inject faster, start earlier or pause less"
            )

    def schedule(self, needles: int) -> Schedule:
        """The volume shared by the needles, with its pauses."""
        used = tuple(range(needles))
        steps: list[Stage | Pause] = []
        done = 0.0
        for at_ml, minutes in self.pauses:
            if 0 < at_ml == done:
                raise SettingsError(f"two pauses at {at_ml:g} mL; give one with their minutes added")
            if not done < at_ml < self.volume_ml:
                raise SettingsError(
                    f"pause at {at_ml:g} mL is not between {done:g} and {self.volume_ml:g} mL; correct it"
                )
            steps += [self._stage(at_ml - done, used), Pause(minutes=minutes)]
            done = at_ml
        return Schedule(steps=(*steps, self._stage(self.volume_ml - done, used)), start_min=self.start_min)

    def _stage(self, volume_ml: float, used: tuple[int, ...]) -> Stage:
        return Stage(volume_ml=volume_ml, rate_ml_min=self.rate_ml_min, needles=used)

    @property
    def name(self) -> str:
        """Short name for tables."""
        words = [
            self.procedure.upper(),
            self.cement,
            f"{self.volume_ml:g} mL at {self.rate_ml_min:g} mL/min from {self.start_min:g} min",
        ]
        words += [] if self.needles == STRATEGY else [self.needles]
        words += [f"{minutes:g} min pause at {at_ml:g} mL" for at_ml, minutes in self.pauses]
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class RehearseSettings:
    """Settings of one rehearsal; `scenarios[0]` has the ensemble, up to three more are compared.

    Attributes:
        gauge: of every cannula; None takes the planned device's, or the record's where that has no bore.

    Raises:
        SettingsError: scenarios, cell size, members, seed or gauge out of range.
    """

    scenarios: tuple[Scenario, ...]
    grid_mm: float = GRID_MM
    members: int = MEMBERS
    seed: int = SEED
    gauge: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.scenarios) <= 1 + MOST_COMPARED:
            raise SettingsError(
                f"{len(self.scenarios)} scenarios; give the first and up to {MOST_COMPARED} others to compare"
            )
        if not 0.3 <= self.grid_mm <= 2.0:  # numerics: finer does not fit in memory, coarser in a pedicle
            raise SettingsError(f"grid of {self.grid_mm} mm; choose 0.3 to 2 mm")
        cell_ml = self.grid_mm**3 / 1000
        for scenario in self.scenarios:
            if scenario.volume_ml < cell_ml:
                raise SettingsError(
                    f"{scenario.volume_ml:g} mL do not fill one cell of {self.grid_mm:g} mm, {cell_ml:g} mL; "
                    "inject more or take finer cells"
                )
        if self.members != 0 and not 2 <= self.members <= MOST_MEMBERS:
            raise SettingsError(f"{self.members} members; give 0 for none or 2 to {MOST_MEMBERS}")
        if self.seed < 0:
            raise SettingsError(f"seed {self.seed} is negative; give 0 or more")
        if self.gauge is not None:
            self.bore_mm()

    def bore_mm(self, device: str = "") -> float:
        """Bore of the cannulas: of the chosen gauge, else of the device's, else of the recorded default."""
        bores = value(BORES)
        of_device = device.removesuffix("G")
        if self.gauge is None:
            known = of_device if of_device in bores else str(value(DEFAULTS["gauge"]))
            return float(bores[known])
        if str(self.gauge) not in bores:
            raise SettingsError(
                f"no bore known for gauge {self.gauge}; choose one of: {', '.join(sorted(bores, key=int))}"
            )
        return float(bores[str(self.gauge)])


@dataclass(frozen=True, kw_only=True, eq=False)
class NeedleLineMm:
    """A cannula as a line: bone entry and tip, LPS mm, outer diameter and bore."""

    entry_mm: NDArray[np.float64]
    tip_mm: NDArray[np.float64]
    outer_mm: float
    bore_mm: float

    def track(self, drawn_back_mm: float = 0.0) -> Track:
        """Its way through the bone."""
        return Track(
            entry_mm=self.entry_mm,
            tip_mm=self.tip_mm,
            radius_mm=self.outer_mm / 2,
            drawn_back_mm=drawn_back_mm,
        )

    def needle(self, behind_tip_mm: float = 0.0) -> Needle:
        """Where its cement comes out."""
        length = value("cement.cannula.length_mm")
        return Needle(
            tip_mm=self.point(behind_tip_mm), cannula=Cannula(bore_mm=self.bore_mm, length_mm=length)
        )

    def point(self, behind_tip_mm: float) -> NDArray[np.float64]:
        """LPS point on the cannula, this far behind its tip."""
        way = np.asarray(self.tip_mm, dtype=float) - self.entry_mm
        return np.asarray(self.tip_mm - behind_tip_mm * way / np.linalg.norm(way))
