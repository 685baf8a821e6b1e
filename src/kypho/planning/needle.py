"""One needle: its margins against every wall, and its grade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels, Vertebra
from kypho.evidence import value
from kypho.fluoroscopy.carm import angles_of
from kypho.planning.ap_lateral import RuleCheck, check_rule
from kypho.planning.corridor import Corridor, Line, path_minima
from kypho.planning.devices import Device
from kypho.planning.fractured import SOUND, Considerations
from kypho.planning.optimum import Certificate
from kypho.planning.robustness import Robustness, robustness
from kypho.planning.routes import Task, walls_of
from kypho.planning.settings import PlanSettings
from kypho.planning.skin import crossed, skin_point
from kypho.planning.walls import PEDICLE_WALLS, WALLS, Walls, side_sign
from kypho.space import Volume, sample_at

__all__ = ["Depth", "Needle", "Scene", "describe", "gertzbein_robbins", "heary"]

WALK_MM = 0.25  # numerics: a third of a voxel
SEARCH_MM = 60.0  # numerics: how far a path is looked at where the scan shows no skin
LONGEST_MM = 120.0  # numerics: more than any bony path of a vertebra
GAP_MM = 2.0  # numerics: a hole in the labels shorter than this does not end the bone


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """All that a needle is measured against."""

    vertebra: Vertebra
    walls: Walls
    ct: Volume
    labels: Labels
    fractured: Considerations = SOUND


@dataclass(frozen=True, kw_only=True)
class Depth:
    """A mark on the needle: depth behind the bone entry and what is left to the anterior cortex."""

    name: str
    from_bone_mm: float
    to_anterior_cortex_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Needle:
    """One planned needle.

    Attributes:
        task: side, aim and route.
        device: what is put in.
        skin_mm: LPS point where it enters the skin; None where the scan ends before the skin.
        entry_mm, tip_mm, target_mm: LPS points of bone entry, tip and ideal target.
        crosses: bones and organs the shaft passes between skin and bone.
        margins_mm: per wall and near obstacle, distance from the device's surface (anterior: from the tip).
        breach_mm: per wall, how far the device stands out; 0 where it does not.
        gertzbein_robbins: grade of the largest pedicle breach, applied to the device's cylinder;
            "not_applicable" beside the pedicle.
        heary: Heary's class I to V.
        certificates: per stage of the search, best value and proven bound.
        rule: the AP/lateral rule.
        robustness: displaced needles.
        depths: marks from pedicle entry to tip.
        angles_deg: to the vertebra's planes, and LAO/CRA of the view down the needle.
        target_distance_mm: distance of the tip from the ideal target.
        past_midline_mm: how far the tip lies beyond the midline, seen from the entry side.
        path_hu: mean attenuation along the axis inside the bone.
    """

    task: Task
    device: Device
    skin_mm: NDArray[np.float64] | None
    entry_mm: NDArray[np.float64]
    tip_mm: NDArray[np.float64]
    target_mm: NDArray[np.float64]
    margins_mm: Mapping[str, float]
    breach_mm: Mapping[str, float]
    gertzbein_robbins: str
    heary: str
    certificates: Mapping[str, Certificate]
    rule: RuleCheck
    robustness: Robustness
    depths: tuple[Depth, ...]
    angles_deg: Mapping[str, float]
    target_distance_mm: float
    past_midline_mm: float
    path_hu: float
    crosses: tuple[str, ...]

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit LPS direction from entry to tip."""
        run = self.tip_mm - self.entry_mm
        return np.asarray(run / np.linalg.norm(run))


def gertzbein_robbins(breach_mm: float) -> str:
    """Gertzbein-Robbins grade A to E of a pedicle breach in mm."""
    if breach_mm <= 0:
        return "A"
    limits = value("plan.gertzbein_robbins_mm")
    return "BCDE"[int(np.searchsorted(limits, breach_mm, side="right"))]


def heary(margins_mm: Mapping[str, float]) -> str:
    """Heary's class: I contained, II lateral, III in front, IV medial or inferior, V in the canal."""
    if margins_mm["canal"] < 0:
        return "V"
    if min(margins_mm["medial"], margins_mm["inferior"]) < 0:
        return "IV"
    if margins_mm["anterior"] < 0:
        return "III"
    return "II" if min(margins_mm["lateral"], margins_mm["superior"]) < 0 else "I"


def describe(
    scene: Scene,
    task: Task,
    device: Device,
    corridor: Corridor,
    line: Line,
    certificates: Mapping[str, Certificate],
    settings: PlanSettings,
) -> Needle:
    """Measure one line.

    Args:
        scene: what it is measured against.
        task: side, aim and route.
        device: what is put in.
        corridor: the lines the search chose from.
        line: the chosen one, four numbers in [-1, 1].
        certificates: of the search, by goal; handed on.
        settings: limits, sigmas and seed.
    """
    vertebra, walls = scene.vertebra, scene.walls
    gate, tip = corridor.ends(line)
    to_gate_mm = float(np.linalg.norm(gate - tip))
    backwards = (gate - tip) / to_gate_mm
    entry = tip + backwards * _bone_reach(vertebra, tip, backwards, to_gate_mm)
    least = dict(zip(walls.stack.names, path_minima(corridor, line, walls.stack)[0], strict=True))
    # In front the distance counts from the point of the tip, elsewhere from the surface of the shaft.
    margins = {
        name: float(least[name]) - (0.0 if name == "anterior" else device.radius_mm)
        for name in (*WALLS, *(kind for kind, names in walls.nearest.items() if names))
    }
    breach = {name: max(0.0, -margins[name]) for name in WALLS}
    entry_mm, tip_mm = vertebra.frame.to_world(entry), vertebra.frame.to_world(tip)
    target = corridor.target[0]
    outwards = vertebra.frame.direction_to_world(backwards)
    skin_mm = skin_point(scene.ct, entry_mm, outwards)
    outer_mm = entry_mm + SEARCH_MM * outwards if skin_mm is None else skin_mm
    return Needle(
        task=task,
        device=device,
        skin_mm=skin_mm,
        entry_mm=entry_mm,
        tip_mm=tip_mm,
        target_mm=vertebra.frame.to_world(target),
        margins_mm=margins,
        breach_mm=breach,
        gertzbein_robbins=(
            gertzbein_robbins(max(breach[w] for w in PEDICLE_WALLS))
            if task.route == "transpedicular"
            else "not_applicable"
        ),
        heary=heary(margins),
        certificates=certificates,
        rule=check_rule(vertebra, task.side, entry_mm, tip_mm),
        robustness=robustness(entry, tip, device.radius_mm, walls.stack, _breachable(task), settings),
        depths=_depths(vertebra, walls, entry, tip),
        angles_deg=_angles(vertebra, task, -backwards),
        target_distance_mm=float(np.linalg.norm(tip - target)),
        past_midline_mm=float(-side_sign(task.side) * tip[0]),
        path_hu=_path_hu(vertebra, entry_mm, tip_mm),
        crosses=crossed(scene.labels, vertebra.level, entry_mm, outer_mm, device.radius_mm),
    )


def _breachable(task: Task) -> tuple[str, ...]:
    """The walls whose breach counts on a route."""
    return (*(name for name in walls_of(task.route) if name in WALLS), "anterior")


def _in_bone(vertebra: Vertebra, start: NDArray, direction: NDArray, reach_mm: float) -> NDArray[np.bool_]:
    """Whether the points every WALK_MM from a local point in a local direction lie in the bone."""
    points = start + np.arange(0.0, reach_mm, WALK_MM)[:, None] * direction
    return np.asarray(sample_at(vertebra.bone_mm, vertebra.frame.to_world(points), outside=-1.0) > 0)


def _bone_reach(vertebra: Vertebra, tip: NDArray, backwards: NDArray, gate_mm: float) -> float:
    """How far the bone reaches from the tip backwards along the needle, gaps up to GAP_MM bridged.

    A cleft or a hole in the labels on the way to the gate, `gate_mm` from the tip, does not end it however
    wide: the needle has entered the bone behind it.
    """
    inside = _in_bone(vertebra, tip, backwards, LONGEST_MM)
    gate = round(gate_mm / WALK_MM)
    ahead = np.nonzero(inside[1 : gate + 1])[0]
    last, gap = int(ahead[-1]) + 1 if len(ahead) else gate, 0
    for n, bone in enumerate(inside[last:], start=last):
        last, gap = (n, 0) if bone else (last, gap + 1)
        if gap * WALK_MM > GAP_MM:
            break
    return last * WALK_MM


def _depths(vertebra: Vertebra, walls: Walls, entry: NDArray, tip: NDArray) -> tuple[Depth, ...]:
    """Marks along the axis, in the order the needle meets them."""
    run = tip - entry
    length = float(np.linalg.norm(run))
    forwards = run / length
    points = entry + np.arange(0.0, length + WALK_MM, WALK_MM)[:, None] * forwards
    behind_pedicle = points[:, 1] > walls.pedicle_end_mm
    behind_wall = points[:, 1] > vertebra.wall.y_mm(points[:, 2])
    ahead = _in_bone(vertebra, tip, forwards, LONGEST_MM)
    cortex = length + float(np.argmin(ahead)) * WALK_MM
    wall = float(np.count_nonzero(behind_wall)) * WALK_MM
    marks = {
        "bone_entry": 0.0,
        "pedicle_entry": float(np.count_nonzero(behind_pedicle)) * WALK_MM,
        "posterior_wall": wall,
        "cannula_stop": wall + value("plan.depth.cannula_past_wall_mm"),
        "drill_and_wire_stop": cortex - value("plan.depth.guide_wire_stop_mm"),
        "tip": length,
    }
    return tuple(
        Depth(name=name, from_bone_mm=depth, to_anterior_cortex_mm=cortex - depth)
        for name, depth in marks.items()
    )


def _angles(vertebra: Vertebra, task: Task, forwards: NDArray) -> dict[str, float]:
    """Transverse: towards the midline positive; sagittal: towards the feet; C-arm: LAO and CRA."""
    lao, cranial = angles_of(-vertebra.frame.direction_to_world(forwards))
    medial = -side_sign(task.side) * forwards[0]
    return {
        "transverse": float(np.degrees(np.arctan2(medial, -forwards[1]))),
        "sagittal": float(np.degrees(np.arctan2(-forwards[2], np.hypot(forwards[0], forwards[1])))),
        "carm_lao": lao,
        "carm_cranial": cranial,
    }


def _path_hu(vertebra: Vertebra, entry_mm: NDArray, tip_mm: NDArray) -> float:
    points = np.linspace(entry_mm, tip_mm, 60)
    return float(sample_at(vertebra.hu, points).mean())
