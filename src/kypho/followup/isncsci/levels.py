"""Sensory, motor and neurological levels, each as the list of all segments it can fall on.

A level is found by walking down the cord: the walk ends on the last segment below which something is not
normal. Where a value is missing or tagged, the walk may both end here and go on. `Step` holds that for one
segment, `walk` collects the possible ends, and the three levels differ only in the steps they walk.

Rules: Rupp et al. 2021, 10.46292/sci2702-1. Stars and order of the output: docs/isncsci.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

from kypho.followup.isncsci.examination import Examination, ExaminationSide
from kypho.followup.isncsci.values import (
    INTACT,
    MOTOR_LEVEL_GRADE,
    MOTOR_SCORES,
    MYOTOMES,
    NORMAL_SENSATION,
    NORMAL_STRENGTH,
    POSITION,
    SEGMENTS,
    SENSORY_SCORES,
    STAR,
    score_seen,
    stars,
)

__all__ = ["Step", "motor_level", "neurological_level", "sensory_level", "walk"]

FULL = str(NORMAL_STRENGTH)


class Step(NamedTuple):
    """What one segment allows the walk to do.

    Attributes:
        listed: the walk can end here.
        goes_on: the walk can pass.
        starred: a tag decides that it can end here.
        tags_on: passing here rests on a tag, so what follows is starred.
    """

    listed: bool
    goes_on: bool
    starred: bool
    tags_on: bool


def walk(steps: Iterable[Step], segments: Sequence[str]) -> tuple[list[str], bool, bool]:
    """The segments on which the walk can end, starred where a tag had a say.

    Returns:
        The segments in walking order; whether the walk can pass the last one; whether a tag was passed.
    """
    ends: list[str] = []
    tagged = False
    for segment, (listed, goes_on, starred, tags_on) in zip(segments, steps, strict=False):
        if listed:
            ends.append(segment + STAR if tagged or starred else segment)
        tagged = tagged or tags_on
        if not goes_on:
            return ends, False, tagged
    return ends, True, tagged


# --- the steps -----------------------------------------------------------------------------------------


def _dermatome_step(light_touch: str, pin_prick: str) -> Step:
    """The step onto a dermatome: it can be passed if both modalities can be normal."""
    both = (light_touch, pin_prick)
    possible = [SENSORY_SCORES[item] for item in both]
    surely_abnormal = any(
        NORMAL_SENSATION not in scores and item != "NT*" for item, scores in zip(both, possible, strict=True)
    )
    normal_by_tag = [item for item in both if stars(item, NORMAL_SENSATION) == 2]
    return Step(
        listed=any(scores != {NORMAL_SENSATION} for scores in possible),
        goes_on=all(NORMAL_SENSATION in scores for scores in possible),
        starred="NT*" in both and not surely_abnormal,
        # Beside a plain NT only an abnormal score that counts as normal makes the outcome rest on its tag.
        tags_on=any("NT" not in both or score_seen(item) in (0, 1) for item in normal_by_tag),
    )


_DERMATOME_STEPS = {pair: _dermatome_step(*pair) for pair in product(SENSORY_SCORES, repeat=2)}


def _is_weak(written: str) -> bool:
    """True if a score below the motor level grade was seen."""
    seen = score_seen(written)
    return seen is not None and seen < MOTOR_LEVEL_GRADE


def _decided_by_tag(written: str, in_doubt: bool) -> bool:
    """True if a myotome can be the level only for the sake of its tag."""
    kind = stars(written, NORMAL_STRENGTH)
    if kind == 1:
        return _is_weak(written) or score_seen(written) is None
    return kind == 2 and _is_weak(written) and in_doubt


def _myotome_step(here: str, below: str) -> Step:
    """The step from one key muscle to the next: normal here, and strong enough to be a level below."""
    scores, next_scores = MOTOR_SCORES[here], MOTOR_SCORES[below]
    can_fail, can_hold = min(next_scores) < MOTOR_LEVEL_GRADE, max(next_scores) >= MOTOR_LEVEL_GRADE
    return Step(
        listed=scores != {NORMAL_STRENGTH} or can_fail,
        goes_on=NORMAL_STRENGTH in scores and can_hold,
        starred=_decided_by_tag(here, in_doubt=can_fail and can_hold),
        tags_on=stars(here, NORMAL_STRENGTH) == 2
        or (here == FULL and stars(below, NORMAL_STRENGTH) == 2 and _is_weak(below)),
    )


_MYOTOME_STEPS = {pair: _myotome_step(*pair) for pair in product(MOTOR_SCORES, repeat=2)}


@cache
def _last_myotome_step(here: str, sensation_can_end: bool, sensation_can_pass: bool, tagged: bool) -> Step:
    """The step from T1 or S1 into segments without key muscles, where sensation stands for strength."""
    scores = MOTOR_SCORES[here]
    return Step(
        listed=scores != {NORMAL_STRENGTH} or sensation_can_end,
        goes_on=NORMAL_STRENGTH in scores and sensation_can_pass,
        starred=_decided_by_tag(here, in_doubt=sensation_can_end),
        tags_on=stars(here, NORMAL_STRENGTH) == 2 or (tagged and not sensation_can_end),
    )


@cache
def _both_sides(left: Step, right: Step) -> Step:
    """The step of the neurological level where sensation alone counts."""
    return Step(
        listed=left.listed or right.listed,
        goes_on=left.goes_on and right.goes_on,
        starred=left.starred and right.starred,
        tags_on=left.tags_on or right.tags_on,
    )


@cache
def _with_myotomes(sensation: Step, left: Step, right: Step) -> Step:
    """The step of the neurological level where key muscles count as well."""
    return Step(
        listed=sensation.listed or left.listed or right.listed,
        goes_on=sensation.goes_on and left.goes_on and right.goes_on,
        starred=left.listed and right.listed and (left.starred or right.starred),
        tags_on=sensation.tags_on or left.tags_on or right.tags_on,
    )


# --- the levels ----------------------------------------------------------------------------------------

_ABOVE_ARM, _FIRST_ARM, _LAST_ARM = POSITION["C4"], POSITION["C5"], POSITION["T1"]
_ABOVE_LEG, _FIRST_LEG, _LAST_LEG = POSITION["L1"], POSITION["L2"], POSITION["S1"]
_LIMB_MUSCLES = 5


def _dermatomes(side: ExaminationSide) -> list[Step]:
    """Steps from C1 to S3; the step of a segment looks at the dermatome below it."""
    return list(map(_DERMATOME_STEPS.__getitem__, zip(side.light_touch, side.pin_prick, strict=True)))


def _limb(muscles: Sequence[str]) -> list[Step]:
    """Steps from the segment above a limb to its last key muscle, seen from the muscles alone."""
    return list(map(_MYOTOME_STEPS.__getitem__, pairwise((FULL, *muscles, FULL))))


def _end_of_limb(muscle: str, sensation: Sequence[Step]) -> Step:
    """The last key muscle together with the dermatomes of the limb and the one below it."""
    return _last_myotome_step(
        muscle,
        any(step.listed for step in sensation),
        all(step.goes_on for step in sensation),
        any(step.tags_on for step in sensation),
    )


def sensory_level(side: ExaminationSide) -> list[str]:
    """Possible sensory levels: the last segment down to which light touch and pin prick are normal."""
    ends, passed, tagged = walk(_dermatomes(side), SEGMENTS)
    return [*ends, _intact(tagged)] if passed else ends


def motor_level(side: ExaminationSide, contraction: str) -> list[str]:
    """Possible motor levels: the lowest key muscle of grade 3 or better with all above it normal.

    Where there is no key muscle the level follows sensation. S4-5 is tested by the voluntary anal
    contraction: without it the motor level is S3 at best.
    """
    steps = _dermatomes(side)
    sensation = steps.copy()
    for above, first, last, muscles in (
        (_ABOVE_ARM, _FIRST_ARM, _LAST_ARM, side.motor[:_LIMB_MUSCLES]),
        (_ABOVE_LEG, _FIRST_LEG, _LAST_LEG, side.motor[_LIMB_MUSCLES:]),
    ):
        # The step of a segment looks one dermatome down, so the limb's own begin one step above it.
        steps[above : last + 1] = _limb(muscles)
        steps[last] = _end_of_limb(muscles[-1], sensation[first - 1 : last + 1])
    ends, passed, tagged = walk(steps, SEGMENTS)
    if not passed:
        return ends
    if contraction != "Yes" and not any(end.startswith("S3") for end in ends):
        ends.append("S3" + STAR if tagged else "S3")
    if contraction != "No":
        ends.append(_intact(tagged))
    return ends


def neurological_level(exam: Examination) -> list[str]:
    """Possible neurological levels: sensation normal and muscles of grade 3 or better on both sides.

    This is the highest of the four levels, save that it does not ask for the anal contraction.
    """
    left, right = exam.left, exam.right
    steps = [_both_sides(*pair) for pair in zip(_dermatomes(left), _dermatomes(right), strict=True)]
    for above, last, limb in (
        (_ABOVE_ARM, _LAST_ARM, slice(0, _LIMB_MUSCLES)),
        (_ABOVE_LEG, _LAST_LEG, slice(_LIMB_MUSCLES, len(MYOTOMES))),
    ):
        muscles = zip(_limb(left.motor[limb]), _limb(right.motor[limb]), strict=True)
        for place, pair in zip(range(above, last + 1), muscles, strict=True):
            steps[place] = _with_myotomes(steps[place], *pair)
    ends, passed, tagged = walk(steps, SEGMENTS)
    return [*ends, _intact(tagged)] if passed else ends


def _intact(tagged: bool) -> str:
    return INTACT + STAR if tagged else INTACT
