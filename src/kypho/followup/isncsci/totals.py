"""Sums of the scores. A sum with an untested value is not determinable (``ND``); tags change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from kypho.followup.isncsci.values import MOTOR_SCORES, score_seen

__all__ = ["NOT_DETERMINABLE", "add", "total"]

NOT_DETERMINABLE = "ND"
_SEEN = {written: score_seen(written) for written in MOTOR_SCORES}


def total(written: Sequence[str]) -> str:
    """Sum of the scores seen, or ``ND``."""
    try:
        return str(sum(map(_SEEN.__getitem__, written)))  # type: ignore[arg-type]  # None raises TypeError
    except TypeError:
        return NOT_DETERMINABLE


def add(right: str, left: str) -> str:
    """Sum of the totals of both sides, or ``ND``."""
    if NOT_DETERMINABLE in (right, left):
        return NOT_DETERMINABLE
    return str(int(right) + int(left))
