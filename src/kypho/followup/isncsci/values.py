"""Segments and scores: what each written value can stand for.

A value on the worksheet is read as the set of scores it leaves possible for the classification:

- a plain score is itself, ``NT`` is every score;
- ``3*`` is tagged (a condition other than the cord injury lowers it) and considered not normal: at least
  what was seen, but below normal; ``NT*`` is every score below normal;
- ``3**`` and ``NT**`` are tagged and considered normal.

With sets every rule of the standard splits into two questions, "can this hold?" and "must this hold?",
and no substitution of missing values is ever enumerated.
"""

from __future__ import annotations

from kypho.evidence import value

__all__ = [
    "ANAL_FINDINGS",
    "DERMATOMES",
    "INTACT",
    "MOTOR_LEVEL_GRADE",
    "MOTOR_SCORES",
    "MYOTOMES",
    "NORMAL_SENSATION",
    "NORMAL_STRENGTH",
    "POSITION",
    "SEGMENTS",
    "SENSORY_SCORES",
    "STAR",
    "score_seen",
    "stars",
]

DERMATOMES: tuple[str, ...] = (
    *(f"C{n}" for n in range(2, 9)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
    "S1",
    "S2",
    "S3",
    "S4-5",
)
"""The 28 dermatomes of a side, head to tail. S4 and S5 are one."""

MYOTOMES: tuple[str, ...] = ("C5", "C6", "C7", "C8", "T1", "L2", "L3", "L4", "L5", "S1")
"""The ten segments of a side that have a key muscle."""

SEGMENTS: tuple[str, ...] = ("C1", *DERMATOMES)
"""Every segment a level can fall on, and S4-5."""

POSITION: dict[str, int] = {name: place for place, name in enumerate(SEGMENTS)}

INTACT = "INT"
STAR = "*"

NORMAL_SENSATION: int = value("isncsci.normal_sensation")
NORMAL_STRENGTH: int = value("isncsci.normal_strength")
MOTOR_LEVEL_GRADE: int = value("isncsci.motor_level_grade")

ANAL_FINDINGS: dict[str, frozenset[bool]] = {
    "Yes": frozenset({True}),
    "No": frozenset({False}),
    "NT": frozenset({False, True}),
}
"""Voluntary anal contraction and deep anal pressure: written value to what it leaves possible."""


def _scores(normal: int) -> dict[str, frozenset[int]]:
    """Written value to possible scores, for a scale from 0 to `normal`."""
    every = range(normal + 1)
    table = {str(score): frozenset({score}) for score in every}
    table["NT"] = frozenset(every)
    table["NT*"] = frozenset(range(normal))
    table["NT**"] = frozenset({normal})
    for score in range(normal):
        table[f"{score}*"] = frozenset(range(score, normal))
        table[f"{score}**"] = frozenset({normal})
    # A tag on a full score, the "5*" of older revisions, says that the examiner considers it normal.
    table[f"{normal}*"] = table[f"{normal}**"] = frozenset({normal})
    return table


SENSORY_SCORES: dict[str, frozenset[int]] = _scores(NORMAL_SENSATION)
MOTOR_SCORES: dict[str, frozenset[int]] = _scores(NORMAL_STRENGTH)


def stars(written: str, normal: int) -> int:
    """How the value is tagged: 0 not, 1 considered not normal, 2 considered normal.

    A tag on the full score `normal` counts as considered normal.
    """
    count = written.count(STAR)
    return 2 if count and written.startswith(str(normal)) else count


def score_seen(written: str) -> int | None:
    """The score the examiner saw, tag or not; None where nothing could be tested."""
    return None if written.startswith("NT") else int(written[0])
