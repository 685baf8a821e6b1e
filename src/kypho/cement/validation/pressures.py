"""Benchmarks 4 and 5: pressures, in the bone with and without shear thinning, and in the cannula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kypho.cement.cannula import Cannula, cannula, tube_pressure_kpa
from kypho.cement.inject import inject
from kypho.cement.rheology import ageing_rate, cement
from kypho.cement.schedule import Needle, Schedule, Settings
from kypho.cement.validation.check import Check, meets, near, within
from kypho.cement.validation.rig import ball_field
from kypho.evidence import value
from kypho.phantoms.exact_flow import PowerLawSphere, Sphere

__all__ = ["cannula_pressures", "shear_in_bone"]

QUIET = Settings(heat=False, frames=0, pressure_limit_kpa=1e6)


def shear_in_bone(spacing_mm: float = 1.0) -> list[Check]:
    """4: injection pressure with and without shear thinning inside the bone."""
    field = ball_field(Sphere(), spacing_mm)
    needle = Needle(tip_mm=np.zeros(3), cannula=cannula(8))
    plan = Schedule.simple(volume_ml=3.0, rate_ml_min=4.0, start_min=4.0)
    paste = replace(cement("medium"), yield_pa=0.0)
    thin = inject(field, (needle,), paste, plan, QUIET)
    plain = inject(field, (needle,), paste, plan, replace(QUIET, shear=False))
    change = float(abs(thin.tip_kpa[-1] / plain.tip_kpa[-1] - 1))
    note = "cadaver half of the benchmark needs CT pairs that are not at hand"
    return [
        within(
            4,
            "pressure, shear-thinning against Newtonian, relative",
            0.05,
            0.15,
            change,
            kind="bench",
            note=note,
        )
    ]


def cannula_pressures() -> list[Check]:
    """5: bore, share of the pressure, and its rise in time."""
    t = value("cement.bench.cannula")
    narrow = Cannula(bore_mm=3.0, length_mm=120.0)
    wide = Cannula(bore_mm=6.0, length_mm=120.0)
    part = t["gain"] / (15 / 16)
    rate = t["rate_ml_min"]
    whole = tube_pressure_kpa(narrow, 300.0, 1.0, rate)
    mixed = (1 - part) * whole + part * tube_pressure_kpa(wide, 300.0, 1.0, rate)
    rows = [
        near(
            5,
            "gain of doubling the proximal bore",
            t["gain"],
            1 - mixed / whole,
            absolute=0.03,
            note=f"bore doubled over {100 * part:.0f} % of the length, as the formula asks",
        )
    ]
    start = _same_pressure_age(t["start_kpa"], rate)
    tube, paste = cannula(8), cement("medium")
    grown = tube.pressure_kpa(paste, start + t["minutes"] * float(ageing_rate(value("cement.room_c"))), rate)
    rows.append(
        near(
            5,
            "pressure two minutes after 1.2 MPa, ratio",
            t["end_kpa"] / t["start_kpa"],
            grown / tube.pressure_kpa(paste, start, rate),
            relative=0.10,
            kind="bench",
            note="medium-viscosity cement of the catalogue, 8 gauge, age chosen to meet 1.2 MPa",
        )
    )
    for k in (1e-8, 4e-8):
        rows.append(
            meets(
                5,
                f"share of the cannula at k {k:g} m2",
                0.94,
                0.04,
                [_share(Cannula(bore_mm=d, length_mm=length), k) for d in BORES_MM for length in LENGTHS_MM],
                note="cement ball of 10 mm, 8-gauge bores of 3.0 and 3.43 mm, 120 and 150 mm long",
            )
        )
    return rows


BORES_MM, LENGTHS_MM = (3.0, 3.43), (120.0, 150.0)  # numerics: what an 8-gauge cannula may be


def _share(
    tube: Cannula, permeability_m2: float, front_mm: float = 10.0
) -> float:  # numerics: 4 mL of cement
    """Part of the pressure that the cannula takes when it takes 1.2 MPa, the same power law in both."""
    t, paste = value("cement.bench.cannula"), cement("medium")
    n, rate = paste.flow_index, t["rate_ml_min"]
    consistency = t["start_kpa"] / tube_pressure_kpa(tube, 1.0, n, rate)
    inner = tube.bore_mm / 2
    ball = PowerLawSphere(
        consistency=consistency,
        index=n,
        flow_ml_s=rate / 60,
        permeability_m2=permeability_m2,
        inner_mm=inner,
    )
    bone = ball.pressure_kpa(4 / 3 * np.pi * (front_mm**3 - inner**3) * ball.porosity * 1e-3)
    return float(t["start_kpa"] / (t["start_kpa"] + bone))


def _same_pressure_age(kpa: float, rate: float) -> float:
    """Age of the medium cement at which the 8-gauge cannula takes a pressure."""
    tube, paste = cannula(8), cement("medium")
    low, high = 0.0, paste.set_min
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if tube.pressure_kpa(paste, middle, rate) > kpa else (middle, high)
    return low
