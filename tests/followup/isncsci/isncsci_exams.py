"""Examinations for the tests: a normal one to change by hand, and random synthetic ones."""

from __future__ import annotations

import random
from copy import deepcopy

MYOTOMES = ["C5", "C6", "C7", "C8", "T1", "L2", "L3", "L4", "L5", "S1"]
DERMATOMES = (
    [f"C{n}" for n in range(2, 9)]
    + [f"T{n}" for n in range(1, 13)]
    + [f"L{n}" for n in range(1, 6)]
    + ["S1", "S2", "S3", "S4-5"]
)
SEGMENTS = ["C1", *DERMATOMES]
PLACE = {name: place for place, name in enumerate(SEGMENTS)}
SIDES = ("right", "left")
COLUMNS = ("motor", "light_touch", "pin_prick")


def normal() -> dict:
    """An examination without any finding."""
    side = {
        "motor": dict.fromkeys(MYOTOMES, "5"),
        "light_touch": dict.fromkeys(DERMATOMES, "2"),
        "pin_prick": dict.fromkeys(DERMATOMES, "2"),
        "lowest_non_key_muscle": None,
    }
    return {
        "right": deepcopy(side),
        "left": deepcopy(side),
        "voluntary_anal_contraction": "Yes",
        "deep_anal_pressure": "Yes",
    }


def injured(sensory: str, motor: str | None = None, *, contraction: str = "No", pressure: str = "No") -> dict:
    """A complete injury: normal down to `sensory` and `motor` (same by default), nothing below."""
    exam = normal()
    exam["voluntary_anal_contraction"], exam["deep_anal_pressure"] = contraction, pressure
    for name in SIDES:
        for column in ("light_touch", "pin_prick"):
            for dermatome in DERMATOMES:
                if PLACE[dermatome] > PLACE[sensory]:
                    exam[name][column][dermatome] = "0"
        for muscle in MYOTOMES:
            if PLACE[muscle] > PLACE[motor or sensory]:
                exam[name]["motor"][muscle] = "0"
    return exam


def put(exam: dict, path: str, written: str | None) -> dict:
    """The examination with one value changed; `path` is side.column.segment, "both" for either side."""
    side, column, *segment = path.split(".")
    changed = deepcopy(exam)
    for name in SIDES if side == "both" else (side,):
        if segment:
            changed[name][column][segment[0]] = written
        else:
            changed[name][column] = written
    return changed


def plain(rng: random.Random, *, non_key: bool = True) -> dict:
    """A random examination without missing or tagged values: normal above a level, mixed below it."""
    exam = normal()
    base = rng.randint(1, 30)
    for name in SIDES:
        sensory = max(1, base + rng.randint(-3, 3))
        motor = max(1, sensory + rng.randint(-2, 2))
        exam[name]["motor"] = {m: _strength(rng, PLACE[m], motor) for m in MYOTOMES}
        kept = rng.random()
        for column in ("light_touch", "pin_prick"):
            exam[name][column] = {d: _feeling(rng, PLACE[d], sensory, kept) for d in DERMATOMES}
        if rng.random() < 0.4:
            exam[name]["light_touch"]["S4-5"] = exam[name]["pin_prick"]["S4-5"] = "0"
        if non_key and rng.random() < 0.2:
            exam[name]["lowest_non_key_muscle"] = rng.choice(MYOTOMES)
    for finding in ("voluntary_anal_contraction", "deep_anal_pressure"):
        exam[finding] = rng.choice(["Yes", "No", "No"])
    return exam


def _strength(rng: random.Random, place: int, level: int) -> str:
    if place < level:
        return "5" if rng.random() < 0.97 else rng.choice("34")
    return rng.choice("12345") if place == level or rng.random() < 0.4 else "0"


def _feeling(rng: random.Random, place: int, level: int, kept: float) -> str:
    if place < level:
        return "2"
    return rng.choice("112") if rng.random() < kept else "0"


def with_gaps(rng: random.Random, exam: dict, *, count: int, tags: bool) -> dict:
    """The examination with `count` random values missing or, if asked for, tagged."""
    changed = deepcopy(exam)
    for _ in range(count):
        if rng.random() < 0.1:
            changed[rng.choice(["voluntary_anal_contraction", "deep_anal_pressure"])] = "NT"
            continue
        column = rng.choice(COLUMNS)
        values = changed[rng.choice(SIDES)][column]
        segment = rng.choice(list(values))
        seen = values[segment]
        if not tags:
            values[segment] = "NT"
        elif rng.random() < 0.5:
            values[segment] = rng.choice(["NT", "NT*", "NT**"])
        elif seen in "01234" and (column == "motor" or seen != "2"):
            values[segment] = seen + rng.choice(["*", "**"])
    return changed


def mirrored(exam: dict) -> dict:
    """Right and left exchanged."""
    return {**exam, "right": exam["left"], "left": exam["right"]}
