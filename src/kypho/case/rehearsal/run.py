"""A rehearsed case: anatomy, assessment and cannulas become bone, injections and an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kypho.anatomy import Vertebra, build_vertebra
from kypho.case.rehearsal.members import MemberFile
from kypho.case.rehearsal.needles import Lines, drilled, planned_needles, require_in_bone
from kypho.case.rehearsal.settings import NeedleLineMm, RehearseSettings, Scenario
from kypho.case.steps import Stepper
from kypho.cement import BoneField, Inflation, Needle, Rehearsal, Settings, cement, inflate, inject
from kypho.cement.compartments import CODES, INSIDE, LEAK_REGIONS
from kypho.cement.ensemble import CANAL_ROUTES, Ensemble, Member, run_ensemble
from kypho.cement.vertebra import vertebra_field
from kypho.errors import SettingsError
from kypho.evidence import reading, value
from kypho.formats.ct import CtInput
from kypho.formats.labels import LabelsInput
from kypho.fracture import assess_level
from kypho.fracture.regions import DamageRegions, damage_regions

__all__ = [
    "RehearsedCase",
    "RehearsedScenario",
    "prepared",
    "rehearse_case",
    "rehearse_vertebra",
    "visible_from_ml",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class RehearsedScenario:
    """One scenario and what came of it."""

    scenario: Scenario
    lines: tuple[NeedleLineMm, ...]
    bone: BoneField
    result: Rehearsal
    inflations: tuple[Inflation, ...]
    visible_ml: dict[str, float | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class RehearsedCase:
    """All of a rehearsal.

    Attributes:
        damage: wall defects and cleft as the cement met them; None where no assessment was made.
        findings: factor to its state in the assessment.
        resumed: ensemble members that an earlier, interrupted run had finished.
        records: ids of the evidence records that were read on the way.
    """

    level: str
    ct: CtInput | None
    labels: LabelsInput | None
    vertebra: Vertebra
    damage: DamageRegions | None
    findings: Mapping[str, str] = field(default_factory=dict)
    settings: RehearseSettings
    scenarios: tuple[RehearsedScenario, ...]
    ensemble: Ensemble | None
    resumed: int = 0
    notes: tuple[str, ...] = ()
    records: frozenset[str] = frozenset()


def rehearse_case(
    ct: CtInput,
    labels: LabelsInput,
    level: str,
    settings: RehearseSettings,
    step: Stepper,
    *,
    lines: Lines | None = None,
    members: MemberFile | None = None,
    on_member: Callable[[int], None] | None = None,
) -> RehearsedCase:
    """Rehearse one level: model, assessment, needles, then `rehearse_vertebra`.

    Args:
        ct, labels, level: what was read.
        settings: scenarios, grid, ensemble.
        step: marks named steps.
        lines: cannulas by strategy; planned here if not given.
        members: where finished ensemble members are kept against an interruption.
        on_member: called with the number of finished ensemble members.

    Raises:
        LevelError: the level is missing or incomplete.
        SettingsError: a needle's tip outside the bone, no route for the cement, more cement than void.
    """
    with reading() as before:
        with step("vertebra model"):
            vertebra = build_vertebra(ct.volume, labels.labels, level)
        with step("assessment"):
            found = assess_level(ct.volume, labels.labels, vertebra)
            damage = damage_regions(vertebra, found)
        with step("needles"):
            source = lines or planned_needles(vertebra, ct, labels, found, settings)
            chosen = {s.needles: source(s.needles) for s in settings.scenarios}
    result = rehearse_vertebra(
        vertebra,
        [chosen[s.needles][0] for s in settings.scenarios],
        settings,
        step,
        ct=ct,
        labels=labels,
        damage=damage,
        findings={f.factor: f.state for f in found.findings},
        notes=(*dict.fromkeys(note for _, note in chosen.values()), *_of_damage(damage)),
        members=members,
        on_member=on_member,
    )
    return replace(result, records=result.records | before)


def _of_damage(damage: DamageRegions) -> list[str]:
    """What the assessment opened, and what it could not say, in words."""
    notes = []
    if damage.walls.array.any():
        notes.append("the wall defects that the assessment found are open to cement")
    if damage.cleft.array.any():
        notes.append("the cleft that the assessment found is a void")
    if damage.not_assessable:
        names = ", ".join(name.replace("_", " ") for name in damage.not_assessable)
        notes.append(f"not assessable on this scan, so rehearsed as if sound: {names}")
    return notes


def rehearse_vertebra(
    vertebra: Vertebra,
    lines: list[tuple[NeedleLineMm, ...]],
    settings: RehearseSettings,
    step: Stepper,
    *,
    ct: CtInput | None = None,
    labels: LabelsInput | None = None,
    damage: DamageRegions | None = None,
    findings: Mapping[str, str] | None = None,
    notes: tuple[str, ...] = (),
    members: MemberFile | None = None,
    on_member: Callable[[int], None] | None = None,
) -> RehearsedCase:
    """Rehearse with a vertebra at hand and the cannulas of every scenario."""
    for used in lines:
        require_in_bone(vertebra, used)
    with reading() as records:
        with step("injection"):
            done, failed = _scenarios(vertebra, lines, settings, damage)
        ensemble, resumed, again = None, 0, list[str]()
        if settings.members:
            with step("ensemble"):
                ensemble, resumed, again = _ensemble(
                    vertebra, done[0].lines, settings, damage, members, on_member or (lambda _: None)
                )
    return RehearsedCase(
        level=vertebra.level,
        ct=ct,
        labels=labels,
        vertebra=vertebra,
        damage=damage,
        findings=dict(findings or {}),
        settings=settings,
        scenarios=done,
        ensemble=ensemble,
        resumed=resumed,
        notes=(*notes, *failed, *again),
        records=frozenset(records),
    )


def prepared(
    vertebra: Vertebra,
    lines: tuple[NeedleLineMm, ...],
    scenario: Scenario,
    grid_mm: float,
    damage: DamageRegions | None = None,
) -> tuple[BoneField, tuple[Inflation, ...], tuple[Needle, ...]]:
    """The bone as the cement meets it, with the balloons inflated and taken out, and where cement leaves.

    PVP: the cannula lies in place and cement leaves its tip. PKP: a drill goes on to the front of the body
    and the cannula ends two half balloons behind it, which leaves an open channel; a balloon opens a cavity
    around its middle at every needle, and cement leaves there. Two balloons share the room between them.
    """
    holes = {} if damage is None else {"defects": damage.walls, "cleft": damage.cleft}
    if scenario.procedure == "pvp":
        field = vertebra_field(
            vertebra, grid_mm=grid_mm, tracks=tuple(line.track() for line in lines), **holes
        )
        return field, (), tuple(line.needle() for line in lines)
    back = value("cement.balloon.back_mm")
    lines = tuple(drilled(vertebra, line) for line in lines)
    tracks = tuple(line.track(drawn_back_mm=2 * back) for line in lines)
    field = vertebra_field(vertebra, grid_mm=grid_mm, tracks=tracks, **holes)
    volume = min(
        scenario.volume_ml * value("cement.balloon.default_ml") / len(lines),
        value("cement.balloon.max_volume_ml"),
    )
    centres = [line.point(back) for line in lines]
    inflations = []
    for n, centre in enumerate(centres):
        opened = inflate(field, centre, volume, beside_mm=centres[:n] + centres[n + 1 :])
        field = opened.field
        inflations.append(opened)
    return field, tuple(inflations), tuple(line.needle(back) for line in lines)


def _scenarios(
    vertebra: Vertebra,
    lines: list[tuple[NeedleLineMm, ...]],
    settings: RehearseSettings,
    damage: DamageRegions | None,
) -> tuple[tuple[RehearsedScenario, ...], list[str]]:
    """All that can be rehearsed, and why others cannot; without the first there is nothing to compare."""
    done, failed = [], []
    for used, scenario in zip(lines, settings.scenarios, strict=True):
        try:
            done.append(_scenario(vertebra, used, scenario, settings.grid_mm, damage))
        except SettingsError as error:
            if not done:
                raise
            failed.append(f"NOT REHEARSED: {scenario.name}: {error}")
    return tuple(done), failed


def _scenario(
    vertebra: Vertebra,
    lines: tuple[NeedleLineMm, ...],
    scenario: Scenario,
    grid_mm: float,
    damage: DamageRegions | None,
) -> RehearsedScenario:
    field, inflations, needles = prepared(vertebra, lines, scenario, grid_mm, damage)
    result = inject(field, needles, cement(scenario.cement), scenario.schedule(len(lines)), Settings())
    if len(result.injected_ml) == 0:
        limit = value("cement.pressure_limit_kpa")
        raise SettingsError(
            f"no route for the cement of {scenario.name}: {limit:g} kPa at the syringe move nothing; "
            "move the tip, start earlier or take a wider needle"
        )
    return RehearsedScenario(
        scenario=scenario,
        lines=lines if scenario.procedure == "pvp" else tuple(drilled(vertebra, n) for n in lines),
        bone=field,
        result=result,
        inflations=inflations,
        visible_ml=visible_from_ml(field, result),
    )


def _ensemble(
    vertebra: Vertebra,
    lines: tuple[NeedleLineMm, ...],
    settings: RehearseSettings,
    damage: DamageRegions | None,
    members: MemberFile | None,
    on_member: Callable[[int], None],
) -> tuple[Ensemble, int, list[str]]:
    """The ensemble of the first scenario, how many members an earlier run had kept, and notes on those."""
    kept = members.read() if members is not None else []
    resumed = min(len(kept), settings.members)
    notes = []
    if members is not None and members.damaged and len(kept) < settings.members:
        notes.append(
            f"member {len(kept) + 1} of an earlier run was damaged: from there on they are computed again"
        )

    def keep(member: Member) -> None:
        kept.append(member)
        if members is not None:
            members.append(member)
        on_member(len(kept))

    scenario = settings.scenarios[0]
    coarse = max(settings.grid_mm, value("cement.ensemble_grid_mm"))
    field, _, needles = prepared(vertebra, lines, scenario, coarse, damage)
    ensemble = run_ensemble(
        field,
        needles,
        cement(scenario.cement),
        scenario.schedule(len(lines)),
        members=settings.members,
        seed=settings.seed,
        left_of=(vertebra.frame.origin_mm, vertebra.frame.left),
        done=kept[:resumed],
        on_member=keep,
    )
    return ensemble, resumed, notes


def visible_from_ml(bone: BoneField, result: Rehearsal) -> dict[str, float | None]:
    """Injected volume from which cement in the canal shows, per view; None if it never does.

    It shows where the rays of the true lateral (along i) or true AP (along j) pass as much cement in the
    canal as record ``cement.visible_path_mm``, and, on the AP, do not pass more of it in the body before.
    """
    canal = np.isin(bone.region, [CODES[name] for route in CANAL_ROUTES for name in LEAK_REGIONS[route]])
    inside = bone.mask(*INSIDE)
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
