"""Zones of partial preservation after the 2019 revision: the lowest segment with any function.

The motor zone applies where there is no voluntary anal contraction; the sensory zone where there is
neither deep anal pressure nor sensation at S4-5 of that side; otherwise it is ``NA``. Both no longer ask
whether the injury is complete. Rules: Schuld et al. 2024, 10.1038/s41393-023-00950-x.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from kypho.followup.isncsci.examination import ExaminationSide
from kypho.followup.isncsci.impairment import MOTOR_INCOMPLETE_LEVELS
from kypho.followup.isncsci.levels import Step, walk
from kypho.followup.isncsci.values import (
    INTACT,
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

__all__ = ["motor_zone", "sensory_zone"]

NOT_APPLICABLE = "NA"
_UPWARD = SEGMENTS[POSITION["S3"] : 0 : -1]
"""S3 up to C2."""
_MUSCLE_AT = {POSITION[name]: place for place, name in enumerate(MYOTOMES)}
"""Place of a segment to the place of its key muscle in the motor column."""
_LOWEST_MUSCLE = POSITION["S1"]


def _feeling_step(light_touch: str, pin_prick: str) -> Step:
    """The step up past a dermatome: it is passed if nothing may be felt, and ends where something may."""
    both = (light_touch, pin_prick)
    felt = any(0 not in SENSORY_SCORES[item] for item in both)
    may_be_felt = any(SENSORY_SCORES[item] != {0} for item in both)
    by_tag = may_be_felt and not felt and not any(item.startswith("NT") for item in both)
    return Step(listed=may_be_felt, goes_on=not felt, starred=by_tag, tags_on=by_tag)


_FEELING_STEPS = {pair: _feeling_step(*pair) for pair in product(SENSORY_SCORES, repeat=2)}


def sensory_zone(side: ExaminationSide, pressure: str) -> list[str]:
    """Possible sensory zones of one side, head to tail, ``NA`` first where it may not apply."""
    steps = map(_FEELING_STEPS.__getitem__, zip(side.light_touch[::-1], side.pin_prick[::-1], strict=True))
    sacral = next(steps)
    if pressure == "Yes" or not sacral.goes_on:
        return [NOT_APPLICABLE]
    ends, passed, _ = walk(steps, _UPWARD)
    if passed:
        ends.append("C1")
    if pressure == "NT" or sacral.listed:
        ends.append(NOT_APPLICABLE)
    return ends[::-1]


def motor_zone(
    side: ExaminationSide, contraction: str, *, levels: Sequence[str], grades: Sequence[str]
) -> list[str]:
    """Possible motor zones of one side, head to tail, ``NA`` first where it may not apply.

    The zone never ends above the motor level. Non-key muscles lengthen it where they can have made the
    difference for AIS C: where they work more than three segments below the end of the zone.

    Args:
        side: the side examined.
        contraction: voluntary anal contraction, "Yes", "No" or "NT".
        levels: possible motor levels of the side.
        grades: possible AIS grades.
    """
    if contraction == "Yes":
        return [NOT_APPLICABLE]
    bare = [level.rstrip(STAR) for level in levels]
    reached = {POSITION[name] for name in bare if name != INTACT}
    top, bottom = POSITION[bare[0]], max(_LOWEST_MUSCLE, *reached)
    non_key = -1
    if side.lowest_non_key_muscle and any(grade.startswith("C") for grade in grades):
        non_key = POSITION[side.lowest_non_key_muscle]
    tagged = _reach_of_tags(side, top, bottom) if side.is_tagged else range(0)
    zone: dict[int, bool] = {}
    for place in range(bottom, top - 1, -1):
        muscle = _MUSCLE_AT.get(place)
        written = None if muscle is None else side.motor[muscle]
        if written == "0" or (written is None and place not in reached):
            continue
        if non_key - place > MOTOR_INCOMPLETE_LEVELS:
            zone.setdefault(non_key, False)
        elif written is None:
            zone[place] = place in tagged or _is_scored_with_tag(side, place)
        else:
            zone[place] = written in ("0*", "0**")
        if written is not None and 0 not in MOTOR_SCORES[written]:
            break
    ends = [SEGMENTS[place] + (STAR if zone[place] else "") for place in sorted(zone)]
    return [NOT_APPLICABLE, *ends] if contraction == "NT" else ends


def _reach_of_tags(side: ExaminationSide, top: int, bottom: int) -> range:
    """The places where normal findings rest on a tag: from the first tag to the last normal segment."""
    places = range(bottom + 1)
    first = next((place for place in places if _has_tag(side, place)), bottom + 1)
    abnormal = next((place for place in range(top, bottom + 1) if not _is_normal(side, place)), None)
    last = abnormal - 1 if abnormal is not None and abnormal > top else bottom
    return range(first, last + 1)


def _is_scored_with_tag(side: ExaminationSide, place: int) -> bool:
    return any(item.endswith(STAR) and score_seen(item) is not None for item in _values_at(side, place))


def _values_at(side: ExaminationSide, place: int) -> tuple[str, ...]:
    """Every value written for a segment; C1 has none."""
    if not place:
        return ()
    muscle = _MUSCLE_AT.get(place)
    strength = () if muscle is None else (side.motor[muscle],)
    return (side.light_touch[place - 1], side.pin_prick[place - 1], *strength)


def _has_tag(side: ExaminationSide, place: int) -> bool:
    return any(item.endswith(STAR) for item in _values_at(side, place))


def _is_normal(side: ExaminationSide, place: int) -> bool:
    """True if every value is normal or considered normal."""
    scales = (NORMAL_SENSATION, NORMAL_SENSATION, NORMAL_STRENGTH)
    return all(
        item == str(normal) or stars(item, normal) == 2
        for item, normal in zip(_values_at(side, place), scales, strict=False)
    )
