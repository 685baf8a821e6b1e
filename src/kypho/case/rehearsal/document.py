"""rehearsal.json: what came of a rehearsal, as a document with a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kypho.case.document import USE, Part, Point, unconfirmed
from kypho.case.rehearsal.settings import BORES, DEFAULTS, NeedleLineMm
from kypho.evidence import record

if TYPE_CHECKING:
    from kypho.case.rehearsal.run import RehearsedCase, RehearsedScenario
    from kypho.cement.ensemble import Ensemble

__all__ = [
    "ALARMS",
    "BalloonPart",
    "DefaultPart",
    "EnsemblePart",
    "FlowPathsPart",
    "NeedlePart",
    "OutcomePart",
    "ProbabilityPart",
    "RehearsalDocument",
    "ScenarioPart",
    "rehearsal_document",
]

ALARMS = {
    "watch": "cement.dose.watch_cem43_min",
    "nerve": "cement.dose.nerve_cem43_min",
    "cord": "cement.dose.cord_cem43_min",
}
"""The heat doses that the page names beside what was found."""

Quantiles = tuple[float, float, float]
ByRoute = dict[str, float]
MaybeByRoute = dict[str, float | None]


class NeedlePart(Part):
    """One cannula."""

    entry_lps_mm: Point
    tip_lps_mm: Point
    outer_diameter_mm: float
    bore_mm: float


class DefaultPart(Part):
    """A setting that nobody chose, and the record that stands in for it."""

    name: str
    value: float
    unit: str
    record: str
    status: Literal["confirmed", "unconfirmed"]


class FlowPathsPart(Part):
    """Damage that the assessment found and that cement was let into; null where none was made."""

    findings: dict[str, Literal["present", "absent", "not_assessable"]]
    wall_defects_ml: float | None
    cleft_ml: float | None
    not_assessable: list[str]


class ProbabilityPart(Part):
    """Share of the ensemble that leaks, with its 95 % interval."""

    value: float
    interval: tuple[float, float]


class EnsemblePart(Part):
    """The ensemble behind the probabilities."""

    n: int
    seed: int
    resumed: int = Field(description="members that an earlier, interrupted run had finished")


class BalloonPart(Part):
    """What one balloon did."""

    cavity_ml: float
    inflated_ml: float
    pressure_kpa: float
    height_gain_mm: float
    limited: bool


class OutcomePart(Part):
    """What came of one injection. The arrays hold one value per step."""

    injected_ml: float
    stalled: bool = Field(description="the syringe could not press harder; the rest was not injected")
    leaked_ml: ByRoute
    first_leak_ml: MaybeByRoute = Field(description="injected volume at first leak; null: none")
    first_leak_s: MaybeByRoute
    first_leak_kpa: MaybeByRoute
    canal_leak_visible_from_ml: dict[str, float | None]
    pressure_kpa: list[float] = Field(description="at the tip")
    syringe_kpa: list[float]
    at_ml: list[float]
    at_s: list[float]
    fill_fraction: float
    peak_temperature_c: dict[str, float]
    cem43_min: dict[str, float]
    arrhenius_damage: dict[str, float]
    balloon: list[BalloonPart]
    mass_balance_error: float


class ScenarioPart(OutcomePart):
    """One scenario with its outcome."""

    name: str
    procedure: Literal["pkp", "pvp"]
    cement: str
    volume_ml: float
    rate_ml_min: float
    start_min: float
    needles: Literal["best", "unilateral", "bilateral"]
    pauses: list[tuple[float, float]] = Field(description="(mL injected, minutes waited)")
    lines: list[NeedlePart]


class RehearsalDocument(OutcomePart):
    """A rehearsed injection; the outcome is the first scenario's. Research and education only."""

    schema_: Literal["kypho.rehearsal/1"] = Field("kypho.rehearsal/1", alias="schema")
    level: str
    use: str = USE
    basis: str = "every number is an evidence record; most are unconfirmed, see unconfirmed_records"
    ct_sha256: str | None
    labels_sha256: str | None
    grid_mm: float
    defaults: list[DefaultPart]
    needles: list[NeedlePart]
    flow_paths: FlowPathsPart
    p_leak: dict[str, ProbabilityPart] | None
    safe_volume_ml: float | None
    safe_probability: float | None
    p_leak_by_volume: dict[str, list[float]] | None
    first_leak_ml_quantiles: dict[str, Quantiles | None] | None = Field(description="5, 50, 95 %")
    leaked_ml_quantiles: dict[str, Quantiles] | None
    fill_fraction_quantiles: Quantiles | None
    left_fraction_quantiles: Quantiles | None
    drivers: dict[str, float] | None = Field(description="Shapley shares of the ranked canal leak")
    ensemble: EnsemblePart | None
    scenarios: list[ScenarioPart]
    notes: list[str]
    unconfirmed_records: list[str] = Field(description="those that this rehearsal and its page rest on")
    timings_s: dict[str, float]


def rehearsal_document(
    result: RehearsedCase, timings_s: Mapping[str, float], defaults: tuple[str, ...] = ()
) -> RehearsalDocument:
    """rehearsal.json of a result.

    Args:
        result: the rehearsal.
        timings_s: seconds per step.
        defaults: names of `kypho.case.rehearsal.settings.DEFAULTS` that nobody chose.
    """
    first = result.scenarios[0]
    return RehearsalDocument(
        schema="kypho.rehearsal/1",
        level=result.level,
        ct_sha256=result.ct.sha256 if result.ct else None,
        labels_sha256=result.labels.sha256 if result.labels else None,
        grid_mm=result.settings.grid_mm,
        defaults=[_default(name) for name in defaults],
        needles=_needles(first.lines),
        flow_paths=_flow_paths(result),
        **_outcome(first).model_dump(),
        **_of_ensemble(result.ensemble),
        ensemble=EnsemblePart(n=result.ensemble.n, seed=result.ensemble.seed, resumed=result.resumed)
        if result.ensemble
        else None,
        scenarios=[_scenario(done) for done in result.scenarios],
        notes=list(result.notes),
        unconfirmed_records=_unconfirmed(result, defaults),
        timings_s=dict(timings_s),
    )


def _unconfirmed(result: RehearsedCase, defaults: tuple[str, ...]) -> list[str]:
    """What was read on the way, what stood in for choices, what the page compares with."""
    chosen = {DEFAULTS[name] for name in defaults} | {BORES, *ALARMS.values()}
    return unconfirmed(result.records | chosen)


def _default(name: str) -> DefaultPart:
    item = record(DEFAULTS[name])
    return DefaultPart(
        name=name,
        value=float(item.value),  # type: ignore[arg-type]  # these records hold one number
        unit=item.unit,
        record=item.id,
        status=item.status,
    )


def _needles(lines: tuple[NeedleLineMm, ...]) -> list[NeedlePart]:
    return [
        NeedlePart(
            entry_lps_mm=tuple(float(x) for x in line.entry_mm),  # type: ignore[arg-type]  # three numbers
            tip_lps_mm=tuple(float(x) for x in line.tip_mm),  # type: ignore[arg-type]
            outer_diameter_mm=line.outer_mm,
            bore_mm=line.bore_mm,
        )
        for line in lines
    ]


def _flow_paths(result: RehearsedCase) -> FlowPathsPart:
    damage, cell_ml = result.damage, result.vertebra.grid.voxel_mm3 * 1e-3
    return FlowPathsPart(
        findings=dict(result.findings),  # type: ignore[arg-type]  # pydantic checks the states
        wall_defects_ml=None if damage is None else float(damage.walls.array.sum() * cell_ml),
        cleft_ml=None if damage is None else float(damage.cleft.array.sum() * cell_ml),
        not_assessable=[] if damage is None else list(damage.not_assessable),
    )


def _of_ensemble(e: Ensemble | None) -> dict:
    """What the ensemble says; all null without one."""
    names = ("p_leak", "safe_volume_ml", "safe_probability", "p_leak_by_volume", "first_leak_ml_quantiles")
    more = ("leaked_ml_quantiles", "fill_fraction_quantiles", "left_fraction_quantiles", "drivers")
    if e is None:
        return dict.fromkeys((*names, *more))
    return {
        "p_leak": {
            route: ProbabilityPart(value=i.value, interval=(i.low, i.high)) for route, i in e.interval.items()
        },
        "safe_volume_ml": e.safe_volume_ml,
        "safe_probability": e.safe_probability,
        "p_leak_by_volume": {
            "volume_ml": e.volume_ml.tolist(),
            **{route: p.tolist() for route, p in e.p_leak.items()},
        },
        "first_leak_ml_quantiles": e.first_leak_ml,
        "leaked_ml_quantiles": e.leaked_ml,
        "fill_fraction_quantiles": e.fill_fraction,
        "left_fraction_quantiles": e.left_fraction,
        "drivers": e.drivers,
    }


def _scenario(done: RehearsedScenario) -> ScenarioPart:
    return ScenarioPart(
        **_outcome(done).model_dump(),
        **asdict(done.scenario),
        name=done.scenario.name,
        lines=_needles(done.lines),
    )


def _outcome(done: RehearsedScenario) -> OutcomePart:
    r = done.result
    return OutcomePart(
        injected_ml=float(r.injected_ml[-1]),
        stalled=r.stalled,
        leaked_ml={route: float(curve[-1]) for route, curve in r.leaked_ml.items()},
        first_leak_ml=r.first_leak_ml,
        first_leak_s=r.first_leak_s,
        first_leak_kpa=r.first_leak_kpa,
        canal_leak_visible_from_ml=done.visible_ml,
        pressure_kpa=r.tip_kpa.tolist(),
        syringe_kpa=r.syringe_kpa.tolist(),
        at_ml=r.injected_ml.tolist(),
        at_s=r.time_s.tolist(),
        fill_fraction=r.fill_fraction,
        peak_temperature_c=r.peak_temperature_c,
        cem43_min=r.cem43_min,
        arrhenius_damage=r.damage,
        balloon=[
            BalloonPart(
                cavity_ml=i.cavity_ml,
                inflated_ml=i.inflated_ml,
                pressure_kpa=i.pressure_kpa,
                height_gain_mm=i.height_gain_mm,
                limited=i.limited,
            )
            for i in done.inflations
        ],
        mass_balance_error=r.mass_balance_error,
    )
