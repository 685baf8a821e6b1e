"""The vertebra on the cells in which cement flows: coordinates, CT numbers, parts, depths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import CANAL, Vertebra
from kypho.evidence import value
from kypho.space import Grid, Volume, resample

__all__ = ["CellScene", "scene_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellScene:
    """The vertebra on the field's grid.

    `x`, `y`, `z` are local left, posterior, superior coordinates that broadcast to the grid; `depth` is the
    distance under the bone's surface (negative outside); `inside` that from the canal's wall.
    """

    vertebra: Vertebra
    grid: Grid
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    hu: NDArray[np.float32]
    part: NDArray[np.uint8]
    depth: NDArray[np.float32]
    inside: NDArray[np.float32]

    @property
    def spacing_mm(self) -> float:
        """Edge of a cell."""
        return self.grid.spacing_mm[0]

    @property
    def xy(self) -> NDArray[np.float64]:
        """Left and posterior coordinates of the cells of a slice, shape (nj, ni, 2)."""
        return np.stack(np.broadcast_arrays(self.x[0], self.y[0]), axis=-1)

    def mask_of(self, given: Volume) -> NDArray[np.bool_]:
        """A mask on any grid, at the cells."""
        numbers = Volume(array=np.asarray(given.array, dtype=np.uint8), grid=given.grid, unit="label")
        return np.asarray(resample(numbers, self.grid).array).astype(bool)


def scene_of(vertebra: Vertebra, grid_mm: float) -> CellScene:
    """The scene with cells of this size, axes along the vertebra's own."""
    grid = _box(vertebra, grid_mm)
    first = vertebra.frame.to_local(grid.origin_mm)
    x, y, z = (first[n] + np.arange(grid.shape[2 - n]) * grid_mm for n in range(3))
    part = np.asarray(resample(vertebra.regions, grid).array).astype(np.uint8)
    return CellScene(
        vertebra=vertebra,
        grid=grid,
        x=x[None, None, :],
        y=y[None, :, None],
        z=z[:, None, None],
        hu=np.asarray(resample(vertebra.hu, grid, outside=0.0).array),
        part=part,
        depth=np.asarray(resample(vertebra.bone_mm, grid, outside=-99.0).array),  # numerics: far outside
        inside=np.asarray(resample(vertebra.canal_mm, grid, outside=-99.0).array),  # numerics: far outside
    )


def _box(vertebra: Vertebra, grid_mm: float) -> Grid:
    """The body, pedicles and canal with their margins, cells on multiples of the cell size."""
    low, high = vertebra.body_box_mm
    side, front, behind, ends = value("cement.field_margin_mm")
    canal = vertebra.local_points(CANAL)
    middle = float(np.median(canal[:, 1])) if len(canal) else float(high[1])
    lower = np.array([low[0] - side, low[1] - front, low[2] - ends])
    upper = np.array([high[0] + side, middle + behind, high[2] + ends])
    first, last = np.floor(lower / grid_mm).astype(int), np.ceil(upper / grid_mm).astype(int)
    n = last - first + 1
    return Grid(
        shape=(int(n[2]), int(n[1]), int(n[0])),
        spacing_mm=(grid_mm,) * 3,
        origin_mm=vertebra.frame.to_world(first * grid_mm),
        axes=vertebra.frame.rotation[:, ::-1],
    )
