"""Body, walls and endplates of a vertebra, on its local grid (superior, posterior, left)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.errors import LevelIncompleteError

__all__ = ["Endplate", "PosteriorWall", "body_mask", "endplates", "posterior_wall"]

WALL_HALF_WIDTH_MM = 6.0  # numerics: the part of the wall that is behind the canal at every level
RIM_MM = 4.5  # numerics: deeper than any rim, shallower than a pedicle is long
ENDPLATE_CORE = 0.7  # share of the body's half axes over which an endplate plane is fitted
ENDPLATE_TRIM = 2.0  # numerics: residuals beyond this many median deviations leave the plane fit


@dataclass(frozen=True, kw_only=True)
class PosteriorWall:
    """The back of the body in the mid-sagittal plane: ``y = a + b z + c z^2`` in local mm.

    Lateral of the canal, where body and pedicle join without a wall, the same curve is the boundary.
    """

    a: float
    b: float
    c: float

    def y_mm(self, z_mm: NDArray | float) -> NDArray[np.float64]:
        """Posterior coordinate of the wall at superior coordinate `z_mm`."""
        z = np.asarray(z_mm, dtype=float)
        return self.a + self.b * z + self.c * z * z


@dataclass(frozen=True, kw_only=True, eq=False)
class Endplate:
    """A plane fitted to one endplate, in local mm: ``z = height_mm + slope . (x, y)``.

    Attributes:
        height_mm: superior coordinate where the plane crosses the frame's axis.
        slope: change of z per mm to the left and per mm to the back, shape (2,).
    """

    height_mm: float
    slope: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal towards the head, local (left, posterior, superior)."""
        n = np.array([-self.slope[0], -self.slope[1], 1.0])
        return n / np.linalg.norm(n)

    def z_mm(self, xy_mm: NDArray) -> NDArray[np.float64]:
        """Superior coordinate of the plane at local (left, posterior) points ``(..., 2)``."""
        return self.height_mm + np.asarray(xy_mm, dtype=float) @ self.slope


def posterior_wall(
    bone: NDArray[np.bool_], canal: NDArray[np.bool_], axes_mm: list[NDArray]
) -> PosteriorWall:
    """Fit the posterior wall to the front of the canal.

    Args:
        bone: vertebra mask on the local grid.
        canal: canal mask on the same grid.
        axes_mm: local coordinates of the grid along (superior, posterior, left).

    Raises:
        LevelIncompleteError: no bone stands in front of the canal.
    """
    z_axis, y_axis, x_axis = axes_mm
    middle = np.abs(x_axis) <= WALL_HALF_WIDTH_MM
    heights, walls = [], []
    for k in range(len(z_axis)):
        if not (canal[k].any() and bone[k].any()):
            continue
        for i in np.nonzero(middle)[0]:
            front = np.argmax(canal[k, :, i])
            if not canal[k, front, i] or front == 0:
                continue
            ahead = np.nonzero(bone[k, :front, i])[0]
            # Bone more than a few mm ahead of the canal is beyond an endplate, not the wall.
            if len(ahead) and y_axis[front] - y_axis[ahead[-1]] < 5.0:
                heights.append(z_axis[k])
                walls.append(y_axis[ahead[-1]] + 0.5 * (y_axis[1] - y_axis[0]))
    if len(walls) < 20:
        raise LevelIncompleteError(
            "no posterior wall in front of a canal (does the bone close around it?); "
            "check the labels of this level"
        )
    z, y = np.asarray(heights), np.asarray(walls)
    keep = np.ones(len(z), dtype=bool)
    for _ in range(4):
        c, b, a = np.polyfit(z[keep], y[keep], 2)
        residual = np.abs(y - (a + b * z + c * z * z))
        keep = residual <= max(2.5 * np.median(residual[keep]), 0.5)
    return PosteriorWall(a=float(a), b=float(b), c=float(c))


def body_mask(bone: NDArray[np.bool_], wall: PosteriorWall, axes_mm: list[NDArray]) -> NDArray[np.bool_]:
    """The bone in front of the posterior wall, and the rims of the body that bulge behind it.

    Above and below the pedicles an axial section shows the body as a piece of its own: all of it is body.
    """
    z_axis, y_axis, _ = axes_mm
    limit = wall.y_mm(z_axis)
    body = bone & (y_axis[None, :] <= limit[:, None])[:, :, None]
    for k, section in enumerate(bone):
        pieces, n = ndimage.label(section)
        for number in range(1, n + 1):
            piece = pieces == number
            if body[k][piece].any() and y_axis[np.nonzero(piece)[0].max()] < limit[k] + RIM_MM:
                body[k] |= piece
    return np.asarray(body)


def endplates(
    body: NDArray[np.bool_], distance: NDArray[np.float32], axes_mm: list[NDArray]
) -> tuple[Endplate, Endplate]:
    """Planes through the inferior and the superior endplate.

    Only columns over the core of the body count: the rim has lips and osteophytes.

    Args:
        body: body mask on the local grid.
        distance: distance to the bone's surface on the same grid, positive inside.
        axes_mm: local coordinates of the grid along (superior, posterior, left).

    Raises:
        LevelIncompleteError: the body is too small to have endplates.
    """
    z_axis, y_axis, x_axis = axes_mm
    filled = body.any(axis=0)
    if np.count_nonzero(filled) < 50:
        raise LevelIncompleteError("the body is too small for endplates; check the labels of this level")
    jj, ii = np.nonzero(filled)
    centre = np.array([x_axis[ii].mean(), y_axis[jj].mean()])
    half = np.array([np.ptp(x_axis[ii]), np.ptp(y_axis[jj])]) / 2
    x, y = np.meshgrid(x_axis, y_axis)
    core = filled & (((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 <= ENDPLATE_CORE**2)
    top = body.shape[0] - 1 - np.argmax(body[::-1], axis=0)
    bottom = np.argmax(body, axis=0)
    lower = _plane(x[core], y[core], _surface(distance, z_axis, bottom, -1)[core])
    upper = _plane(x[core], y[core], _surface(distance, z_axis, top, 1)[core])
    return lower, upper


def _surface(
    distance: NDArray[np.float32], z_axis: NDArray, last: NDArray[np.intp], step: int
) -> NDArray[np.float64]:
    """Height at which each column leaves the bone: where the distance changes sign beyond index `last`.

    Counting voxels instead would round every endplate that is nearly level to one flat layer.
    """
    beyond = np.clip(last + step, 0, len(z_axis) - 1)
    inside = np.take_along_axis(distance, last[None], axis=0)[0]
    outside = np.take_along_axis(distance, beyond[None], axis=0)[0]
    share = np.clip(inside / np.maximum(inside - outside, 1e-6), 0.0, 1.0)
    return np.asarray(z_axis[last] + step * share * (z_axis[1] - z_axis[0]))


def _plane(x: NDArray, y: NDArray, z: NDArray) -> Endplate:
    """Least-squares plane, outliers trimmed three times."""
    design = np.column_stack([np.ones_like(x), x, y])
    keep = np.ones(len(z), dtype=bool)
    for _ in range(3):
        fit = np.linalg.lstsq(design[keep], z[keep], rcond=None)[0]
        residual = np.abs(z - design @ fit)
        keep = residual <= max(ENDPLATE_TRIM * 1.5 * np.median(residual[keep]), 0.3)
    return Endplate(height_mm=float(fit[0]), slope=fit[1:].copy())
