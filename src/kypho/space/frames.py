"""Anatomical frames: an origin and three axes, left, posterior, superior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.errors import GeometryError

__all__ = ["Frame", "rotation_about", "unit"]


def unit(vector: ArrayLike) -> NDArray[np.float64]:
    """The vector ``(..., 3)`` scaled to length one.

    Raises:
        GeometryError: a vector of length zero has no direction.
    """
    v = np.asarray(vector, dtype=float)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    if np.any(length == 0):
        raise GeometryError("a zero vector has no direction")
    return v / length


def rotation_about(axis: ArrayLike, angle_deg: float) -> NDArray[np.float64]:
    """Right-handed rotation matrix (3, 3) about `axis`, by Rodrigues' formula."""
    x, y, z = unit(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(angle_deg)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A right-handed local frame in the LPS world.

    Attributes:
        origin_mm: LPS point, shape (3,).
        rotation: shape (3, 3); columns are the frame's left, posterior and superior unit vectors in LPS.
    """

    origin_mm: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def __post_init__(self) -> None:
        origin = np.array(self.origin_mm, dtype=float).reshape(3)
        rotation = np.array(self.rotation, dtype=float).reshape(3, 3)
        if not np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-6) or np.linalg.det(rotation) < 0:
            raise GeometryError("frame axes must be orthonormal and right-handed")
        origin.setflags(write=False)
        rotation.setflags(write=False)
        object.__setattr__(self, "origin_mm", origin)
        object.__setattr__(self, "rotation", rotation)

    @property
    def left(self) -> NDArray[np.float64]:
        """Unit LPS vector to the patient's left."""
        return self.rotation[:, 0]

    @property
    def posterior(self) -> NDArray[np.float64]:
        """Unit LPS vector to the back."""
        return self.rotation[:, 1]

    @property
    def superior(self) -> NDArray[np.float64]:
        """Unit LPS vector to the head."""
        return self.rotation[:, 2]

    def to_world(self, local_mm: ArrayLike) -> NDArray[np.float64]:
        """Local points ``(..., 3)`` (left, posterior, superior) to LPS points."""
        return np.asarray(local_mm, dtype=float) @ self.rotation.T + self.origin_mm

    def to_local(self, lps_mm: ArrayLike) -> NDArray[np.float64]:
        """LPS points ``(..., 3)`` to local points (left, posterior, superior)."""
        return (np.asarray(lps_mm, dtype=float) - self.origin_mm) @ self.rotation

    def direction_to_world(self, local: ArrayLike) -> NDArray[np.float64]:
        """Local directions to LPS directions."""
        return np.asarray(local, dtype=float) @ self.rotation.T

    def direction_to_local(self, lps: ArrayLike) -> NDArray[np.float64]:
        """LPS directions to local directions."""
        return np.asarray(lps, dtype=float) @ self.rotation
