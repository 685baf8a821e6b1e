"""Where a needle may aim and through which gate it may pass, for each strategy, side and route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import LEFT_PEDICLE, RIGHT_PEDICLE, Side, Vertebra
from kypho.evidence import value
from kypho.planning.corridor import Corridor
from kypho.planning.settings import Limits
from kypho.planning.walls import OBSTACLES, PEDICLE_WALLS, side_sign
from kypho.space import unit

__all__ = ["Aim", "Route", "Task", "corridor_of", "fixed_needs", "target_of", "walls_of"]

ENDPLATES = ("endplate_superior", "endplate_inferior")

Aim = Literal["midline", "paramedian"]
Route = Literal["transpedicular", "extrapedicular"]

LATERAL_GATE_MM = 6.0  # numerics: half the depth over which an extrapedicular needle may reach the body
BESIDE_PEDICLE_MM = 2.5  # numerics: where that gate stands lateral of the pedicle's outer surface
BEHIND_GATE_MM = 38.0  # numerics: how far behind the posterior wall a path is checked for bone and canal


@dataclass(frozen=True, kw_only=True)
class Task:
    """One needle to be planned: from which side, to which aim, by which route."""

    side: Side
    aim: Aim
    route: Route


def target_of(
    vertebra: Vertebra, task: Task, cleft_mm: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The ideal tip in local mm: anterior third, mid-height; on the midline or paramedian.

    A cleft draws the target to its depth and height, as far as it lies in the front half of the body.
    """
    low, high = vertebra.body_box_mm
    front, back = low[1], float(vertebra.wall.y_mm(0.0))
    x = 0.0
    if task.aim == "paramedian":
        x = side_sign(task.side) * value("plan.target.paramedian_fraction") * (high[0] - low[0])
    y = front + value("plan.target.anterior_fraction") * (back - front)
    if cleft_mm is not None and cleft_mm[1] < (front + back) / 2:
        return np.array([x, float(cleft_mm[1]), float(cleft_mm[2])])
    ends = [plate.z_mm(np.array([x, y])) for plate in (vertebra.inferior, vertebra.superior)]
    return np.array([x, y, float(np.mean(ends))])


def corridor_of(vertebra: Vertebra, task: Task, cleft_mm: NDArray[np.float64] | None = None) -> Corridor:
    """All lines from the tolerance rectangle about the target through the gate of the route.

    Transpedicular: the gate is the isthmus. Extrapedicular: a window beside the pedicle's junction with
    the body, over the height of the pedicle.
    """
    target = target_of(vertebra, task, cleft_mm)
    low, high = vertebra.body_box_mm
    half_height = value("plan.target.height_fraction") * (high[2] - low[2]) / 2
    aim = np.array([target, [value("plan.target.lateral_tolerance_mm"), 0, 0], [0, 0, half_height]])
    gate = _isthmus_gate(vertebra, task.side)
    if task.route == "extrapedicular":
        gate = _lateral_gate(vertebra, task.side)
    run = gate[0] - target
    behind = vertebra.wall.a + BEHIND_GATE_MM - target[1]
    return Corridor(gate=gate, target=aim, reach=float(behind / run[1]))


def _isthmus_gate(vertebra: Vertebra, side: Side) -> NDArray[np.float64]:
    pedicle = vertebra.pedicles[side]
    axis = vertebra.frame.direction_to_local(pedicle.axis)
    up = unit(np.array([0.0, 0.0, 1.0]) - axis[2] * axis)
    across = np.cross(up, axis)
    centre = vertebra.frame.to_local(pedicle.isthmus_mm)
    # Half sizes reach the surface: a needle beyond it has its axis outside the bone.
    return np.array([centre, across * pedicle.width_mm / 2, up * pedicle.height_mm / 2])


def _lateral_gate(vertebra: Vertebra, side: Side) -> NDArray[np.float64]:
    region = LEFT_PEDICLE if side == "left" else RIGHT_PEDICLE
    points = vertebra.local_points(region)
    sign = side_sign(side)
    edge = sign * (np.quantile(points[:, 0] * sign, 0.98) + BESIDE_PEDICLE_MM)
    height = np.quantile(points[:, 2], [0.05, 0.95])
    centre = np.array([edge, float(vertebra.wall.y_mm(height.mean())), float(height.mean())])
    half = float(np.ptp(height)) / 2
    return np.array([centre, [0.0, LATERAL_GATE_MM, 0.0], [0.0, 0.0, half]])


def walls_of(route: Route) -> tuple[str, ...]:
    """The walls and obstacles from which the shaft on a route must keep its distance.

    The extrapedicular needle enters through the lateral wall; medially the canal guards it.
    """
    if route == "transpedicular":
        return ("canal", *PEDICLE_WALLS, *ENDPLATES, *OBSTACLES)
    return ("canal", "superior", "inferior", *ENDPLATES, *OBSTACLES)


def fixed_needs(side: Side, limits: Limits) -> dict[str, float]:
    """What a needle must respect whatever its diameter: the rule, and the tip's stop before the front."""
    return {"anterior": limits.anterior_mm, f"rule_{side}": limits.rule_mm}
