"""What the neighbours of a level say of its axes, before the level itself has been looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy.frame import deepest
from kypho.anatomy.labels import Labels
from kypho.anatomy.quality import main_box
from kypho.space import unit

__all__ = ["Hints", "cord_part", "neighbour_hints"]

MARGIN_MM = 8.0  # numerics: room around a level's label, in which the cord beside its body lies
CORD_REACH_MM = 15.0  # numerics: half a vertebra's height; the cord's axis is level enough over that


@dataclass(frozen=True, kw_only=True, eq=False)
class Hints:
    """Unit directions in LPS towards the head and the back; None where the neighbours cannot tell."""

    superior: NDArray[np.float64] | None
    posterior: NDArray[np.float64] | None


def neighbour_hints(labels: Labels, level: str) -> Hints:
    """The axes of a level by the levels next to it.

    The head lies from the body below to the body above; at the end of the labels, where one of the two would
    be the level itself, which may have collapsed, from one label's centre to the other's. The back lies from
    each neighbour's body to the cord beside it.
    """
    above, below = labels.neighbours(level)
    names = [name for name in (above, below) if name is not None]
    if not names:
        return Hints(superior=None, posterior=None)
    bodies = {name: _middle_mm(labels, name) for name in names}
    if above is not None and below is not None:
        axis = unit(bodies[above] - bodies[below])
    else:
        axis = unit(labels.centre_mm(above or level) - labels.centre_mm(below or level))
    backs = [back for name in names if (back := _back(labels, name, bodies[name], axis)) is not None]
    return Hints(superior=axis, posterior=unit(np.sum(backs, axis=0)) if backs else None)


def cord_part(labels: Labels, box: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    """Canal and cord in a box; some schemes label the canal without the cord in it."""
    return labels.part("spinal_canal", box) | labels.part("spinal_cord", box)


def _middle_mm(labels: Labels, level: str) -> NDArray[np.float64]:
    """Where a level's body is."""
    box = main_box(labels, level, MARGIN_MM)
    grid = labels.volume.grid.within(box)
    return deepest(labels.part(level, box), grid)


def _back(labels: Labels, level: str, body_mm: NDArray, axis: NDArray) -> NDArray[np.float64] | None:
    """Unit direction from a body to the cord beside it, across the axis; None without a cord."""
    box = main_box(labels, level, MARGIN_MM)
    grid = labels.volume.grid.within(box)
    cord = grid.to_world(np.argwhere(cord_part(labels, box)))
    beside = cord[np.abs((cord - body_mm) @ axis) < CORD_REACH_MM]
    if not len(beside):
        return None
    back = beside.mean(axis=0) - body_mm
    return unit(back - (back @ axis) * axis)
