"""An earlier CT of the same vertebra: how tall its body was before it broke."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.anatomy import Labels, build_vertebra
from kypho.errors import LevelError
from kypho.evidence import value
from kypho.fracture.columns import Columns, level_columns
from kypho.fracture.heights import Heights, body_heights
from kypho.fracture.neighbours import looks_broken
from kypho.fracture.scan import slice_mm, too_thick_mm
from kypho.space import Volume

__all__ = ["Earlier", "measure_earlier", "require_same_body"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Earlier:
    """A level as an earlier CT shows it.

    Attributes:
        columns: of the body.
        heights: its heights.
        thick_mm: distance of its slices if they are too thick to be among those measured on, else 0.
        notes: why its heights may not be those of an intact body.
    """

    columns: Columns
    heights: Heights
    thick_mm: float
    notes: tuple[str, ...]


def measure_earlier(ct: Volume, labels: Labels, level: str) -> Earlier:
    """Measure a level on an earlier CT.

    Args:
        ct: the earlier CT in HU.
        labels: labels on its grid.
        level: "T7".

    Raises:
        LevelError: the level is not there, incomplete, or its heights cannot be read.
    """
    columns = level_columns(labels, level, build_vertebra(ct, labels, level).frame)
    heights = body_heights(columns)
    if not heights.whole:
        raise LevelError(f"the heights of {level} cannot be read on the earlier CT; check its labels")
    notes = ["heights are compared with those of the earlier CT, not with the neighbours'"]
    if broken := looks_broken(heights, []):
        notes.append(f"on the earlier CT {broken}: only what was lost since then is counted")
    thick = too_thick_mm(slice_mm(labels, level))
    return Earlier(columns=columns, heights=heights, thick_mm=thick, notes=tuple(notes))


def require_same_body(own: Columns, earlier: Earlier, level: str) -> None:
    """Raise LevelError if a body differs in width or depth from the earlier CT by more than fractures do."""
    limit = value("fracture.earlier.size_percent")
    before = earlier.columns
    for what, now, then in (
        ("wide", 2 * own.half_width_mm, 2 * before.half_width_mm),
        ("deep", own.depth_mm, before.depth_mm),
    ):
        if abs(now / then - 1) > limit / 100:
            raise LevelError(
                f"{level} is {now:.0f} mm {what} here and {then:.0f} mm on the earlier CT, over {limit:g} "
                "percent apart; check that both are of this patient and that the labels name the levels alike"
            )
