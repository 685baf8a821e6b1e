"""The findings of the post-operative check as DICOM: a segment per part, and a report that measures each."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import NDArray

from kypho.formats import CtInput
from kypho.formats.dicom_out import Code, ReportGroup, ReportNumber, SegmentMask, write_seg, write_sr
from kypho.leakage import METAL, Leakage, LeakPart
from kypho.space import Volume

__all__ = ["write_dicom"]

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    *((255, 90, 60), (255, 180, 40), (250, 240, 80)),
    *((120, 220, 255), (220, 120, 255), (120, 255, 150)),
)
CEMENT: Code = ("BONE_CEMENT", "99KYPHO", "Bone cement")
LEAK: Code = ("CEMENT_LEAK", "99KYPHO", "Bone cement outside the vertebra")
METAL_CODE: Code = ("METAL", "99KYPHO", "Metal implant")


def write_dicom(leakage: Leakage, cement: Volume, ct: CtInput, folder: Path, *, keep_identity: bool) -> None:
    """Write cement.seg.dcm and leakage.sr.dcm; `cement` is the map of the parts on the CT's own grid.

    Raises:
        OutputError: the folder cannot be written.
    """
    numbers = cement.array
    level = leakage.level
    segments: list[SegmentMask] = []
    groups: list[ReportGroup] = []

    def add(label: str, mask: NDArray, code: Code, colour: Colour) -> bool:
        if mask.any():
            segments.append(
                SegmentMask(label=label, mask=mask, code=code, is_anatomy=False, colour=colour, level=level)
            )
        return bool(mask.any())

    if add(f"{level} cement inside", numbers == 1, CEMENT, (90, 255, 120)):
        groups.append(_inside(leakage))
    for part in leakage.parts:
        label = f"{level} leak {part.id} {part.routing.route}"
        if add(label, numbers == part.map_number, LEAK, COLOURS[(part.id - 1) % len(COLOURS)]):
            groups.append(_part(level, part, label, len(segments)))
    add(f"{level} metal", numbers == METAL, METAL_CODE, (150, 170, 255))
    description = f"kypho check {level}"
    segmentation = write_seg(
        folder / "cement.seg.dcm", ct, segments, description=description, keep_identity=keep_identity
    )
    if groups:
        write_sr(
            folder / "leakage.sr.dcm",
            ct,
            segmentation,
            groups,
            description=description,
            keep_identity=keep_identity,
        )


def _part(level: str, part: LeakPart, label: str, segment: int) -> ReportGroup:
    return ReportGroup(
        tracking=label,
        segment_number=segment,
        finding=LEAK,
        level=level,
        numbers=(
            _volume(part.measured.ml.value),
            _number("CANAL_VOLUME", "Volume in the canal", part.measured.canal_ml, "mL"),
        ),
        statements=(
            _statement("ROUTE", "Route of the leak", part.routing.route),
            _statement("SIDE", "Side", part.routing.side),
        ),
    )


def _inside(leakage: Leakage) -> ReportGroup:
    canal = leakage.canal
    known = canal.found or (canal.readable and not leakage.dense_body_ml)
    encroachment = _number(
        "ENCROACHMENT", "Largest encroachment of the canal", canal.max_encroachment_percent.value, "%"
    )
    return ReportGroup(
        tracking=f"{leakage.level} cement inside",
        segment_number=1,
        finding=CEMENT,
        level=leakage.level,
        numbers=(
            _volume(leakage.inside.ml.value),
            _number("FILL", "Filling of the body", leakage.inside.fill_percent.value, "%"),
            *((encroachment,) if known else ()),
        ),
        statements=(
            _statement("CANAL_STATE", "Cement in the canal", canal.dura.state if known else "not_readable"),
            *((_statement("CANAL_SIDE", "Side in the canal", canal.side),) if known else ()),
        ),
    )


def _volume(ml: float) -> ReportNumber:
    return ReportNumber(code=("118565006", "SCT", "Volume"), value=ml, unit="mL")


def _number(code: str, meaning: str, amount: float, unit: str) -> ReportNumber:
    return ReportNumber(code=(code, "99KYPHO", meaning), value=amount, unit=unit)


def _statement(code: str, meaning: str, word: str) -> tuple[Code, Code]:
    """A concept and its value; code values have at most 16 characters, since readers miss longer ones."""
    return (code, "99KYPHO", meaning), (word.upper()[:16], "99KYPHO", word.replace("_", " "))
