"""The bedside examination: some muscles, some dermatomes, the rest not tested.

Most patients after kyphoplasty are examined this way. What was not examined is missing, not normal: it
becomes ``NT``, and the sentence says how many grades remain instead of naming one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kypho.errors import RecordError
from kypho.followup.isncsci.classification import Classification
from kypho.followup.isncsci.examination import Examination
from kypho.followup.isncsci.values import DERMATOMES, MYOTOMES

__all__ = ["from_partial", "sentence", "verdict"]

NOT_TESTED = "NT"
_COLUMNS = {"motor": MYOTOMES, "light_touch": DERMATOMES, "pin_prick": DERMATOMES}
_FINDINGS = ("voluntary_anal_contraction", "deep_anal_pressure")


def from_partial(data: Any) -> Examination:
    """An examination from whatever was tested; everything absent becomes ``NT``.

    Raises:
        RecordError: a key is unknown or a value is not one the worksheet allows.
    """
    if not isinstance(data, Mapping):
        return Examination.from_dict(data)
    known = ("right", "left", *_FINDINGS)
    unknown = next((key for key in data if key not in known), None)
    if unknown is not None:
        raise RecordError(f"{unknown}: unknown; a bedside examination holds {', '.join(known)}")
    filled: dict[str, Any] = {key: data.get(key, NOT_TESTED) for key in _FINDINGS}
    for name in ("right", "left"):
        filled[name] = _filled_side(data.get(name, {}))
    return Examination.from_dict(filled)


def _filled_side(side: Any) -> Any:
    if not isinstance(side, Mapping):
        return side
    filled = dict(side)
    for column, segments in _COLUMNS.items():
        tested = side.get(column, {})
        if isinstance(tested, Mapping):
            filled[column] = _filled_column(tested, segments)
    return filled


def _filled_column(tested: Mapping[str, Any], segments: Sequence[str]) -> dict[str, Any]:
    return {**dict.fromkeys(segments, NOT_TESTED), **tested}


def sentence(result: Classification) -> str:
    """The AIS grade and the neurological level, or what remains possible of both, for reading."""
    levels = [level.replace("INT", "intact") for level in result.neurological_level.split(",")]
    between = f"not settled, from {levels[0]} to {levels[-1]}" if len(levels) > 1 else levels[0]
    text = f"{verdict(result)}; neurological level {between}."
    return text[0].upper() + text[1:]


def verdict(result: Classification) -> str:
    """In a few words: the AIS grade, or how many remain possible."""
    grades = result.possible_grades
    if len(grades) == 1:
        return f"AIS {grades[0]}"
    return f"cannot classify: {len(grades)} possible AIS grades ({', '.join(grades)})"
