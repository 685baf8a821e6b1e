"""An MR beside the CT of a case: read, registered at the level or refused with the reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels, Vertebra
from kypho.anatomy.cord import CordProfile, Narrowing, cord_profile
from kypho.anatomy.register_mr import MrRegistration, register_mr
from kypho.case.document import Number, Part, Point, point
from kypho.errors import LabelsError, LevelError
from kypho.formats import LabelsInput
from kypho.formats.mr import MrInput
from kypho.fracture.findings import Finding
from kypho.fracture.mri import MRI_FACTORS, mri_findings, mri_unknown
from kypho.leakage.mri import MriReading, read_mri

__all__ = [
    "CordLevelEntry",
    "MriCase",
    "MriEntry",
    "MriFit",
    "MriRegistrationEntry",
    "NarrowingEntry",
    "fit_mri",
    "mri_entry",
    "mri_factor_findings",
    "mri_hashes",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class MriCase:
    """An MR with its labels; `required` if the user would rather have an error than no reading."""

    mr: MrInput
    labels: LabelsInput
    required: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class MriFit:
    """Where a level lies on the MR, or why it is not known.

    Attributes:
        case: the MR.
        reason: why nothing is read from it; empty if it fits.
        fit: the registration, None if refused.
        profile: cord and canal along their centreline, None if refused.
    """

    case: MriCase
    reason: str
    fit: MrRegistration | None
    profile: CordProfile | None


def fit_mri(case: MriCase, labels: Labels, vertebra: Vertebra) -> MriFit:
    """Register a level to the MR.

    Args:
        case: the MR and its labels.
        labels: labels of the CT.
        vertebra: model of the level on the CT.

    Raises:
        FrameOfReferenceError, LevelError, LabelsError: it does not fit, and the MR is required.
    """
    on_mr = case.labels.labels
    try:
        fit = register_mr(case.mr.volume, on_mr, labels, vertebra)
        turn = fit.motion.rotation
        profile = cord_profile(on_mr, turn @ vertebra.frame.superior, turn @ vertebra.frame.posterior)
    except (LabelsError, LevelError) as error:
        if case.required:
            raise
        return MriFit(case=case, reason=str(error), fit=None, profile=None)
    return MriFit(case=case, reason="", fit=fit, profile=profile)


def mri_factor_findings(found: MriFit, vertebra: Vertebra) -> tuple[Finding, ...]:
    """The findings of an MR at a level; not assessable, with the reason, where it does not fit."""
    if found.fit is None or found.profile is None:
        return tuple(mri_unknown(factor, found.reason) for factor in MRI_FACTORS)
    return mri_findings(
        found.case.mr.volume, found.case.labels.labels, vertebra, found.fit.motion, found.profile
    )


def mri_hashes(case: MriCase | None) -> dict[str, str]:
    """What a manifest says of the MR."""
    return {} if case is None else {"mri": case.mr.sha256, "mri_labels": case.labels.sha256}


class MriRegistrationEntry(Part):
    """How well the MR fits the CT at the level."""

    surface_mm: Number
    surface_p95_mm: Number
    canal_mm: Number | None
    information: Number
    information_displaced: Number
    information_shuffled: Number
    refined_by_images: bool
    turned_deg: Number
    shift_at_level_mm: Point


class NarrowingEntry(Part):
    """The narrowest place of cord or canal; percent null where the MR ends before it is wide again."""

    percent: Number | None
    uncertainty_percent: Number | None
    diameter_mm: Number
    area_mm2: Number
    at_mr_lps_mm: Point


class CordLevelEntry(Part):
    """Cord and canal at mid body of a level."""

    level: str
    cord_ap_mm: Number | None
    cord_mm2: Number | None
    canal_ap_mm: Number | None
    canal_mm2: Number | None


class MriEntry(Part):
    """What an MR says at the level; with state "not_assessable" nothing is read, and the reason says why.

    mscc_percent is the loss of the cord's sagittal diameter at its narrowest near the level, mcc_percent
    that of the canal.
    """

    state: Literal["read", "not_assessable"]
    reason: str
    mr_sha256: str
    labels_sha256: str
    slice_mm: Number
    registration: MriRegistrationEntry | None
    mscc_percent: Number | None = None
    mcc_percent: Number | None = None
    cord: NarrowingEntry | None = None
    canal: NarrowingEntry | None = None
    cord_at_cement: NarrowingEntry | None = None
    canal_at_cement: NarrowingEntry | None = None
    levels: tuple[CordLevelEntry, ...] = ()
    cement_to_cord_mm: Number | None = None
    cement_to_cord_uncertainty_mm: Number | None = None
    cement_in_mr_canal_share: Number | None = None
    notes: list[str]


def mri_entry(found: MriFit, vertebra: Vertebra, cement_mm: NDArray | None = None) -> MriEntry:
    """The document part of an MR; with the cement in the canal (LPS points on the CT), measures at it."""
    fit, reading = found.fit, None
    registration = None
    if fit is not None and found.profile is not None:
        points = np.empty((0, 3)) if cement_mm is None else cement_mm
        reading = read_mri(found.case.labels.labels, vertebra, fit, found.profile, points)
        registration = MriRegistrationEntry(
            surface_mm=fit.surface_mm,
            surface_p95_mm=fit.surface_p95_mm,
            canal_mm=fit.canal_mm,
            information=fit.information,
            information_displaced=fit.displaced,
            information_shuffled=fit.shuffled,
            refined_by_images=fit.refined,
            turned_deg=fit.motion.angle_deg,
            shift_at_level_mm=point(fit.motion.point(vertebra.frame.origin_mm) - vertebra.frame.origin_mm),
        )
    return MriEntry(
        state="read" if fit else "not_assessable",
        reason=found.reason,
        mr_sha256=found.case.mr.sha256,
        labels_sha256=found.case.labels.sha256,
        slice_mm=max(found.case.mr.volume.grid.spacing_mm),
        registration=registration,
        notes=[*found.case.mr.notes, *found.case.labels.notes],
        **({} if reading is None else _measures(reading)),
    )


def _measures(reading: MriReading) -> dict[str, Any]:
    """The fields of `MriEntry` that hold measures."""
    cord, canal = reading.cord, reading.canal
    return {
        "mscc_percent": None if cord is None else cord.percent,
        "mcc_percent": None if canal is None else canal.percent,
        "cord": _narrowing(cord),
        "canal": _narrowing(canal),
        "cord_at_cement": _narrowing(reading.cord_at_cement),
        "canal_at_cement": _narrowing(reading.canal_at_cement),
        "levels": tuple(CordLevelEntry(**asdict(row)) for row in reading.levels),
        "cement_to_cord_mm": reading.cord_gap_mm,
        "cement_to_cord_uncertainty_mm": reading.gap_uncertainty_mm,
        "cement_in_mr_canal_share": reading.inside_share,
    }


def _narrowing(place: Narrowing | None) -> NarrowingEntry | None:
    if place is None:
        return None
    return NarrowingEntry(
        percent=place.percent,
        uncertainty_percent=place.uncertainty_percent,
        diameter_mm=place.diameter_mm,
        area_mm2=place.area_mm2,
        at_mr_lps_mm=place.at_mm,
    )
