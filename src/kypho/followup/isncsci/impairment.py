"""Completeness and the ASIA Impairment Scale (AIS), each as all grades that remain possible.

Each grade is asked for by itself: can it hold for some possible level and some possible score of the
muscles? Rules: Rupp et al. 2021, 10.46292/sci2702-1. Stars: docs/isncsci.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from kypho.evidence import value
from kypho.followup.isncsci.examination import Examination, ExaminationSide
from kypho.followup.isncsci.levels import neurological_level
from kypho.followup.isncsci.values import (
    INTACT,
    MOTOR_LEVEL_GRADE,
    MOTOR_SCORES,
    MYOTOMES,
    POSITION,
    SEGMENTS,
    SENSORY_SCORES,
    STAR,
    score_seen,
)

__all__ = ["completeness", "impairment_scale"]

MOTOR_INCOMPLETE_LEVELS: int = value("isncsci.motor_incomplete_levels")
AIS_D_SHARE: float = value("isncsci.ais_d_share")

_MYOTOME_POSITIONS = [POSITION[name] for name in MYOTOMES]

_CAN_BE_WEAK = {item for item, scores in MOTOR_SCORES.items() if min(scores) < MOTOR_LEVEL_GRADE}
_CAN_BE_STRONG = {item for item, scores in MOTOR_SCORES.items() if max(scores) >= MOTOR_LEVEL_GRADE}
_WEAK_WITH_TAG = {
    item
    for item in MOTOR_SCORES
    if item.endswith(STAR) and (seen := score_seen(item)) is not None and seen < MOTOR_LEVEL_GRADE
}
"""Tagged values whose seen score is below the motor level grade."""


class _Verdict(NamedTuple):
    """Whether something can hold, and whether a tag decides it."""

    possible: bool
    by_tag: bool = False


def _sacral_scores(exam: Examination) -> tuple[str, ...]:
    return (
        exam.right.light_touch[-1],
        exam.right.pin_prick[-1],
        exam.left.light_touch[-1],
        exam.left.pin_prick[-1],
    )


def completeness(exam: Examination) -> list[str]:
    """Possible answers to "complete or incomplete": C without any function at S4-5, else I."""
    sacral = set(_sacral_scores(exam))
    findings = (exam.voluntary_anal_contraction, exam.deep_anal_pressure)
    if findings == ("No", "No") and sacral == {"0"}:
        return ["C"]
    if findings == ("No", "No") and sacral <= {"0", "0*"}:
        return ["C*", "I*"]
    if findings == ("No", "No") and sacral <= {"0", "0**"}:
        return ["I*"]
    if "Yes" not in findings and all(0 in SENSORY_SCORES[item] for item in sacral):
        return ["C", "I"]
    return ["I"]


def impairment_scale(
    exam: Examination,
    *,
    complete: Sequence[str],
    motor_right: Sequence[str],
    motor_left: Sequence[str],
    neurological: Sequence[str],
) -> list[str]:
    """Possible AIS grades, A to E, from the levels and the completeness already found."""
    contraction = exam.voluntary_anal_contraction
    if contraction == "Yes" and len(neurological) == 1 and _bare(neurological[0]) == INTACT:
        return [_grade("E", neurological[0].endswith(STAR))]
    grades = []
    if any(answer.startswith("C") for answer in complete):
        grades.append(_grade("A", any(answer.endswith(STAR) for answer in complete)))
    sacral = _sacral_sensation(exam)
    sensory_incomplete = _motor_function_can_be_absent(exam, motor_right, motor_left)
    if sacral.possible and sensory_incomplete.possible:
        grades.append(_grade("B", sacral.by_tag or sensory_incomplete.by_tag))
    motor_incomplete = _can_be_motor_incomplete(exam, sacral, motor_right, motor_left)
    if motor_incomplete.possible:
        few, many = _few_strong(exam, neurological), _many_strong(exam, neurological)
        if few.possible:
            by_tag = few.by_tag or motor_incomplete.by_tag or _only_with_tags(exam)
            grades.append(_grade("C", by_tag))
        if many.possible:
            grades.append(_grade("D", many.by_tag or motor_incomplete.by_tag))
    if contraction != "No" and _bare(neurological[-1]) == INTACT:
        grades.append(_grade("E", neurological[-1].endswith(STAR)))
    return grades


# --- B: sacral sensation, no motor function far below the motor level -----------------------------------


def _sacral_sensation(exam: Examination) -> _Verdict:
    """Can sensation be preserved at S4-5 (light touch, pin prick or deep anal pressure)?"""
    if exam.deep_anal_pressure != "No":
        return _Verdict(True)
    sacral = set(_sacral_scores(exam))
    felt = sacral != {"0"}
    return _Verdict(felt, by_tag=felt and sacral <= {"0", "0*", "0**"})


def _motor_function_can_be_absent(exam: Examination, right: Sequence[str], left: Sequence[str]) -> _Verdict:
    """Can both sides and the anal sphincter be without motor function far below the motor level?"""
    on_right, on_left = _can_be_paralysed(exam.right, right), _can_be_paralysed(exam.left, left)
    return _Verdict(
        exam.voluntary_anal_contraction != "Yes" and on_right.possible and on_left.possible,
        by_tag=exam.voluntary_anal_contraction == "No" and (on_right.by_tag or on_left.by_tag),
    )


def _can_be_paralysed(side: ExaminationSide, levels: Sequence[str]) -> _Verdict:
    """Can all key muscles far below one of the possible motor levels be without function?"""
    by_tag = False
    for level in levels:
        works = False
        for muscle in _far_below(level):
            written = side.motor[muscle]
            by_tag = by_tag or written in ("0*", "0**")
            works = 0 not in MOTOR_SCORES[written] or _is_non_key(side, muscle)
            if works:
                break
        if not works:
            return _Verdict(True, by_tag)
    return _Verdict(False)


# --- C and D: motor function far below, few or many strong muscles --------------------------------------


def _can_be_motor_incomplete(
    exam: Examination, sacral: _Verdict, right: Sequence[str], left: Sequence[str]
) -> _Verdict:
    """Can there be anal contraction, or sacral sensation with motor function far below the motor level?"""
    if exam.voluntary_anal_contraction != "No":
        return _Verdict(True)
    if not sacral.possible:
        return _Verdict(False)
    on_right, on_left = _can_move(exam.right, right), _can_move(exam.left, left)
    return _Verdict(on_right.possible or on_left.possible, on_right.by_tag or on_left.by_tag)


def _can_move(side: ExaminationSide, levels: Sequence[str]) -> _Verdict:
    """Can a muscle far below the highest possible motor level work? Below that lie all the others'."""
    for muscle in _far_below(levels[0]):
        if side.motor[muscle] != "0" or _is_non_key(side, muscle):
            return _Verdict(True, by_tag=side.motor[muscle] == "0**")
    return _Verdict(False)


def _few_strong(exam: Examination, levels: Sequence[str]) -> _Verdict:
    """Can fewer than half of the key muscles below a possible neurological level be of grade 3 or better?"""
    for level in levels:
        written = _muscles_below(exam, level)
        needed = len(written) * (1 - AIS_D_SHARE)
        weak = [item for item in written if item in _CAN_BE_WEAK]
        if len(weak) > needed:
            in_doubt = sum(item in _WEAK_WITH_TAG for item in weak)
            return _Verdict(True, by_tag=len(weak) - in_doubt <= needed)
    return _Verdict(False)


def _many_strong(exam: Examination, levels: Sequence[str]) -> _Verdict:
    """Can at least half of the key muscles below a possible neurological level be of grade 3 or better?"""
    by_tag = False
    for level in levels:
        if _bare(level) == INTACT:
            break
        written = _muscles_below(exam, level)
        needed = len(written) * AIS_D_SHARE
        strong = [item for item in written if item in _CAN_BE_STRONG]
        if len(strong) - sum(item in _WEAK_WITH_TAG for item in strong) >= needed:
            return _Verdict(True)
        by_tag = by_tag or len(strong) >= needed
    return _Verdict(by_tag, by_tag)


def _only_with_tags(exam: Examination) -> bool:
    """True if AIS C could not hold were every value taken as seen."""
    if not exam.is_tagged:
        return False
    bare = exam.without_tags()
    return not _few_strong(bare, neurological_level(bare)).possible


# --- where the muscles lie ------------------------------------------------------------------------------

_FAR_BELOW = {
    name: range(bisect_left(_MYOTOME_POSITIONS, POSITION[name] + MOTOR_INCOMPLETE_LEVELS + 1), len(MYOTOMES))
    for name in SEGMENTS
} | {INTACT: range(0)}
_BELOW = {
    name: slice(bisect_left(_MYOTOME_POSITIONS, POSITION[name] + 1), len(MYOTOMES)) for name in SEGMENTS
} | {INTACT: slice(0, 0)}


def _far_below(level: str) -> range:
    """Key muscles more than three segments below the level, as places in the motor column."""
    return _FAR_BELOW[_bare(level)]


def _muscles_below(exam: Examination, level: str) -> tuple[str, ...]:
    """Values of all key muscles of both sides below the level."""
    below = _BELOW[_bare(level)]
    return exam.left.motor[below] + exam.right.motor[below]


def _is_non_key(side: ExaminationSide, muscle: int) -> bool:
    return side.lowest_non_key_muscle == MYOTOMES[muscle]


def _bare(level: str) -> str:
    return level.rstrip(STAR)


def _grade(letter: str, by_tag: bool) -> str:
    return letter + STAR if by_tag else letter
