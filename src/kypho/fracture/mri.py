"""What an MR adds to an assessment: oedema, cleft, canal and cord."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cc3d
import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels, Rigid, Vertebra
from kypho.anatomy.cord import CordProfile, Narrowing
from kypho.anatomy.mr_parts import mr_parts
from kypho.errors import KyphoError
from kypho.evidence import interval, value
from kypho.fracture.findings import Finding, graded, unknown
from kypho.space import Volume, sample_at

__all__ = ["MRI_FACTORS", "MrSignal", "merge_cleft", "mri_findings", "mri_unknown", "read_signal"]

MRI_FACTORS = {
    "bone_oedema": ("1", "body", ("mri.oedema_ratio", "mri.fluid_over_cord", "mri.fat_suppressed_share")),
    "mri_cleft": ("mL", "body", ("mri.cleft_fluid_share", "mri.cleft_void_share", "mri.cleft_ml")),
    "canal_narrowing": ("%", "canal", ("mri.canal_narrowing_percent", "leak.mscc_formula")),
    "cord_compression": ("%", "cord", ("mri.cord_compression_percent", "leak.mscc_formula")),
    "cord_signal": ("1", "cord", ("mri.cord_signal_ratio",)),
}
"""Factors that an assessment with an MR has besides `FACTORS`: unit, place, evidence."""

BALL_MM = 6.0  # numerics: all cancellous bone around the centre of a body
DEEP_MM = 2.0  # numerics: cortex and its partial volume are left out of the body
NEAREST = 4
BESIDE_MM = 12.0  # numerics: half a level; cord signal is compared beyond it
FAR_MM = 40.0  # numerics: about a level and a half up and down
CORE = 0.5  # share of the cord's half depth that counts as its core, away from the fluid around
FEWEST = 20
WINDOW = 5  # stations averaged for the signal of the cord


@dataclass(frozen=True, kw_only=True, eq=False)
class MrSignal:
    """Signal of the tissues by which others are judged.

    Attributes:
        fluid: around the cord beside the level; NaN where none is labelled.
        cord: median of the cord there.
        bodies: mean of a ball in each other body, by level, nearest first.
        body: MR at the points of the level's body, NaN elsewhere, on the vertebra's own grid.
    """

    fluid: float
    cord: float
    bodies: dict[str, float]
    body: NDArray[np.float64]

    @property
    def fluid_bright(self) -> bool:
        """Whether fluid is brighter than cord, as on T2 and STIR."""
        return bool(self.fluid >= value("mri.fluid_over_cord") * self.cord)


def read_signal(mr: Volume, on_mr: Labels, vertebra: Vertebra, motion: Rigid) -> MrSignal:
    """Read the tissues around a level.

    Args:
        mr: the image.
        on_mr: its labels.
        vertebra: model of the level on the CT.
        motion: from the CT to the MR.
    """
    middle = motion.point(vertebra.frame.origin_mm)
    grid = on_mr.volume.grid
    cord = grid.to_world(np.argwhere(on_mr.mask("spinal_cord")))
    fluid = grid.to_world(np.argwhere(on_mr.mask("spinal_canal") & ~on_mr.mask("spinal_cord")))
    near = [p[np.linalg.norm(p - middle, axis=1) < FAR_MM] for p in (fluid, cord)]
    bright, dark = (
        sample_at(mr, p, outside=np.nan) if len(p) >= FEWEST else np.array([np.nan]) for p in near
    )
    inside = vertebra.body & (vertebra.bone_mm.array > DEEP_MM)
    body = np.full(inside.shape, np.nan)
    body[inside] = sample_at(mr, motion.point(vertebra.grid.to_world(np.argwhere(inside))), outside=np.nan)
    return MrSignal(
        # The brighter half: labels of the canal hold fat and partial volume too.
        fluid=float(np.nanpercentile(bright, 75)) if np.isfinite(bright).any() else np.nan,
        cord=float(np.nanmedian(dark)) if np.isfinite(dark).any() else np.nan,
        bodies=_other_bodies(mr, on_mr, vertebra.level, middle),
        body=body,
    )


def _other_bodies(mr: Volume, on_mr: Labels, level: str, middle: NDArray) -> dict[str, float]:
    offset = np.stack(np.meshgrid(*[np.arange(-BALL_MM, BALL_MM + 1)] * 3), axis=-1).reshape(-1, 3)
    ball = offset[np.linalg.norm(offset, axis=1) <= BALL_MM]
    found = {}
    for name in on_mr.levels():
        if name == level:
            continue
        try:
            centre = mr_parts(on_mr, name).frame.origin_mm
        except KyphoError:
            continue  # cut off by the border, or without canal beside it
        signal = sample_at(mr, centre + ball, outside=np.nan)
        if np.isfinite(signal).all():
            found[name] = (float(np.linalg.norm(centre - middle)), float(signal.mean()))
    return {name: mean for name, (_, mean) in sorted(found.items(), key=lambda item: item[1][0])}


def mri_findings(
    mr: Volume,
    on_mr: Labels,
    vertebra: Vertebra,
    motion: Rigid,
    profile: CordProfile,
) -> tuple[Finding, ...]:
    """The findings of `MRI_FACTORS` at a level whose place on the MR is known."""
    signal = read_signal(mr, on_mr, vertebra, motion)
    why = "" if signal.fluid_bright else _not_bright(signal)
    beside = motion.point(vertebra.frame.to_world(np.array([0.0, vertebra.wall.a, 0.0])))
    reach = value("leak.mscc_search_mm")
    finders: dict[str, Callable[[], Finding]] = {
        "bone_oedema": lambda: _oedema(signal, vertebra),
        "mri_cleft": lambda: _cleft(signal, vertebra),
        "canal_narrowing": lambda: _narrowing("canal_narrowing", profile.narrowest("canal", beside, reach)),
        "cord_compression": lambda: _narrowing("cord_compression", profile.narrowest("cord", beside, reach)),
        "cord_signal": lambda: _cord_signal(mr, on_mr, profile, beside),
    }
    by_signal = ("bone_oedema", "mri_cleft", "cord_signal")
    return tuple(
        mri_unknown(factor, why) if why and factor in by_signal else find()
        for factor, find in finders.items()
    )


def mri_unknown(factor: str, why: str) -> Finding:
    """A factor that the MR could not tell, and why."""
    unit, where, evidence = MRI_FACTORS[factor]
    return unknown(factor, unit, where, f"MR: {why}", evidence)


def _not_bright(signal: MrSignal) -> str:
    if not np.isfinite(signal.fluid / signal.cord):
        return "without labels of both cord and canal it is not known whether fluid is bright"
    return (
        f"fluid is only {signal.fluid / signal.cord:.1f} times as bright as the cord (from "
        f"{value('mri.fluid_over_cord'):g}); give a T2 or STIR image"
    )


def _made(factor: str, state: str, measured: float, error: float | None, where: str, how: str) -> Finding:
    unit, _, evidence = MRI_FACTORS[factor]
    return Finding(
        factor=factor,
        state=state,  # type: ignore[arg-type]  # one of the three
        value=round(measured, 2),
        unit=unit,
        uncertainty=None if error is None else round(error, 2),
        where=where,
        how=f"MR: {how}",
        evidence=evidence,
    )


def _oedema(signal: MrSignal, vertebra: Vertebra) -> Finding:
    """Median of the body against the nearest other bodies, as many above as below where there are."""
    others = list(signal.bodies.items())[:NEAREST]
    inside = signal.body[np.isfinite(signal.body)]
    if len(others) < value("mri.fewest_bodies") or len(inside) < FEWEST:
        return mri_unknown("bone_oedema", "too few other bodies on the MR to say what marrow looks like here")
    means = np.array([mean for _, mean in others])
    usual = float(np.median(means))
    ratio = float(np.median(inside)) / usual
    spread = float(np.ptp(means)) / usual / 2
    low, high = interval("mri.oedema_ratio")
    suppressed = usual < value("mri.fat_suppressed_share") * signal.fluid
    names = ", ".join(name for name, _ in others)
    how = f"median signal of the body over that of {names}"
    state = "present" if ratio >= high + spread else "absent" if ratio + spread < low else "not_assessable"
    if state == "not_assessable":
        how += "; too close to the spread among them"
    elif state == "absent" and not suppressed:
        state, how = "not_assessable", f"{how}; fat is not suppressed and may hide it: see STIR"
    return _made("bone_oedema", state, ratio, spread, _brightest_third(signal, vertebra), how)


def _brightest_third(signal: MrSignal, vertebra: Vertebra) -> str:
    z = vertebra.axes_mm[0]
    edges = np.linspace(vertebra.inferior.height_mm, vertebra.superior.height_mm, 4)
    thirds = {
        name: np.nanmedian(signal.body[(z >= a) & (z < b)])
        for name, a, b in zip(("lower", "middle", "upper"), edges[:-1], edges[1:], strict=True)
        if np.isfinite(signal.body[(z >= a) & (z < b)]).any()
    }
    return f"brightest in the {max(thirds, key=lambda n: thirds[n])} third" if thirds else "body"


def _cleft(signal: MrSignal, vertebra: Vertebra) -> Finding:
    """The largest piece as bright as fluid, cut halfway to the marrow's signal, or without signal."""
    usual = float(np.nanmedian(signal.body))
    if usual > value("mri.cleft_fluid_share") * signal.fluid:
        return mri_unknown("mri_cleft", "the whole body is nearly as bright as fluid")
    with np.errstate(invalid="ignore"):
        fluid = signal.body >= (usual + signal.fluid) / 2
        void = signal.body <= value("mri.cleft_void_share") * usual
    fat_dark = usual < value("mri.fat_suppressed_share") * signal.fluid
    least = value("mri.cleft_fluid_share") * signal.fluid
    volumes = {
        "fluid": _largest_ml(fluid, signal.body, vertebra, least),
        "void": 0.0 if fat_dark else _largest_ml(void, signal.body, vertebra, 0.0),
    }
    content = max(volumes, key=lambda name: volumes[name])
    ml, smallest = volumes[content], value("mri.cleft_ml")
    if ml < smallest:
        how = f"no piece of {smallest:g} mL as bright as the fluid around the cord" + (
            "; voids cannot be told in dark marrow" if fat_dark else ", and none without signal"
        )
        return _made("mri_cleft", "absent", 0.0, smallest, "body", how)
    meaning = "bright as fluid" if content == "fluid" else "without signal: gas, cement or dense bone"
    share = value("fracture.uncertainty.volume_percent") / 100
    return _made("mri_cleft", "present", ml, share * ml, f"{content}, inside the body", meaning)


def _largest_ml(
    mask: NDArray[np.bool_], body: NDArray[np.float64], vertebra: Vertebra, least: float
) -> float:
    """Volume of the largest of the pieces whose mean signal reaches a least one."""
    pieces = cc3d.connected_components(mask, connectivity=6).ravel()
    sizes = np.bincount(pieces)
    means = np.bincount(pieces, weights=np.nan_to_num(body.ravel())) / np.maximum(sizes, 1)
    bright = sizes[1:][means[1:] >= least]
    return float(bright.max(initial=0) * vertebra.grid.voxel_mm3 / 1000)


def _narrowing(factor: str, found: Narrowing | None) -> Finding:
    """Compression of the cord, or narrowing of the canal, graded against its limit."""
    what = "cord" if factor == "cord_compression" else "canal"
    limit = value(f"mri.{factor}_percent")
    if found is None:
        return mri_unknown(factor, f"the labels show no {what} at the level")
    if found.percent is None or found.uncertainty_percent is None:
        return mri_unknown(
            factor, f"{what} {found.diameter_mm:.1f} mm deep, but the MR ends before its normal width is seen"
        )
    state = graded(found.percent, limit, found.uncertainty_percent, 0.0)
    how = (
        f"sagittal diameter {found.diameter_mm:.1f} mm ({found.area_mm2:.0f} mm2) at its narrowest, against "
        "the mean of above and below, perpendicular to the canal"
    )
    return _made(factor, state, found.percent, found.uncertainty_percent, what, how)


def _cord_signal(mr: Volume, on_mr: Labels, profile: CordProfile, beside_mm: NDArray) -> Finding:
    """Core of the cord at the level against above and below: fluid around it must not be counted."""
    cord = on_mr.volume.grid.to_world(np.argwhere(on_mr.mask("spinal_cord")))
    station = np.argmin(((cord[:, None, :] - profile.centre_mm[None, ::2]) ** 2).sum(axis=2), axis=1) * 2
    station = np.minimum(station, len(profile.centre_mm) - 1)
    middles = np.full((len(profile.centre_mm), 3), np.nan)
    for n in np.unique(station):
        middles[n] = cord[station == n].mean(axis=0)
    core = np.linalg.norm(cord - middles[station], axis=1) < CORE / 2 * profile.cord_ap_mm[station]
    signal = sample_at(mr, cord, outside=np.nan)
    count = np.bincount(station[core], minlength=len(profile.centre_mm))
    total = np.bincount(station[core], weights=np.nan_to_num(signal[core]), minlength=len(count))
    window = np.ones(WINDOW)
    voxels = np.convolve(count, window, "same")
    with np.errstate(invalid="ignore"):
        mean = np.convolve(total, window, "same") / np.where(voxels >= FEWEST, voxels, np.nan)
    away = np.abs(profile.along_mm - profile.along_mm[profile.station(beside_mm)])
    here = mean[(away <= BESIDE_MM) & np.isfinite(mean)]
    usual = mean[(away > BESIDE_MM) & (away <= FAR_MM) & np.isfinite(mean)]
    if min(len(here), len(usual)) < WINDOW:
        return mri_unknown("cord_signal", "too little of the cord's core is seen at the level or beside it")
    ratio = float(here.max() / np.median(usual))
    low, high = interval("mri.cord_signal_ratio")
    state = "present" if ratio >= high else "absent" if ratio < low else "not_assessable"
    how = "brightest few mm of the cord's core at the level over the median of above and below"
    return _made("cord_signal", state, ratio, float(high - low), "cord", how)


def merge_cleft(ct: Finding, mri: Finding) -> Finding:
    """The finding on a cleft from both: what the CT could not tell, the MR may; the source is named.

    A void on MR may be gas, cement or dense bone, and that the CT tells better. So an MR excludes a cleft
    only where the CT has excluded gas.
    """
    seen = mri.state == "present" and mri.where.startswith("fluid")
    if mri.state == "absent" and not ct.excludes_gas:
        return ct
    if ct.state == "present" or not (
        seen or (ct.state == "not_assessable" and mri.state != "not_assessable")
    ):
        return ct
    if mri.state == "present" and not seen:
        return ct
    return replace(
        mri,
        factor=ct.factor,
        how=f"{mri.how}; source: MR (CT: {ct.state.replace('_', ' ')}, {ct.how})",
        evidence=(*ct.evidence, *mri.evidence),
    )
