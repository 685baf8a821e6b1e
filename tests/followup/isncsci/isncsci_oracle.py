"""A slow second opinion: the textbook on plain scores, and missing values by trying every one.

Nothing here is shared with the package. Plain examinations are classified by the printed rules, one
segment at a time; an examination with missing or tagged values is completed in every possible way and the
results are collected.
"""

from __future__ import annotations

from itertools import product

from isncsci_exams import MYOTOMES, PLACE, SEGMENTS, SIDES

INT = len(SEGMENTS)
NAMES = [*SEGMENTS, "INT"]
ARM, LEG = MYOTOMES[:5], MYOTOMES[5:]


def readings(written: str, normal: int) -> range:
    """The scores a written value can stand for."""
    if written.endswith("**"):
        return range(normal, normal + 1)
    if written == "NT":
        return range(normal + 1)
    if written.endswith("*"):
        lowest = 0 if written == "NT*" else int(written[0])
        return range(lowest, normal)
    return range(int(written), int(written) + 1)


# --- the textbook, on plain scores ------------------------------------------------------------------------


def sensory(side: dict) -> int:
    normal = INT
    for dermatome in reversed(SEGMENTS[1:]):
        if side["light_touch"][dermatome] != 2 or side["pin_prick"][dermatome] != 2:
            normal = PLACE[dermatome] - 1
    return normal


def motor(side: dict, contraction: bool) -> int:
    feeling = sensory(side)
    if feeling < PLACE["C4"]:
        return feeling
    for limb, above in ((ARM, "C4"), (LEG, "L1")):
        if feeling < PLACE[above]:
            return feeling
        level = limb_level(side["motor"], limb, above)
        if level is not None:
            return level
        if feeling <= PLACE[limb[-1]]:
            return PLACE[limb[-1]]
    return feeling if feeling < INT else (INT if contraction else PLACE["S3"])


def limb_level(strength: dict, limb: list[str], above: str) -> int | None:
    """Where the key muscles of a limb put the motor level; None if all are normal."""
    level = PLACE[above]
    for muscle in limb:
        if strength[muscle] < 3:
            return level
        level = PLACE[muscle]
        if strength[muscle] < 5:
            return level
    return None


def textbook(exam: dict) -> dict[str, str]:
    """Classify an examination of plain integers and booleans; keys such as "right.motor_level"."""
    contraction, pressure = exam["voluntary_anal_contraction"], exam["deep_anal_pressure"]
    sides = [exam[name] for name in SIDES]
    feelings = [sensory(side) for side in sides]
    motors = [motor(side, contraction) for side in sides]
    # The neurological level does not ask for the contraction of the anus (docs/isncsci.md).
    level = min(*feelings, *(motor(side, True) for side in sides))
    felt = any(side[mode]["S4-5"] for side in sides for mode in ("light_touch", "pin_prick"))
    complete = not (contraction or pressure or felt)
    moves_far_below = any(far_below(side, place) for side, place in zip(sides, motors, strict=True))
    grade = ais(sides, level, complete, contraction, moves_far_below)
    result = {
        "neurological_level": NAMES[level],
        "asia_impairment_scale": grade,
        "injury_complete": "C" if complete else "I",
    }
    for name, side, feeling, place in zip(SIDES, sides, feelings, motors, strict=True):
        result[f"{name}.sensory_level"] = NAMES[feeling]
        result[f"{name}.motor_level"] = NAMES[place]
        result[f"{name}.sensory_zpp"] = sensory_zone(side, pressure)
        result[f"{name}.motor_zpp"] = motor_zone(side, place, contraction, grade)
    return result


def far_below(side: dict, level: int) -> bool:
    return any(
        PLACE[muscle] - level > 3 and (strength > 0 or side["lowest_non_key_muscle"] == muscle)
        for muscle, strength in side["motor"].items()
    )


def ais(sides: list[dict], level: int, complete: bool, contraction: bool, moves_far_below: bool) -> str:
    if complete:
        return "A"
    if level == INT and contraction:
        return "E"
    if not contraction and not moves_far_below:
        return "B"
    below = [side["motor"][m] for side in sides for m in MYOTOMES if PLACE[m] > level]
    return "D" if 2 * sum(score >= 3 for score in below) >= len(below) else "C"


def sensory_zone(side: dict, pressure: bool) -> str:
    felt = [d for d in SEGMENTS[1:] if side["light_touch"][d] or side["pin_prick"][d]]
    if pressure or "S4-5" in felt:
        return "NA"
    return felt[-1] if felt else "C1"


def motor_zone(side: dict, level: int, contraction: bool, grade: str) -> str:
    if contraction:
        return "NA"
    working = [PLACE[m] for m in MYOTOMES if side["motor"][m] > 0]
    end = max([level, *working])
    non_key = PLACE.get(side["lowest_non_key_muscle"], -1)
    return SEGMENTS[non_key if grade == "C" and non_key - end > 3 else end]


# --- every completion -------------------------------------------------------------------------------------


def completions(exam: dict, limit: int) -> list[dict] | None:
    """Every way to replace missing and tagged values by plain scores; None if there are more than `limit`."""
    slots, choices, count = [], [], 1
    for name in SIDES:
        for column in ("motor", "light_touch", "pin_prick"):
            for segment, written in exam[name][column].items():
                slots.append((name, column, segment))
                choices.append(readings(written, 5 if column == "motor" else 2))
    for finding in ("voluntary_anal_contraction", "deep_anal_pressure"):
        slots.append((finding,))
        choices.append({"Yes": [True], "No": [False], "NT": [False, True]}[exam[finding]])
    for choice in choices:
        count *= len(choice)
    if count > limit:
        return None
    return [_filled(exam, slots, values) for values in product(*choices)]


def _filled(exam: dict, slots: list[tuple], values: tuple) -> dict:
    done = {name: {"motor": {}, "light_touch": {}, "pin_prick": {}} for name in SIDES}
    for name in SIDES:
        done[name]["lowest_non_key_muscle"] = exam[name]["lowest_non_key_muscle"]
    for slot, value in zip(slots, values, strict=True):
        if len(slot) == 1:
            done[slot[0]] = value
        else:
            done[slot[0]][slot[1]][slot[2]] = value
    return done


def every_result(completed: list[dict]) -> dict[str, set[str]]:
    """All results over the completions, by output."""
    found: dict[str, set[str]] = {}
    for exam in completed:
        for key, value in textbook(exam).items():
            found.setdefault(key, set()).add(value)
    return found


def grades_asked_one_by_one(exam: dict, completed: list[dict], results: dict[str, set[str]]) -> set[str]:
    """AIS grades if C and D are asked for at each possible level with every muscle read to suit.

    This is how the package reads the standard (docs/isncsci.md): a superset of the grades of completions.
    """
    grades = set(results["asia_impairment_scale"]) - {"C", "D"}
    if grades == {"E"} and results["neurological_level"] == {"INT"}:
        return grades
    if any(_motor_incomplete(item) for item in completed):
        for name in results["neurological_level"] - {"INT"}:
            below = [
                readings(exam[side]["motor"][m], 5)
                for side in SIDES
                for m in MYOTOMES
                if PLACE[m] > PLACE[name]
            ]
            if 2 * sum(min(reading) < 3 for reading in below) > len(below):
                grades.add("C")
            if 2 * sum(max(reading) >= 3 for reading in below) >= len(below):
                grades.add("D")
    return grades


def _motor_incomplete(exam: dict) -> bool:
    contraction = exam["voluntary_anal_contraction"]
    sides = [exam[name] for name in SIDES]
    felt = exam["deep_anal_pressure"] or any(
        side[mode]["S4-5"] for side in sides for mode in ("light_touch", "pin_prick")
    )
    return contraction or (felt and any(far_below(side, motor(side, contraction)) for side in sides))


def in_worksheet_order(found: set[str]) -> str:
    """Results joined as the package writes them: NA, then head to tail; grades by letter."""
    order = {"NA": -1, **{name: place for place, name in enumerate(NAMES)}}
    return ",".join(sorted(found, key=lambda item: (order.get(item, 0), item)))
