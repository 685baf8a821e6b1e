"""A vertebra on the fine lattice of a CT, where synthetic cement is drawn. Synthetic, no patient's cement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kypho.space import Frame, Grid, Volume, resample, sample_at

__all__ = ["FINE_STEP_MM", "Anatomy", "Patch", "Shape", "Site"]

FINE_STEP_MM = 0.25


class Anatomy(Protocol):
    """What a shape needs to know of a vertebra; `kypho.anatomy.Vertebra` has it."""

    @property
    def frame(self) -> Frame:
        """Axes left, posterior, superior; origin in the body's centre."""

    @property
    def bone_mm(self) -> Volume:
        """Signed distance to the vertebra's surface, positive inside."""

    @property
    def canal_mm(self) -> Volume:
        """Signed distance to the canal's boundary, positive inside."""

    @property
    def wall(self) -> Any:
        """Posterior wall with ``y_mm(z_mm)``."""

    @property
    def inferior(self) -> Any:
        """Lower endplate with ``z_mm(xy_mm)``."""

    @property
    def superior(self) -> Any:
        """Upper endplate with ``z_mm(xy_mm)``."""

    @property
    def pedicles(self) -> Mapping[Any, Any]:
        """By side, each with ``isthmus_mm``, ``axis``, ``width_mm``, ``height_mm``."""

    @property
    def body_box_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest local coordinates of the body."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A box of the fine lattice with the anatomy in it.

    Attributes:
        start: index of its first voxel on the fine lattice, shape (3,).
        points: local coordinates, shape (k, j, i, 3).
        bone_mm, canal_mm: signed distances, positive inside, shape (k, j, i).
        other: True in bone of other labels.
    """

    start: NDArray[np.int_]
    points: NDArray[np.float32]
    bone_mm: NDArray[np.float32]
    canal_mm: NDArray[np.float32]
    other: NDArray[np.bool_]

    @property
    def free(self) -> NDArray[np.bool_]:
        """Outside every bone."""
        return np.asarray((self.bone_mm < 0) & ~self.other)


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """A vertebra on the fine lattice of a CT.

    Attributes:
        anatomy: the vertebra.
        other_bone: mask of all other bone on the CT's grid, unit "label".
        lattice: the CT's grid cut into fine voxels.
    """

    anatomy: Anatomy
    other_bone: Volume
    lattice: Grid

    def patch(self, centre: NDArray, half_mm: NDArray | float) -> Patch:
        """The lattice within `half_mm` (local box) of a local point."""
        frame = self.anatomy.frame
        corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T * np.asarray(half_mm) + centre
        index = self.lattice.to_index(frame.to_world(corners))
        start = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
        stop = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, self.lattice.shape)
        grid = self.lattice.crop(start, np.maximum(stop, start + 1))
        axes = [np.arange(n, dtype=np.float32) for n in grid.shape]
        first = frame.to_local(grid.origin_mm)
        step = frame.rotation.T @ grid.matrix
        points = np.empty((*grid.shape, 3), np.float32)
        for n in range(3):
            points[..., n] = (
                first[n]
                + step[n, 0] * axes[0][:, None, None]
                + step[n, 1] * axes[1][None, :, None]
                + step[n, 2] * axes[2][None, None, :]
            )
        return Patch(
            start=start,
            points=points,
            bone_mm=resample(self.anatomy.bone_mm, grid, order=1, outside=-20.0).array,
            canal_mm=resample(self.anatomy.canal_mm, grid, order=1, outside=-20.0).array,
            other=resample(self.other_bone, grid).array > 0,
        )

    def surface(self, start: NDArray, direction: NDArray) -> NDArray[np.float64]:
        """Where a local ray first leaves the bone."""
        way = np.arange(0, 60, 0.2)[:, None] * np.asarray(direction) / np.linalg.norm(direction) + start
        depth = sample_at(self.anatomy.bone_mm, self.anatomy.frame.to_world(way), outside=-20.0)
        inside = depth > 0
        first = int(np.argmax(inside))
        out = np.nonzero(~inside[first:])[0]
        return np.asarray(way[first + int(out[0])])


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """A cement shape on the lattice.

    Attributes:
        route: one of ROUTES, or "inside".
        start: lattice index of the mask's first voxel.
        mask: the cement.
        exit_mm: local point where it left the bone; None inside, and where it came from nowhere.
    """

    route: str
    start: NDArray[np.int_]
    mask: NDArray[np.bool_]
    exit_mm: NDArray[np.float64] | None
