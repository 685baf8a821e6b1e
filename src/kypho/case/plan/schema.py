"""The schema of plan.json (`kypho.plan/1`): what a puncture plan says, part by part."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kypho.case.document import Number, Part, Point

__all__ = [
    "PLAN_SCHEMA",
    "ApproachPart",
    "BalloonPart",
    "CertificatePart",
    "DepthPart",
    "FramePart",
    "InputPart",
    "NeedlePart",
    "PediclePart",
    "PlanDocument",
    "QualityPart",
    "ReasonPart",
    "RobustnessPart",
    "RulePart",
    "StagePart",
    "StepPart",
    "VertebraPart",
]

PLAN_SCHEMA: Literal["kypho.plan/1"] = "kypho.plan/1"


class InputPart(Part):
    """The CT and the labels that were planned on."""

    ct_sha256: str
    labels_sha256: str | None = Field(default=None, description="null in plans made before it was recorded")
    spacing_mm: Point = Field(description="voxel spacing along slice, row, column (k, j, i)")


class FramePart(Part):
    """The anatomical frame in LPS: origin at the body's centre, unit axes."""

    origin_mm: Point
    left: Point
    posterior: Point
    superior: Point


class PediclePart(Part):
    """One pedicle at its isthmus."""

    isthmus_centre_lps_mm: Point
    isthmus_width_mm: Number
    isthmus_height_mm: Number
    transverse_angle_deg: Number = Field(description="positive towards the midline on the way forwards")
    sagittal_angle_deg: Number = Field(description="positive towards the feet on the way forwards")


class QualityPart(Part):
    """One check of the label."""

    name: str
    passed: bool
    reason: str


class VertebraPart(Part):
    """The vertebra model in numbers."""

    frame_lps: FramePart
    pedicles: dict[Literal["left", "right"], PediclePart]
    body_width_mm: Number
    body_depth_mm: Number
    body_height_mm: Number
    body_volume_ml: Number
    body_hu: Number = Field(description="mean attenuation of the body")
    quality: list[QualityPart]


class ReasonPart(Part):
    """What an approach misses."""

    what: str
    value: Number
    limit: Number
    unit: str


class StagePart(Part):
    """One goal of the lexicographic search with its proof."""

    goal: str
    objective_mm: Number
    upper_bound_mm: Number
    gap_mm: Number
    boxes: int


class CertificatePart(Part):
    """The canal margin reached (up to "enough"), the proven bound over all needles, and their gap.

    Null where no needle of the corridor respects the rule and the stop before the anterior wall.
    """

    objective_mm: Number | None
    upper_bound_mm: Number | None
    gap_mm: Number | None
    stages: list[StagePart]


class StepPart(Part):
    """The tip at one depth on both views."""

    depth_mm: Number
    ap: Number = Field(description="mm lateral of the pedicle's medial border on AP; negative: medial of it")
    lateral: Number = Field(description="mm in front of the posterior wall on lateral; negative: behind it")
    ok: bool


class RulePart(Part):
    """The AP/lateral rule along the needle."""

    compliant: bool
    min_margin_mm: Number
    first_violation_mm: Number | None
    steps: list[StepPart]


class RobustnessPart(Part):
    """Displaced needles."""

    p_canal: Number
    p_canal_se: Number
    p_breach_2mm: Number
    p_breach_2mm_se: Number
    n: int
    seed: int
    entry_sigma_mm: Number
    angle_sigma_deg: Number


class DepthPart(Part):
    """A mark on the needle."""

    from_skin_mm: Number | None
    from_bone_mm: Number
    to_anterior_cortex_mm: Number


class NeedlePart(Part):
    """One needle."""

    side: Literal["left", "right"]
    route: Literal["transpedicular", "extrapedicular"]
    device: str
    outer_diameter_mm: Number
    outer_diameter_confirmed: bool
    skin_lps_mm: Point | None
    skin_to_midline_mm: Number | None
    bone_entry_lps_mm: Point
    tip_lps_mm: Point
    target_lps_mm: Point
    target_distance_mm: Number
    past_midline_mm: Number
    margins_mm: dict[str, Number]
    breach_mm: dict[str, Number]
    gertzbein_robbins: str
    heary: str
    facet_violation: bool = Field(description="the shaft touches another vertebra's bone")
    certificate: CertificatePart
    ap_lateral_rule: RulePart
    robustness: RobustnessPart
    depths_mm: dict[str, DepthPart]
    angles_deg: dict[str, Number]
    path_hu: Number


class ApproachPart(Part):
    """One way to do the level."""

    strategy: Literal["unilateral_left", "unilateral_right", "bilateral"]
    route: Literal["transpedicular", "extrapedicular", "mixed"]
    feasible: bool
    acceptable: Literal["acceptable", "not acceptable"]
    p_canal: Number = Field(description="chance that any of its needles, displaced, touches the canal")
    reasons: list[ReasonPart]
    needles: list[NeedlePart]


class BalloonPart(Part):
    """A balloon as ranges; every number behind it is unconfirmed."""

    side: Literal["left", "right"]
    size: str | None = Field(description="length in mm / shaft in French; null where none fits")
    centre_lps_mm: Point
    largest_ml: Number
    limited_by: str
    lift_mm: tuple[Number, Number]
    kyphosis_deg: tuple[Number, Number]
    limit_kpa: Number
    notes: list[str]


class PlanDocument(Part):
    """A puncture plan. Research and education; not a medical device."""

    schema_: Literal["kypho.plan/1"] = Field(alias="schema")
    use: str
    level: str
    input: InputPart
    vertebra: VertebraPart
    approaches: list[ApproachPart]
    recommended: int | None
    why: str
    fracture_notes: list[str] = Field(
        description="what the labels leave out, and what the assessment changed"
    )
    balloons: list[BalloonPart] = Field(description="one per needle of the first approach")
    limits_mm: dict[str, Number]
    unconfirmed: list[str] = Field(description="evidence records used here that no source confirms yet")
    timings_s: dict[str, Number]
