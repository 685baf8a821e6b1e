"""The one way in for a plan.json: what every command that takes a plan may rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from kypho.case.plan.schema import ApproachPart, NeedlePart, PlanDocument, VertebraPart
from kypho.errors import UnreadableFileError
from kypho.planning.devices import DEVICES

__all__ = ["plan_file", "read_plan"]

SIDES = {"unilateral_left": ["left"], "unilateral_right": ["right"], "bilateral": ["left", "right"]}

Fault = tuple[str, str]
"""A field of the document and what is wrong with it."""


def plan_file(path: Path) -> Path:
    """The plan.json that is meant by itself or by its case folder."""
    return path / "plan.json" if path.is_dir() else path


def read_plan(path: Path) -> PlanDocument:
    """Read a plan.json, or that of a case folder.

    Types and names are those of the schema; numbers are finite, the recommended approach is one of those
    there and feasible, and every needle is one of the catalogue that comes from behind into the body.

    Raises:
        UnreadableFileError: no such file, or not a plan that kypho wrote; the message names the field.
    """
    file = plan_file(path)
    try:
        plan = PlanDocument.model_validate_json(file.read_bytes(), strict=True)
    except OSError as error:
        raise UnreadableFileError(f"{file} cannot be read ({error.strerror}); run kypho plan first") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fault = (_field(first["loc"]), first["msg"])
    else:
        found = next(_faults(plan), None)
        if found is None:
            return plan
        fault = found
    where, what = fault
    raise UnreadableFileError(
        f"{file} is no plan of kypho: {where or 'all of it'}: {what}; run kypho plan again"
    )


def _field(places: tuple[int | str, ...]) -> str:
    """approaches[0].needles[1].side from its parts."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in places).removeprefix(".")


def _faults(plan: PlanDocument) -> Iterator[Fault]:
    """What no schema sees, first things first: what comes later relies on it."""
    yield from _not_finite((), plan.model_dump(by_alias=True))
    count = len(plan.approaches)
    if count == 0:
        yield "approaches", "there is none"
    if plan.recommended is not None and not 0 <= plan.recommended < count:
        yield (
            "recommended",
            f"there is no approach {plan.recommended}, they are counted from 0 to {count - 1}",
        )
    elif plan.recommended is not None and not plan.approaches[plan.recommended].feasible:
        yield "recommended", f"approach {plan.recommended} is not feasible"
    for name in ("body_width_mm", "body_depth_mm", "body_height_mm"):
        if getattr(plan.vertebra, name) <= 0:
            yield f"vertebra.{name}", "a body has a size"
    for number, approach in enumerate(plan.approaches):
        yield from _approach_faults(f"approaches[{number}]", approach, plan.vertebra)


def _not_finite(places: tuple[int | str, ...], content: Any) -> Iterator[Fault]:
    if isinstance(content, float) and not np.isfinite(content):
        yield _field(places), f"{content} is no finite number"
    if isinstance(content, dict):
        for name, part in content.items():
            yield from _not_finite((*places, name), part)
    if isinstance(content, list | tuple):
        for number, part in enumerate(content):
            yield from _not_finite((*places, number), part)


def _approach_faults(where: str, approach: ApproachPart, vertebra: VertebraPart) -> Iterator[Fault]:
    sides = sorted(needle.side for needle in approach.needles)
    if sides != SIDES[approach.strategy]:
        yield f"{where}.needles", f"{approach.strategy} with needles on {', '.join(sides) or 'no side'}"
    for number, needle in enumerate(approach.needles):
        yield from _needle_faults(f"{where}.needles[{number}]", needle, vertebra)


def _needle_faults(where: str, needle: NeedlePart, vertebra: VertebraPart) -> Iterator[Fault]:
    """A needle of the catalogue that comes from behind and from without to a tip in the body's box.

    How far out its bone entry lies is not asked: that of an extrapedicular needle is on the body itself.
    """
    known = [device.name for device in DEVICES]
    diameters = [device.outer_diameter_mm for device in DEVICES]
    if needle.device not in known:
        yield f"{where}.device", f"{needle.device!r} is none of {', '.join(known)}"
    if not min(diameters) <= needle.outer_diameter_mm <= max(diameters):
        yield (
            f"{where}.outer_diameter_mm",
            f"{needle.outer_diameter_mm:g} mm; needles have {min(diameters):g} to {max(diameters):g} mm",
        )
    entry, tip = (_in_body(point, vertebra) for point in (needle.bone_entry_lps_mm, needle.tip_lps_mm))
    if entry[1] < tip[1]:
        yield f"{where}.bone_entry_lps_mm", "lies in front of the tip; a needle comes from behind"
    if np.hypot(*entry[:2]) <= np.hypot(*tip[:2]):
        yield f"{where}.bone_entry_lps_mm", "lies deeper in the body than the tip"
    if np.any(np.abs(tip) > (1, 1, 2)):  # numerics: twice the height: an endplate may tilt by as much
        yield f"{where}.tip_lps_mm", "lies outside of the vertebral body"


def _in_body(point_mm: tuple[float, ...], vertebra: VertebraPart) -> NDArray[np.float64]:
    """Left, posterior and superior of the body's centre, in halves of the body's sizes."""
    frame = vertebra.frame_lps
    axes = np.array([frame.left, frame.posterior, frame.superior])
    half_mm = np.array([vertebra.body_width_mm, vertebra.body_depth_mm, vertebra.body_height_mm]) / 2
    return np.asarray(axes @ (np.array(point_mm) - frame.origin_mm) / half_mm)
