"""Grid and Volume: an array never travels without the place it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.errors import GeometryError, GridMismatchError

__all__ = ["Grid", "Volume"]

ORTHOGONAL_TOLERANCE = 1e-4
"""Largest deviation of axes.T @ axes from identity: float32 headers keep seven digits."""

SAME_PLACE_MM = 1e-3  # numerics: identity of two grids
"""Two grids whose corners differ by less are one grid: far below any voxel, above header rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A regular grid of voxels in the LPS world.

    Attributes:
        shape: number of voxels along ``(k, j, i)``.
        spacing_mm: distance of voxel centres along ``(k, j, i)``.
        origin_mm: LPS position of the centre of voxel ``(0, 0, 0)``, shape (3,).
        axes: shape (3, 3); column n is the unit LPS direction of growing index n of ``(k, j, i)``.
        frame_of_reference: DICOM FrameOfReferenceUID where one is known.

    Raises:
        GeometryError: spacing not positive, or axes not orthonormal.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    frame_of_reference: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        spacing = tuple(float(s) for s in self.spacing_mm)
        origin = np.array(self.origin_mm, dtype=float).reshape(3)
        axes = np.array(self.axes, dtype=float).reshape(3, 3)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"grid shape must be three positive numbers, got {self.shape!r}")
        if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
            raise GeometryError(f"grid spacing must be three positive numbers of mm, got {self.spacing_mm!r}")
        if not np.all(np.isfinite(origin)) or not np.allclose(
            axes.T @ axes, np.eye(3), atol=ORTHOGONAL_TOLERANCE
        ):
            raise GeometryError("grid axes must be orthonormal; resample the sheared image first")
        origin.setflags(write=False)
        axes.setflags(write=False)
        for name, value in (("shape", shape), ("spacing_mm", spacing), ("origin_mm", origin), ("axes", axes)):
            object.__setattr__(self, name, value)

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """Shape (3, 3): maps an index step ``(k, j, i)`` to an LPS step in mm."""
        return self.axes * np.asarray(self.spacing_mm)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """LPS position of the middle of the grid."""
        return self.to_world((np.asarray(self.shape) - 1) / 2)

    def to_world(self, kji: ArrayLike) -> NDArray[np.float64]:
        """Indices ``(..., 3)`` in ``(k, j, i)`` to LPS points ``(..., 3)`` in mm."""
        return np.asarray(kji, dtype=float) @ self.matrix.T + self.origin_mm

    def to_index(self, lps_mm: ArrayLike) -> NDArray[np.float64]:
        """LPS points ``(..., 3)`` in mm to fractional indices ``(..., 3)`` in ``(k, j, i)``."""
        # The axes are orthonormal, so the inverse is the transpose over the spacing.
        return (np.asarray(lps_mm, dtype=float) - self.origin_mm) @ self.axes / np.asarray(self.spacing_mm)

    def matches(self, other: Grid) -> bool:
        """True if both grids have the same voxels at the same places."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() < SAME_PLACE_MM)

    def require_match(self, other: Grid, what: str) -> None:
        """Raise GridMismatchError, naming `what`, unless both grids match."""
        if not self.matches(other):
            raise GridMismatchError(
                f"{what} lies on another grid ({other.shape} at {np.round(other.spacing_mm, 3)} mm) "
                f"than expected ({self.shape} at {np.round(self.spacing_mm, 3)} mm); resample it first"
            )

    def crop(self, start: ArrayLike, stop: ArrayLike) -> Grid:
        """The sub-grid of indices ``start <= kji < stop``."""
        first = np.asarray(start, dtype=int)
        shape = np.asarray(stop, dtype=int) - first
        return Grid(
            shape=(int(shape[0]), int(shape[1]), int(shape[2])),
            spacing_mm=self.spacing_mm,
            origin_mm=self.to_world(first),
            axes=self.axes,
            frame_of_reference=self.frame_of_reference,
        )

    def within(self, box: tuple[slice, ...]) -> Grid:
        """The sub-grid of a box of slices, one per axis."""
        return self.crop([part.start for part in box], [part.stop for part in box])

    @staticmethod
    def axis_aligned(shape: tuple[int, int, int], spacing_mm: ArrayLike, origin_mm: ArrayLike) -> Grid:
        """A grid whose k, j, i run along S, P, L, as in a supine axial CT."""
        spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=float), 3)
        return Grid(
            shape=shape,
            spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            origin_mm=np.asarray(origin_mm, dtype=float),
            axes=np.eye(3)[:, ::-1],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """An array with its grid and unit. The array is set read-only.

    Attributes:
        array: shape ``grid.shape``, indexed ``[k, j, i]``.
        grid: where the voxels are.
        unit: "HU", "label", "mm", "K", or "1".
    """

    array: NDArray
    grid: Grid
    unit: str

    def __post_init__(self) -> None:
        if tuple(self.array.shape) != self.grid.shape:
            raise GridMismatchError(f"array of shape {self.array.shape} does not fit grid {self.grid.shape}")
        view = self.array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array", view)

    def crop(self, start: ArrayLike, stop: ArrayLike) -> Volume:
        """The part with indices ``start <= kji < stop``; the voxels are shared, not copied."""
        first, last = np.asarray(start, dtype=int), np.asarray(stop, dtype=int)
        part = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return Volume(array=self.array[part], grid=self.grid.crop(first, last), unit=self.unit)

    def within(self, box: tuple[slice, ...]) -> Volume:
        """The part within a box of slices, one per axis."""
        return self.crop([part.start for part in box], [part.stop for part in box])

    def like(self, array: NDArray, unit: str | None = None) -> Volume:
        """Another array on this grid."""
        return Volume(array=array, grid=self.grid, unit=unit or self.unit)
