"""Inject: step by step pressure, saturation and heat.

One step: viscosity from age and speed; the pressure equation; the rate that the syringe can hold; cement
carried on; cement aged and warmed. The front is sharp and the transport implicit, so a few dozen pressure
solves, each started from the last, carry a whole injection.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.cement import multigrid
from kypho.cement.bone import BoneField
from kypho.cement.compartments import LEAK_REGIONS, route_of_code
from kypho.cement.cure import kinetics, syringe_conversion
from kypho.cement.heat import advance_heat
from kypho.cement.marrow import displaced
from kypho.cement.outcome import Frame, History, Rehearsal, finish
from kypho.cement.pressure import FlowSystem, assemble, solve_pressure, speed
from kypho.cement.rheology import Cement, ageing_rate, consistency, darcy_viscosity
from kypho.cement.room import medium_of, require_room
from kypho.cement.schedule import Needle, Pause, Schedule, Settings, Stage
from kypho.cement.syringe import held_share, tip_kpa
from kypho.cement.thermal import ThermalBox
from kypho.cement.transport import Carriage, advance
from kypho.cement.transport_corey import advance_corey
from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["inject"]

AGE, WARMTH, CURE = 0, 1, 2
"""The tracers that travel with the cement: minutes at 25 C, degrees, conversion."""

FIRST_GUESSES = 3
"""Pressure solves before the first step, to find the speeds that viscosity depends on."""

TRIAL_ML_MIN = 1.0  # numerics: any rate near a hand's would do
"""The rate at which a stage at a pressure is solved, before it is scaled to what the pressure drives."""

STALLED = 0.01
"""Below this part of the wanted rate the syringe has stalled."""


def inject(
    bone: BoneField,
    needles: tuple[Needle, ...],
    cement: Cement,
    schedule: Schedule,
    settings: Settings | None = None,
) -> Rehearsal:
    """Rehearse an injection.

    Args:
        bone: where the cement goes.
        needles: one or more.
        cement: what is injected.
        schedule: when, how much, how fast.
        settings: how it is solved.

    Raises:
        SettingsError: needle where no cement can flow, no way out for the marrow, more cement than void.
    """
    return _Injection(bone, needles, cement, schedule, settings or Settings()).run()


@dataclass(kw_only=True, eq=False)
class _Flow:
    """One solved flow: the operator, the pressure, and the part of the wanted rate that it carries."""

    system: FlowSystem
    pressure_pa: NDArray[np.float64]
    share: float
    tip_kpa: float
    syringe_kpa: float


class _Injection:
    """The state of one injection while it runs."""

    def __init__(
        self,
        bone: BoneField,
        needles: tuple[Needle, ...],
        cement: Cement,
        schedule: Schedule,
        settings: Settings,
    ) -> None:
        self.started = time.perf_counter()
        self.bone, self.needles, self.cement = bone, needles, cement
        self.schedule, self.settings = schedule, settings
        if not needles:
            raise SettingsError("no needle to inject through; give at least one")
        self.cells = [needle.cell(bone) for needle in needles]
        self.medium = medium_of(bone)
        require_room(bone, self.medium, self.cells, schedule.volume_ml)
        shape = bone.grid.shape
        self.saturation = np.zeros(shape)
        self.tracers = np.zeros((3, *shape))
        self.lost_m3 = np.zeros(256)
        self.hierarchy = multigrid.allocate(shape)
        self.pressure_pa: NDArray[np.float64] | None = None
        self.resting_pa: NDArray[np.float64] | None = None
        self.speed_m_s = np.zeros(shape, np.float32)
        self.k_m2 = np.cbrt(np.prod(bone.permeability_m2.astype(np.float64), axis=0))
        self.displaced = displaced(bone, marrow_pa_s=settings.marrow_pa_s, yield_pa=settings.marrow_yield_pa)
        self.law = kinetics(cement.kinetics)
        self.room_c, self.body_c = value("cement.room_c"), value("cement.body_c")
        self.heat = ThermalBox(bone, self.law) if settings.heat else None
        self.injected_m3 = self.clock_s = 0.0
        self.syringe_age = schedule.start_min * float(ageing_rate(self.room_c))
        self.syringe_cure = syringe_conversion(self.law, self.room_c, schedule.start_min * 60)
        self.history = History()
        self.timings = {"flow": 0.0, "transport": 0.0, "heat": 0.0}
        self.iterations = 0
        self.stalled = False
        self.last_pressure_kpa = np.zeros(shape, np.float32)

    def run(self) -> Rehearsal:
        """Carry out the schedule, then follow the heat."""
        for step in self.schedule.steps:
            if isinstance(step, Pause):
                self._age(step.minutes * 60)
            elif not self.stalled:
                self._inject(step)
        if self.heat is not None:
            self._follow(self.heat)
        return finish(
            self.bone,
            self.history,
            self.heat,
            saturation=self.saturation,
            pressure_kpa=self.last_pressure_kpa,
            stalled=self.stalled,
            timings_s={**self.timings, "total": time.perf_counter() - self.started},
            iterations=self.iterations,
        )

    def _inject(self, stage: Stage) -> None:
        there = range(len(self.needles))
        used = there if stage.needles is None else stage.needles
        for n in used:
            if n not in there:
                raise SettingsError(f"stage names needle {n}, but there are {len(there)}; count from 0")
        rate = TRIAL_ML_MIN if stage.rate_ml_min is None else stage.rate_ml_min
        flows = {self.cells[n]: rate / len(used) * 1e-6 / 60 for n in used}
        left = stage.volume_ml * 1e-6
        while left > 1e-15:
            flow = self._solve(flows, stage, tuple(used), rate)
            if flow.share < STALLED and stage.rate_ml_min is not None:
                self.stalled = True
                return
            dv = min(self._step_m3(stage), left)
            dt = dv / (rate * flow.share * 1e-6 / 60)
            self._carry(flow, flows, dt)
            self._age(dt)
            left -= dv
            self.injected_m3 += dv
            self.last_pressure_kpa = (flow.pressure_pa * 1e-3).astype(np.float32)
            self._record(flow)

    def _step_m3(self, stage: Stage) -> float:
        """Short steps while the front is near the tip, where it moves fast, then even ones."""
        even = stage.volume_ml * 1e-6 / self.settings.steps
        return min(max(0.3 * self.injected_m3, even / 8), even)

    def _viscosity(self) -> NDArray[np.float64]:
        thick = consistency(self.cement, self.tracers[AGE])
        if not self.settings.shear:
            return thick
        return darcy_viscosity(self.cement, thick, self.speed_m_s, self.k_m2, self.bone.porosity)

    def _solve(
        self, flows: dict[tuple[int, int, int], float], stage: Stage, used: tuple[int, ...], rate: float
    ) -> _Flow:
        """The pressure at the wanted rate, or at what the syringe can hold."""
        clock = time.perf_counter()
        for cell in flows:
            if self.saturation[cell] == 0:
                self.tracers[AGE][cell] = self.syringe_age
        marrow_pa_s = self.settings.marrow_pa_s
        first = self.injected_m3 == 0 and (self.settings.shear or self.settings.marrow_yield_pa > 0)
        for _ in range(FIRST_GUESSES if first else 1):
            # Shear and yield need a speed before there is one: a first guess from the flow of the marrow.
            thick = self._viscosity()
            thin = self.displaced.apparent_pa_s(self.speed_m_s, self.k_m2, self.bone.porosity)
            mixed = _mixed_viscosity(self.saturation, thick, thin, self.settings.corey)
            system = assemble(self.medium, mixed, 1 - self.saturation, marrow_pa_s)
            solved = solve_pressure(
                self.hierarchy, system, self.medium, flows, self.pressure_pa, self.settings.tolerance
            )
            self.iterations += solved.iterations
            self.pressure_pa = solved.x
            self.speed_m_s = speed(system, solved.x, self.medium)
        limit = self.settings.pressure_limit_kpa if stage.pressure_kpa is None else stage.pressure_kpa
        size = float(np.cbrt(np.prod(self.medium.spacing_m)))
        tips = [
            tip_kpa(
                self.cells[n],
                self.needles[n].cannula.bore_mm,
                size,
                flows[self.cells[n]],
                solved.x,
                mixed,
                self.k_m2,
            )
            for n in used
        ]
        syringe = [tip + self._cannula_kpa(n, rate / len(used)) for n, tip in zip(used, tips, strict=True)]
        share, pressure = 1.0, solved.x
        if max(syringe) > limit or stage.pressure_kpa is not None:
            rest = solve_pressure(
                self.hierarchy, system, self.medium, {}, self.resting_pa, self.settings.tolerance
            )
            self.resting_pa = rest.x
            still = [float(rest.x[self.cells[n]]) * 1e-3 for n in used]
            each = rate / len(used)
            share = held_share(still, tips, lambda n, part: self._cannula_kpa(used[n], part * each), limit)
            pressure = rest.x + share * (solved.x - rest.x)
            tips = [s + share * (tip - s) for s, tip in zip(still, tips, strict=True)]
            syringe = [t + self._cannula_kpa(n, share * each) for n, t in zip(used, tips, strict=True)]
        self.timings["flow"] += time.perf_counter() - clock
        return _Flow(
            system=system, pressure_pa=pressure, share=share, tip_kpa=max(tips), syringe_kpa=max(syringe)
        )

    def _cannula_kpa(self, needle: int, rate_ml_min: float) -> float:
        return self.needles[needle].cannula.pressure_kpa(self.cement, self.syringe_age, rate_ml_min)

    def _carry(self, flow: _Flow, flows: dict[tuple[int, int, int], float], dt: float) -> None:
        clock = time.perf_counter()
        source = np.zeros(self.bone.grid.shape)
        for cell, wanted in flows.items():
            source[cell] = wanted * flow.share
        if self.heat is not None:
            self.tracers[WARMTH] = self.heat.repeat(self.heat.state.temperature_c)
            self.tracers[CURE] = self.heat.repeat(self.heat.state.conversion)
        # Only Corey flow asks for the viscosities; a piston does not.
        thick = self._viscosity() if self.settings.corey else self.saturation
        ratio = thick / self.settings.marrow_pa_s
        load = Carriage(
            saturation=self.saturation,
            tracers=self.tracers,
            pore_m3=self.medium.pore_m3,
            pressure_pa=flow.pressure_pa,
            faces=flow.system.faces,
            sink=flow.system.sink,
            far_pa=self.medium.far_pa,
            source_m3_s=source,
            fresh=np.array([self.syringe_age, self.room_c, self.syringe_cure]),
            ratio=ratio,
            exponent=self.settings.corey,
            region=self.bone.region,
            lost_m3=self.lost_m3,
        )
        (advance_corey if self.settings.corey else advance)(load, dt)
        self.timings["transport"] += time.perf_counter() - clock
        if self.heat is not None:
            clock = time.perf_counter()
            self.heat.receive(self.saturation * self.bone.porosity, self.tracers[WARMTH], self.tracers[CURE])
            self.timings["heat"] += time.perf_counter() - clock

    def _age(self, seconds: float) -> None:
        """Let time pass: heat flows, cement ages where it is warm, and in the syringe."""
        if self.heat is not None:
            clock = time.perf_counter()
            advance_heat(self.heat.state, seconds)
            warm = self.heat.repeat(ageing_rate(self.heat.state.temperature_c))
            self.timings["heat"] += time.perf_counter() - clock
        else:
            # Without heat the cement is taken to be half-way between room and body.
            warm = ageing_rate((self.room_c + self.body_c) / 2)
        self.tracers[AGE] += seconds / 60 * warm
        self.syringe_age += seconds / 60 * float(ageing_rate(self.room_c))
        self.syringe_cure = syringe_conversion(self.law, self.room_c, seconds, self.syringe_cure)
        self.clock_s += seconds
        self._watch()

    def _watch(self) -> None:
        if self.heat is not None:
            self.history.watch(self.clock_s, self.heat, self.bone.sites)

    def _record(self, flow: _Flow) -> None:
        held = self.saturation * self.medium.pore_m3
        per_region = np.bincount(self.bone.region.ravel(), weights=held.ravel(), minlength=256) + self.lost_m3
        leaked = dict.fromkeys(LEAK_REGIONS, 0.0)
        for code, route in route_of_code().items():
            leaked[route] += float(per_region[code]) * 1e6
        error = abs(float(held.sum() + self.lost_m3.sum()) - self.injected_m3) / self.injected_m3
        self.history.record(
            time_s=self.clock_s,
            injected_ml=self.injected_m3 * 1e6,
            tip_kpa=flow.tip_kpa,
            syringe_kpa=flow.syringe_kpa,
            leaked_ml=leaked,
            error=error,
        )
        every = self.schedule.volume_ml / max(self.settings.frames, 1)
        if self.settings.frames and self.injected_m3 * 1e6 >= every * (len(self.history.frames) + 1) - 1e-9:
            self.history.frames.append(
                Frame(
                    time_s=self.clock_s,
                    injected_ml=self.injected_m3 * 1e6,
                    saturation=np.rint(self.saturation * 255).astype(np.uint8),
                )
            )

    def _follow(self, heat: ThermalBox) -> None:
        """Let the heat run on after the injection, watching every few seconds."""
        left = self.settings.follow_min * 60
        while left > 1e-9:
            dt = min(10.0, left)  # numerics: interval of the temperature curves
            clock = time.perf_counter()
            advance_heat(heat.state, dt)
            self.timings["heat"] += time.perf_counter() - clock
            self.clock_s += dt
            left -= dt
            self._watch()


def _mixed_viscosity(
    saturation: NDArray, cement: NDArray, marrow: NDArray, corey: float
) -> NDArray[np.float64]:
    """Viscosity of a cell's two fluids: layers in series, or side by side with Corey's mobilities."""
    if corey == 0:
        return saturation * cement + (1 - saturation) * marrow
    return 1 / (saturation**corey / cement + (1 - saturation) ** corey / marrow)
