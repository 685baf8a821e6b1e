"""Shadows of small things: needles, wires and voxel fields added to a frame without tracing the patient.

Line integrals add up: the frame with a needle is the patient's frame plus the needle's shadow. (The
tissue the steel displaces is counted twice; against steel it does not show.)
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.errors import GeometryError
from kypho.fluoroscopy.attenuation import steel_per_mm
from kypho.fluoroscopy.carm import CArm
from kypho.fluoroscopy.projector import Projector
from kypho.space import Volume, unit

__all__ = ["field_shadow", "needle_shadow"]


def needle_shadow(
    carm: CArm,
    start_mm: ArrayLike,
    end_mm: ArrayLike,
    radius_mm: float,
    mu_per_mm: float | None = None,
) -> NDArray[np.float32]:
    """Line integrals through a solid finite cylinder, shape (rows, cols); exact along every pixel's ray.

    Args:
        carm: the pose.
        start_mm: LPS centre of one end, (3,).
        end_mm: LPS centre of the other end, (3,).
        radius_mm: radius of the cylinder.
        mu_per_mm: linear attenuation; steel by default.

    Raises:
        GeometryError: the ends are one point, the radius is not positive, or the cylinder reaches behind
            the tube's focus.
    """
    start, end = np.asarray(start_mm, dtype=float), np.asarray(end_mm, dtype=float)
    if not radius_mm > 0:
        raise GeometryError(f"radius_mm must be positive, got {radius_mm!r}")
    axis = unit(end - start)
    image = np.zeros(carm.shape, dtype=np.float32)
    low, high = _footprint(carm, _corners(start, end, axis, radius_mm))
    mu = steel_per_mm() if mu_per_mm is None else mu_per_mm
    first = carm.pixel_centre_mm([0, 0]) - carm.source_mm
    steps = np.stack([first, carm.pixel_mm * carm.down, carm.pixel_mm * carm.right])
    _cylinder(
        image, low, high, steps, carm.source_mm - start, axis, np.linalg.norm(end - start), radius_mm, mu
    )
    return image


def field_shadow(carm: CArm, volume: Volume) -> NDArray[np.float32]:
    """Line integrals through a small volume, unit "1/mm" or "HU", shape (rows, cols).

    Rays that miss the volume's filled part cost next to nothing. For many frames of one volume keep a
    `Projector`.
    """
    return Projector(volume).trace(carm)


def _corners(
    start: NDArray[np.float64], end: NDArray[np.float64], axis: NDArray[np.float64], radius_mm: float
) -> NDArray[np.float64]:
    """LPS corners (8, 3) of a box around the cylinder."""
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    u = unit(np.cross(axis, helper))
    v = np.cross(axis, u)
    around = [radius_mm * (p * u + q * v) for p in (-1, 1) for q in (-1, 1)]
    return np.array([centre + offset for centre in (start, end) for offset in around])


def _footprint(carm: CArm, corners: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and stop (row, col) of the pixels that a convex body with these corners can cover."""
    pixels = carm.project(corners)
    if not np.all(np.isfinite(pixels)):
        raise GeometryError("the object reaches behind the tube's focus; check its position")
    low = np.clip(np.ceil(pixels.min(axis=0)), 0, carm.shape).astype(np.int64)
    high = np.clip(np.floor(pixels.max(axis=0)) + 1, 0, carm.shape).astype(np.int64)
    return low, high


@numba.njit(cache=True, error_model="numpy")
def _cylinder(image, low, high, steps, source, axis, length, radius, mu):  # type: ignore[no-untyped-def]
    """Chord of every ray source + t d, t >= 0, with the cylinder from the origin along `axis`."""
    source_along = source[0] * axis[0] + source[1] * axis[1] + source[2] * axis[2]
    off = source - source_along * axis
    c = off[0] ** 2 + off[1] ** 2 + off[2] ** 2 - radius**2
    for row in range(low[0], high[0]):
        for col in range(low[1], high[1]):
            dx = steps[0, 0] + row * steps[1, 0] + col * steps[2, 0]
            dy = steps[0, 1] + row * steps[1, 1] + col * steps[2, 1]
            dz = steps[0, 2] + row * steps[1, 2] + col * steps[2, 2]
            along = dx * axis[0] + dy * axis[1] + dz * axis[2]
            size = np.sqrt(dx * dx + dy * dy + dz * dz)
            # |off + t d_across|^2 = radius^2, with d_across the part of d across the axis.
            a = max(size * size - along * along, 0.0)
            b = dx * off[0] + dy * off[1] + dz * off[2]
            inside = b * b - a * c
            if inside <= 0 and not (a == 0 and c < 0):
                continue
            root = np.sqrt(max(inside, 0.0))
            t0, t1 = ((-b - root) / a, (-b + root) / a) if a > 0 else (0.0, np.inf)
            if along != 0:
                ta, tb = -source_along / along, (length - source_along) / along
                t0, t1 = max(t0, min(ta, tb)), min(t1, max(ta, tb))
            elif not 0 <= source_along <= length:
                continue
            if t1 > t0:
                image[row, col] = mu * (t1 - t0) * size
