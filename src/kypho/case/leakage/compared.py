"""What leakage.json says of the plan, the rehearsal and the heights."""

from __future__ import annotations

from pydantic import Field

from kypho.case.document import Part, Point, point, rounded
from kypho.case.leakage.heights import Heightening
from kypho.case.leakage.plan import PlanAgreement

__all__ = [
    "FieldEntry",
    "HeightsEntry",
    "PlanEntry",
    "SiteEntry",
    "SpaceEntry",
    "TargetEntry",
    "heights_entry",
    "plan_entry",
]


class TargetEntry(Part):
    """A planned target on this CT and how near the cement came."""

    target_lps_mm: Point
    gap_mm: float = Field(description="to the nearest cement inside the bone; 0 where the target lies in it")


class FieldEntry(Part):
    """Cement found against cement rehearsed."""

    dice: float
    surface_mean_mm: float
    surface_p95_mm: float
    found_ml: float
    rehearsed_ml: float


class SpaceEntry(Part):
    """One space around the bone."""

    space: str
    rehearsed_ml: float
    p_leak: float | None
    found_ml: float


class PlanEntry(Part):
    """The operation against the plan and the rehearsal."""

    aligned: str = Field(description="how the plan was brought onto this CT")
    targets: list[TargetEntry] = Field(description="empty without cement inside the bone")
    centre_offset_mm: Point | None = Field(
        description="centre of the cement inside from the middle of the targets: left, posterior, superior"
    )
    injected_ml: float | None = Field(description="dose of the rehearsal; null without one")
    cement_ml: float
    field: FieldEntry | None
    spaces: list[SpaceEntry]


class SiteEntry(Part):
    """Height at one site; null where not assessable, with the reason."""

    site: str
    before_mm: float | None
    after_mm: float | None
    gain_mm: float | None
    reason: str


class HeightsEntry(Part):
    """The treated body on both CTs."""

    sites: list[SiteEntry]
    uncertainty_mm: float
    wedge_before_deg: float | None = Field(description="upper against lower endplate, positive in kyphosis")
    wedge_after_deg: float | None
    uncertainty_deg: float
    reason: str


def plan_entry(found: PlanAgreement | None) -> PlanEntry | None:
    """The entry of a comparison; None without one."""
    if found is None:
        return None
    field = found.field
    return PlanEntry(
        aligned=found.aligned,
        targets=[
            TargetEntry(target_lps_mm=point(n.target_lps_mm, 2), gap_mm=round(n.target_gap_mm, 2))
            for n in found.needles
        ],
        centre_offset_mm=point(found.needles[0].centre_offset_mm, 2) if found.needles else None,
        injected_ml=None if found.rehearsed_ml is None else round(found.rehearsed_ml, 3),
        cement_ml=round(found.cement_ml, 3),
        field=None
        if field is None
        else FieldEntry(
            dice=round(field.dice, 3),
            surface_mean_mm=round(field.mean_mm, 2),
            surface_p95_mm=round(field.p95_mm, 2),
            found_ml=round(field.found_ml, 3),
            rehearsed_ml=round(field.rehearsed_ml, 3),
        ),
        spaces=[
            SpaceEntry(
                space=r.space,
                rehearsed_ml=round(r.rehearsed_ml, 4),
                p_leak=None if r.p_leak is None else round(r.p_leak, 3),
                found_ml=round(r.found_ml, 4),
            )
            for r in found.routes
        ],
    )


def heights_entry(found: Heightening | None) -> HeightsEntry | None:
    """The entry of the heights; None without them."""
    if found is None:
        return None
    return HeightsEntry(
        sites=[
            SiteEntry(
                site=s.site,
                before_mm=rounded(s.before_mm),
                after_mm=rounded(s.after_mm),
                gain_mm=rounded(s.gain_mm),
                reason=s.reason,
            )
            for s in found.sites
        ],
        uncertainty_mm=round(found.uncertainty_mm, 2),
        wedge_before_deg=rounded(found.angle_before_deg),
        wedge_after_deg=rounded(found.angle_after_deg),
        uncertainty_deg=round(found.uncertainty_deg, 2),
        reason=found.reason,
    )
