"""The balloon of a kyphoplasty: where it goes, how much it can take, and what lift one may hope for.

One rule for plan and rehearsal. The way is drilled on to the front of the body; the balloon lies half its
length behind the drill's end; it may take bone that lies the margin under every wall and hangs together with
its centre. It takes the shape that the walls leave it, as in `kypho.cement.balloon`, which inflates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from edt import edt
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label

from kypho.anatomy import BODY, LEFT_PEDICLE, RIGHT_PEDICLE, Vertebra
from kypho.evidence import interval, value
from kypho.fracture import Assessment
from kypho.space import sample_at

__all__ = ["BalloonPlan", "balloon_room", "depth_in_bone_mm", "drilled_tip_mm", "own_side", "plan_balloons"]

DRILL_REACH_MM = 60.0  # numerics: longer than any vertebral body is deep
DRILL_STEP_MM = 0.25  # numerics: a fraction of the finest cells


@dataclass(frozen=True, kw_only=True, eq=False)
class BalloonPlan:
    """One balloon.

    Attributes:
        size: "15/3" or "20/3" (length in mm, shaft); None if none fits.
        centre_mm: LPS centre, on the needle's axis.
        largest_ml: fill at which the margin to the walls, or to a second balloon, leaves no more room, or
            its own limit.
        limited_by: "room" or "balloon".
        lift_mm: range to expect of the anterior height: from none to the published mean difference, and
            never more than was lost.
        kyphosis_deg: range of the correction, likewise.
        limit_kpa: pressure limit of the usual balloons.
        notes: what speaks against it or changes it.
        evidence: record ids; all of them unconfirmed.
    """

    size: str | None
    centre_mm: NDArray[np.float64]
    largest_ml: float
    limited_by: str
    lift_mm: tuple[float, float]
    kyphosis_deg: tuple[float, float]
    limit_kpa: float
    notes: tuple[str, ...]
    evidence: tuple[str, ...]


def drilled_tip_mm(vertebra: Vertebra, entry_mm: ArrayLike, tip_mm: ArrayLike) -> NDArray[np.float64]:
    """Where a kyphoplasty's drill ends: on along the needle, up to the margin before it leaves the bone.

    A needle whose tip lies nearer than the margin to the surface ahead is not drilled further.
    """
    tip = np.asarray(tip_mm, dtype=float)
    way = tip - np.asarray(entry_mm, dtype=float)
    ahead = np.arange(0.0, DRILL_REACH_MM, DRILL_STEP_MM)
    points = tip + ahead[:, None] * way / np.linalg.norm(way)
    out = np.nonzero(sample_at(vertebra.bone_mm, points, outside=-1.0) <= 0)[0]
    if not len(out):
        return tip
    further = max(float(ahead[out[0]]) - value("plan.depth.guide_wire_stop_mm"), 0.0)
    return np.asarray(tip + further * way / np.linalg.norm(way))


def depth_in_bone_mm(bone: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Depth of every cell under the surface of the bone, shape as `bone`.

    Distances run between centres of cells, and the surface lies half a cell before the first one outside.
    """
    spacing = tuple(float(s) for s in spacing_mm)
    return np.asarray(edt(bone, anisotropy=spacing) - 0.5 * min(spacing))


def balloon_room(
    depth_mm: NDArray, inside: NDArray[np.bool_], centre: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    """The cells that a balloon can take.

    Args:
        depth_mm: depth in the bone (`depth_in_bone_mm`), shape (nk, nj, ni).
        inside: cells of bone that gives way, same shape.
        centre: index of the balloon's centre.

    Returns:
        Mask of the cells that lie record ``balloon.wall_margin_mm`` under every wall and hang together with
        the centre; None if the centre does not.
    """
    pieces, _ = label(inside & (depth_mm >= value("balloon.wall_margin_mm")))
    own = pieces[centre]
    return np.asarray(pieces == own) if own else None


def own_side(
    points_mm: NDArray[np.float64], centres_mm: Sequence[ArrayLike], number: int
) -> NDArray[np.bool_]:
    """True for the points (n, 3) that lie nearer to centre `number` than to any other."""
    far = [np.linalg.norm(points_mm - np.asarray(centre, dtype=float), axis=1) for centre in centres_mm]
    return np.asarray(np.argmin(far, axis=0) == number)


def plan_balloons(
    vertebra: Vertebra, found: Assessment, needles: Sequence[tuple[ArrayLike, ArrayLike]]
) -> tuple[BalloonPlan, ...]:
    """Place a balloon on each planned needle.

    Two balloons share the room: each takes what lies nearer to its own centre.

    Args:
        vertebra: model of the level.
        found: its assessment.
        needles: entry and tip of each needle, LPS points.
    """
    back = value("cement.balloon.back_mm")
    centres = []
    for entry, tip in needles:
        end = drilled_tip_mm(vertebra, entry, tip)
        way = end - np.asarray(entry, dtype=float)
        centres.append(end - back * way / np.linalg.norm(way))
    rooms = [_room_ml(vertebra, centres, n) for n in range(len(centres))]
    return tuple(_balloon(found, centre, room_ml) for centre, room_ml in zip(centres, rooms, strict=True))


def _room_ml(vertebra: Vertebra, centres_mm: Sequence[NDArray[np.float64]], number: int) -> float:
    """Volume that one of the balloons can take."""
    grid = vertebra.grid
    index = np.rint(grid.to_index(centres_mm[number])).astype(int)
    if np.any(index < 0) or np.any(index >= grid.shape):
        return 0.0
    inside = np.isin(vertebra.regions.array, (BODY, LEFT_PEDICLE, RIGHT_PEDICLE))
    depth = depth_in_bone_mm(np.asarray(vertebra.bone_mm.array) > 0, grid.spacing_mm)
    room = balloon_room(depth, inside, tuple(int(n) for n in index))
    if room is None:
        return 0.0
    own = own_side(grid.to_world(np.argwhere(room)), centres_mm, number)
    return float(own.sum() * grid.voxel_mm3 * 1e-3)


def _balloon(found: Assessment, centre: NDArray[np.float64], room_ml: float) -> BalloonPlan:
    """The largest balloon of which the room holds at least a half, else the smallest."""
    sizes = sorted(value("balloon.sizes_ml").items(), key=lambda item: item[1])
    fitting = [(name, ml) for name, ml in sizes if room_ml >= ml / 2] or sizes[:1]
    size, own_ml = fitting[-1] if room_ml > 0 else (None, 0.0)
    lost = found.loss.percent["anterior"]
    lost_mm = 0.0
    if lost is not None and found.loss.expected is not None:
        lost_mm = max(found.loss.expected.anterior_mm * lost / 100, 0.0)
    tight = ("less than half of the smallest balloon has room",) if 0 < room_ml < sizes[0][1] / 2 else ()
    return BalloonPlan(
        size=size,
        centre_mm=centre,
        largest_ml=min(room_ml, own_ml),
        limited_by="room" if room_ml < own_ml or size is None else "balloon",
        lift_mm=(0.0, min(value("balloon.height_gain_mm"), lost_mm)),
        kyphosis_deg=(0.0, interval("balloon.kyphosis_gain_deg")[1] if lost_mm > 0 else 0.0),
        limit_kpa=float(value("balloon.limit_kpa")),
        notes=(*tight, *_notes(found, lost)),
        evidence=(
            "balloon.sizes_ml",
            "balloon.limit_kpa",
            "balloon.wall_margin_mm",
            "balloon.height_gain_mm",
            "balloon.kyphosis_gain_deg",
            "cement.balloon.back_mm",
            "plan.depth.guide_wire_stop_mm",
        ),
    )


def _notes(found: Assessment, lost: float | None) -> tuple[str, ...]:
    notes = ["averages of patients: the range says little about this one; every number here is unconfirmed"]
    state = {f.factor: f.state for f in found.findings}
    if state["posterior_wall_defect"] != "absent":
        notes.append("posterior wall open or not seen: a balloon may push bone into the canal")
    if state["retropulsion"] == "present":
        notes.append("retropulsed bone: inflate in front of it, in small steps")
    if state["intravertebral_cleft"] == "present":
        notes.append("a cleft may open without pressure: height can come from posture alone")
    if state["high_resistance"] == "present":
        notes.append("sclerotic bone: expect the pressure limit before the volume")
    if lost is None:
        notes.append("height loss unknown: no lift can be expected from a number")
    return tuple(notes)
