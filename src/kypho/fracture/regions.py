"""Where the damage lies, as masks on the vertebra's own grid, for whoever computes in the bone.

Only what the assessment calls present is marked. What it could not assess is left unmarked, so an empty
mask is no proof of a whole wall: read the findings' states beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra
from kypho.fracture.assess import Assessment
from kypho.fracture.walls import Opening, Wall
from kypho.space import Volume

__all__ = ["WAYS_OUT", "DamageRegions", "damage_regions"]

WAYS_OUT = ("posterior_wall_defect", "cortical_defect", "pedicle_wall_defect", "intravertebral_cleft")
"""The factors that have a place: where cement goes, and what a needle keeps away from or aims at."""

THROUGH_MM = 2.5  # numerics: either way of the wall's surface, more than any cortex is thick


@dataclass(frozen=True, kw_only=True, eq=False)
class DamageRegions:
    """Masks on the vertebra's local grid (superior, posterior, left), true where there is damage.

    Attributes:
        walls: the openings of the body's walls and of the pedicles' medial walls, through the cortex; fit
            for the argument `defects` of `kypho.cement.vertebra.vertebra_field`.
        cleft: gas and fluid inside the body.
        not_assessable: factors of the two masks whose state is not known.
    """

    walls: Volume
    cleft: Volume
    not_assessable: tuple[str, ...]


def damage_regions(vertebra: Vertebra, assessment: Assessment) -> DamageRegions:
    """The wall defects and the cleft that an assessment calls present.

    Args:
        vertebra: the model that was assessed.
        assessment: its assessment.
    """
    open_walls = np.zeros(vertebra.grid.shape, bool)
    for opening in assessment.defects:
        open_walls |= _through(vertebra, assessment.walls[opening.wall], opening)
    cleft = np.zeros(vertebra.grid.shape, bool)
    for cavity in assessment.clefts:
        cleft |= cavity.mask
    return DamageRegions(
        walls=Volume(array=open_walls, grid=vertebra.grid, unit="label"),
        cleft=Volume(array=cleft, grid=vertebra.grid, unit="label"),
        not_assessable=tuple(f for f in WAYS_OUT if assessment.finding(f).state == "not_assessable"),
    )


def _through(vertebra: Vertebra, wall: Wall, opening: Opening) -> NDArray[np.bool_]:
    """Voxels within `THROUGH_MM` of the wall's surface along its viewing axis, under the opening."""
    z, y, x = vertebra.axes_mm
    ups, acrosses = np.nonzero(opening.outline & np.isfinite(wall.position_mm))
    surface = wall.position_mm[ups, acrosses]
    along_x = wall.axis == "x"
    axis, side = (x, y) if along_x else (y, x)
    near = np.abs(axis[None, :] - wall.sign * surface[:, None]) <= THROUGH_MM
    n, depth = np.nonzero(near)
    k = np.searchsorted(z, wall.up_mm[ups[n]] - 1e-6)
    other = np.searchsorted(side, wall.across_mm[acrosses[n]] - 1e-6)
    mask = np.zeros(vertebra.grid.shape, bool)
    mask[(k, other, depth) if along_x else (k, depth, other)] = True
    return mask
