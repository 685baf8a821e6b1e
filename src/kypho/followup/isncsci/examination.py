"""The examination as the worksheet holds it, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from kypho.errors import InternalError, RecordError
from kypho.followup.isncsci.values import ANAL_FINDINGS, DERMATOMES, MOTOR_SCORES, MYOTOMES, SENSORY_SCORES

__all__ = ["Examination", "ExaminationSide"]

_SIDE_KEYS = ("motor", "light_touch", "pin_prick", "lowest_non_key_muscle")
_PICK = {MYOTOMES: itemgetter(*MYOTOMES), DERMATOMES: itemgetter(*DERMATOMES)}


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminationSide:
    """One side of the body. Values as written: "3", "NT", "3*", "NT**".

    Attributes:
        motor: scores of the ten key muscles, C5 to S1.
        light_touch: scores of the 28 dermatomes, C2 to S4-5.
        pin_prick: the same for pin prick.
        lowest_non_key_muscle: the lowest segment whose non-key muscles still move, if that was examined.
    """

    motor: tuple[str, ...]
    light_touch: tuple[str, ...]
    pin_prick: tuple[str, ...]
    lowest_non_key_muscle: str | None = None

    @classmethod
    def from_dict(cls, data: Any, path: str = "side") -> ExaminationSide:
        """Check and take over one side. `path` names the side in messages.

        Raises:
            RecordError: a key is missing or unknown, or a value is not one the worksheet allows.
        """
        side = _mapping(data, path)
        _refuse_unknown(side, _SIDE_KEYS, path)
        return cls(
            motor=_scores(side, "motor", MYOTOMES, MOTOR_SCORES, path),
            light_touch=_scores(side, "light_touch", DERMATOMES, SENSORY_SCORES, path),
            pin_prick=_scores(side, "pin_prick", DERMATOMES, SENSORY_SCORES, path),
            lowest_non_key_muscle=_non_key_muscle(side.get("lowest_non_key_muscle"), path),
        )

    def to_dict(self) -> dict[str, Any]:
        """The side as `from_dict` takes it."""
        return {
            "motor": dict(zip(MYOTOMES, self.motor, strict=True)),
            "light_touch": dict(zip(DERMATOMES, self.light_touch, strict=True)),
            "pin_prick": dict(zip(DERMATOMES, self.pin_prick, strict=True)),
            "lowest_non_key_muscle": self.lowest_non_key_muscle,
        }

    def without_tags(self) -> ExaminationSide:
        """The side with every star removed: what was seen, as if nothing but the cord were injured."""
        return ExaminationSide(
            motor=tuple(item.rstrip("*") for item in self.motor),
            light_touch=tuple(item.rstrip("*") for item in self.light_touch),
            pin_prick=tuple(item.rstrip("*") for item in self.pin_prick),
            lowest_non_key_muscle=self.lowest_non_key_muscle,
        )

    @property
    def is_tagged(self) -> bool:
        """True if any value carries a star."""
        return "*" in "".join((*self.motor, *self.light_touch, *self.pin_prick))


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """A whole examination: both sides and the anal findings ("Yes", "No" or "NT")."""

    right: ExaminationSide
    left: ExaminationSide
    voluntary_anal_contraction: str
    deep_anal_pressure: str

    @classmethod
    def from_dict(cls, data: Any) -> Examination:
        """Check and take over an examination.

        Keys at the top that the classification does not know (examiner, time, comments) are left alone.

        Raises:
            RecordError: with the path of the bad value, such as ``right.motor.C5``.
        """
        exam = _mapping(data, "examination")
        return cls(
            right=ExaminationSide.from_dict(_required(exam, "right", ""), "right"),
            left=ExaminationSide.from_dict(_required(exam, "left", ""), "left"),
            voluntary_anal_contraction=_finding(exam, "voluntary_anal_contraction"),
            deep_anal_pressure=_finding(exam, "deep_anal_pressure"),
        )

    def to_dict(self) -> dict[str, Any]:
        """The examination as `from_dict` takes it."""
        return {
            "right": self.right.to_dict(),
            "left": self.left.to_dict(),
            "voluntary_anal_contraction": self.voluntary_anal_contraction,
            "deep_anal_pressure": self.deep_anal_pressure,
        }

    def without_tags(self) -> Examination:
        """The examination with every star removed."""
        return Examination(
            right=self.right.without_tags(),
            left=self.left.without_tags(),
            voluntary_anal_contraction=self.voluntary_anal_contraction,
            deep_anal_pressure=self.deep_anal_pressure,
        )

    @property
    def is_tagged(self) -> bool:
        """True if any value of either side carries a star."""
        return self.right.is_tagged or self.left.is_tagged


def _scores(
    side: Mapping[str, Any], key: str, segments: tuple[str, ...], allowed: Mapping[str, Any], path: str
) -> tuple[str, ...]:
    """The scores of one column in segment order, each checked against the values the worksheet allows."""
    column = _mapping(_required(side, key, path), f"{path}.{key}")
    if len(column) == len(segments):
        try:
            scores: tuple[str, ...] = _PICK[segments](column)
            if all(map(allowed.__contains__, scores)):
                return scores
        except (KeyError, TypeError):
            pass
    raise _fault_in_column(column, f"{path}.{key}", segments, allowed)


def _fault_in_column(
    column: Mapping[str, Any], path: str, segments: Sequence[str], allowed: Mapping[str, Any]
) -> RecordError:
    unknown = next((name for name in column if name not in segments), None)
    if unknown is not None:
        return RecordError(f"{path}.{unknown}: no such segment here; use {segments[0]} to {segments[-1]}")
    for name in segments:
        if name not in column:
            return RecordError(f"{path}.{name}: missing; write NT where it could not be tested")
        written = column[name]
        if not isinstance(written, str):
            return RecordError(f"{path}.{name}: {written!r} is not text; write it as on the worksheet")
        if written not in allowed:
            return RecordError(f"{path}.{name}: {written!r} is no value; use one of {', '.join(allowed)}")
    raise InternalError(f"{path}: refused without a fault")


def _non_key_muscle(level: Any, path: str) -> str | None:
    if level is None or (isinstance(level, str) and level in MYOTOMES):
        return level
    raise RecordError(
        f"{path}.lowest_non_key_muscle: {level!r} is no segment with a limb muscle; "
        f"use one of {', '.join(MYOTOMES)} or null"
    )


def _finding(exam: Mapping[str, Any], key: str) -> str:
    found = _required(exam, key, "")
    if not isinstance(found, str) or found not in ANAL_FINDINGS:
        raise RecordError(f"{key}: {found!r} is no finding; use one of {', '.join(ANAL_FINDINGS)}")
    return found


def _mapping(data: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise RecordError(f"{path}: expected an object with named values, found {type(data).__name__}")
    return data


def _required(data: Mapping[str, Any], key: str, path: str) -> Any:
    if key not in data:
        where = f"{path}.{key}" if path else key
        raise RecordError(f"{where}: missing; an examination needs it, with NT for what was not testable")
    return data[key]


def _refuse_unknown(data: Mapping[str, Any], known: Sequence[str], path: str) -> None:
    for key in data:
        if key not in known:
            raise RecordError(f"{path}.{key}: unknown; a side holds {', '.join(known)}")
