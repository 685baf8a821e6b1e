"""Many injections: the uncertain inputs sampled, and what that means for leaks and safe volume.

Inputs are drawn by a scrambled Sobol sequence from the spreads of record ``cement.ensemble``. Every member
is one injection to the largest volume, so its leak history answers for every smaller volume too. What
drives the leaks is told by Shapley shares: the R2 of the ranked canal leak on the ranked inputs, split
among them (Lindeman, Merenda & Gold 1980; Owen 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from math import factorial

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest, norm, qmc, rankdata

from kypho.cement.bone import BoneField
from kypho.cement.compartments import CODES, INSIDE, LEAK_REGIONS
from kypho.cement.inject import inject
from kypho.cement.outcome import first_crossing
from kypho.cement.rheology import Cement
from kypho.cement.schedule import Needle, Schedule, Settings
from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["CANAL_ROUTES", "Ensemble", "Interval", "Member", "run_ensemble", "wilson"]

INPUTS = (
    "permeability",
    "viscosity",
    "marrow",
    "cortex",
    "veins",
    "porosity",
    "start",
    "tip_1",
    "tip_2",
    "tip_3",
)
CANAL_ROUTES = ("canal_epidural", "canal_intradural")
WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A proportion with its 95 % Wilson interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One injection of the ensemble.

    Attributes:
        inputs: standard-normal draw per input.
        injected_ml: volume after each step.
        leaked_ml: route to leaked volume after each step.
        fill_fraction: of the bone's void.
        left_fraction: part of the cement to the left of the needle-side midline, if a plane was given.
        peak_kpa: highest tip pressure.
    """

    inputs: dict[str, float]
    injected_ml: NDArray[np.float64]
    leaked_ml: dict[str, NDArray[np.float64]]
    fill_fraction: float
    left_fraction: float
    peak_kpa: float

    def leaks(self, route: str, volume_ml: float, threshold_ml: float) -> bool:
        """True if this route leaks by the time this much is injected."""
        return bool(self.leak_ml(route, volume_ml) >= threshold_ml)

    def leak_ml(self, route: str, volume_ml: float) -> float:
        """Leaked volume when this much is injected; a stalled injection keeps its last value."""
        return float(
            np.interp(volume_ml, np.append(0, self.injected_ml), np.append(0, self.leaked_ml[route]))
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble:
    """What many injections say together.

    Attributes:
        n, seed: members and seed.
        volume_ml: grid of injected volumes.
        p_leak: route (and "canal", "any") to probability of a leak against `volume_ml`.
        interval: the same with its interval at the full volume.
        safe_volume_ml: largest volume whose canal-leak probability stays below the limit; 0 if none does.
        safe_probability: that limit.
        first_leak_ml: route to the 5, 50 and 95 % quantiles of the injected volume at first leak, among the
            members that leak; None where none does.
        leaked_ml, fill_fraction, left_fraction, peak_kpa: 5, 50 and 95 % quantiles.
        drivers: input to Shapley share of the ranked canal leak; "unexplained" holds the rest. None where
            the leak does not vary.
        members: the injections.
    """

    n: int
    seed: int
    volume_ml: NDArray[np.float64]
    p_leak: dict[str, NDArray[np.float64]]
    interval: dict[str, Interval]
    safe_volume_ml: float
    safe_probability: float
    first_leak_ml: dict[str, tuple[float, float, float] | None]
    leaked_ml: dict[str, tuple[float, float, float]]
    fill_fraction: tuple[float, float, float]
    left_fraction: tuple[float, float, float]
    peak_kpa: tuple[float, float, float]
    drivers: dict[str, float] | None
    members: tuple[Member, ...]


def wilson(hits: int, n: int) -> Interval:
    """A proportion with its 95 % interval (Wilson 1927)."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson")
    return Interval(value=hits / n, low=float(low), high=float(high))


def run_ensemble(
    bone: BoneField,
    needles: tuple[Needle, ...],
    cement: Cement,
    schedule: Schedule,
    settings: Settings | None = None,
    *,
    members: int,
    seed: int = 1,
    left_of: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    done: Sequence[Member] = (),
    on_member: Callable[[Member], None] | None = None,
) -> Ensemble:
    """Run the ensemble on two threads, one injection each.

    Args:
        bone, needles, cement, schedule, settings: as for `kypho.cement.inject.inject`; heat is left out.
        members: how many.
        seed: of the sampling; the same seed gives the same result on any number of threads.
        left_of: LPS point and leftward unit vector of the midline, for the spread across it.
        done: the first members of the same ensemble, where an earlier run was cut short.
        on_member: called with every new member, in order.

    Raises:
        SettingsError: fewer than 2 members.
    """
    if members < 2:
        raise SettingsError(f"an ensemble of {members} has no spread; ask for at least 2 members")
    quiet = replace(settings or Settings(), heat=False, frames=0)
    sampler = qmc.Sobol(len(INPUTS), seed=np.random.default_rng(seed))
    draws = norm.ppf(np.clip(sampler.random(1 << (members - 1).bit_length())[:members], 1e-6, 1 - 1e-6))
    left = None if left_of is None else _left_of(bone, *left_of)

    def one(n: int) -> Member:
        numba.set_num_threads(1)
        return _member(
            bone, needles, cement, schedule, quiet, draws[n], np.random.default_rng([seed, n]), left
        )

    ready = list(done[:members])
    with ThreadPoolExecutor(_workers()) as pool:
        try:
            for member in pool.map(one, range(len(ready), members)):
                ready.append(member)
                if on_member is not None:
                    on_member(member)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _summary(tuple(ready), seed, schedule.volume_ml)


def _workers() -> int:
    """Two, unless numba's threads cannot be entered twice."""
    _touch_threads(np.zeros(2))
    return 1 if numba.threading_layer() == "workqueue" else min(WORKERS, numba.config.NUMBA_NUM_THREADS)


@numba.njit(cache=True, parallel=True)
def _touch_threads(a):  # type: ignore[no-untyped-def]  # starts numba's threads, so that their kind is known
    for n in numba.prange(a.size):
        a[n] += 1.0


def _member(
    bone: BoneField,
    needles: tuple[Needle, ...],
    cement: Cement,
    schedule: Schedule,
    settings: Settings,
    draw: NDArray[np.float64],
    random: np.random.Generator,
    left: NDArray[np.bool_] | None,
) -> Member:
    spread = value("cement.ensemble")
    z = dict(zip(INPUTS, (float(d) for d in draw), strict=True))
    field = _perturbed(bone, z, spread, random)
    tips = tuple(_moved(field, needle, spread["tip_mm"] * draw[-3:]) for needle in needles)
    result = inject(
        field,
        tips,
        cement.scaled(10 ** (spread["viscosity_log10"] * z["viscosity"])),
        replace(schedule, start_min=max(schedule.start_min + spread["start_min"] * z["start"], 0.0)),
        replace(
            settings,
            marrow_pa_s=settings.marrow_pa_s * 10 ** (spread["marrow_log10"] * z["marrow"]),
            marrow_yield_pa=settings.marrow_yield_pa
            * 10 ** (value("cement.marrow_yield_log10") * z["marrow"]),
        ),
    )
    amount = np.asarray(result.cement.array)
    return Member(
        inputs=z,
        injected_ml=result.injected_ml,
        leaked_ml=result.leaked_ml,
        fill_fraction=result.fill_fraction,
        left_fraction=float(amount[left].sum() / amount.sum()) if left is not None else float("nan"),
        peak_kpa=float(result.tip_kpa.max()),
    )


def _perturbed(bone: BoneField, z: dict[str, float], spread: dict, random: np.random.Generator) -> BoneField:
    """The field with its permeabilities and porosity moved, and a random texture in the cancellous bone."""
    soft = bone.mask("cancellous", "posterior_elements")
    hard = bone.mask("cortex", "endplate")
    paths = bone.mask("basivertebral", "venous", "breach", "track", "channel", "cleft")
    k = bone.permeability_m2.copy()
    texture = gaussian_filter(
        random.standard_normal(bone.grid.shape), value("cement.texture_mm") / bone.grid.spacing_mm[0]
    )
    texture *= spread["texture_log10"] / max(float(texture.std()), 1e-12)
    k[:, soft] *= (10 ** (spread["permeability_log10"] * z["permeability"] + texture[soft])).astype(
        np.float32
    )
    k[:, hard] *= np.float32(10 ** (spread["cortex_log10"] * z["cortex"]))
    k[:, paths] *= np.float32(10 ** (spread["vein_log10"] * z["veins"]))
    porosity = bone.porosity.copy()
    porosity[soft] = np.clip(porosity[soft] + spread["porosity"] * z["porosity"], 0.2, 0.98)
    return replace(bone, permeability_m2=k, porosity=porosity)


def _moved(bone: BoneField, needle: Needle, by_mm: NDArray[np.float64]) -> Needle:
    """The needle with its tip displaced, as far as it stays where cement can flow."""
    inside = [CODES[name] for name in INSIDE if name != "breach"]
    for part in (1.0, 0.5, 0.25):
        moved = replace(needle, tip_mm=np.asarray(needle.tip_mm) + part * by_mm)
        try:
            if int(bone.region[moved.cell(bone)]) in inside:
                return moved
        except SettingsError:
            continue
    return needle


def _left_of(bone: BoneField, point_mm: NDArray, left: NDArray) -> NDArray[np.bool_]:
    index = np.indices(bone.grid.shape).reshape(3, -1).T
    offset = (bone.grid.to_world(index) - point_mm) @ left
    return np.asarray(offset > 0).reshape(bone.grid.shape)


def _quantiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)


def _summary(members: tuple[Member, ...], seed: int, volume_ml: float) -> Ensemble:
    threshold, limit = value("cement.leak_threshold_ml"), value("cement.safe_probability")
    volumes = np.linspace(0, volume_ml, 61)
    leak = {
        route: np.array([[m.leaks(route, v, threshold) for v in volumes] for m in members])
        for route in LEAK_REGIONS
    }
    leak["canal"], leak["any"] = (
        np.any([leak[route] for route in routes], axis=0) for routes in (CANAL_ROUTES, LEAK_REGIONS)
    )
    p = {route: hits.mean(axis=0) for route, hits in leak.items()}
    unsafe = np.nonzero(p["canal"] >= limit)[0]
    safe = volumes[-1] if len(unsafe) == 0 else volumes[max(unsafe[0] - 1, 0)]
    first: dict[str, tuple[float, float, float] | None] = {}
    for route in LEAK_REGIONS:
        found = [first_crossing(m.injected_ml, m.leaked_ml[route], threshold) for m in members]
        known = [v for v in found if v is not None]
        first[route] = _quantiles(known) if known else None
    return Ensemble(
        n=len(members),
        seed=seed,
        volume_ml=volumes,
        p_leak=p,
        interval={route: wilson(int(hits[:, -1].sum()), len(members)) for route, hits in leak.items()},
        safe_volume_ml=float(safe),
        safe_probability=limit,
        first_leak_ml=first,
        leaked_ml={
            route: _quantiles([m.leak_ml(route, volume_ml) for m in members]) for route in LEAK_REGIONS
        },
        fill_fraction=_quantiles([m.fill_fraction for m in members]),
        left_fraction=_quantiles([m.left_fraction for m in members]),
        peak_kpa=_quantiles([m.peak_kpa for m in members]),
        drivers=_drivers(members, volume_ml),
        members=members,
    )


def _drivers(members: tuple[Member, ...], volume_ml: float) -> dict[str, float] | None:
    """Shapley shares of the ranked canal leak; the three tip coordinates count as one input."""
    leak = np.array([sum(m.leak_ml(route, volume_ml) for route in CANAL_ROUTES) for m in members])
    if np.ptp(leak) <= 0 or len(members) < 3 * len(INPUTS):
        return None
    y = rankdata(leak)
    names = [*(name for name in INPUTS if not name.startswith("tip")), "tip"]
    columns = {
        name: [
            rankdata([m.inputs[i] for m in members]) for i in INPUTS if i == name or i.startswith(f"{name}_")
        ]
        for name in names
    }
    r2 = {}
    for size in range(len(names) + 1):
        for chosen in combinations(names, size):
            r2[frozenset(chosen)] = _explained([c for name in chosen for c in columns[name]], y)
    shares = {}
    n = len(names)
    for name in names:
        others = [o for o in names if o != name]
        shares[name] = sum(
            factorial(size)
            * factorial(n - size - 1)
            / factorial(n)
            * (r2[frozenset((*chosen, name))] - r2[frozenset(chosen)])
            for size in range(n)
            for chosen in combinations(others, size)
        )
    shares["unexplained"] = 1 - r2[frozenset(names)]
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _explained(columns: list[NDArray], y: NDArray) -> float:
    """R2 of a linear fit."""
    if not columns:
        return 0.0
    design = np.column_stack([np.ones(len(y)), *columns])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(1 - (rest**2).sum() / ((y - y.mean()) ** 2).sum())
