"""The cannulas of a rehearsal: given, from a plan's folder, or planned on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kypho.anatomy import Vertebra
from kypho.case.plan.read import read_plan
from kypho.case.plan.schema import ApproachPart, InputPart, NeedlePart
from kypho.case.rehearsal.choices import STRATEGY, Strategy
from kypho.case.rehearsal.settings import NeedleLineMm, RehearseSettings
from kypho.errors import SettingsError
from kypho.evidence import value
from kypho.formats.ct import CtInput
from kypho.formats.labels import LabelsInput
from kypho.fracture import Assessment
from kypho.planning import PlanSettings, plan_level
from kypho.planning.balloon import drilled_tip_mm
from kypho.planning.devices import device
from kypho.planning.fractured import considerations_of
from kypho.space import sample_at

__all__ = ["Lines", "drilled", "given_needles", "needles_of_plan", "planned_needles", "require_in_bone"]

FARTHEST_MM = 1e5  # numerics: no scanner's frame lies so far from its origin

Lines = Callable[[Strategy], tuple[tuple[NeedleLineMm, ...], str]]
"""Strategy to its cannulas and a note on where they come from."""


def given_needles(points: Sequence[str], settings: RehearseSettings) -> Lines:
    """Cannulas written as "L,P,S:L,P,S": bone entry and tip in LPS mm.

    Raises:
        SettingsError: not two points of three finite numbers.
    """
    gauge = settings.gauge or value("cement.needle_gauge_default")
    outer = device(f"{gauge}G").outer_diameter_mm
    lines = []
    for text in points:
        try:
            ends = np.array([[float(x) for x in point.split(",")] for point in text.split(":")])
        except ValueError:
            ends = np.zeros(0)
        # The comparison is False for NaN too.
        if ends.shape != (2, 3) or not np.all(np.abs(ends) < FARTHEST_MM) or np.allclose(ends[0], ends[1]):
            raise SettingsError(
                f"--needle {text!r}: give entry and tip as L,P,S:L,P,S in mm, two different points"
            )
        bore = min(settings.bore_mm(), outer)
        lines.append(NeedleLineMm(entry_mm=ends[0], tip_mm=ends[1], outer_mm=outer, bore_mm=bore))

    def chosen(strategy: Strategy) -> tuple[tuple[NeedleLineMm, ...], str]:
        if strategy == "unilateral":
            return tuple(lines[:1]), "the first needle given"
        if strategy == "bilateral" and len(lines) != 2:
            raise SettingsError(f"bilateral needs two --needle, {len(lines)} given; add one or plan them")
        return tuple(lines), f"{len(lines)} needle{'s' if len(lines) > 1 else ''} given"

    return chosen


def needles_of_plan(path: Path, settings: RehearseSettings) -> tuple[Lines, InputPart, str]:
    """The cannulas of a plan.json or its folder, what it was made on, and its level.

    Raises:
        UnreadableFileError: no readable plan there.
    """
    plan = read_plan(path)
    first: dict[str, ApproachPart] = {STRATEGY: plan.approaches[plan.recommended or 0]}
    for approach in plan.approaches:
        first.setdefault(approach.strategy.split("_")[0], approach)

    def chosen(strategy: Strategy) -> tuple[tuple[NeedleLineMm, ...], str]:
        if strategy not in first:
            raise SettingsError(f"the plan in {path} has no {strategy} approach; plan it first")
        approach = first[strategy]
        standing = "" if approach.feasible else ", NOT ACCEPTABLE"
        name = approach.strategy.replace("_", " ")
        lines = tuple(_line(needle, settings) for needle in approach.needles)
        return lines, f"needles of the plan: {name}, {approach.route}{standing}"

    return chosen, plan.input, plan.level


def _line(needle: NeedlePart, settings: RehearseSettings) -> NeedleLineMm:
    return NeedleLineMm(
        entry_mm=np.array(needle.bone_entry_lps_mm),
        tip_mm=np.array(needle.tip_lps_mm),
        outer_mm=needle.outer_diameter_mm,
        bore_mm=min(settings.bore_mm(needle.device), needle.outer_diameter_mm),
    )


def planned_needles(
    vertebra: Vertebra,
    ct: CtInput,
    labels: LabelsInput,
    found: Assessment,
    settings: RehearseSettings,
) -> Lines:
    """Cannulas planned when they are asked for, with what the assessment found."""

    def chosen(strategy: Strategy) -> tuple[tuple[NeedleLineMm, ...], str]:
        wanted = PlanSettings(strategy="auto" if strategy == "best" else strategy)
        plan = plan_level(vertebra, ct.volume, labels.labels, wanted, considerations_of(found))
        best = plan.approaches[plan.recommended or 0]
        lines = tuple(
            NeedleLineMm(
                entry_mm=n.entry_mm,
                tip_mm=n.tip_mm,
                outer_mm=2 * n.device.radius_mm,
                bore_mm=min(settings.bore_mm(n.device.name), 2 * n.device.radius_mm),
            )
            for n in best.needles
        )
        standing = (
            "the recommended approach" if plan.recommended is not None else "a nearest miss, NOT ACCEPTABLE"
        )
        return lines, f"needles planned here: {best.strategy.replace('_', ' ')}, {best.route}, {standing}"

    return chosen


def drilled(vertebra: Vertebra, line: NeedleLineMm) -> NeedleLineMm:
    """The way of a kyphoplasty's drill, which goes on along the cannula (see `drilled_tip_mm`)."""
    return replace(line, tip_mm=drilled_tip_mm(vertebra, line.entry_mm, line.tip_mm))


def require_in_bone(vertebra: Vertebra, lines: Sequence[NeedleLineMm]) -> None:
    """Raise unless every tip lies inside this vertebra's bone.

    Raises:
        SettingsError: a tip lies outside; the message says where and by how much.
    """
    for line in lines:
        where = f"needle tip {np.round(line.tip_mm, 1).tolist()} (LPS mm)"
        depth = float(sample_at(vertebra.bone_mm, line.tip_mm, outside=float("-inf")))
        if not np.isfinite(depth):
            raise SettingsError(f"{where} lies far outside {vertebra.level}; give points of this level")
        if depth <= 0:
            canal = float(sample_at(vertebra.canal_mm, line.tip_mm, outside=-1.0)) > 0
            place = "in the spinal canal, outside" if canal else f"{-depth:.1f} mm outside"
            raise SettingsError(f"{where} lies {place} the bone of {vertebra.level}; move it into the body")
