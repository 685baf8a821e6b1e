"""An earlier CT of the same vertebra: what its body was like before it broke."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.anatomy import Labels, Vertebra, build_vertebra
from kypho.errors import LevelError
from kypho.evidence import value
from kypho.fracture.cavity import foreign_ml
from kypho.fracture.columns import Columns, level_columns
from kypho.fracture.heights import SITES, Heights, body_heights
from kypho.fracture.neighbours import looks_broken
from kypho.fracture.scan import slice_mm, too_thick_mm
from kypho.fracture.wall_pictures import body_walls
from kypho.fracture.walls import Wall, enough_seen
from kypho.space import Volume

__all__ = ["Earlier", "measure_earlier", "require_same_body"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Earlier:
    """A level as an earlier CT shows it.

    Attributes:
        vertebra: its model.
        columns: of the body.
        heights: its heights; None where it looks broken already.
        back: the posterior wall; None where the scan tells nothing of the bone: cement or metal in the body,
            or too little of the wall to be seen.
        notes: what is compared, and what the earlier CT cannot tell.
    """

    vertebra: Vertebra
    columns: Columns
    heights: Heights | None
    back: Wall | None
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
    try:
        vertebra = build_vertebra(ct, labels, level)
        columns = level_columns(labels, level, vertebra.frame)
    except LevelError as error:
        raise LevelError(f"on the earlier CT: {error}") from error
    heights = body_heights(columns)
    if not heights.whole:
        raise LevelError(f"the heights of {level} cannot be read on the earlier CT; check its labels")
    if thick := too_thick_mm(slice_mm(labels, level)):
        raise LevelError(
            f"the earlier CT's slices are {thick:g} mm apart, too thick to compare {level} with; leave it out"
        )
    back = body_walls(vertebra)["posterior"]
    blind = ""
    if foreign_ml(vertebra) > value("fracture.foreign_ml"):
        blind = "it shows cement or metal in the body"
    elif not enough_seen(back):
        blind = "too little of the posterior wall is seen"
    broken = looks_broken(heights, [])
    compared = [*([] if broken else ["heights"]), *([] if blind else ["posterior wall", "bone"])]
    notes = [f"compared with the level's own {', '.join(compared)} on the earlier CT"] if compared else []
    if blind:
        notes.append(f"of the bone as it was the earlier CT tells nothing: {blind}")
    if broken:
        notes.append(f"on the earlier CT {broken}: heights are compared with the neighbours'")
    return Earlier(
        vertebra=vertebra,
        columns=columns,
        heights=None if broken else heights,
        back=None if blind else back,
        notes=tuple(notes),
    )


def require_same_body(own: Columns, heights: Heights, earlier: Earlier, level: str) -> None:
    """Raise LevelError if a body differs from the earlier CT by more than fractures do, or has grown."""
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
    known = earlier.heights
    if known is None or not heights.whole:
        return
    grown = max(100 * (heights.at(site) / known.at(site) - 1) for site in SITES[:3])
    if grown > limit:
        raise LevelError(
            f"{level} is {grown:.0f} percent taller here than on the earlier CT; check that the two CTs are "
            "not swapped"
        )
