"""The post-operative stage of a case: inputs in, leakage.json and its companions out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kypho.anatomy import Labels, Vertebra, build_vertebra
from kypho.anatomy.rigid import move_labels, move_vertebra
from kypho.case.folder import case_folder, write_json, write_volume
from kypho.case.leakage_document import LeakageDocument, leakage_document
from kypho.case.manifest import manifest
from kypho.errors import InputError, LevelError
from kypho.evidence import value
from kypho.formats import CtInput, LabelsInput
from kypho.formats.dicom_out import Code, ReportGroup, ReportNumber, SegmentMask, write_seg, write_sr
from kypho.leakage import Leakage, MriReading, check_leakage
from kypho.leakage.register import register_vertebra

__all__ = ["LeakageResult", "check_case", "write_leakage"]

Stepper = Callable[[str], AbstractContextManager[None]]

COLOURS = ((255, 90, 60), (255, 180, 40), (250, 240, 80), (120, 220, 255), (220, 120, 255), (120, 255, 150))
CEMENT: Code = ("BONE_CEMENT", "99KYPHO", "Bone cement")
LEAK: Code = ("CEMENT_LEAK", "99KYPHO", "Bone cement outside the vertebra")
METAL: Code = ("METAL", "99KYPHO", "Metal implant")


@dataclass(frozen=True, kw_only=True, eq=False)
class LeakageResult:
    """What the post-operative stage knows.

    Attributes:
        ct: the post-operative CT.
        labels: the labels as read.
        leakage: the findings.
        similarity: correlation with the pre-operative CT; None without one.
        mri: cord measures from MRI; None without one.
        notes: one sentence each.
    """

    ct: CtInput
    labels: LabelsInput
    leakage: Leakage
    similarity: float | None
    mri: MriReading | None
    notes: tuple[str, ...]


def check_case(
    ct: CtInput,
    labels: LabelsInput,
    level: str,
    step: Stepper,
    *,
    before: CtInput | None = None,
    mri: MriReading | None = None,
    notes: tuple[str, ...] = (),
) -> LeakageResult:
    """Read a post-operative CT for cement at one level.

    Args:
        ct: the CT after the operation.
        labels: labels on its grid; with `before`, labels on the grid of that CT.
        level: "T7".
        step: marks named steps.
        before: the CT before the operation, from which the vertebra is carried over.
        mri: cord measures to report along with it.
        notes: sentences for the report; one with the word "synthetic" is shown at its top.

    Raises:
        LevelError: the level is missing, incomplete, or without cement while another holds it.
        FrameOfReferenceError: the two CTs do not match at the level.
        InputError: both CTs are the same.
    """
    notes = (*notes, *ct.notes, *labels.notes)
    similarity = None
    numbers = labels.labels
    with step("vertebra model"):
        source = ct if before is None else before
        vertebra: Vertebra = build_vertebra(source.volume, numbers, level)
    if before is not None:
        if before.sha256 == ct.sha256:
            raise InputError("the CTs before and after are the same file; give the post-operative CT first")
        with step("registration"):
            found = register_vertebra(before.volume, ct.volume, vertebra)
            vertebra = move_vertebra(vertebra, found.motion)
            numbers = move_labels(numbers, found.motion, ct.volume.grid)
            similarity = found.similarity
        notes += (f"vertebra carried over from the pre-operative CT (correlation {similarity:.2f})",)
    result = check_leakage(ct.volume, numbers, vertebra, timer=step)
    if result.inside.ml.value < value("leak.other_level_ml") / 2:
        _require_no_other_level(ct, numbers, level)
    if result.cement_ml.value == 0:
        notes += (
            f"no cement was found at {level}: is this the CT after the operation, and the right level?",
        )
    return LeakageResult(ct=ct, labels=labels, leakage=result, similarity=similarity, mri=mri, notes=notes)


def _require_no_other_level(ct: CtInput, labels: Labels, level: str) -> None:
    """Raise LevelError if another vertebra of the labels is full of cement and this one is not."""
    dense = ct.volume.array > value("leak.seed_hu")
    if not dense.any():
        return
    voxel_ml = ct.volume.grid.voxel_mm3 / 1000
    others = []
    for name in labels.levels():
        box = labels.box(name)
        held = np.count_nonzero(dense[box] & labels.part(name, box)) * voxel_ml
        if name != level and held > value("leak.other_level_ml"):
            others.append(name)
    if others:
        raise LevelError(
            f"no cement inside {level}, but in {', '.join(others)}; choose with --level {others[0]}"
        )


def write_leakage(
    result: LeakageResult,
    out: Path,
    timings_s: dict[str, float],
    step: Stepper,
    render: Callable[[LeakageResult, LeakageDocument, Path], None],
    *,
    keep_identity: bool = False,
) -> LeakageDocument:
    """Write the case folder: all files or none.

    leakage.json, cement.nii.gz, report.html with its figures, and for DICOM input cement.seg.dcm and
    leakage.sr.dcm.

    Raises:
        OutputError: the folder cannot be written.
    """
    with case_folder(out) as staging:
        document = leakage_document(result, timings_s)
        with step("report"):
            render(result, document, staging)
        with step("files"):
            write_json(staging / "leakage.json", document.model_dump(mode="json", by_alias=True))
            write_volume(staging / "cement.nii.gz", result.leakage.cement_map)
            if result.ct.sources and result.leakage.cement_map.array.any():
                _write_dicom(result, staging, keep_identity=keep_identity)
        write_json(
            staging / "manifest.json",
            manifest(
                command="check",
                inputs={"ct": result.ct.sha256, "labels": result.labels.sha256},
                settings={"level": result.leakage.level},
                timings_s=timings_s,
                outputs=[p for p in staging.rglob("*") if p.is_file()],
                folder=staging,
                notes=result.notes,
            ),
        )
    return document


def _write_dicom(result: LeakageResult, folder: Path, *, keep_identity: bool) -> None:
    """One segment per part, and a report that measures each."""
    leakage = result.leakage
    numbers = leakage.cement_map.array
    level = leakage.level
    segments, groups = [], []
    if (numbers == 1).any():
        segments.append(
            SegmentMask(
                label=f"{level} cement inside",
                mask=numbers == 1,
                code=CEMENT,
                is_anatomy=False,
                colour=(90, 255, 120),
                level=level,
            )
        )
        groups.append(_inside_group(leakage))
    for part in leakage.parts:
        mask = numbers == part.map_number
        if not mask.any():
            continue
        segments.append(
            SegmentMask(
                label=f"{level} leak {part.id} {part.routing.route}",
                mask=mask,
                code=LEAK,
                is_anatomy=False,
                colour=COLOURS[(part.id - 1) % len(COLOURS)],
                level=level,
            )
        )
        groups.append(
            ReportGroup(
                tracking=segments[-1].label,
                segment_number=len(segments),
                finding=LEAK,
                level=level,
                numbers=(
                    _volume(part.measured.ml.value),
                    _number("CANAL_VOLUME", "Volume in the canal", part.measured.canal_ml, "mL"),
                ),
                statements=(
                    (
                        ("ROUTE", "99KYPHO", "Route of the leak"),
                        (_short(part.routing.route), "99KYPHO", part.routing.route.replace("_", " ")),
                    ),
                    (("SIDE", "99KYPHO", "Side"), (_short(part.routing.side), "99KYPHO", part.routing.side)),
                ),
            )
        )
    if (numbers == 100).any():
        segments.append(
            SegmentMask(
                label=f"{level} metal",
                mask=numbers == 100,
                code=METAL,
                is_anatomy=False,
                colour=(150, 170, 255),
                level=level,
            )
        )
    description = f"kypho check {level}"
    segmentation = write_seg(
        folder / "cement.seg.dcm", result.ct, segments, description=description, keep_identity=keep_identity
    )
    if groups:
        write_sr(
            folder / "leakage.sr.dcm",
            result.ct,
            segmentation,
            groups,
            description=description,
            keep_identity=keep_identity,
        )


def _inside_group(leakage: Leakage) -> ReportGroup:
    canal = leakage.canal
    return ReportGroup(
        tracking=f"{leakage.level} cement inside",
        segment_number=1,
        finding=CEMENT,
        level=leakage.level,
        numbers=(
            _volume(leakage.inside.ml.value),
            _number("FILL", "Filling of the body", leakage.inside.fill_percent.value, "%"),
            _number(
                "ENCROACHMENT", "Largest encroachment of the canal", canal.max_encroachment_percent.value, "%"
            ),
        ),
        statements=(
            (
                ("CANAL_STATE", "99KYPHO", "Cement in the canal"),
                (_short(canal.dura.state), "99KYPHO", canal.dura.state),
            ),
            (("CANAL_SIDE", "99KYPHO", "Side in the canal"), (_short(canal.side), "99KYPHO", canal.side)),
        ),
    )


def _volume(ml: float) -> ReportNumber:
    return ReportNumber(code=("118565006", "SCT", "Volume"), value=ml, unit="mL")


def _number(code: str, meaning: str, amount: float, unit: str) -> ReportNumber:
    return ReportNumber(code=(code, "99KYPHO", meaning), value=amount, unit=unit)


def _short(word: str) -> str:
    """A code value: at most 16 characters, since readers miss longer ones."""
    return word.upper()[:16]
