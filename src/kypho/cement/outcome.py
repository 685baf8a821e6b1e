"""What a rehearsed injection found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField
from kypho.cement.compartments import INSIDE, LEAK_REGIONS
from kypho.cement.thermal import ThermalBox
from kypho.evidence import value
from kypho.space import Grid, Volume

__all__ = ["Frame", "History", "Rehearsal", "finish", "first_crossing"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One picture of the film: saturation in 1/255 on the bone field's grid."""

    time_s: float
    injected_ml: float
    saturation: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rehearsal:
    """The result of `kypho.cement.inject.inject`.

    Attributes:
        time_s, injected_ml, tip_kpa, syringe_kpa: one value per step, the pressures at its start.
        leaked_ml: route to cement outside the bone, one value per step.
        first_leak_ml, first_leak_s, first_leak_kpa: route to injected volume, time and tip pressure when the
            leak passed the threshold of record ``cement.leak_threshold_ml``; None if it never did.
        cement: volume fraction of cement, unit "1".
        peak: highest temperature in C, unit "C"; None without heat.
        pressure: pressure of the last step, unit "kPa".
        peak_temperature_c, cem43_min, damage: by site, the hottest cell.
        curve_time_s, curve_c: temperature of the hottest cell of every site against time.
        fill_fraction: cement in the bone over the bone's void.
        mass_balance_error: largest relative error of any step.
        stalled: True if the syringe could not press harder and the injection stopped early.
        frames: pictures of the filling.
        timings_s: seconds by part; steps and iterations: pressure solves and their iterations.
    """

    time_s: NDArray[np.float64]
    injected_ml: NDArray[np.float64]
    tip_kpa: NDArray[np.float64]
    syringe_kpa: NDArray[np.float64]
    leaked_ml: dict[str, NDArray[np.float64]]
    first_leak_ml: dict[str, float | None]
    first_leak_s: dict[str, float | None]
    first_leak_kpa: dict[str, float | None]
    cement: Volume
    peak: Volume | None
    pressure: Volume
    peak_temperature_c: dict[str, float]
    cem43_min: dict[str, float]
    damage: dict[str, float]
    curve_time_s: NDArray[np.float64]
    curve_c: dict[str, NDArray[np.float64]]
    fill_fraction: float
    mass_balance_error: float
    stalled: bool
    frames: tuple[Frame, ...]
    timings_s: dict[str, float]
    steps: int
    iterations: int


@dataclass(kw_only=True, eq=False)
class History:
    """What is noted while an injection runs.

    Attributes:
        rows: per step: seconds, mL injected, kPa at the tip, kPa at the syringe.
        leaked: per step: route to mL outside the bone.
        errors: per step: relative error of the cement's mass.
        frames: pictures of the filling.
        curve_time_s, curve_c: when the sites were looked at, and each one's hottest cell in C.
        coarse_sites: the sites on the heat grid.
    """

    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    leaked: list[dict[str, float]] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    curve_time_s: list[float] = field(default_factory=list)
    curve_c: dict[str, list[float]] = field(default_factory=dict)
    coarse_sites: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def record(
        self,
        *,
        time_s: float,
        injected_ml: float,
        tip_kpa: float,
        syringe_kpa: float,
        leaked_ml: dict[str, float],
        error: float,
    ) -> None:
        """Note one step."""
        self.rows.append((time_s, injected_ml, tip_kpa, syringe_kpa))
        self.leaked.append(leaked_ml)
        self.errors.append(error)

    def watch(self, time_s: float, heat: ThermalBox, sites: dict[str, NDArray[np.bool_]]) -> None:
        """Note the temperature of every site's hottest cell."""
        if not self.coarse_sites:
            self.coarse_sites = {name: _touched(heat, mask) for name, mask in sites.items()}
            self.curve_c = {name: [] for name in sites}
        self.curve_time_s.append(time_s)
        for name, mask in self.coarse_sites.items():
            hottest = heat.state.temperature_c[mask].max() if mask.any() else np.nan
            self.curve_c[name].append(float(hottest))


def _touched(heat: ThermalBox, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Heat cells of which a site holds at least half; of which it holds any, if there are none such."""
    part = heat.restrict(mask)
    return part >= 0.5 if (part >= 0.5).any() else part > 0


def first_crossing(x: NDArray, y: NDArray, threshold: float) -> float | None:
    """The x at which y first reaches the threshold, between the steps linearly; None if it never does."""
    above = np.nonzero(np.asarray(y) >= threshold)[0]
    if len(above) == 0:
        return None
    n = int(above[0])
    x0, y0 = (x[n - 1], y[n - 1]) if n else (0.0, 0.0)
    return float(x0 + (threshold - y0) / (y[n] - y0) * (x[n] - x0)) if y[n] > y0 else float(x[n])


def finish(
    bone: BoneField,
    history: History,
    heat: ThermalBox | None,
    *,
    saturation: NDArray[np.float64],
    pressure_kpa: NDArray[np.float32],
    stalled: bool,
    timings_s: dict[str, float],
    iterations: int,
) -> Rehearsal:
    """Gather the result of an injection that has run.

    Args:
        bone: where the cement went.
        history: what was noted on the way.
        heat: the heat at the end; None without.
        saturation: part of the pores that cement fills, shape of the bone's grid.
        pressure_kpa: of the last step, same shape.
        stalled, timings_s, iterations: as in `Rehearsal`.
    """
    rows = np.array(history.rows).reshape(-1, 4)
    leaked = {route: np.array([row[route] for row in history.leaked]) for route in LEAK_REGIONS}
    threshold = value("cement.leak_threshold_ml")

    def crossing(column: int) -> dict[str, float | None]:
        return {route: first_crossing(rows[:, column], leaked[route], threshold) for route in LEAK_REGIONS}

    def at_sites(what: NDArray[np.float64]) -> dict[str, float]:
        return {name: float(what[mask].max()) for name, mask in history.coarse_sites.items() if mask.any()}

    fraction = (saturation * bone.porosity).astype(np.float32)
    inside = bone.mask(*INSIDE)
    state = None if heat is None else heat.state
    return Rehearsal(
        time_s=rows[:, 0],
        injected_ml=rows[:, 1],
        tip_kpa=rows[:, 2],
        syringe_kpa=rows[:, 3],
        leaked_ml=leaked,
        first_leak_ml=crossing(1),
        first_leak_s=crossing(0),
        first_leak_kpa={r: _at(rows, crossing(1)[r]) for r in LEAK_REGIONS},
        cement=Volume(array=fraction, grid=bone.grid, unit="1"),
        peak=_fine(heat, state.peak_c, bone.grid) if heat and state else None,
        pressure=Volume(array=pressure_kpa, grid=bone.grid, unit="kPa"),
        peak_temperature_c=at_sites(state.peak_c) if state else {},
        cem43_min=at_sites(state.cem43_min) if state else {},
        damage=at_sites(state.damage) if state else {},
        curve_time_s=np.array(history.curve_time_s),
        curve_c={name: np.array(curve) for name, curve in history.curve_c.items()},
        fill_fraction=float(fraction[inside].sum() * bone.grid.voxel_mm3 * 1e-3 / bone.void_ml),
        mass_balance_error=max(history.errors, default=0.0),
        stalled=stalled,
        frames=tuple(history.frames),
        timings_s={name: round(seconds, 4) for name, seconds in timings_s.items()},
        steps=len(rows),
        iterations=iterations,
    )


def _at(rows: NDArray, injected_ml: float | None) -> float | None:
    return None if injected_ml is None else float(np.interp(injected_ml, rows[:, 1], rows[:, 2]))


def _fine(heat: ThermalBox, coarse: NDArray, grid: Grid) -> Volume:
    return Volume(array=heat.repeat(coarse).astype(np.float32), grid=grid, unit="C")
