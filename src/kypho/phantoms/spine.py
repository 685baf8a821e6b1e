"""A spine of simple solids: every width, angle and clearance is known in closed form. Synthetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels
from kypho.space import Frame, Grid, Volume

__all__ = ["SolidSpine"]

LEVEL_STEP_MM = 27.0
PEDICLE_HALF_HEIGHT_MM = 6.0
HU = {"bone": 300, "soft": 40, "air": -1000}


@dataclass(frozen=True, kw_only=True, eq=False)
class SolidSpine:
    """Three vertebrae T6, T7, T8 of solids, one above the other, in a block of soft tissue.

    In the frame of each vertebra (left, posterior, superior), in mm: the body is an elliptic cylinder cut
    flat at the posterior wall; a pedicle is an upright slab, `pedicle_radius_mm` either side of a plane
    that passes ``(pedicle_x_mm, canal_y_mm)`` and leans `transverse_deg` towards the midline; lamina,
    transverse and spinous processes close the ring behind. With upright walls the space that the ring
    encloses has the same section at every height.

    Attributes:
        frame: frame of T7; its origin is the middle of the body's height, on the midline.
        right_pedicle_radius_mm: another radius for the right side, to break the symmetry.
    """

    frame: Frame
    pedicle_radius_mm: float = 3.5
    right_pedicle_radius_mm: float | None = None
    transverse_deg: float = 0.0
    pedicle_x_mm: float = 11.0
    pedicle_z_mm: float = 3.0
    canal_radius_mm: float = 7.0
    canal_y_mm: float = 19.0
    wall_y_mm: float = 12.0
    half_width_mm: float = 16.0
    half_depth_mm: float = 14.0
    half_height_mm: float = 10.0

    def bone(self, local: NDArray) -> NDArray[np.bool_]:
        """True inside the vertebra, for local points (..., 3) in mm."""
        x, y, z = np.moveaxis(local, -1, 0)
        body = (
            ((x / self.half_width_mm) ** 2 + (y / self.half_depth_mm) ** 2 <= 1)
            & (np.abs(z) <= self.half_height_mm)
            & (y <= self.wall_y_mm)
        )
        from_canal = np.hypot(x, y - self.canal_y_mm)
        canal = from_canal < self.canal_radius_mm
        level = np.abs(z - self.pedicle_z_mm) <= PEDICLE_HALF_HEIGHT_MM
        lamina = (from_canal <= self.canal_radius_mm + 4.0) & (y >= self.canal_y_mm) & level
        transverse = (np.abs(x) >= 9) & (np.abs(x) <= 24) & (np.abs(y - self.canal_y_mm - 8) <= 3.5) & level
        spinous = (np.abs(x) <= 3) & (y >= self.canal_y_mm + 8) & (y <= 50) & (np.abs(z + 2) <= 6)
        pedicles = self._pedicle(x, y, z, 1.0) | self._pedicle(x, y, z, -1.0)
        return np.asarray((body | lamina | transverse | spinous | pedicles) & ~canal)

    def _pedicle(self, x: NDArray, y: NDArray, z: NDArray, side: float) -> NDArray[np.bool_]:
        radius = self.pedicle_radius_mm
        if side < 0 and self.right_pedicle_radius_mm is not None:
            radius = self.right_pedicle_radius_mm
        lean = np.deg2rad(self.transverse_deg)
        offset = side * x - self.pedicle_x_mm - np.tan(lean) * (y - self.canal_y_mm)
        level = np.abs(z - self.pedicle_z_mm) <= PEDICLE_HALF_HEIGHT_MM
        return (
            level
            & (np.abs(offset) * np.cos(lean) <= radius)
            & (y >= self.wall_y_mm - 4)
            & (y <= self.canal_y_mm + 10)
        )

    def cord(self, local: NDArray) -> NDArray[np.bool_]:
        """True inside the cord."""
        return np.asarray(
            np.hypot(local[..., 0], local[..., 1] - self.canal_y_mm) <= self.canal_radius_mm - 3
        )

    def draw(self, grid: Grid) -> tuple[Volume, Labels]:
        """CT in HU and labels on a grid, voxels valued at their centres."""
        index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
        local = self.frame.to_local(grid.to_world(index))
        numbers = np.zeros(grid.shape, np.uint8)
        numbers[self.cord(local)] = 4
        for number, shift in ((1, LEVEL_STEP_MM), (2, 0.0), (3, -LEVEL_STEP_MM)):
            numbers[self.bone(local - [0, 0, shift])] = number
        hu = np.where((numbers >= 1) & (numbers <= 3), HU["bone"], HU["soft"]).astype(np.int16)
        hu[local[..., 1] > 62] = HU["air"]
        ids = {"T6": (1,), "T7": (2,), "T8": (3,), "spinal_cord": (4,)}
        labels = Labels(volume=Volume(array=numbers, grid=grid, unit="label"), scheme="synthetic", ids=ids)
        return Volume(array=hu, grid=grid, unit="HU"), labels

    def grid(self, spacing_mm: tuple[float, float, float], axes: NDArray | None = None) -> Grid:
        """A grid that holds the three vertebrae, centred on T7.

        Args:
            spacing_mm: along (k, j, i).
            axes: shape (3, 3), LPS directions of k, j, i; by default superior, posterior, left.
        """
        directions = np.eye(3)[:, ::-1] if axes is None else np.asarray(axes)
        extent = 2 * np.abs(directions.T) @ np.array([50.0, 62.0, 52.0])
        shape = tuple(int(n) for n in np.ceil(extent / np.asarray(spacing_mm)))
        middle = self.frame.to_world([0.0, 14.0, 0.0])
        origin = middle - directions @ ((np.asarray(shape) - 1) / 2 * np.asarray(spacing_mm))
        return Grid(shape=shape, spacing_mm=spacing_mm, origin_mm=origin, axes=directions)  # type: ignore[arg-type]
