"""Solids with exact line integrals, and their voxel pictures on any grid.

A solid of even density has the line integral density times chord. Chords here are closed forms, so a
projector can be held against them without another projector.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.errors import GeometryError
from kypho.space import Frame, Grid, Volume

__all__ = ["Box", "Cylinder", "Ellipsoid", "Solid", "sphere", "voxelised"]

Points = NDArray[np.float64]


class Solid(Protocol):
    """A body of even density in the LPS world."""

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """True for LPS points ``(..., 3)`` inside."""
        ...

    def chord_mm(self, start_mm: ArrayLike, end_mm: ArrayLike) -> Points:
        """Length in mm inside the solid of segments between LPS points ``(..., 3)``."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Box:
    """A box whose edges run along its frame's axes.

    Attributes:
        frame: its origin is the box's centre.
        half_mm: half edges (3,) along the frame's left, posterior and superior.
    """

    frame: Frame
    half_mm: tuple[float, float, float]

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """True for LPS points ``(..., 3)`` inside."""
        return np.all(np.abs(self.frame.to_local(points_lps)) <= self.half_mm, axis=-1)

    def chord_mm(self, start_mm: ArrayLike, end_mm: ArrayLike) -> Points:
        """Length in mm inside the box of segments between LPS points ``(..., 3)``."""
        start, along = _local_ray(self.frame, start_mm, end_mm)
        low, high = _between_planes(start, along, np.asarray(self.half_mm))
        return _length(along, low.max(axis=-1), high.min(axis=-1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ellipsoid:
    """An ellipsoid whose half axes run along its frame's axes.

    Attributes:
        frame: its origin is the ellipsoid's centre.
        half_mm: half axes (3,) along the frame's left, posterior and superior.
    """

    frame: Frame
    half_mm: tuple[float, float, float]

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """True for LPS points ``(..., 3)`` inside."""
        return np.sum((self.frame.to_local(points_lps) / self.half_mm) ** 2, axis=-1) <= 1

    def chord_mm(self, start_mm: ArrayLike, end_mm: ArrayLike) -> Points:
        """Length in mm inside the ellipsoid of segments between LPS points ``(..., 3)``."""
        start, along = _local_ray(self.frame, start_mm, end_mm)
        low, high = _in_unit_ball(start / self.half_mm, along / self.half_mm)
        return _length(along, low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cylinder:
    """A finite cylinder along its frame's superior axis; elliptical where the two radii differ.

    Attributes:
        frame: its origin is the cylinder's centre.
        radii_mm: half axes (2,) of the cross-section along the frame's left and posterior.
        half_length_mm: half its length.
    """

    frame: Frame
    radii_mm: tuple[float, float]
    half_length_mm: float

    def contains(self, points_lps: ArrayLike) -> NDArray[np.bool_]:
        """True for LPS points ``(..., 3)`` inside."""
        local = self.frame.to_local(points_lps)
        across = np.sum((local[..., :2] / self.radii_mm) ** 2, axis=-1)
        return (across <= 1) & (np.abs(local[..., 2]) <= self.half_length_mm)

    def chord_mm(self, start_mm: ArrayLike, end_mm: ArrayLike) -> Points:
        """Length in mm inside the cylinder of segments between LPS points ``(..., 3)``."""
        start, along = _local_ray(self.frame, start_mm, end_mm)
        low, high = _in_unit_ball(start[..., :2] / self.radii_mm, along[..., :2] / self.radii_mm)
        bottom, top = _between_planes(start[..., 2], along[..., 2], np.asarray(self.half_length_mm))
        return _length(along, np.maximum(low, bottom), np.minimum(high, top))


def sphere(centre_mm: ArrayLike, radius_mm: float) -> Ellipsoid:
    """A sphere about an LPS point."""
    frame = Frame(origin_mm=np.asarray(centre_mm, dtype=float), rotation=np.eye(3))
    return Ellipsoid(frame=frame, half_mm=(radius_mm, radius_mm, radius_mm))


def voxelised(
    solid: Solid, grid: Grid, *, inside: float, outside: float = 0.0, unit: str = "1/mm", samples: int = 4
) -> Volume:
    """The solid as voxels: each holds the mean over ``samples ** 3`` points spread evenly inside it.

    Raises:
        GeometryError: fewer than one sample.
    """
    if samples < 1:
        raise GeometryError(f"samples per voxel edge must be at least 1, got {samples!r}")
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    share = np.zeros(grid.shape)
    for k in range(grid.shape[0]):
        plane = np.stack(np.meshgrid([k], *map(np.arange, grid.shape[1:]), indexing="ij"), axis=-1)
        for offset in product(offsets, repeat=3):
            share[k] += solid.contains(grid.to_world(plane + np.array(offset)))[0]
    values = outside + (inside - outside) * share / samples**3
    return Volume(array=values.astype(np.float32), grid=grid, unit=unit)


def _local_ray(frame: Frame, start_mm: ArrayLike, end_mm: ArrayLike) -> tuple[Points, Points]:
    start = frame.to_local(start_mm)
    return start, frame.to_local(end_mm) - start


def _between_planes(start: Points, along: Points, half: Points) -> tuple[Points, Points]:
    """Ray parameters where |start + t along| <= half; empty (inf, -inf) or endless where parallel."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (-half - start) / along, (half - start) / along
    parallel, within = along == 0, np.abs(start) <= half
    low = np.where(parallel, np.where(within, -np.inf, np.inf), np.minimum(a, b))
    high = np.where(parallel, np.where(within, np.inf, -np.inf), np.maximum(a, b))
    return low, high


def _in_unit_ball(start: Points, along: Points) -> tuple[Points, Points]:
    """Ray parameters where |start + t along| <= 1, of any dimension; empty or endless as above."""
    a = np.sum(along * along, axis=-1)
    b = np.sum(start * along, axis=-1)
    c = np.sum(start * start, axis=-1) - 1
    inside = b * b - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(inside, 0))
        low, high = (-b - root) / a, (-b + root) / a
    hit, still, within = inside > 0, a == 0, c <= 0
    low = np.where(still, np.where(within, -np.inf, np.inf), np.where(hit, low, np.inf))
    high = np.where(still, np.where(within, np.inf, -np.inf), np.where(hit, high, -np.inf))
    return low, high


def _length(along: Points, low: Points, high: Points) -> Points:
    """Length of the part of the segment, parameter 0 to 1, between low and high."""
    inside = np.maximum(np.minimum(high, 1.0) - np.maximum(low, 0.0), 0.0)
    return inside * np.linalg.norm(along, axis=-1)
