"""Holes, cavities and lost density, painted in the coordinates of the intact vertebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.phantoms.fractures.spec import Cleft, Lesion, PedicleBreach, SchmorlNode, WallDefect
from kypho.phantoms.fractures.warp import BodyShape

__all__ = ["Painter"]

SOFT_HU, DISC_HU, LYTIC_HU, FLUID_HU, GAS_HU = 45.0, 80.0, 55.0, 15.0, -750.0
TEXTURE_HU = 18.0
CORTEX_IN_MM, CORTEX_OUT_MM = 3.0, 2.0
"""A hole removes this much on either side of the labelled surface: cortex and label rarely agree better."""

POSTERIOR_REACH_MM, REACH_MM = 6.0, 8.0
"""How far from its fitted place a wall is still cut."""

CLEFT_DEPTH_MM = 1.5
"""A cleft stays this far under the surface: about the cortex and the blur of its label."""

CLEFT_SHAPE = np.array([2.0, 1.5, 0.6])
"""Half axes of a cleft (across, along, up), in proportion."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Painter:
    """The points of an image and what the intact vertebra is like there.

    Attributes:
        shape: the body.
        points: local mm in the intact vertebra, shape (n, 3).
        bone_mm: depth below the vertebra's surface, shape (n,).
        canal_mm: depth inside the canal.
        wall_y_mm: the posterior wall at each point's height.
    """

    shape: BodyShape
    points: NDArray[np.float64]
    bone_mm: NDArray[np.float64]
    canal_mm: NDArray[np.float64]
    wall_y_mm: NDArray[np.float64]

    def place(self, across: float, along: float, up: float) -> NDArray[np.float64]:
        """Local point of fractions of the body."""
        s = self.shape
        y = s.middle_y_mm + along * (s.back_mm - s.front_mm) / 2
        z = float(s.bottom_mm(y)) + (up + 1) / 2 * float(s.height_mm(y))
        return np.array([s.middle_x_mm + across * s.half_width_mm, y, z])

    def in_body(self) -> NDArray[np.bool_]:
        """The points in front of the posterior wall and inside the bone."""
        return np.asarray((self.bone_mm > 0) & (self.points[:, 1] < self.wall_y_mm))

    def wall_hole(self, defect: WallDefect) -> NDArray[np.bool_]:
        """A cylinder of the defect's area through the cortex of the wall."""
        cortex = (self.bone_mm < CORTEX_IN_MM) & (self.bone_mm > -CORTEX_OUT_MM)
        return np.asarray(cortex & self.under_hole(defect))

    def under_hole(self, defect: WallDefect) -> NDArray[np.bool_]:
        """The cylinder itself, near the wall."""
        x, y, z = self.points.T
        if defect.wall == "posterior":
            centre = self.place(defect.across, 1.0, defect.up)
            near = np.abs(y - self.wall_y_mm) < POSTERIOR_REACH_MM
            flat = (x - centre[0]) ** 2 + (z - centre[2]) ** 2
        elif defect.wall == "anterior":
            centre = self.place(defect.across, -1.0, defect.up)
            near = np.abs(y - centre[1]) < REACH_MM
            flat = (x - centre[0]) ** 2 + (z - centre[2]) ** 2
        else:
            centre = self.place(1.0 if defect.wall == "left" else -1.0, defect.across, defect.up)
            near = np.abs(x - centre[0]) < REACH_MM
            flat = (y - centre[1]) ** 2 + (z - centre[2]) ** 2
        return np.asarray(near & (flat < defect.area_mm2 / np.pi))

    def cleft(self, cleft: Cleft) -> NDArray[np.bool_]:
        """A flat ellipsoid inside the body; the cortex over it stays, only a wall defect opens it."""
        scale = (cleft.volume_ml * 1000 / (4 / 3 * np.pi * np.prod(CLEFT_SHAPE))) ** (1 / 3)
        offset = (self.points - self.place(0.0, cleft.along, cleft.up)) / (scale * CLEFT_SHAPE)
        deep = self.in_body() & (self.bone_mm > CLEFT_DEPTH_MM)
        return np.asarray(deep & ((offset**2).sum(axis=1) < 1))

    def lesion(self, lesion: Lesion) -> NDArray[np.bool_]:
        """A ball, cut off by the bone's surface."""
        offset = self.points - self.place(lesion.across, lesion.along, lesion.up)
        return np.asarray((self.bone_mm > -1.0) & ((offset**2).sum(axis=1) < lesion.radius_mm**2))

    def node(self, node: SchmorlNode) -> NDArray[np.bool_]:
        """A paraboloid sunk into an endplate from the bone's own surface."""
        sign = 1.0 if node.endplate == "superior" else -1.0
        centre = self.place(node.across, node.along, sign)
        flat = ((self.points[:, :2] - centre[:2]) ** 2).sum(axis=1) * np.pi / node.area_mm2
        pit = node.depth_mm * np.clip(1 - flat, 0, None) + 0.5
        near = sign * (self.points[:, 2] - centre[2]) > -node.depth_mm - 3.0
        return np.asarray((flat < 1) & near & (self.bone_mm < pit) & (self.bone_mm > -1.5))

    def breach(self, breach: PedicleBreach, isthmus: NDArray) -> NDArray[np.bool_]:
        """A needle's cylinder along the depth axis whose side opens the pedicle's medial wall."""
        x, y, z = self.points.T
        side = 1.0 if breach.side == "left" else -1.0
        along = np.abs(y - isthmus[1]) < 4.0
        near = np.abs(z - isthmus[2]) < breach.needle_radius_mm
        medial = side * (x - isthmus[0]) < 0
        wall = (self.canal_mm > -CORTEX_IN_MM) & (self.canal_mm < CORTEX_OUT_MM)
        return np.asarray(along & near & medial & wall)
