"""Benchmarks against published experiments: passed or reported as failed.

Geometry that the papers' abstracts do not give is assumed here and said so in each row's note.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField, drain_of
from kypho.cement.cannula import Cannula, cannula, tube_pressure_kpa
from kypho.cement.compartments import CODES, compartment
from kypho.cement.cure import kinetics
from kypho.cement.ensemble import run_ensemble
from kypho.cement.heat import HeatState, advance_heat, material
from kypho.cement.inject import inject
from kypho.cement.rheology import ageing_rate, cement
from kypho.cement.schedule import Needle, Schedule, Settings
from kypho.cement.thermal import ThermalBox
from kypho.cement.validation.check import Check, near, within
from kypho.evidence import value
from kypho.space import Grid

__all__ = [
    "canal_heat",
    "cannula_pressures",
    "clinic",
    "leak_bench",
    "mantle",
    "shear_in_bone",
    "thermal_leak",
]

QUIET = Settings(heat=False, frames=0, pressure_limit_kpa=1e6)


# --- 1: leak bench ----------------------------------------------------------------------------------


def _leak_block(path_factor: float, spacing_mm: float) -> BoneField:
    """An open-cell block with a straight leak path from its middle to one face, fluid all around."""
    b = value("cement.bench.habib_geometry")
    shape = tuple(round(n / spacing_mm) // 2 * 2 + 1 for n in b["block_mm"])
    grid = Grid.axis_aligned(shape, spacing_mm, [-(n // 2) * spacing_mm for n in shape[::-1]])
    k = np.full((3, *shape), b["permeability_m2"], np.float32)
    z, y, x = (np.abs(np.arange(n) - n // 2) * spacing_mm for n in shape)
    ahead = (np.arange(shape[2]) - shape[2] // 2) * spacing_mm > 0
    path = ((z[:, None, None] <= b["path_mm"] / 2) & (y[None, :, None] <= b["path_mm"] / 2)) & ahead
    k[:, path] = (b["path_mm"] * 1e-3) ** 2 / 32 * path_factor
    region = np.full(shape, CODES["cancellous"], np.uint8)
    region[path & (x == x.max())] = CODES["venous"]
    zero = np.zeros(shape, np.float32)
    return BoneField(
        grid=grid,
        permeability_m2=k,
        porosity=zero + np.float32(b["porosity"]),
        region=region,
        drain=zero,
        far_kpa=zero,
    )


def _leaked_g(name: str, minutes: float, factor: float, spacing_mm: float) -> tuple[float, float]:
    b = value("cement.bench.habib_geometry")
    needle = Needle(tip_mm=np.zeros(3), cannula=cannula(11))
    plan = Schedule.simple(volume_ml=b["volume_ml"], rate_ml_min=b["rate_ml_min"], start_min=minutes)
    result = inject(_leak_block(factor, spacing_mm), (needle,), cement(name), plan, QUIET)
    return float(result.leaked_ml["venous"][-1]) * value("cement.density_g_ml"), float(result.tip_kpa[-1])


def leak_bench(spacing_mm: float = 1.5) -> list[Check]:
    """1: calibrate the leak path on low viscosity at 3.5 min, predict the other three groups."""
    targets = value("cement.bench.habib_leak_g")
    low, high = -2.0, 2.0
    for _ in range(9):
        middle = (low + high) / 2
        grams, _ = _leaked_g("low", 3.5, 10**middle, spacing_mm)
        low, high = (low, middle) if grams > targets["low_3_5"][0] else (middle, high)
    factor = 10 ** ((low + high) / 2)
    groups = {
        "low_3_5": ("low", 3.5),
        "low_9_5": ("low", 9.5),
        "high_3_5": ("high", 3.5),
        "high_6_5": ("high", 6.5),
    }
    found = {key: _leaked_g(name, at, factor, spacing_mm)[0] for key, (name, at) in groups.items()}
    note = f"assumed 30 mm block with one 3 mm path; calibrated on the first group (path factor {factor:.2g})"
    rows = [
        near(
            1,
            f"leak of {groups[key][0]} viscosity at {groups[key][1]} min, g",
            targets[key][0],
            found[key],
            absolute=targets[key][1],
            kind="bench",
            note=note if key != "low_3_5" else f"calibration; {note}",
        )
        for key in groups
    ]
    order = list(found.values())
    falling = bool(all(np.diff(order) < 0))
    rows.append(
        within(1, "groups in the measured order (1 yes)", 1, 1, float(falling), kind="bench", note=note)
    )
    rows.append(
        within(
            1,
            "high over low viscosity at 3.5 min",
            0.2,
            0.6,
            found["high_3_5"] / found["low_3_5"],
            kind="bench",
            note=note,
        )
    )
    return rows


# --- 2 and 9: heat in a vertebra ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Heated:
    posterior_c: float
    centre_c: float
    foramen_c: float
    canal_c: float
    centre_above_45_s: float


@cache
def _heated(
    volume_ml: float,
    leak_ml: float,
    law: str,
    behind_mm: float,
    half_mm: tuple[float, float, float],
    spacing_mm: float,
    bath: bool,
) -> _Heated:
    """An elliptic body with a canal behind it, a ball of cement inside and a pad of it in the canal."""
    hx, hy, hz = half_mm
    n = np.ceil(np.array([hz + 8, hy + 24, hx + 10]) / spacing_mm).astype(int)
    shape = (2 * int(n[0]) + 1, 2 * int(n[1]) + 1, 2 * int(n[2]) + 1)
    z, y, x = ((np.arange(m) - m // 2) * spacing_mm for m in shape)
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    body = ((x / hx) ** 2 + (y / hy) ** 2 <= 1) & (np.abs(z) <= hz)
    canal = ((x / 8) ** 2 + ((y - hy - 6.5) / 6.5) ** 2 <= 1) & ~body & (np.abs(z) < 99)
    region = np.full(shape, CODES["paravertebral"], np.uint8)
    region[body], region[canal] = CODES["cancellous"], CODES["canal_epidural"]
    grid = Grid.axis_aligned(shape, spacing_mm, [-(m // 2) * spacing_mm for m in shape[::-1]])
    ones = np.ones(shape, np.float32)
    field = BoneField(
        grid=grid,
        permeability_m2=np.stack([ones * np.float32(1e-8)] * 3),
        porosity=ones * np.float32(0.85),
        region=region,
        drain=0 * ones,
        far_kpa=0 * ones,
    )
    box = ThermalBox(field, kinetics(law))
    if bath:
        box.state.perfusion = (
            box.restrict(~body) * BATH_PER_S * material("fluid").volumetric + box.restrict(body) * 0
        )
    ball = _nearest(np.where(body, x**2 + (y - behind_mm) ** 2 + z**2, np.inf), volume_ml / 0.85, spacing_mm)
    pad = _nearest(np.where(canal, (y - hy) + 0.02 * (x**2 + z**2), np.inf), leak_ml / 0.85, spacing_mm)
    filled = (ball | pad) * 0.85
    room = value("cement.room_c")
    start = _cured(law, 4.0)
    box.receive(filled.astype(float), np.full(shape, room), np.full(shape, start))
    posterior = body & (np.abs(y - hy) < 1.6) & (np.abs(x) < 4) & (np.abs(z) < 5)
    foramen = ~body & ~canal & (np.abs(y - hy - 3) < 2) & (np.abs(np.abs(x) - 11) < 2) & (np.abs(z) < 6)
    centre = x**2 + (y - behind_mm) ** 2 + z**2 < 2.3
    sites = {"posterior": posterior, "foramen": foramen, "centre": centre, "canal": canal & (np.abs(z) < hz)}
    coarse = {k: box.restrict(m) for k, m in sites.items()}
    hot = 0.0
    for _ in range(150):
        advance_heat(box.state, 8.0)
        at = coarse["centre"] >= coarse["centre"].max()
        hot += 8.0 * float(box.state.temperature_c[at].mean() > 45)
    peak = {k: float(box.state.peak_c[m >= 0.5 * m.max()].max()) for k, m in coarse.items()}
    return _Heated(
        posterior_c=peak["posterior"],
        centre_c=peak["centre"],
        foramen_c=peak["foramen"],
        canal_c=peak["canal"],
        centre_above_45_s=hot,
    )


BATH_PER_S = 0.02  # numerics: a bath that renews itself every minute


def _nearest(score: NDArray, volume_ml: float, spacing_mm: float) -> NDArray[np.bool_]:
    """The cells of lowest score that make up a volume."""
    count = round(volume_ml * 1e3 / spacing_mm**3)
    out = np.zeros(score.shape, bool)
    if count:
        out.ravel()[np.argsort(np.ascontiguousarray(score), axis=None, kind="stable")[:count]] = True
    return out


def _cured(law: str, minutes: float) -> float:
    from kypho.cement.inject import _advance_syringe

    what = kinetics(law)
    return _advance_syringe(what, what.start, value("cement.room_c"), minutes * 60)


PORCINE_MM = (15.0, 12.0, 16.0)  # numerics: assumed half width, depth and height of a porcine lumbar body


def thermal_leak(spacing_mm: float = 1.0) -> list[Check]:
    """2: porcine vertebrae in a bath, with and without cement in the canal."""
    targets = value("cement.bench.lai_c")
    note = (
        "assumed: 30 x 24 x 32 mm body, 3 mL in it, 1 mL in the canal, kinetics B, bath renewed each minute"
    )
    inside = _heated(3.0, 0.0, "B", 0.0, PORCINE_MM, spacing_mm, True)
    leaked = _heated(3.0, 1.0, "B", 0.0, PORCINE_MM, spacing_mm, True)

    def row(name: str, key: str, measured: float, factor: float) -> Check:
        mean, sd = targets[key]
        return near(2, name, mean, measured, absolute=factor * sd, kind="bench", note=note)

    return [
        row("posterior cortex without leak, C", "posterior", inside.posterior_c, 1.0),
        row("posterior cortex with canal leak, C", "posterior_leak", leaked.posterior_c, 1.0),
        row("centre without leak, C", "centre", inside.centre_c, 1.5),
        row("centre with leak, C", "centre_leak", leaked.centre_c, 1.5),
        within(
            2,
            "foramen without leak, C",
            -np.inf,
            targets["foramen"][0] + 1.5 * targets["foramen"][1],
            inside.foramen_c,
            kind="bench",
            note=note,
        ),
        near(
            2,
            "rise of the posterior cortex by the leak, C",
            19.1,
            leaked.posterior_c - inside.posterior_c,
            absolute=8.0,
            kind="bench",
            note=note,
        ),
        near(
            2,
            "time above 45 C at the centre, s",
            223.0,
            inside.centre_above_45_s,
            relative=0.25,
            kind="bench",
            note=note,
        ),
    ]


def canal_heat(spacing_mm: float = 1.5) -> list[Check]:
    """9: canal temperature over volume, kinetics and place of the cement; measured values must lie within."""
    targets = value("cement.bench.canal_c")
    human = (20.0, 15.0, 13.0)  # numerics: assumed half axes of a thoracolumbar body
    canal = [
        _heated(volume, 0.0, law, behind, human, spacing_mm, True).canal_c
        for volume in (6.0, 8.0, 10.0)
        for law in "ABC"
        for behind in (0.0, 5.0)
    ]
    goat = [
        _heated(0.8, 0.0, law, behind, (9.0, 7.0, 12.0), spacing_mm, False).canal_c
        for law in "ABC"
        for behind in (-2.0, 1.0)
    ]
    low, high = np.quantile(canal, [0.05, 0.95])
    g_low, g_high = np.quantile(goat, [0.05, 0.95])
    note = "assumed body, 18 combinations of 6-10 mL, kinetics A-C, cement central or 5 mm behind"

    def inside(name: str, measured: float, a: float, b: float, what: str) -> Check:
        return Check(
            benchmark=9,
            quantity=name,
            target=f"{measured:g} inside {a:.1f} to {b:.1f} C",
            measured=measured,
            passed=bool(a - 0.05 <= measured <= b + 0.05),
            kind="bench",
            note=what,
        )

    return [
        inside("coolest canal of 6-10 mL (cadaver), C", targets["belkoff"][0], low, high, note),
        inside("hottest canal of 6-10 mL (cadaver), C", targets["belkoff"][1], low, high, note),
        inside("hottest canal of 25 vertebrae, C", targets["int_orthop"], low, high, note),
        inside("epidural, goat, 0.8 mL, C", targets["verlaan"], g_low, g_high, "assumed body, kinetics A-C"),
    ]


# --- 4: shear in the bone -----------------------------------------------------------------------------


def shear_in_bone(spacing_mm: float = 1.0) -> list[Check]:
    """4: injection pressure with and without shear thinning inside the bone."""
    from kypho.cement.validation.exact import _ball_field
    from kypho.phantoms.exact_flow import Sphere

    field = _ball_field(Sphere(), spacing_mm)
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


# --- 5: cannula ---------------------------------------------------------------------------------------


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
    thick = float(paste.consistency_pa_s(start))
    for k in (1e-8, 4e-8):
        flow, r0, front = rate * 1e-6 / 60, 1.7e-3, 10e-3
        bone = flow * thick / (4 * np.pi * k) * (1 / r0 - 1 / front) * 1e-3
        rows.append(
            within(
                5,
                f"share of the cannula at k {k:g} m2",
                0.90,
                0.98,
                t["start_kpa"] / (t["start_kpa"] + bone),
                kind="bench",
                note="cement ball of 10 mm, viscosity of the cannula at 1/s",
            )
        )
    return rows


def _same_pressure_age(kpa: float, rate: float) -> float:
    """Age of the medium cement at which the 8-gauge cannula takes a pressure."""
    tube, paste = cannula(8), cement("medium")
    low, high = 0.0, paste.set_min
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if tube.pressure_kpa(paste, middle, rate) > kpa else (middle, high)
    return low


# --- 6: mantle ----------------------------------------------------------------------------------------


def mantle(spacing_mm: float = 0.5, sets: str = "BC") -> list[Check]:
    """6: cement mantle of 3, 5 and 7 mm around an implant, against a reference computed independently."""
    own = {"B": {3: 46.2, 5: 52.0, 7: 54.4}, "C": {3: 45.2, 5: 50.3, 7: 52.1}}
    omega = {3: 0.006, 5: 0.27, 7: 2.2}
    note = "the reference's implant and outer boundary were not recorded: assumed 8 mm radius, 8 mm of bone"
    rows, peaks = [], {}
    for law in sets:
        for thick, celsius in own[law].items():
            peak, damage = _extrapolated(thick, law, spacing_mm)
            peaks[law, thick] = peak
            rows.append(
                near(
                    6,
                    f"set {law}, mantle {thick} mm, interface, C",
                    celsius,
                    peak,
                    absolute=0.3,
                    kind="own",
                    note=note,
                )
            )
            if law == "B":
                rows.append(
                    near(
                        6,
                        f"set B, mantle {thick} mm, Arrhenius damage",
                        omega[thick],
                        damage,
                        relative=0.25,
                        kind="own",
                        note=note,
                    )
                )
    rows.append(
        near(
            6,
            "bone peak with a 7 mm mantle, C (published: above 55)",
            55.0,
            peaks["B", 7],
            absolute=3.0,
            kind="bench",
            note="Li's geometry was not read: implant and bone of 8 mm are assumed",
        )
    )
    return rows


def _extrapolated(thick_mm: float, law: str, spacing_mm: float) -> tuple[float, float]:
    """Peak and damage at the interface: the bone's first cell, at two cell sizes, carried on to size zero."""
    (peak, damage), (fine_peak, fine_damage) = (
        _mantle(thick_mm, law, h) for h in (spacing_mm, spacing_mm / 2)
    )
    return 2 * fine_peak - peak, float(fine_damage**2 / damage)


def _mantle(
    thick_mm: float, law: str, spacing_mm: float, implant_mm: float = 8.0, implant_k: float = 296.0
) -> tuple[float, float]:  # numerics: the assumed implant
    """Peak temperature and damage of the bone beside the cement, in the radius alone.

    Multiplying the heat equation by r turns rings into a slab: conductivity, capacity and heat times r.
    """
    n = round((implant_mm + thick_mm + 8.0) / spacing_mm)
    r = (np.arange(n) + 0.5)[None, None] * spacing_mm
    mortar, bone, what = material("cement"), material("bone"), kinetics(law)
    implant, is_bone = r < implant_mm, r > implant_mm + thick_mm
    paste = ~implant & ~is_bone

    def pick(metal: float, cement_: float, tissue: float) -> NDArray[np.float64]:
        return np.where(implant, metal, np.where(paste, cement_, tissue)).astype(float)

    zero = np.zeros(r.shape)
    state = HeatState(
        spacing_m=(10.0, 10.0, spacing_mm * 1e-3),
        conductivity=r * pick(20.0, mortar.conductivity, bone.conductivity),
        volumetric=r * pick(6000.0 * 400.0, mortar.volumetric, bone.volumetric),
        cement=np.where(paste, r, 0.0),
        perfusion=zero.copy(),
        temperature_c=pick(implant_k, 296.0, 310.0) - 273.15,
        conversion=np.where(paste, what.start, 0.0),
        peak_c=zero.copy(),
        cem43_min=zero.copy(),
        damage=zero.copy(),
        law=what,
        cement_density=mortar.density,
        body_c=310.0 - 273.15,
    )
    # The axis is a face without area; the kernel's faces all lead to body temperature.
    state.conductivity[..., 0] = 0.0
    advance_heat(state, 1200.0)
    beside = int(np.nonzero(is_bone[0, 0])[0][0])
    return float(state.peak_c[0, 0, beside]), float(state.damage[0, 0, beside])


# --- 10: clinic ---------------------------------------------------------------------------------------


def _phantom_vertebra(spacing_mm: float = 1.5) -> BoneField:
    """A synthetic body with shell, basivertebral channel, cortical crack and surroundings."""
    shape = (25, 35, 33)
    grid = Grid.axis_aligned(shape, spacing_mm, [-(m // 2) * spacing_mm for m in shape[::-1]])
    z, y, x = (((np.arange(m) - m // 2) * spacing_mm) for m in shape)
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    rho = np.sqrt((x / 17) ** 2 + ((y + 5) / 13) ** 2)
    body = (rho <= 1) & (np.abs(z) <= 11)
    core = (rho <= 1 - 0.12) & (np.abs(z) <= 11 - 1.6)
    region = np.full(shape, CODES["paravertebral"], np.uint8)
    region[np.broadcast_to((np.abs(z) > 11) & (rho <= 1), shape)] = CODES["disc_above"]
    region[(x**2 + (y - 15) ** 2 <= 49) & (z == z)] = CODES["canal_epidural"]
    region[body], region[core] = CODES["cortex"], CODES["cancellous"]
    channel = body & (np.abs(x) < 2.3) & (np.abs(z) < 2.3) & (y > 0)
    region[channel] = CODES["basivertebral"]
    vein = (np.abs(y + 4) < 1) & (np.abs(z) < 1) & (np.abs(x) > 13) & (np.abs(x) < 22)
    region[vein] = CODES["venous"]
    region[body & ~core & (np.abs(y + 15) < 3.5) & (np.abs(z - 4) < 1.6) & (np.abs(x) < 5)] = CODES["breach"]
    k, porosity, drain, far = (np.zeros(shape, np.float32) for _ in range(4))
    kinds = {
        "paravertebral": "paravertebral",
        "disc_above": "disc",
        "canal_epidural": "canal_epidural",
        "cancellous": "cancellous",
        "venous": "venous",
    }
    for name, kind in kinds.items():
        at, space = region == CODES[name], compartment(kind)
        k[at], porosity[at], drain[at], far[at] = (
            space.permeability_m2,
            space.porosity,
            drain_of(space),
            space.pressure_kpa,
        )
    for name in ("cortex", "basivertebral", "breach"):
        at = region == CODES[name]
        k[at], porosity[at], far[at] = value(f"cement.{name}_permeability_m2"), 0.8, 1.0
    return BoneField(
        grid=grid,
        permeability_m2=np.stack([k, k, k]),
        porosity=porosity,
        region=region,
        drain=drain,
        far_kpa=far,
    )


def clinic(members: int = 32, spacing_mm: float = 1.5) -> list[Check]:
    """10: risk of any leak with high- over low-viscosity cement in a synthetic vertebra, untuned."""
    field = _phantom_vertebra(spacing_mm)
    needle = Needle(tip_mm=np.array([0.0, -9.0, 0.0]), cannula=cannula(11))
    plan = Schedule.simple(volume_ml=6.0, rate_ml_min=3.0, start_min=4.0)
    p = {
        name: run_ensemble(field, (needle,), cement(name), plan, members=members, seed=3)
        .interval["any"]
        .value
        for name in ("low", "high")
    }
    rr = value("cement.bench.viscosity_rr")
    note = (
        f"any leak in {members} synthetic injections each: {100 * p['low']:.0f} % with low, "
        f"{100 * p['high']:.0f} % with high viscosity; meta-analysis {rr}"
    )
    return [
        within(
            10,
            "risk of a leak, high over low viscosity",
            0.2,
            0.6,
            p["high"] / max(p["low"], 1 / members),
            kind="bench",
            note=note,
        )
    ]
