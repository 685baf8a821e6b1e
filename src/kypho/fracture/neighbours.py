"""The levels a body is compared with: the nearest ones above and below that are whole and not broken."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.anatomy import Labels, Vertebra
from kypho.anatomy.quality import inside_scan, quality_of
from kypho.errors import KyphoError
from kypho.evidence import value
from kypho.fracture.columns import Columns, level_columns, rough_frame
from kypho.fracture.heights import SITES, Heights, body_heights
from kypho.fracture.loss import Reference

__all__ = ["Neighbours", "find_neighbours", "looks_broken"]

FARTHEST = 2
"""Levels away beyond which a body says little about another one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """What stands next to a level.

    Attributes:
        above, below: columns of the levels next to it; None where one cannot be measured.
        references: the intact levels its heights are compared with.
        notes: what was left out, and why.
    """

    above: Columns | None
    below: Columns | None
    references: tuple[Reference, ...]
    notes: tuple[str, ...]


def find_neighbours(labels: Labels, vertebra: Vertebra, own: Heights) -> Neighbours:
    """Measure the levels next to one; where one is broken itself, go one level farther.

    Args:
        labels: the labels.
        vertebra: the level.
        own: its heights. A neighbour much shorter than this level, or than the other neighbour, is broken.
    """
    notes: list[str] = []
    beside: dict[int, Columns | None] = {}
    for side in (-1, 1):
        beside[side] = _columns(labels, vertebra, side, notes)
    known = {side: body_heights(columns) for side, columns in beside.items() if columns is not None}
    references = []
    for side in (-1, 1):
        heights = known.get(side)
        name = _name(labels, vertebra.level, side)
        if heights is None:
            continue
        reason = looks_broken(heights, [own, *(h for s, h in known.items() if s != side)])
        if not reason:
            references.append(Reference(heights=heights, away=side))
            continue
        notes.append(f"{name} is not used for comparison: {reason}")
        farther = _columns(labels, vertebra, FARTHEST * side, notes)
        heights = body_heights(farther) if farther is not None else None
        if heights is not None and not looks_broken(heights, [own]):
            notes.append(f"{_name(labels, vertebra.level, FARTHEST * side)} is used in its place")
            references.append(Reference(heights=heights, away=FARTHEST * side))
    return Neighbours(above=beside[-1], below=beside[1], references=tuple(references), notes=tuple(notes))


def looks_broken(heights: Heights, others: list[Heights]) -> str:
    """Why a body does not look intact, or an empty string.

    It is lower in front or in the middle than at the back by a grade 1 loss, or lower than another level
    next to it by a grade 2 loss; intact levels two apart differ by up to a fifth.
    """
    if not heights.whole:
        return "its heights cannot be read"
    front, middle, back = (heights.at(site) for site in SITES[:3])
    share = min(front, middle) / back
    if share < 1 - value("fracture.genant.grade1_percent") / 100:
        return f"it looks broken itself, {100 * (1 - share):.0f} % lower in front or in the middle"
    ratios = [heights.at(site) / other.at(site) for other in others if other.whole for site in SITES[:3]]
    if ratios and min(ratios) < 1 - value("fracture.genant.grade2_percent") / 100:
        return f"it looks broken itself, {100 * (1 - min(ratios)):.0f} % lower than another level here"
    return ""


def _name(labels: Labels, level: str, away: int) -> str | None:
    """The level so many levels down (positive) or up (negative); None at the end of the labels."""
    name: str | None = level
    for _ in range(abs(away)):
        name = labels.neighbours(name)[0 if away < 0 else 1] if name else None
    return name


def _columns(labels: Labels, vertebra: Vertebra, away: int, notes: list[str]) -> Columns | None:
    """Columns of a level that is whole; None, with a note, where it is not."""
    name = _name(labels, vertebra.level, away)
    if name is None:
        far = "" if abs(away) == 1 else f" {abs(away)} levels"
        notes.append(f"no level{far} {'above' if away < 0 else 'below'} in the labels")
        return None
    failed = [check.reason for check in quality_of(labels, name) if not check.passed]
    if not failed:
        try:
            columns = level_columns(labels, name, rough_frame(labels, name, vertebra.frame.superior))
        except KyphoError as error:
            failed = [str(error)]
        else:
            whole = inside_scan(labels, name, columns.surface_mm())
            if whole.passed:
                return columns
            failed = [whole.reason]
    notes.append(f"{name} is not used for comparison: {'; '.join(failed)}")
    return None
