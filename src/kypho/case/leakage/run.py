"""The post-operative stage of a case: inputs in, leakage.json and its companions out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels, Vertebra, build_vertebra
from kypho.anatomy.rigid import Rigid, move_labels, move_vertebra
from kypho.case.leakage.heights import Heightening, compare_heights
from kypho.case.leakage.notes import canal_notes, dense_ml, part_notes, slice_notes
from kypho.case.leakage.plan import PlanAgreement, PlannedCase, compare_plan
from kypho.case.mri import MriCase, MriEntry, MriFit, fit_mri, mri_entry
from kypho.case.steps import Stepper
from kypho.errors import InputError, LevelError
from kypho.evidence import reading, value
from kypho.formats import CtInput, LabelsInput
from kypho.leakage import Leakage, check_leakage
from kypho.leakage.mend import mend_level
from kypho.leakage.register import register_vertebra
from kypho.space import Frame

__all__ = ["LeakageResult", "check_case"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LeakageResult:
    """What the post-operative stage knows.

    Attributes:
        ct: the post-operative CT.
        labels: the labels as read.
        leakage: the findings.
        similarity: correlation with the pre-operative CT; None without one.
        mri: what the MR says, or why nothing; None without one.
        mri_fit: where the level lies on it.
        plan: the operation against the plan and the rehearsal; None without one.
        heights: body before and after; None without the CT before the operation.
        dense_body_ml: a dense place in the body that may be faint cement, where no cement is certain and the
            level was treated; 0 without.
        notes: one sentence each.
        part_notes: what to know of a part, by its id.
        records: ids of the evidence records that were read on the way.
        inputs: SHA-256 of everything that was read but the MR, by its role.
        expect_no_cement: as asked.
    """

    ct: CtInput
    labels: LabelsInput
    leakage: Leakage
    similarity: float | None
    mri: MriEntry | None
    mri_fit: MriFit | None
    plan: PlanAgreement | None
    heights: Heightening | None
    dense_body_ml: float
    notes: tuple[str, ...]
    part_notes: Mapping[int, tuple[str, ...]]
    records: frozenset[str]
    inputs: Mapping[str, str]
    expect_no_cement: bool

    @property
    def has_objects(self) -> bool:
        """Whether there is a study to refer to and something to segment: then SEG and SR are written."""
        return bool(self.ct.sources) and bool(self.leakage.cement_map.array.any())


def check_case(
    ct: CtInput,
    labels: LabelsInput,
    level: str,
    step: Stepper,
    *,
    before: CtInput | None = None,
    mri: MriCase | None = None,
    planned: PlannedCase | None = None,
    expect_no_cement: bool = False,
    notes: tuple[str, ...] = (),
) -> LeakageResult:
    """Read a post-operative CT for cement at one level.

    Args:
        ct: the CT after the operation.
        labels: labels on its grid; with `before`, labels on the grid of that CT.
        level: "T7".
        step: marks named steps.
        before: the CT before the operation, from which the vertebra is carried over.
        mri: MR after the operation with its labels, registered at the level or refused.
        planned: plan and rehearsal to compare with.
        expect_no_cement: the level was not treated, or the CT is older than the operation; that nothing is
            found is then no reason to ask.
        notes: sentences for the report; one with the word "synthetic" is shown at its top.

    Raises:
        LevelError: the level is missing, incomplete, or without cement while another holds it.
        FrameOfReferenceError: the two CTs do not match at the level.
        InputError: both CTs are the same image, or in the wrong order.
    """
    with reading() as records:
        if before is None:
            placed = _as_labelled(ct, labels.labels, level, step)
        else:
            _require_two_images(ct, before)
            placed = _carried_over(ct, before, labels.labels, level, step)
        found = check_leakage(ct.volume, placed.labels, placed.vertebra, timer=step)
        said = (*slice_notes(ct.volume), *placed.notes, *canal_notes(found, placed.labels))
        said += _on_cement(found, ct, placed.labels, expected=not expect_no_cement)
        heights = fit = None
        if before is not None:
            if found.cement_ml.value == 0:
                _require_right_order(before, labels.labels, level)
            said += _on_before(before, labels.labels, level)
            with step("heights"):
                heights = compare_heights(
                    before.volume, labels.labels, placed.frame_labelled, ct.volume, found
                )
        if mri is not None:
            with step("MR"):
                fit = fit_mri(mri, placed.labels, placed.vertebra)
        on_mri = None if fit is None else mri_entry(fit, placed.vertebra, _canal_cement(found))
        on_plan = None if planned is None else _against_plan(found, planned, ct, before, placed.motion)
        of_parts = part_notes(found, ct.volume, placed.labels)
    return LeakageResult(
        ct=ct,
        labels=labels,
        leakage=found,
        similarity=placed.similarity,
        mri=on_mri,
        mri_fit=fit,
        plan=on_plan,
        heights=heights,
        dense_body_ml=0.0 if expect_no_cement else found.dense_body_ml,
        notes=(*notes, *ct.notes, *labels.notes, *said),
        part_notes=of_parts,
        records=frozenset(records),
        inputs={
            "ct": ct.sha256,
            "labels": labels.sha256,
            **({} if before is None else {"preop": before.sha256}),
            **({} if planned is None else planned.sha256),
        },
        expect_no_cement=expect_no_cement,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """The level as it lies on the CT after the operation.

    Attributes:
        vertebra, labels: on that CT.
        frame_labelled: the vertebra's frame on the CT that was labelled.
        similarity, motion: of the registration; None where this very CT was labelled.
        notes: one sentence each.
    """

    vertebra: Vertebra
    labels: Labels
    frame_labelled: Frame
    similarity: float | None = None
    motion: Rigid | None = None
    notes: tuple[str, ...] = ()


def _as_labelled(ct: CtInput, labels: Labels, level: str, step: Stepper) -> _Placed:
    """The level by the labels of this CT, with the cement that its label left out."""
    with step("vertebra model"):
        mended, swallowed_ml = mend_level(ct.volume, labels, level)
        vertebra = build_vertebra(ct.volume, mended, level)
    notes = (f"{swallowed_ml:.2f} mL of cement missing from the label of {level} was given back to it",)
    return _Placed(
        vertebra=vertebra,
        labels=mended,
        frame_labelled=vertebra.frame,
        notes=notes if swallowed_ml > 0 else (),
    )


def _carried_over(ct: CtInput, before: CtInput, labels: Labels, level: str, step: Stepper) -> _Placed:
    """The level by the labels of the CT before the operation, registered with this one."""
    with step("vertebra model"):
        vertebra = build_vertebra(before.volume, labels, level)
    with step("registration"):
        found = register_vertebra(before.volume, ct.volume, vertebra)
        return _Placed(
            vertebra=move_vertebra(vertebra, found.motion),
            labels=move_labels(labels, found.motion, ct.volume.grid),
            frame_labelled=vertebra.frame,
            similarity=found.similarity,
            motion=found.motion,
            notes=(f"vertebra carried over from the pre-operative CT (correlation {found.similarity:.2f})",),
        )


def _canal_cement(found: Leakage) -> NDArray[np.float64]:
    """LPS centres of the voxels of cement in the canal."""
    return found.scene.ct.grid.to_world(np.argwhere(found.cement & found.scene.canal))


def _against_plan(
    found: Leakage, planned: PlannedCase, ct: CtInput, before: CtInput | None, motion: Rigid | None
) -> PlanAgreement:
    first = None if before is None else before.sha256
    return compare_plan(found, planned, ct_sha256=ct.sha256, before_sha256=first, motion=motion)


def _require_two_images(ct: CtInput, before: CtInput) -> None:
    """Raise InputError if the CT before is the CT after: the same file, or the same voxels in another."""
    same = before.sha256 == ct.sha256
    if not same and before.volume.grid.matches(ct.volume.grid):
        thin = (slice(None, None, 3),) * 3
        off = np.abs(np.asarray(before.volume.array[thin], float) - ct.volume.array[thin])
        same = bool(off.max() < 1)
    if same:
        raise InputError(
            "the CTs before and after the operation are the same image; give two scans, the later one first"
        )


def _on_before(before: CtInput, labels: Labels, level: str) -> tuple[str, ...]:
    """The note on a CT before the operation that shows cement at the level already."""
    if dense_ml(before.volume, labels, level) <= value("leak.other_level_ml"):
        return ()
    return (
        f"the CT given as --preop holds cement at {level} already: a second operation, a CT from during it, "
        "or two scans in the wrong order",
    )


def _require_right_order(before: CtInput, labels: Labels, level: str) -> None:
    """Raise InputError if the CT before the operation holds the cement."""
    if dense_ml(before.volume, labels, level) > value("leak.other_level_ml"):
        raise InputError(
            f"cement at {level} on the CT given as --preop and none on the other; give the CT after the "
            "operation first and the one before it as --preop"
        )


def _on_cement(found: Leakage, ct: CtInput, labels: Labels, *, expected: bool) -> tuple[str, ...]:
    """The note on a level without certain cement.

    Raises:
        LevelError: another level holds it.
    """
    level = found.level
    if found.dense_body_ml > 0:
        return (
            f"doubtful: dense body of {found.dense_body_ml:.1f} mL at {level}, cement of low contrast or "
            "sclerosis; compare with the CT before the operation",
        )
    if expected and found.inside.ml.value < value("leak.other_level_ml") / 2:
        _require_no_other_level(ct, labels, level)
    if not expected or found.cement_ml.value > 0:
        return ()
    if found.metal_ml:
        return (f"no cement found at {level}, only metal; --expect-no-cement takes it as it is",)
    return (
        f"no cement found at {level}: this looks like a CT before the operation or of another level; "
        "--expect-no-cement takes it as it is",
    )


def _require_no_other_level(ct: CtInput, labels: Labels, level: str) -> None:
    """Raise LevelError if another vertebra of the labels is full of cement and this one is not."""
    limit = value("leak.other_level_ml")
    others = [name for name in labels.levels() if name != level and dense_ml(ct.volume, labels, name) > limit]
    if others:
        raise LevelError(
            f"no cement inside {level}, but in {', '.join(others)}; choose with --level {others[0]}, or read "
            f"{level} as it is with --expect-no-cement"
        )
