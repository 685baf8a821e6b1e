"""How a plan becomes plan.json."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kypho.anatomy import Vertebra
from kypho.case.document import USE, point, unconfirmed
from kypho.case.plan.run import PlanResult
from kypho.case.plan.schema import (
    PLAN_SCHEMA,
    ApproachPart,
    BalloonPart,
    CertificatePart,
    DepthPart,
    FramePart,
    InputPart,
    NeedlePart,
    PediclePart,
    PlanDocument,
    QualityPart,
    ReasonPart,
    RobustnessPart,
    RulePart,
    StagePart,
    StepPart,
    VertebraPart,
)
from kypho.planning import Approach, Needle, PlanSettings
from kypho.planning.ap_lateral import RuleCheck
from kypho.planning.balloon import BalloonPlan
from kypho.planning.optimum import Certificate
from kypho.planning.robustness import Robustness

__all__ = ["plan_document"]


def plan_document(result: PlanResult, timings_s: dict[str, float]) -> PlanDocument:
    """The document of a plan, with the seconds per step so far."""
    plan, settings = result.plan, result.settings
    balloons = zip(plan.approaches[0].needles, result.balloons, strict=True)
    return PlanDocument(
        schema=PLAN_SCHEMA,
        use=USE,
        level=plan.level,
        input=InputPart(
            ct_sha256=result.ct.sha256,
            labels_sha256=result.labels.sha256,
            spacing_mm=result.ct.volume.grid.spacing_mm,
        ),
        vertebra=_vertebra(result.vertebra),
        approaches=[_approach(a, result.vertebra, settings) for a in plan.approaches],
        recommended=plan.recommended,
        why=plan.why,
        fracture_notes=list(plan.notes),
        balloons=[_balloon(needle, balloon) for needle, balloon in balloons],
        limits_mm=vars(settings.limits),
        unconfirmed=unconfirmed(result.records),
        timings_s=timings_s,
    )


def _approach(approach: Approach, vertebra: Vertebra, settings: PlanSettings) -> ApproachPart:
    return ApproachPart(
        strategy=approach.strategy,
        route=approach.route,
        feasible=approach.feasible,
        acceptable="acceptable" if approach.feasible else "not acceptable",
        p_canal=approach.p_canal,
        reasons=[
            ReasonPart(what=r.what, value=r.value, limit=r.limit, unit=r.unit) for r in approach.reasons
        ],
        needles=[_needle(n, vertebra, settings) for n in approach.needles],
    )


def _balloon(needle: Needle, balloon: BalloonPlan) -> BalloonPart:
    return BalloonPart(
        side=needle.task.side,
        size=balloon.size,
        centre_lps_mm=point(balloon.centre_mm),
        largest_ml=balloon.largest_ml,
        limited_by=balloon.limited_by,
        lift_mm=balloon.lift_mm,
        kyphosis_deg=balloon.kyphosis_deg,
        limit_kpa=balloon.limit_kpa,
        notes=list(balloon.notes),
    )


def _vertebra(vertebra: Vertebra) -> VertebraPart:
    low, high = vertebra.body_box_mm
    frame = vertebra.frame
    return VertebraPart(
        frame_lps=FramePart(
            origin_mm=point(frame.origin_mm),
            left=point(frame.left),
            posterior=point(frame.posterior),
            superior=point(frame.superior),
        ),
        pedicles={
            side: PediclePart(
                isthmus_centre_lps_mm=point(p.isthmus_mm),
                isthmus_width_mm=p.width_mm,
                isthmus_height_mm=p.height_mm,
                transverse_angle_deg=p.transverse_angle_deg,
                sagittal_angle_deg=p.sagittal_angle_deg,
            )
            for side, p in vertebra.pedicles.items()
        },
        body_width_mm=high[0] - low[0],
        body_depth_mm=high[1] - low[1],
        body_height_mm=vertebra.superior.height_mm - vertebra.inferior.height_mm,
        body_volume_ml=vertebra.body_ml,
        body_hu=float(vertebra.hu.array[vertebra.body].mean()),
        quality=[QualityPart(name=c.name, passed=c.passed, reason=c.reason) for c in vertebra.quality],
    )


def _needle(needle: Needle, vertebra: Vertebra, settings: PlanSettings) -> NeedlePart:
    skin = needle.skin_mm
    to_bone = None if skin is None else float(np.linalg.norm(skin - needle.entry_mm))
    return NeedlePart(
        side=needle.task.side,
        route=needle.task.route,
        device=needle.device.name,
        outer_diameter_mm=needle.device.outer_diameter_mm,
        outer_diameter_confirmed=needle.device.confirmed,
        skin_lps_mm=None if skin is None else point(skin),
        skin_to_midline_mm=None if skin is None else abs(float(vertebra.frame.to_local(skin)[0])),
        bone_entry_lps_mm=point(needle.entry_mm),
        tip_lps_mm=point(needle.tip_mm),
        target_lps_mm=point(needle.target_mm),
        target_distance_mm=needle.target_distance_mm,
        past_midline_mm=needle.past_midline_mm,
        margins_mm=dict(needle.margins_mm),
        breach_mm=dict(needle.breach_mm),
        gertzbein_robbins=needle.gertzbein_robbins,
        heary=needle.heary,
        facet_violation=needle.margins_mm.get("bone", 1.0) < 0,
        certificate=_certificate(needle.certificates),
        ap_lateral_rule=_rule(needle.rule),
        robustness=_robustness(needle.robustness, settings),
        depths_mm={
            d.name: DepthPart(
                from_skin_mm=None if to_bone is None else to_bone + d.from_bone_mm,
                from_bone_mm=d.from_bone_mm,
                to_anterior_cortex_mm=d.to_anterior_cortex_mm,
            )
            for d in needle.depths
        },
        angles_deg=dict(needle.angles_deg),
        path_hu=needle.path_hu,
    )


def _rule(rule: RuleCheck) -> RulePart:
    return RulePart(
        compliant=rule.compliant,
        min_margin_mm=rule.min_margin_mm,
        first_violation_mm=rule.first_violation_mm,
        steps=[StepPart(depth_mm=s.depth_mm, ap=s.ap_mm, lateral=s.lateral_mm, ok=s.ok) for s in rule.steps],
    )


def _robustness(shift: Robustness, settings: PlanSettings) -> RobustnessPart:
    return RobustnessPart(
        p_canal=shift.p_canal,
        p_canal_se=shift.standard_error(shift.p_canal),
        p_breach_2mm=shift.p_breach_2mm,
        p_breach_2mm_se=shift.standard_error(shift.p_breach_2mm),
        n=shift.n,
        seed=shift.seed,
        entry_sigma_mm=settings.entry_sigma_mm,
        angle_sigma_deg=settings.angle_sigma_deg,
    )


def _certificate(certificates: Mapping[str, Certificate]) -> CertificatePart:
    """What was proven of the needle; proofs that a larger device does not fit are left out."""
    known = {
        goal: c
        for goal, c in certificates.items()
        if np.isfinite(c.objective_mm) and np.isfinite(c.upper_bound_mm) and not goal.startswith("no_")
    }
    stages = [
        StagePart(
            goal=goal,
            objective_mm=c.objective_mm,
            upper_bound_mm=c.upper_bound_mm,
            gap_mm=c.gap_mm,
            boxes=c.boxes,
        )
        for goal, c in known.items()
    ]
    first = known.get("canal", known.get("room"))
    return CertificatePart(
        objective_mm=None if first is None else first.objective_mm,
        upper_bound_mm=None if first is None else first.upper_bound_mm,
        gap_mm=None if first is None else first.gap_mm,
        stages=stages,
    )
