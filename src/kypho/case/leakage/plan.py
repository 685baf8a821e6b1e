"""A check against the plan and the rehearsal in a case folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy.rigid import Rigid
from kypho.case.folder import read_json
from kypho.errors import FrameOfReferenceError, LevelError, UnreadableFileError
from kypho.evidence import value
from kypho.formats.guard import sha256_of
from kypho.formats.raw import read_image
from kypho.leakage import Leakage
from kypho.leakage.agreement import (
    FieldAgreement,
    NeedleAgreement,
    RouteAgreement,
    compare_field,
    compare_needles,
    compare_routes,
)
from kypho.space import Frame, Volume

__all__ = ["PlanAgreement", "PlannedCase", "compare_plan", "read_planned"]

LARGEST_SHARE = 1.001  # numerics: a share of a voxel, rounded when it was stored


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedCase:
    """What a case folder holds of a plan and, if there was one, of a rehearsal.

    Attributes:
        folder: its name.
        sha256: of what was read, by its role in the manifest.
        level: "T7".
        ct_sha256: of the CT that was planned on.
        frame: the vertebra's frame on that CT.
        targets_lps_mm: one per needle of the first approach, shape (n, 3).
        rehearsal: rehearsal.json; None without one.
        field: the rehearsed volume fraction of cement; None without one.
    """

    folder: str
    sha256: Mapping[str, str]
    level: str
    ct_sha256: str
    frame: Frame
    targets_lps_mm: NDArray[np.float64]
    rehearsal: dict[str, Any] | None
    field: Volume | None


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanAgreement:
    """The operation against the plan and the rehearsal.

    Attributes:
        aligned: how the plan was brought onto this CT, in words.
        needles: empty without cement inside.
        rehearsed_ml: injected in the rehearsal; None without one.
        cement_ml: found.
        field: None without a rehearsal or without cement.
        routes: empty without a rehearsal.
    """

    aligned: str
    needles: tuple[NeedleAgreement, ...]
    rehearsed_ml: float | None
    cement_ml: float
    field: FieldAgreement | None
    routes: tuple[RouteAgreement, ...]


def read_planned(folder: Path, level: str) -> PlannedCase:
    """Read plan.json, and rehearsal.json with its cement.nii.gz where they are.

    Raises:
        UnreadableFileError: no plan in the folder, or a damaged file.
        LevelError: the plan, or the rehearsal beside it, is for another level.
        FrameOfReferenceError: the rehearsal was made on another CT than the plan.
    """
    plan = read_json(folder / "plan.json", "run kypho plan first")
    try:
        planned = str(plan["level"])
        best = plan["approaches"][plan["recommended"] or 0]
        frame = plan["vertebra"]["frame_lps"]
        axes = [frame[name] for name in ("left", "posterior", "superior")]
        case = PlannedCase(
            folder=folder.name,
            sha256={"plan": sha256_of([folder / "plan.json"])},
            level=planned,
            ct_sha256=str(plan["input"]["ct_sha256"]),
            frame=Frame(origin_mm=np.array(frame["origin_mm"]), rotation=_orthonormal(np.array(axes).T)),
            targets_lps_mm=np.array([n["target_lps_mm"] for n in best["needles"]], float).reshape(-1, 3),
            rehearsal=None,
            field=None,
        )
        if not len(case.targets_lps_mm):
            raise ValueError("no needle in it")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnreadableFileError(
            f"plan.json in {folder} is no plan of kypho ({error}); run kypho plan again"
        ) from None
    if planned != level:
        raise LevelError(f"the plan in {folder} is for {planned}, not {level}; give the plan of this level")
    if not (folder / "rehearsal.json").exists():
        return case
    rehearsal = _rehearsal(folder, case)
    stored = read_image(folder / "cement.nii.gz")
    if stored.array.max() > LARGEST_SHARE:
        raise UnreadableFileError(
            f"cement.nii.gz in {folder} holds no shares of cement; run kypho rehearse again"
        )
    field = Volume(array=np.asarray(stored.array, np.float32), grid=stored.grid, unit="1")
    digests = {
        **case.sha256,
        "rehearsal": sha256_of([folder / "rehearsal.json"]),
        "rehearsed_cement": sha256_of([folder / "cement.nii.gz"]),
    }
    return replace(case, sha256=digests, rehearsal=rehearsal, field=field)


def compare_plan(
    leakage: Leakage, planned: PlannedCase, *, ct_sha256: str, before_sha256: str | None, motion: Rigid | None
) -> PlanAgreement:
    """Bring a plan onto the post-operative CT and compare.

    The plan is used as it is on its own CT, moved by the registration if the CT before the operation was
    given and is the one planned on, and otherwise carried over by the vertebra's anatomical frame.

    Raises:
        FrameOfReferenceError: the frames are turned so far against each other that the plan is of another
            patient.
    """
    if planned.ct_sha256 == ct_sha256:
        move, aligned = Rigid(rotation=np.eye(3), shift_mm=np.zeros(3)), "planned on this very CT"
    elif motion is not None and planned.ct_sha256 == before_sha256:
        move, aligned = motion, "registered with the CT that was planned on"
    else:
        move = Rigid.between(planned.frame, leakage.scene.vertebra.frame)
        limit = value("leak.plan_turn_deg")
        if move.angle_deg > limit:
            raise FrameOfReferenceError(
                f"the plan in {planned.folder} is turned by {move.angle_deg:.0f} degrees against this CT "
                f"(limit {limit:g}); check that it is of this patient, or give --preop, the CT planned on"
            )
        aligned = "carried over by the vertebra's frame, good to a few millimetres; --preop CT is better"
    rehearsal = planned.rehearsal
    return PlanAgreement(
        aligned=aligned,
        needles=compare_needles(leakage, move.point(planned.targets_lps_mm)),
        rehearsed_ml=None if rehearsal is None else float(rehearsal["injected_ml"]),
        cement_ml=leakage.cement_ml.value,
        field=None if planned.field is None else compare_field(leakage, planned.field, move),
        routes=()
        if rehearsal is None
        else compare_routes(leakage, rehearsal["leaked_ml"], _chances(rehearsal)),
    )


def _rehearsal(folder: Path, plan: PlannedCase) -> dict[str, Any]:
    """The rehearsal beside a plan, if it is of the same level and CT and holds what is compared."""
    rehearsal = read_json(folder / "rehearsal.json", "run kypho rehearse again")
    try:
        level, ct = str(rehearsal["level"]), rehearsal["ct_sha256"]
        float(rehearsal["injected_ml"])
        for ml in rehearsal["leaked_ml"].values():
            float(ml)
        _chances(rehearsal)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFileError(
            f"rehearsal.json in {folder} is no rehearsal of kypho ({error}); run kypho rehearse again"
        ) from None
    if level != plan.level:
        raise LevelError(
            f"the rehearsal in {folder} is for {level}, not {plan.level}; rehearse this level into it"
        )
    if ct is not None and ct != plan.ct_sha256:
        raise FrameOfReferenceError(
            f"the rehearsal in {folder} was made on another CT than the plan; rehearse the planned CT into it"
        )
    return rehearsal


def _chances(rehearsal: dict[str, Any]) -> dict[str, float] | None:
    found = rehearsal.get("p_leak")
    return None if found is None else {route: float(row["value"]) for route, row in found.items()}


def _orthonormal(axes: NDArray) -> NDArray[np.float64]:
    """The nearest rotation: plan.json rounds to four digits."""
    u, _, v = np.linalg.svd(axes)
    return np.asarray(u @ v)
