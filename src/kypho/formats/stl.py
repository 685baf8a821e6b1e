"""Needles as meshes: binary STL in LPS millimetres."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.errors import GeometryError
from kypho.space import unit

__all__ = ["cylinder_triangles", "write_stl"]

SIDES = 48  # numerics: a polygon of so many sides is narrower than its circle by a fifth of a percent
HEADER = b"SPACE=LPS UNIT=mm kypho, research and education only"
"""Readers that know the field keep the coordinates; others show the needle in LPS too."""


def cylinder_triangles(start_mm: ArrayLike, end_mm: ArrayLike, radius_mm: float) -> NDArray[np.float32]:
    """Closed cylinder as triangles (n, 3, 3) in LPS mm, corners counter-clockwise seen from outside.

    Raises:
        GeometryError: the ends coincide, or the radius is not positive.
    """
    start, end = np.asarray(start_mm, dtype=float), np.asarray(end_mm, dtype=float)
    if not radius_mm > 0:
        raise GeometryError(f"radius_mm must be positive, got {radius_mm!r}")
    axis = unit(end - start)
    first = np.linalg.svd(axis[None])[2][1]
    second = np.cross(axis, first)
    turn = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    ring = radius_mm * (np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second)
    low, high = start + ring, end + ring
    next_low, next_high = np.roll(low, -1, axis=0), np.roll(high, -1, axis=0)
    wall = [np.stack([low, next_low, next_high], axis=1), np.stack([low, next_high, high], axis=1)]
    caps = [
        np.stack([np.broadcast_to(start, low.shape), next_low, low], axis=1),
        np.stack([np.broadcast_to(end, high.shape), high, next_high], axis=1),
    ]
    return np.concatenate([*wall, *caps]).astype(np.float32)


def write_stl(path: Path, meshes: Iterable[NDArray[np.float32]]) -> None:
    """Write triangle meshes (n, 3, 3) into one binary STL."""
    triangles = np.concatenate(list(meshes))
    edges = np.diff(triangles, axis=1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    rows = np.zeros(
        len(triangles), np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("more", "<u2")])
    )
    rows["normal"], rows["corner"] = normal, triangles
    path.write_bytes(HEADER.ljust(80) + np.uint32(len(rows)).tobytes() + rows.tobytes())
