"""The AP/lateral rule, checked on the two projections a surgeon sees.

The tip must not be medial of the pedicle's medial border on the AP view before it has passed the
posterior wall on the lateral view. A needle can obey it and still breach a wall, and the reverse; so the
rule and the breach are reported apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Side, Vertebra
from kypho.fluoroscopy.carm import CArm, true_ap, true_lateral
from kypho.planning.walls import side_sign

__all__ = ["RuleCheck", "RuleStep", "check_rule"]

STEP_MM = 1.0  # numerics: the depth marks on a needle are this far apart


@dataclass(frozen=True, kw_only=True)
class RuleStep:
    """The tip at one depth.

    Attributes:
        depth_mm: depth behind the bone entry.
        ap_mm: on AP, distance of the tip lateral of the pedicle's medial border (negative: medial of it).
        lateral_mm: on lateral, distance of the tip in front of the posterior wall (negative: behind it).
    """

    depth_mm: float
    ap_mm: float
    lateral_mm: float

    @property
    def margin_mm(self) -> float:
        """The better of the two: the rule asks for one of them."""
        return max(self.ap_mm, self.lateral_mm)

    @property
    def ok(self) -> bool:
        """True if the rule holds at this depth."""
        return self.margin_mm >= 0


@dataclass(frozen=True, kw_only=True)
class RuleCheck:
    """The rule along one needle."""

    steps: tuple[RuleStep, ...]

    @property
    def compliant(self) -> bool:
        """True if the rule holds at every depth."""
        return all(step.ok for step in self.steps)

    @property
    def min_margin_mm(self) -> float:
        """Smallest margin over all depths."""
        return min(step.margin_mm for step in self.steps)

    @property
    def first_violation_mm(self) -> float | None:
        """Depth of the first violation; None if there is none."""
        return next((step.depth_mm for step in self.steps if not step.ok), None)


def check_rule(vertebra: Vertebra, side: Side, entry_mm: NDArray, tip_mm: NDArray) -> RuleCheck:
    """Check the rule at every millimetre from the bone entry to the tip.

    Both views are true: endplates parallel to the beam, spinous process on the midline. Image distances
    are scaled back to the plane of the body's centre.

    Args:
        vertebra: the model.
        side: side of the pedicle.
        entry_mm: LPS bone entry.
        tip_mm: LPS tip.
    """
    length = float(np.linalg.norm(tip_mm - entry_mm))
    depth = np.append(np.arange(0.0, length, STEP_MM), length)
    tips = entry_mm + (tip_mm - entry_mm) * (depth / length)[:, None]
    ap_mm = _lateral_of_border(vertebra, side, true_ap(vertebra.frame), tips)
    lateral_mm = _past_wall(vertebra, true_lateral(vertebra.frame), tips)
    return RuleCheck(
        steps=tuple(
            RuleStep(depth_mm=float(d), ap_mm=float(a), lateral_mm=float(b))
            for d, a, b in zip(depth, ap_mm, lateral_mm, strict=True)
        )
    )


def _on_image(carm: CArm, vertebra: Vertebra, points_mm: NDArray, axis: NDArray) -> NDArray[np.float64]:
    """Image coordinate along the projected `axis`, in mm at the isocentre, of LPS points (n, 3)."""
    centre = vertebra.frame.origin_mm
    unit_image = carm.project(np.stack([centre, centre + axis]))
    direction = unit_image[1] - unit_image[0]
    return np.asarray((carm.project(points_mm) - unit_image[0]) @ direction / (direction @ direction))


def _lateral_of_border(vertebra: Vertebra, side: Side, carm: CArm, tips_mm: NDArray) -> NDArray[np.float64]:
    outwards = side_sign(side) * vertebra.frame.left
    border = _on_image(carm, vertebra, vertebra.pedicles[side].contour_mm, outwards).min()
    return np.asarray(_on_image(carm, vertebra, tips_mm, outwards) - border)


def _past_wall(vertebra: Vertebra, carm: CArm, tips_mm: NDArray) -> NDArray[np.float64]:
    """Distance in front of the posterior wall line at the tip's own height on the image."""
    low, high = vertebra.inferior.height_mm, vertebra.superior.height_mm
    heights = np.linspace(low, high, 41)
    line = np.column_stack([np.zeros_like(heights), vertebra.wall.y_mm(heights), heights])
    line_mm = vertebra.frame.to_world(line)
    up, front = vertebra.frame.superior, -vertebra.frame.posterior
    wall_up, wall_front = (_on_image(carm, vertebra, line_mm, axis) for axis in (up, front))
    tip_up, tip_front = (_on_image(carm, vertebra, tips_mm, axis) for axis in (up, front))
    return np.asarray(tip_front - np.interp(tip_up, wall_up, wall_front))
