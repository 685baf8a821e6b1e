"""An earlier CT of the same vertebra: what its body was like before it broke."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels, Vertebra, build_vertebra
from kypho.errors import LevelError
from kypho.evidence import value
from kypho.fracture.cavity import BoneBefore, foreign_ml
from kypho.fracture.columns import Columns, level_columns
from kypho.fracture.heights import Heights, body_heights
from kypho.fracture.neighbours import looks_broken
from kypho.fracture.scan import noise_hu, slice_mm, too_thick_mm
from kypho.fracture.wall_pictures import body_walls
from kypho.fracture.walls import Wall, enough_seen
from kypho.space import Volume, sample_at

__all__ = ["Earlier", "bone_before", "hu_before", "measure_earlier", "require_same_body"]


LEAST_HEIGHT_MM = 1.0  # numerics: no column of a body is lower; beyond its rim the surfaces may cross


@dataclass(frozen=True, kw_only=True, eq=False)
class Earlier:
    """A level as an earlier CT shows it.

    Attributes:
        vertebra: its model.
        columns: of the body.
        heights: its heights.
        back: the posterior wall; None where the scan tells nothing of the bone: slices too thick, cement or
            metal in the body, or too little of the wall to be seen.
        thick_mm: distance of its slices if they are too thick to be among those measured on, else 0.
        notes: what is compared, and what the earlier CT cannot tell.
    """

    vertebra: Vertebra
    columns: Columns
    heights: Heights
    back: Wall | None
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
    try:
        vertebra = build_vertebra(ct, labels, level)
        columns = level_columns(labels, level, vertebra.frame)
    except LevelError as error:
        raise LevelError(f"on the earlier CT: {error}") from error
    heights = body_heights(columns)
    if not heights.whole:
        raise LevelError(f"the heights of {level} cannot be read on the earlier CT; check its labels")
    thick = too_thick_mm(slice_mm(labels, level))
    back = body_walls(vertebra)["posterior"]
    blind = ""
    if thick:
        blind = "its slices are too thick"
    elif foreign_ml(vertebra) > value("fracture.foreign_ml"):
        blind = "it shows cement or metal in the body"
    elif not enough_seen(back):
        blind = "too little of the posterior wall is seen"
    compared = "heights" if blind else "heights, posterior wall and bone"
    notes = [f"compared with the level's own {compared} on the earlier CT"]
    if blind:
        notes.append(f"of the bone as it was the earlier CT tells nothing: {blind}")
    if broken := looks_broken(heights, []):
        notes.append(f"on the earlier CT {broken}: only what was lost since then is counted")
    return Earlier(
        vertebra=vertebra,
        columns=columns,
        heights=heights,
        back=None if blind else back,
        thick_mm=thick,
        notes=tuple(notes),
    )


def bone_before(vertebra: Vertebra, own: Columns, earlier: Earlier | None) -> BoneBefore | None:
    """The bone as it was, place by place; None without an earlier CT that shows it."""
    if earlier is None or earlier.back is None:
        return None
    noise = float(np.hypot(noise_hu(vertebra), noise_hu(earlier.vertebra)))
    return BoneBefore(hu=hu_before(vertebra, own, earlier), noise_hu=noise)


def hu_before(vertebra: Vertebra, own: Columns, earlier: Earlier) -> NDArray[np.float64]:
    """Density that each voxel's place in the body had on the earlier CT, on the local grid.

    A place is the same share of the width, of the depth, and of the height between the endplates, which a
    collapse leaves nearly in step. NaN outside the body.
    """
    before = earlier.columns
    inside = np.argwhere(vertebra.body)
    x, y, z = own.frame.to_local(vertebra.grid.to_world(inside)).T
    across, along = x / own.half_width_mm, (y - own.front_mm) / own.depth_mm
    bottom, top = own.endplates_mm(across, along)
    low, high = before.endplates_mm(across, along)
    up = (z - bottom) / np.maximum(top - bottom, LEAST_HEIGHT_MM)
    place = np.column_stack(
        [across * before.half_width_mm, before.front_mm + along * before.depth_mm, low + up * (high - low)]
    )
    hu = np.full(vertebra.grid.shape, np.nan)
    hu[tuple(inside.T)] = sample_at(earlier.vertebra.hu, before.frame.to_world(place))
    return hu


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
