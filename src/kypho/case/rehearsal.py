"""A rehearsed case: needles and bone from the anatomy, injections, ensemble, files."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra, build_vertebra
from kypho.case.folder import case_folder, write_json, write_volume
from kypho.case.manifest import manifest
from kypho.cement import (
    BoneField,
    Cannula,
    Inflation,
    Needle,
    Rehearsal,
    Schedule,
    Settings,
    Stage,
    cement,
    inflate,
    inject,
)
from kypho.cement.compartments import CODES, ROUTES
from kypho.cement.ensemble import CANAL_ROUTES, Ensemble, run_ensemble
from kypho.cement.vertebra import Track, vertebra_field
from kypho.errors import SettingsError, UnreadableFileError
from kypho.evidence import all_records, record, value
from kypho.formats.ct import CtInput
from kypho.formats.labels import LabelsInput
from kypho.planning import PlanSettings, plan_level
from kypho.space import Volume

__all__ = [
    "NeedleLineMm",
    "RehearseSettings",
    "RehearsedCase",
    "RehearsedScenario",
    "Scenario",
    "document",
    "needles_of_plan",
    "prepared",
    "rehearse_case",
    "rehearse_vertebra",
    "visible_from_ml",
    "write_rehearsal",
]

SCHEMA = "kypho.rehearsal/1"


Procedure = Literal["pvp", "pkp"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way to inject.

    Raises:
        SettingsError: unknown procedure; volume or rate not positive; start negative.
    """

    procedure: Procedure = "pvp"
    cement: str = "medium"
    volume_ml: float
    rate_ml_min: float
    start_min: float

    def __post_init__(self) -> None:
        if self.procedure not in ("pvp", "pkp"):
            raise SettingsError(f"unknown procedure {self.procedure!r}; choose pvp or pkp")
        self.schedule(1)
        cement(self.cement)

    def schedule(self, needles: int) -> Schedule:
        """The volume shared by the needles, all at once."""
        stage = Stage(volume_ml=self.volume_ml, rate_ml_min=self.rate_ml_min, needles=tuple(range(needles)))
        return Schedule(steps=(stage,), start_min=self.start_min)

    @property
    def name(self) -> str:
        """Short name for tables."""
        return (
            f"{self.procedure.upper()}, {self.cement}, {self.volume_ml:g} mL at {self.rate_ml_min:g} mL/min"
        )


@dataclass(frozen=True, kw_only=True)
class RehearseSettings:
    """Settings of one rehearsal; `scenarios[0]` has the ensemble, up to three more are compared."""

    scenarios: tuple[Scenario, ...]
    grid_mm: float = 0.75  # numerics: three cells across the epidural space
    members: int = 200
    seed: int = 1
    gauge: int = field(default_factory=lambda: value("cement.needle_gauge_default"))

    def __post_init__(self) -> None:
        if not 1 <= len(self.scenarios) <= 4:
            raise SettingsError(f"{len(self.scenarios)} scenarios; give one to four")
        if not 0.3 <= self.grid_mm <= 2.0:
            raise SettingsError(f"grid of {self.grid_mm} mm; choose 0.3 to 2 mm")
        if self.members != 0 and self.members < 2:
            raise SettingsError(f"{self.members} members; give 0 for none or at least 2")


@dataclass(frozen=True, kw_only=True, eq=False)
class NeedleLineMm:
    """A cannula as a line: bone entry and tip, LPS mm, and its outer diameter."""

    entry_mm: NDArray[np.float64]
    tip_mm: NDArray[np.float64]
    outer_mm: float
    bore_mm: float

    @property
    def track(self) -> Track:
        """Its way through the bone."""
        return Track(entry_mm=self.entry_mm, tip_mm=self.tip_mm, radius_mm=self.outer_mm / 2)

    @property
    def needle(self) -> Needle:
        """Its end, for the injection."""
        length = value("cement.cannula.length_mm")
        return Needle(tip_mm=self.tip_mm, cannula=Cannula(bore_mm=self.bore_mm, length_mm=length))


@dataclass(frozen=True, kw_only=True, eq=False)
class RehearsedScenario:
    """One scenario and what came of it."""

    scenario: Scenario
    bone: BoneField
    result: Rehearsal
    inflations: tuple[Inflation, ...]
    visible_ml: dict[str, float | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class RehearsedCase:
    """All of a rehearsal."""

    level: str
    ct: CtInput | None
    labels: LabelsInput | None
    vertebra: Vertebra
    lines: tuple[NeedleLineMm, ...]
    settings: RehearseSettings
    scenarios: tuple[RehearsedScenario, ...]
    ensemble: Ensemble | None
    notes: tuple[str, ...]


def needles_of_plan(folder: Path, settings: RehearseSettings) -> tuple[NeedleLineMm, ...]:
    """The needles of a plan's first approach.

    Raises:
        UnreadableFileError: no readable plan.json in the folder.
    """
    path = Path(folder) / "plan.json"
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        best = plan["approaches"][plan["recommended"] or 0]
        points = [(n["bone_entry_lps_mm"], n["tip_lps_mm"], n["outer_diameter_mm"]) for n in best["needles"]]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise UnreadableFileError(
            f"{path.name} in {folder} is no plan ({error}); run kypho plan first"
        ) from None
    bore = _bore(settings)
    return tuple(
        NeedleLineMm(entry_mm=np.array(a), tip_mm=np.array(b), outer_mm=float(d), bore_mm=min(bore, float(d)))
        for a, b, d in points
    )


def _bore(settings: RehearseSettings) -> float:
    bores = value("cement.cannula.bore_mm")
    if str(settings.gauge) not in bores:
        raise SettingsError(f"no bore known for gauge {settings.gauge}; choose one of: {', '.join(bores)}")
    return float(bores[str(settings.gauge)])


def rehearse_case(
    ct: CtInput,
    labels: LabelsInput,
    level: str,
    settings: RehearseSettings,
    step: Callable[[str], AbstractContextManager[None]],
    *,
    lines: tuple[NeedleLineMm, ...] | None = None,
    on_member: Callable[[int], None] | None = None,
) -> RehearsedCase:
    """Rehearse one level.

    Args:
        ct, labels, level: what was read.
        settings: scenarios, grid, ensemble.
        step: marks named steps.
        lines: cannulas; planned here if not given.
        on_member: called with the number of finished ensemble members.
    """
    notes: list[str] = []
    with step("vertebra model"):
        vertebra = build_vertebra(ct.volume, labels.labels, level)
    with step("needles"):
        if lines is None:
            lines, note = _planned(vertebra, ct, labels, settings)
            notes.append(note)
    return rehearse_vertebra(
        vertebra, lines, settings, step, ct=ct, labels=labels, notes=tuple(notes), on_member=on_member
    )


def _planned(
    vertebra: Vertebra, ct: CtInput, labels: LabelsInput, settings: RehearseSettings
) -> tuple[tuple[NeedleLineMm, ...], str]:
    plan = plan_level(vertebra, ct.volume, labels.labels, PlanSettings())
    best = plan.approaches[plan.recommended or 0]
    bore = _bore(settings)
    lines = tuple(
        NeedleLineMm(
            entry_mm=n.entry_mm,
            tip_mm=n.tip_mm,
            outer_mm=2 * n.device.radius_mm,
            bore_mm=min(bore, 2 * n.device.radius_mm),
        )
        for n in best.needles
    )
    standing = (
        "the recommended approach" if plan.recommended is not None else "a nearest miss, NOT ACCEPTABLE"
    )
    return lines, f"needles planned here: {best.strategy.replace('_', ' ')}, {best.route}, {standing}"


def rehearse_vertebra(
    vertebra: Vertebra,
    lines: tuple[NeedleLineMm, ...],
    settings: RehearseSettings,
    step: Callable[[str], AbstractContextManager[None]],
    *,
    ct: CtInput | None = None,
    labels: LabelsInput | None = None,
    notes: tuple[str, ...] = (),
    on_member: Callable[[int], None] | None = None,
) -> RehearsedCase:
    """Rehearse with a vertebra and cannulas already at hand."""
    with step("injection"):
        done = tuple(
            _scenario(vertebra, lines, scenario, settings.grid_mm) for scenario in settings.scenarios
        )
    ensemble = None
    if settings.members:
        with step("ensemble"):
            ensemble = _ensemble(vertebra, lines, settings, on_member)
    return RehearsedCase(
        level=vertebra.level,
        ct=ct,
        labels=labels,
        vertebra=vertebra,
        lines=lines,
        settings=settings,
        scenarios=done,
        ensemble=ensemble,
        notes=notes,
    )


def prepared(
    vertebra: Vertebra, lines: tuple[NeedleLineMm, ...], scenario: Scenario, grid_mm: float
) -> tuple[BoneField, tuple[Inflation, ...], tuple[Needle, ...]]:
    """The bone as the cement meets it.

    PVP: the cannula lies in place and cement leaves its tip. PKP: the cannula is drawn back by two
    half balloons, a balloon opens a cavity at every needle, and cement leaves in its middle.
    """
    if scenario.procedure == "pvp":
        field = vertebra_field(vertebra, grid_mm=grid_mm, tracks=tuple(line.track for line in lines))
        return field, (), tuple(line.needle for line in lines)
    back = value("cement.balloon.back_mm")
    ways = [(line.tip_mm - line.entry_mm) / np.linalg.norm(line.tip_mm - line.entry_mm) for line in lines]
    drawn = tuple(
        replace(line.track, tip_mm=line.tip_mm - 2 * back * way)
        for line, way in zip(lines, ways, strict=True)
    )
    field = vertebra_field(vertebra, grid_mm=grid_mm, tracks=drawn)
    inflations, needles = [], []
    volume = min(
        scenario.volume_ml * value("cement.balloon.default_ml") / len(lines),
        value("cement.balloon.max_volume_ml"),
    )
    for line, way in zip(lines, ways, strict=True):
        centre = line.tip_mm - back * way
        opened = inflate(field, centre, volume)
        field = opened.field
        inflations.append(opened)
        needles.append(replace(line.needle, tip_mm=centre))
    return field, tuple(inflations), tuple(needles)


def _scenario(
    vertebra: Vertebra, lines: tuple[NeedleLineMm, ...], scenario: Scenario, grid_mm: float
) -> RehearsedScenario:
    field, inflations, needles = prepared(vertebra, lines, scenario, grid_mm)
    result = inject(field, needles, cement(scenario.cement), scenario.schedule(len(lines)), Settings())
    return RehearsedScenario(
        scenario=scenario,
        bone=field,
        result=result,
        inflations=inflations,
        visible_ml=visible_from_ml(field, result),
    )


def _ensemble(
    vertebra: Vertebra,
    lines: tuple[NeedleLineMm, ...],
    settings: RehearseSettings,
    on_member: Callable[[int], None] | None,
) -> Ensemble:
    scenario = settings.scenarios[0]
    coarse = max(settings.grid_mm, value("cement.ensemble_grid_mm"))
    field, _, needles = prepared(vertebra, lines, scenario, coarse)
    return run_ensemble(
        field,
        needles,
        cement(scenario.cement),
        scenario.schedule(len(lines)),
        members=settings.members,
        seed=settings.seed,
        left_of=(vertebra.frame.origin_mm, vertebra.frame.left),
        on_member=on_member,
    )


def visible_from_ml(bone: BoneField, result: Rehearsal) -> dict[str, float | None]:
    """Injected volume from which cement in the canal shows, per view; None if it never does.

    It shows where the rays of the true lateral (along i) or true AP (along j) pass as much cement in the
    canal as record ``cement.visible_path_mm``, and, on the AP, do not pass more of it in the body before.
    """
    canal = np.isin(bone.region, [CODES[name] for route in CANAL_ROUTES for name in ROUTES[route]])
    inside = bone.mask("cancellous", "cavity", "basivertebral", "track", "breach")
    least = value("cement.visible_path_mm")
    seen: dict[str, float | None] = {"lateral": None, "ap": None}
    for frame in result.frames:
        amount = frame.saturation.astype(np.float32) / 255 * bone.porosity
        for view, axis in (("lateral", 2), ("ap", 1)):
            if seen[view] is not None:
                continue
            path = (amount * canal).sum(axis=axis) * bone.grid.spacing_mm[axis]
            behind = (amount * inside).sum(axis=axis) * bone.grid.spacing_mm[axis]
            # On the AP the body's own cement lies in the same rays and hides what is behind it.
            shows = path >= least if view == "lateral" else (path >= least) & (path >= behind)
            if shows.any():
                seen[view] = frame.injected_ml
    return seen


def document(result: RehearsedCase, timings_s: dict[str, float]) -> dict[str, Any]:
    """rehearsal.json, schema kypho.rehearsal/1."""
    first = result.scenarios[0]
    r, e = first.result, result.ensemble
    return {
        "schema": SCHEMA,
        "level": result.level,
        "use": "research and education; not a medical device",
        "basis": "every number is an evidence record; most are unconfirmed, see the report",
        "notes": list(result.notes),
        "settings": asdict(result.settings),
        "needles": [
            {
                "entry_lps_mm": line.entry_mm.tolist(),
                "tip_lps_mm": line.tip_mm.tolist(),
                "outer_diameter_mm": line.outer_mm,
                "bore_mm": line.bore_mm,
            }
            for line in result.lines
        ],
        **_outcome(first),
        "p_leak": {k: asdict(i) | {"interval": [i.low, i.high]} for k, i in e.interval.items()}
        if e
        else None,
        "safe_volume_ml": e.safe_volume_ml if e else None,
        "safe_probability": e.safe_probability if e else None,
        "p_leak_by_volume": {
            "volume_ml": e.volume_ml.tolist(),
            **{k: p.tolist() for k, p in e.p_leak.items()},
        }
        if e
        else None,
        "first_leak_ml_quantiles": e.first_leak_ml if e else None,
        "leaked_ml_quantiles": e.leaked_ml if e else None,
        "fill_fraction_quantiles": e.fill_fraction if e else None,
        "left_fraction_quantiles": e.left_fraction if e else None,
        "drivers": e.drivers if e else None,
        "ensemble": {"n": e.n, "seed": e.seed} if e else None,
        "mass_balance_error": r.mass_balance_error,
        "scenarios": [
            {"name": s.scenario.name, **asdict(s.scenario), **_outcome(s)} for s in result.scenarios
        ],
        "timings_s": timings_s,
        "unconfirmed_records": sorted(
            k for k in all_records() if k.startswith("cement.") and not record(k).confirmed
        ),
    }


def _outcome(done: RehearsedScenario) -> dict[str, Any]:
    r = done.result
    return {
        "injected_ml": float(r.injected_ml[-1]) if len(r.injected_ml) else 0.0,
        "stalled": r.stalled,
        "leaked_ml": {route: float(v[-1]) for route, v in r.leaked_ml.items()},
        "first_leak_ml": r.first_leak_ml,
        "first_leak_s": r.first_leak_s,
        "first_leak_kpa": r.first_leak_kpa,
        "canal_leak_visible_from_ml": done.visible_ml,
        "pressure_kpa": r.tip_kpa.tolist(),
        "syringe_kpa": r.syringe_kpa.tolist(),
        "at_ml": r.injected_ml.tolist(),
        "fill_fraction": r.fill_fraction,
        "peak_temperature_c": r.peak_temperature_c,
        "cem43_min": r.cem43_min,
        "arrhenius_damage": r.damage,
        "balloon": [
            {
                "cavity_ml": i.cavity_ml,
                "inflated_ml": i.inflated_ml,
                "pressure_kpa": i.pressure_kpa,
                "height_gain_mm": i.height_gain_mm,
                "limited": i.limited,
            }
            for i in done.inflations
        ],
    }


def write_rehearsal(
    result: RehearsedCase,
    out: Path,
    timings_s: dict[str, float],
    step: Callable[[str], AbstractContextManager[None]],
    render: Callable[[RehearsedCase, dict[str, Any], Path], None] | None = None,
) -> dict[str, Any]:
    """Write rehearsal.json, fields and report; all of it or nothing.

    Args:
        result: the rehearsal.
        out: the case folder.
        timings_s: seconds per step so far; grows while this runs.
        step: marks named steps.
        render: writes the report into a folder; the report layer provides it.

    Raises:
        OutputError: the folder cannot be written.
    """
    with case_folder(out) as staging:
        if render is not None:
            with step("report"):
                render(result, document(result, timings_s), staging)
        with step("files"):
            first = result.scenarios[0].result
            write_volume(staging / "cement.nii.gz", first.cement)
            if first.peak is not None:
                write_volume(staging / "temperature_peak.nii.gz", first.peak)
            region = Volume(array=result.scenarios[0].bone.region, grid=first.cement.grid, unit="label")
            write_volume(staging / "compartments.nii.gz", region)
        content = document(result, timings_s)
        write_json(staging / "rehearsal.json", content)
        digests = {}
        if result.ct is not None and result.labels is not None:
            digests = {"ct": result.ct.sha256, "labels": result.labels.sha256}
        write_json(
            staging / "rehearsal-manifest.json",
            manifest(
                command="rehearse",
                inputs=digests,
                settings=asdict(result.settings) | {"level": result.level},
                timings_s=timings_s,
                outputs=[p for p in staging.rglob("*") if p.is_file()],
                folder=staging,
                notes=result.notes,
            ),
        )
    return content
