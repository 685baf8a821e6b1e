"""The report of a puncture plan: figures and one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kypho.case.assessment.document import assessment_document
from kypho.case.plan.run import PlanResult
from kypho.case.plan.schema import PlanDocument
from kypho.evidence import record, value
from kypho.planning import Limits
from kypho.report.assessment import headline
from kypho.report.assessment_figures import body_figure
from kypho.report.html import embed, own_and_others, render_page, save_figure
from kypho.report.plan_figures import rule_figure, sections_figure, steps_figure

__all__ = ["changed_limits", "render_plan"]

OWN_RECORDS = ("plan", "device", "balloon")
"""Families of records listed one by one; those of the assessment and the views are counted."""
RULES = ("plan.rule.ap_lateral", "plan.gertzbein_robbins_mm")
"""Confirmed records that the page speaks of."""
HEARY = {
    "I": "contained in the bone",
    "II": "out of the bone laterally or above",
    "III": "out of the bone in front",
    "IV": "out of the bone medially or below",
    "V": "in the canal",
}
"""What `kypho.planning.needle.heary` means."""


def render_plan(result: PlanResult, document: PlanDocument, folder: Path) -> None:
    """Write figures/*.png and report.html into a folder."""
    approach = result.plan.approaches[0]
    figures = {"sections": sections_figure(result, approach), "rule": rule_figure(result, approach)}
    for needle in approach.needles:
        figures[f"steps_{needle.task.side}"] = steps_figure(result, needle, approach.feasible)
    assessed = result.assessed
    figures["body"] = body_figure(assessed.vertebra, assessed.assessment)
    assessment = assessment_document(assessed)
    files = {
        name: save_figure(figure, folder / "figures" / f"{name}.png") for name, figure in figures.items()
    }
    level = document.level
    own, others = own_and_others(document.unconfirmed, OWN_RECORDS)
    render_page(
        "plan.html",
        folder / "report.html",
        plan=document,
        best=document.approaches[0],
        others_fit=[a for a in document.approaches[1:] if a.feasible],
        hand=result.settings,
        changed=changed_limits(result.settings.limits),
        heary=HEARY,
        assessment=assessment,
        headline=headline(assessment),
        figures={name: embed(path) for name, path in files.items()},
        evidence=[*own, *(record(key) for key in RULES)],
        others=others,
        norms={
            key: value(f"norm.pedicle.{key}").get(level, "not given")
            for key in ("width_mm", "transverse_angle_deg")
        },
        notes=[*result.ct.notes, *result.labels.notes],
        enough_mm=result.settings.enough_canal_mm,
        synthetic=result.ct.synthetic,
    )


def changed_limits(limits: Limits) -> list[dict[str, Any]]:
    """Every limit that is not the default: name, value, default and the default's record."""
    usual = vars(Limits())
    return [
        {
            "name": name.removesuffix("_mm").replace("_", " "),
            "mm": mm,
            "usual_mm": usual[name],
            # One record stands for both endplates.
            "record": record("plan.limit.endplate_mm" if "endplate" in name else f"plan.limit.{name}"),
        }
        for name, mm in vars(limits).items()
        if mm != usual[name]
    ]
