"""What the operator does: needles, stages of injection, pauses; and the settings of the solver."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField
from kypho.cement.cannula import Cannula, cannula
from kypho.cement.compartments import CODES
from kypho.cement.marrow import marrow_yield_pa
from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["Needle", "Pause", "Schedule", "Settings", "Stage"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Needle:
    """A needle in place.

    Attributes:
        tip_mm: LPS point where the cement comes out.
        cannula: bore and length.
    """

    tip_mm: NDArray[np.float64]
    cannula: Cannula = field(default_factory=lambda: cannula(value("cement.needle_gauge_default")))

    def cell(self, bone: BoneField) -> tuple[int, int, int]:
        """Index of the cell that holds the tip.

        Raises:
            SettingsError: the tip lies outside the box, in the bone's shell or where no cement can flow.
        """
        index = np.rint(bone.grid.to_index(self.tip_mm)).astype(int)
        where = np.round(np.asarray(self.tip_mm, dtype=float), 1).tolist()
        if np.any(index < 0) or np.any(index >= bone.grid.shape):
            raise SettingsError(
                f"needle tip {where} lies outside the modelled bone; move it into the vertebra"
            )
        cell = (int(index[0]), int(index[1]), int(index[2]))
        if bone.porosity[cell] == 0 or bone.permeability_m2[(slice(None), *cell)].max() == 0:
            raise SettingsError(
                f"needle tip {where} lies where no cement can flow; move it into cancellous bone"
            )
        if bone.region[cell] in (CODES["cortex"], CODES["endplate"]):
            raise SettingsError(
                f"needle tip {where} lies in the bone's shell, {max(bone.grid.spacing_mm):g} mm cells; "
                "move it deeper or take finer cells"
            )
        return cell


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Inject a volume, at a rate or at a pressure.

    Attributes:
        volume_ml: through all its needles together.
        rate_ml_min: together; shared equally.
        pressure_kpa: at the syringe, instead of a rate.
        needles: which needles by number; None for all.
    """

    volume_ml: float
    rate_ml_min: float | None = None
    pressure_kpa: float | None = None
    needles: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.volume_ml) and self.volume_ml > 0):
            raise SettingsError(f"cement volume {self.volume_ml} mL is no positive number; correct it")
        if (self.rate_ml_min is None) == (self.pressure_kpa is None):
            raise SettingsError(
                "a stage takes either a rate in mL/min or a pressure in kPa; give one of them"
            )
        drive = self.pressure_kpa if self.rate_ml_min is None else self.rate_ml_min
        if not (drive is not None and np.isfinite(drive) and drive > 0):
            what = "pressure" if self.rate_ml_min is None else "rate"
            raise SettingsError(f"injection {what} {drive} is no positive number; correct it")


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Wait: the cement ages and warms, nothing flows."""

    minutes: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.minutes) and self.minutes > 0):
            raise SettingsError(f"pause of {self.minutes} min is no positive number; leave it out")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The injection from start to end.

    Attributes:
        steps: stages and pauses in order.
        start_min: minutes from mixing to the first step, at room temperature.
    """

    steps: tuple[Stage | Pause, ...]
    start_min: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start_min) and self.start_min >= 0):
            raise SettingsError(
                f"start {self.start_min} min after mixing is negative or no number; correct it"
            )
        if not any(isinstance(step, Stage) for step in self.steps):
            raise SettingsError("the schedule injects nothing; add a stage")

    @property
    def volume_ml(self) -> float:
        """Volume of all stages."""
        return sum(step.volume_ml for step in self.steps if isinstance(step, Stage))

    @staticmethod
    def simple(*, volume_ml: float, rate_ml_min: float, start_min: float) -> Schedule:
        """One stage at a constant rate."""
        return Schedule(steps=(Stage(volume_ml=volume_ml, rate_ml_min=rate_ml_min),), start_min=start_min)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the equations are solved.

    Attributes:
        heat: solve the temperature as well.
        follow_min: how long the temperature is followed after the injection.
        shear: let cement thin and yield in the bone; always in the cannula.
        marrow_pa_s: viscosity of marrow once it flows.
        marrow_yield_pa: yield stress of marrow in place (see `kypho.cement.marrow`); 0 for a plain fluid.
        corey: Corey exponent of both fluids; 0 for piston-like displacement.
        steps: about how many pressure solves one stage takes.
        tolerance: pressure residual over injected flow.
        frames: how many saturation fields are kept for the film.
        pressure_limit_kpa: the syringe cannot press harder; the rate falls instead.
    """

    heat: bool = True
    follow_min: float = field(default_factory=lambda: value("cement.heat_follow_min"))
    shear: bool = True
    marrow_pa_s: float = field(default_factory=lambda: value("cement.marrow_viscosity_pa_s"))
    marrow_yield_pa: float = field(default_factory=marrow_yield_pa)
    corey: float = 0.0
    steps: int = 16
    tolerance: float = 1e-3
    frames: int = 16
    pressure_limit_kpa: float = field(default_factory=lambda: value("cement.pressure_limit_kpa"))
