"""Benchmarks 2 and 9: temperatures in and around a vertebra, measured in specimens and animals.

The papers' abstracts give neither the body's size nor the cement's place nor its kinetics, so every bench
is run over what is open and the range is compared: it agrees if it meets the measured mean within its
standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField
from kypho.cement.compartments import CODES
from kypho.cement.cure import kinetics, syringe_conversion
from kypho.cement.heat import advance_heat, material
from kypho.cement.thermal import ThermalBox
from kypho.cement.validation.check import Check, meets, within
from kypho.evidence import value
from kypho.space import Grid

__all__ = ["canal_heat", "thermal_leak"]

SETS = ("A", "B", "C")
STILL = (False, True)
"""Whether the canal's contents keep the bath from flowing through it: the papers do not say."""


@dataclass(frozen=True, kw_only=True)
class _Specimen:
    """An elliptic body with a canal behind it, a ball of cement inside and a pad of it in the canal."""

    half_mm: tuple[float, float, float]
    porosity: float
    volume_ml: float
    leak_ml: float = 0.0
    behind_mm: float = 0.0
    bath: bool = True
    still_canal: bool = False
    law: str = "B"


@dataclass(frozen=True, kw_only=True)
class _Heated:
    posterior_c: float
    centre_c: float
    foramen_c: float
    canal_c: float
    centre_above_45_s: float


@cache
def _heated(what: _Specimen, spacing_mm: float) -> _Heated:
    """Peak temperatures of twenty minutes."""
    hx, hy, hz = what.half_mm
    n = np.ceil(np.array([hz + 8, hy + 24, hx + 10]) / spacing_mm).astype(int)
    shape = (2 * int(n[0]) + 1, 2 * int(n[1]) + 1, 2 * int(n[2]) + 1)
    z, y, x = ((np.arange(m) - m // 2) * spacing_mm for m in shape)
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    body = ((x / hx) ** 2 + (y / hy) ** 2 <= 1) & (np.abs(z) <= hz)
    canal = (((x / 8) ** 2 + ((y - hy - 6.5) / 6.5) ** 2 <= 1) & (z == z)) & ~body
    box = _box(body, canal, what, spacing_mm)
    around = x**2 + (y - what.behind_mm) ** 2 + z**2
    ball = _nearest(np.where(body, around, np.inf), what.volume_ml / what.porosity, spacing_mm)
    pad = _nearest(np.where(canal, (y - hy) + 0.02 * (x**2 + z**2), np.inf), what.leak_ml, spacing_mm)
    room = value("cement.room_c")
    start = syringe_conversion(kinetics(what.law), room, 240.0)
    box.receive((ball * what.porosity + pad).astype(np.float64), np.full(shape, room), np.full(shape, start))
    sites = {
        "posterior": body & (np.abs(y - hy) < 1.6) & (np.abs(x) < 4) & (np.abs(z) < 5),
        "foramen": ~body & ~canal & (np.abs(y - hy - 3) < 2) & (np.abs(np.abs(x) - 11) < 2) & (np.abs(z) < 6),
        "centre": around < 2.3,
        "canal": canal & (np.abs(z) < hz),
    }
    coarse = {name: box.restrict(mask) for name, mask in sites.items()}
    hot, step = 0.0, 8.0
    for _ in range(150):
        advance_heat(box.state, step)
        at = coarse["centre"] >= coarse["centre"].max()
        hot += step * float(box.state.temperature_c[at].mean() > 45)
    peak = {name: float(box.state.peak_c[m >= 0.5 * m.max()].max()) for name, m in coarse.items()}
    return _Heated(
        posterior_c=peak["posterior"],
        centre_c=peak["centre"],
        foramen_c=peak["foramen"],
        canal_c=peak["canal"],
        centre_above_45_s=hot,
    )


def _box(body: NDArray[np.bool_], canal: NDArray[np.bool_], what: _Specimen, spacing_mm: float) -> ThermalBox:
    """The specimen on the heat grid, in a bath (no blood in the bone) or alive."""
    shape = body.shape
    region = np.full(shape, CODES["paravertebral"], np.uint8)
    region[body], region[canal] = CODES["cancellous"], CODES["canal_epidural"]
    ones = np.ones(shape, np.float32)
    field = BoneField(
        grid=Grid.axis_aligned(shape, spacing_mm, [-(m // 2) * spacing_mm for m in shape[::-1]]),
        permeability_m2=np.stack([ones * np.float32(1e-8)] * 3),
        porosity=np.where(body, np.float32(what.porosity), np.float32(1.0)),
        region=region,
        drain=0 * ones,
        far_kpa=0 * ones,
    )
    flowing = ~body & ~canal if what.still_canal else ~body
    renewed = flowing * value("cement.bench.bath_per_s") * material("fluid").volumetric
    return ThermalBox(field, kinetics(what.law), renewed if what.bath else None)


def _nearest(score: NDArray, volume_ml: float, spacing_mm: float) -> NDArray[np.bool_]:
    """The cells of lowest score that make up a volume."""
    count = round(volume_ml * 1e3 / spacing_mm**3)
    out = np.zeros(score.shape, bool)
    if count:
        out.ravel()[np.argsort(np.ascontiguousarray(score), axis=None, kind="stable")[:count]] = True
    return out


def thermal_leak(spacing_mm: float = 1.0) -> list[Check]:
    """2: porcine vertebrae in a bath, with and without cement in the canal, kinetics A to C."""
    targets, b = value("cement.bench.lai_c"), value("cement.bench.lai_body")
    half = tuple(b["half_mm"])
    note = (
        f"assumed body {2 * half[0]:.0f} x {2 * half[1]:.0f} x {2 * half[2]:.0f} mm, "
        f"{100 * b['porosity']:.0f} % of it fillable, {b['volume_ml']:g} mL inside, {b['leak_ml']:g} leaked; "
        "kinetics A-C, saline in the canal still or flowing"
    )

    def runs(leak_ml: float) -> list[_Heated]:
        return [
            _heated(
                _Specimen(
                    half_mm=half,
                    porosity=b["porosity"],
                    volume_ml=b["volume_ml"],
                    leak_ml=leak_ml,
                    law=law,
                    still_canal=still,
                ),
                spacing_mm,
            )
            for law, still in product(SETS, STILL)
        ]

    inside, leaked = runs(0.0), runs(b["leak_ml"])

    def row(
        name: str, key: str, of: list[_Heated], site: Callable[[_Heated], float], deviations: float
    ) -> Check:
        mean, sd = targets[key]
        return meets(2, name, mean, deviations * sd, [site(run) for run in of], note=note)

    def posterior(run: _Heated) -> float:
        return run.posterior_c

    def centre(run: _Heated) -> float:
        return run.centre_c

    foramen, sd = targets["foramen"]
    rise = [b.posterior_c - a.posterior_c for a, b in zip(inside, leaked, strict=True)]
    return [
        row("posterior cortex without leak, C", "posterior", inside, posterior, 1.0),
        row("posterior cortex with canal leak, C", "posterior_leak", leaked, posterior, 1.0),
        row("centre without leak, C", "centre", inside, centre, 1.5),
        row("centre with leak, C", "centre_leak", leaked, centre, 1.5),
        within(
            2,
            "foramen without leak, hottest of the sets, C",
            -np.inf,
            foramen + 1.5 * sd,
            max(run.foramen_c for run in inside),
            kind="bench",
            note=note,
        ),
        meets(2, "rise of the posterior cortex by the leak, C", 19.1, 8.0, rise, note=note),
        meets(
            2,
            "time above 45 C at the centre, s",
            223.0,
            0.25 * 223.0,
            [run.centre_above_45_s for run in inside],
            note=note,
        ),
    ]


def canal_heat(spacing_mm: float = 1.5) -> list[Check]:
    """9: canal temperatures over volume, kinetics, bone and place of the cement, against those measured."""
    targets, human, goat = (
        value("cement.bench.canal_c"),
        value("cement.bench.human_body"),
        value("cement.bench.goat_body"),
    )
    canal = [
        _heated(
            _Specimen(
                half_mm=tuple(human["half_mm"]),
                porosity=filled,
                volume_ml=volume,
                behind_mm=behind,
                law=law,
                still_canal=still,
            ),
            spacing_mm,
        ).canal_c
        for volume, law, behind, filled, still in product(
            human["volume_ml"], SETS, human["behind_mm"], human["porosity"], STILL
        )
    ]
    alive = [
        _heated(
            _Specimen(
                half_mm=tuple(goat["half_mm"]),
                porosity=goat["porosity"],
                volume_ml=goat["volume_ml"],
                behind_mm=behind,
                bath=False,
                law=law,
            ),
            spacing_mm,
        ).canal_c
        for law, behind in product(SETS, goat["behind_mm"])
    ]
    note = (
        f"assumed body, {len(canal)} combinations of 6-10 mL, kinetics A-C, 75 or 95 % fillable, "
        "cement central or 5 mm behind, saline in the canal still or flowing"
    )
    quantiles = np.quantile(canal, [0.05, 0.95])
    lively = np.quantile(alive, [0.05, 0.95])
    return [
        meets(9, f"{name} canal of 6-10 mL (cadaver), C", measured, 0.05, list(quantiles), note=note)
        for name, measured in zip(("coolest", "hottest"), targets["belkoff"], strict=True)
    ] + [
        meets(9, "hottest canal of 25 vertebrae, C", targets["int_orthop"], 0.05, list(quantiles), note=note),
        meets(
            9,
            "epidural, goat, 0.8 mL, C",
            targets["verlaan"],
            0.05,
            list(lively),
            note="assumed body; the animal's own temperature in the operation is not known, here 37",
        ),
    ]
