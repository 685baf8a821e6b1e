"""The map of a collapse, written from the fractured vertebra back to the intact one.

Written backwards it needs no inversion: every point of the fractured image knows where it came from. Below
the inferior endplate nothing moves; above the superior one the spine turns and sinks as a rigid body; in
between the sections of the body fan out about the posterior wall, so the wall keeps its place. All
coordinates are local mm of the vertebra (left, posterior, superior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra
from kypho.phantoms.fractures.spec import Collapse, Retropulsion

__all__ = [
    "BodyShape",
    "body_shape",
    "collapse_source",
    "remaining_height",
    "retropulsion_source",
]

RAMP_MARGIN_MM = 1.0
"""The compressed slab reaches this far beyond the endplate planes, so that the whole endplate lies in it."""

FRONT_MM = 6.0
"""In front of the body by more than this the displacement stays what it is there, or it would fold."""

BACK_MM = 60.0
DISC_MM = 1.5
"""The disc takes up the dent of a biconcave endplate over this height; neighbours do not move."""

BULGE_HALF_WIDTH_MM, BULGE_HALF_HEIGHT_MM = 9.0, 6.0
BULGE_FRONT_MM, BULGE_BACK_MM = 10.0, 13.0
"""A bulge of the wall dies out over this much bone before it and this much canal behind it."""


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """The body as the map sees it: two planes, a posterior wall and a footprint, local mm."""

    bottom: tuple[float, float]
    top: tuple[float, float]
    front_mm: float
    back_mm: float
    half_width_mm: float
    middle_x_mm: float

    def bottom_mm(self, y: NDArray | float) -> NDArray[np.float64]:
        """Height of the lower plane of the slab at posterior coordinate y."""
        return np.asarray(self.bottom[0] + self.bottom[1] * np.asarray(y))

    def top_mm(self, y: NDArray | float) -> NDArray[np.float64]:
        """Height of its upper plane."""
        return np.asarray(self.top[0] + self.top[1] * np.asarray(y))

    def height_mm(self, y: NDArray | float) -> NDArray[np.float64]:
        """Height of the slab."""
        return self.top_mm(y) - self.bottom_mm(y)

    @property
    def middle_y_mm(self) -> float:
        """Halfway from the anterior edge to the posterior wall."""
        return (self.front_mm + self.back_mm) / 2


def body_shape(vertebra: Vertebra) -> BodyShape:
    """The planes and edges of a vertebra model."""
    low, high = vertebra.body_box_mm
    return BodyShape(
        bottom=(vertebra.inferior.height_mm - RAMP_MARGIN_MM, float(vertebra.inferior.slope[1])),
        top=(vertebra.superior.height_mm + RAMP_MARGIN_MM, float(vertebra.superior.slope[1])),
        front_mm=float(low[1]),
        back_mm=float(vertebra.wall.y_mm(0.0)),
        half_width_mm=float(high[0] - low[0]) / 2,
        middle_x_mm=float(high[0] + low[0]) / 2,
    )


def _drops(shape: BodyShape, collapse: Collapse) -> tuple[float, float]:
    """Lowering of the superior plane in mm: extra at the anterior edge, and everywhere."""
    if collapse.kind == "wedge":
        return collapse.loss * float(shape.height_mm(shape.front_mm)), 0.0
    return 0.0, collapse.loss * float(shape.height_mm(shape.middle_y_mm))


def remaining_height(
    shape: BodyShape, collapse: Collapse | None, x: NDArray, y: NDArray
) -> NDArray[np.float64]:
    """Fractured over intact height of the column at (x, y): the exact truth of the height loss."""
    y = np.asarray(y, dtype=float)
    if collapse is None:
        return np.ones(np.broadcast(x, y).shape)
    if collapse.kind == "biconcave":
        dent = collapse.loss * shape.height_mm(shape.middle_y_mm) * _bowl(shape, x, y)
        return np.asarray(1 - dent / shape.height_mm(y))
    front, everywhere = _drops(shape, collapse)
    lowered = front * (shape.back_mm - y) / (shape.back_mm - shape.front_mm) + everywhere
    return np.asarray(1 - lowered / shape.height_mm(y)) * np.ones_like(np.asarray(x, dtype=float))


def _bowl(shape: BodyShape, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """1 in the middle of the endplate, 0 at its rim and beyond."""
    half_depth = (shape.back_mm - shape.front_mm) / 2
    r2 = ((x - shape.middle_x_mm) / shape.half_width_mm) ** 2 + ((y - shape.middle_y_mm) / half_depth) ** 2
    return np.asarray(np.clip(1 - r2, 0, None) ** 1.5)


def collapse_source(shape: BodyShape, collapse: Collapse, points: NDArray) -> NDArray[np.float64]:
    """Where in the intact vertebra the points ``(n, 3)`` of the collapsed one come from."""
    if collapse.kind == "biconcave":
        return _biconcave_source(shape, collapse.loss, points)
    front, everywhere = _drops(shape, collapse)
    lean = front / (shape.back_mm - shape.front_mm)
    y = np.clip(points[:, 1], shape.front_mm - FRONT_MM, shape.back_mm + BACK_MM)
    z = points[:, 2]
    behind = y - shape.back_mm
    lowered = everywhere - lean * behind
    share = np.clip((z - shape.bottom_mm(y)) / (shape.height_mm(y) - lowered), 0, 1)
    slope = shape.bottom[1] + share * (shape.top[1] - shape.bottom[1])
    tilted = slope + share * lean
    source_y = shape.back_mm + behind * np.sqrt((1 + tilted**2) / (1 + slope**2))
    source_z = shape.bottom_mm(source_y) + share * shape.height_mm(source_y)
    above = share >= 1
    if above.any():
        hinge_z = float(shape.top_mm(shape.back_mm)) - everywhere
        turn = np.arctan(shape.top[1] + lean) - np.arctan(shape.top[1])
        dy, dz = behind[above], z[above] - hinge_z
        source_y[above] = shape.back_mm + np.cos(turn) * dy + np.sin(turn) * dz
        source_z[above] = hinge_z + everywhere - np.sin(turn) * dy + np.cos(turn) * dz
    below = share <= 0
    source_y[below], source_z[below] = y[below], z[below]
    return np.column_stack([points[:, 0], points[:, 1] + source_y - y, source_z])


def _biconcave_source(shape: BodyShape, loss: float, points: NDArray) -> NDArray[np.float64]:
    """Both endplates dented; the discs stretch to fill the dent."""
    x, y, z = points.T
    dent = 0.5 * loss * float(shape.height_mm(shape.middle_y_mm)) * _bowl(shape, x, y)
    bottom, top = shape.bottom_mm(y), shape.top_mm(y)
    source = z.copy()
    inside = (z >= bottom + dent) & (z <= top - dent)
    stretch = (top - bottom) / np.maximum(top - bottom - 2 * dent, 1e-6)
    source[inside] = (bottom + (z - bottom - dent) * stretch)[inside]
    over = (z > top - dent) & (z < top + DISC_MM)
    source[over] = (top + (z - top + dent) * DISC_MM / (DISC_MM + dent))[over]
    under = (z < bottom + dent) & (z > bottom - DISC_MM)
    source[under] = (bottom - (bottom + dent - z) * DISC_MM / (DISC_MM + dent))[under]
    return np.column_stack([x, y, source])


def retropulsion_source(
    shape: BodyShape, retropulsion: Retropulsion, wall_y_mm: NDArray, points: NDArray
) -> NDArray[np.float64]:
    """Where the points come from when the posterior wall is pushed back, before any collapse.

    Args:
        shape: the body.
        retropulsion: depth and place.
        wall_y_mm: posterior coordinate of the intact wall at each point's height, shape (n,).
        points: shape (n, 3).
    """
    x, y, z = points.T
    half = float(shape.height_mm(shape.back_mm)) / 2
    middle = float(shape.bottom_mm(shape.back_mm)) + half * (1 + retropulsion.up)
    across = np.clip(np.abs(x - shape.middle_x_mm) / BULGE_HALF_WIDTH_MM, 0, 1)
    up = np.clip(np.abs(z - middle) / BULGE_HALF_HEIGHT_MM, 0, 1)
    push = retropulsion.depth_mm * np.cos(np.pi / 2 * across) ** 2 * np.cos(np.pi / 2 * up) ** 2
    depth = y - wall_y_mm
    front = BULGE_FRONT_MM * (depth + BULGE_FRONT_MM) / (BULGE_FRONT_MM + push) - BULGE_FRONT_MM
    back = BULGE_BACK_MM - BULGE_BACK_MM * (BULGE_BACK_MM - depth) / (BULGE_BACK_MM - push)
    source = np.where(depth <= push, front, back)
    source = np.where((depth < -BULGE_FRONT_MM) | (depth > BULGE_BACK_MM), depth, source)
    return np.column_stack([x, wall_y_mm + source, z])
