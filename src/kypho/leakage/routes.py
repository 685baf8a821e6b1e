"""By which route cement left the vertebra: rules on the exit point, the place and the shape.

Classes: B (basivertebral), S (segmental) and C (cortical) after Yeom et al. 2003, C parted into canal,
paraspinal and disc after Hsieh et al. 2019, and the needle track, foraminal and remote venous cement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import CANAL, Vertebra
from kypho.evidence import value
from kypho.leakage.parts import MeasuredPart
from kypho.leakage.scene import Scene
from kypho.space import sample_at

__all__ = ["ROUTES", "BodySide", "Route", "Routing", "route_of"]

Route = Literal[
    "basivertebral",
    "segmental",
    "cortical_canal",
    "paraspinal",
    "disc",
    "needle_track",
    "foraminal",
    "systemic",
    "undetermined",
    "indeterminate",
]
BodySide = Literal["left", "right", "midline"]
ROUTES: tuple[Route, ...] = get_args(Route)
"""Names as they stand in leakage.json; "indeterminate" is a speck too small to say anything of."""

OFF_MODEL_MM = -20.0  # numerics: distance given to points outside the model of the level
SIDE_MM = 1.0  # numerics: a centre nearer to the mid-sagittal plane than a pixel and a half has no side
BEYOND_MM = 0.75 * OFF_MODEL_MM  # numerics: halfway is interpolation; so far off lies outside the model
SURFACE_MM = 1.0  # numerics: an endplate and the wall are known to a voxel or so
FOOTPRINT = 0.95  # numerics: the ellipse of the body less its rim, where disc and ligament meet
LEAST_RADIUS_MM = 0.3  # numerics: half a pixel; a thinner inner sphere is no measurement
LEAST_MARGIN_MM = 0.5  # numerics: a pixel or so, given to a rule that has been met at all
SURE_MM = 1.0  # numerics: margin of a rule that has no distance of its own
TRACK_MM = 3.0  # numerics: margin in mm of a track along the pedicle itself, none at the limit of its angle
TOLD_MM = (0.3, 0.2)  # numerics: margins of a tube that is just thin enough, and just long enough
SHARE_MM = 4.0  # numerics: margin in mm that a whole share above one half counts for


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The route of a part.

    Attributes:
        route: one of ROUTES.
        likely: the class the rules gave before the margin was looked at.
        margin_mm: distance of the deciding quantity to the border of the next class.
        compartments: where it lies, the largest share first.
        side: "left", "right" or "midline".
    """

    route: Route
    likely: Route
    margin_mm: float
    compartments: tuple[str, ...]
    side: BodySide


def route_of(scene: Scene, part: MeasuredPart) -> Routing:
    """The route of one part outside the vertebra.

    Rules in their order: cement in the canal (basivertebral window or cortical), disc, needle track,
    remote, foramen, tube along the wall, anything else at a wall. A margin below half a pixel
    makes the route "undetermined", the likely one is kept beside it; a speck outside the canal is
    "indeterminate".
    """
    compartments = _compartments(scene, part)
    centre = part.points_mm.mean(axis=0)
    exit_mm = part.exit_mm if part.exit_mm is not None else _nearest_to_bone(scene, part)
    likely, margin = _decide(scene, part, compartments, centre, exit_mm)
    speck = 1000 * part.ml.value < value("leak.speck_mm3") and "canal" not in compartments
    pixel_mm = scene.ct.grid.spacing_mm[1]
    route: Route = "indeterminate" if speck else "undetermined" if margin < 0.5 * pixel_mm else likely
    left = float(centre[0])
    side: BodySide = "midline" if abs(left) < SIDE_MM else "left" if left > 0 else "right"
    return Routing(
        route=route,
        likely=likely,
        margin_mm=round(float(margin), 2),
        compartments=tuple(compartments),
        side=side,
    )


def _compartments(scene: Scene, part: MeasuredPart) -> dict[str, float]:
    """Shares of the part in canal, discs, foramina, behind the arch and beside the spine."""
    points = part.points_mm
    vertebra = scene.vertebra
    world = vertebra.frame.to_world(points)
    canal_mm = sample_at(vertebra.canal_mm, world, outside=OFF_MODEL_MM)
    inside_canal = canal_mm > 0
    if part.canal_ml > 0.5 * part.ml.value:
        # The canal runs on beyond the model of this level: of a part that is mostly canal, what is so far
        # off counts with it.
        inside_canal |= canal_mm < BEYOND_MM
    upper = points[:, 2] - vertebra.superior.z_mm(points[:, :2])
    lower = vertebra.inferior.z_mm(points[:, :2]) - points[:, 2]
    behind = points[:, 1] - vertebra.wall.y_mm(points[:, 2])
    disc = (
        ~inside_canal
        & (np.maximum(upper, lower) > -SURFACE_MM)
        & _footprint(vertebra, points)
        & (behind < SURFACE_MM)
    )
    foramen = ~inside_canal & ~disc & _in_foramen(vertebra, points, behind)
    arch_mm = value("leak.arch_depth_share") * _canal_depth(vertebra)
    posterior = ~inside_canal & ~disc & ~foramen & (behind > arch_mm)
    rest = ~(inside_canal | disc | foramen | posterior)
    shares = {
        "canal": inside_canal,
        "disc_above": disc & (upper > lower),
        "disc_below": disc & (upper <= lower),
        "foramen_left": foramen & (points[:, 0] > 0),
        "foramen_right": foramen & (points[:, 0] <= 0),
        "posterior": posterior,
        "prevertebral": rest & (points[:, 1] < vertebra.body_box_mm[0][1]),
        "paraspinal_left": rest & (points[:, 1] >= vertebra.body_box_mm[0][1]) & (points[:, 0] > 0),
        "paraspinal_right": rest & (points[:, 1] >= vertebra.body_box_mm[0][1]) & (points[:, 0] <= 0),
    }
    found = {name: float(mask.mean()) for name, mask in shares.items() if mask.mean() > 0.05}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _footprint(vertebra: Vertebra, points: NDArray) -> NDArray[np.bool_]:
    low, high = vertebra.body_box_mm
    middle, half = (low + high) / 2, (high - low) / 2
    return np.asarray((((points[:, :2] - middle[:2]) / half[:2]) ** 2).sum(axis=1) < FOOTPRINT)


def _canal_depth(vertebra: Vertebra) -> float:
    """Sagittal extent of the canal over the whole level, mm."""
    canal = vertebra.regions.array == CANAL
    rows = canal.any(axis=(0, 2))
    return float(np.count_nonzero(rows) * vertebra.grid.spacing_mm[1])


def _pedicle(vertebra: Vertebra, side: str) -> tuple[NDArray, NDArray, float]:
    pedicle = vertebra.pedicles["left" if side == "left" else "right"]
    isthmus = vertebra.frame.to_local(pedicle.isthmus_mm)
    return isthmus, vertebra.frame.direction_to_local(pedicle.axis), pedicle.height_mm


def _in_foramen(vertebra: Vertebra, points: NDArray, behind: NDArray) -> NDArray[np.bool_]:
    """Between the pedicles of two levels: beside the canal, behind the body, before the facets."""
    inside = np.zeros(len(points), bool)
    box = value("leak.foramen_box_share")
    for side, sign in (("left", 1), ("right", -1)):
        isthmus, _, height = _pedicle(vertebra, side)
        outwards = points[:, 0] * sign - abs(isthmus[0])
        beside = (outwards > box["medial"] * abs(isthmus[0])) & (outwards < value("leak.foramen_lateral_mm"))
        level = points[:, 2] < isthmus[2] - box["below"] * height
        above = points[:, 2] > vertebra.superior.height_mm
        front = behind > -value("leak.foramen_front_mm")
        inside |= beside & (level | above) & front & (behind < box["back"] * _canal_depth(vertebra))
    return inside


def _nearest_to_bone(scene: Scene, part: MeasuredPart) -> NDArray[np.float64]:
    depth = sample_at(
        scene.vertebra.bone_mm, scene.vertebra.frame.to_world(part.points_mm), outside=OFF_MODEL_MM
    )
    near = depth >= np.percentile(depth, 95)
    return np.asarray(part.points_mm[near].mean(axis=0), float)


def _decide(
    scene: Scene, part: MeasuredPart, compartments: dict[str, float], centre: NDArray, exit_mm: NDArray
) -> tuple[Route, float]:
    """The first rule that holds, and its margin: mm, or a share over one half scaled to count like mm."""
    vertebra = scene.vertebra
    canal = compartments.get("canal", 0.0)
    if canal > 0.5 or part.canal_ml > max(value("leak.canal_found_ml"), 0.3 * part.ml.value):
        return _canal_route(vertebra, part, exit_mm)
    disc = compartments.get("disc_above", 0.0) + compartments.get("disc_below", 0.0)
    if disc > 0.5:
        return "disc", SHARE_MM * (disc - 0.5) + LEAST_MARGIN_MM
    track = _track_angle(vertebra, part, exit_mm, centre)
    if track is not None:
        limit = value("leak.needle_angle_deg")
        if track < limit or compartments.get("posterior", 0.0) > 0.5:
            return "needle_track", max(0.1, TRACK_MM * (1 - track / limit)) if track < limit else SURE_MM
    remote = value("leak.remote_mm")
    if part.exit_mm is None and part.bone_gap_mm > remote:
        return "systemic", part.bone_gap_mm - remote + LEAST_MARGIN_MM
    foramen = compartments.get("foramen_left", 0.0) + compartments.get("foramen_right", 0.0)
    if foramen > 0.5:
        return "foraminal", SHARE_MM * (foramen - 0.5) + LEAST_MARGIN_MM
    return _wall_route(part)


def _canal_route(vertebra: Vertebra, part: MeasuredPart, exit_mm: NDArray) -> tuple[Route, float]:
    """Basivertebral if it left through the window in the middle of the posterior wall."""
    low, high = vertebra.body_box_mm
    width = value("leak.b_window_width_share") * float(high[0] - low[0])
    height = value("leak.b_window_height_share") / 2 * float(high[2] - low[2])
    middle = 0.5 * (vertebra.superior.height_mm + vertebra.inferior.height_mm)
    behind = float(exit_mm[1] - vertebra.wall.y_mm(exit_mm[2]))
    deep = value("leak.b_window_depth_mm")
    margins = (width - abs(float(exit_mm[0])), height - abs(float(exit_mm[2]) - middle), deep - behind)
    if part.exit_mm is None and behind > deep / 2:
        # No channel from the bone is seen: a breach towards the canal is the likeliest way in (Baek 2021).
        return "cortical_canal", SURE_MM
    inside = min(margins)
    return ("basivertebral", inside) if inside > 0 else ("cortical_canal", -inside)


def _track_angle(vertebra: Vertebra, part: MeasuredPart, exit_mm: NDArray, centre: NDArray) -> float | None:
    """Angle between a part behind the bone and the pedicle's axis; None if it did not leave behind."""
    if float(exit_mm[1] - vertebra.wall.y_mm(exit_mm[2])) < 0.5 * _canal_depth(vertebra):
        return None
    side = "left" if centre[0] > 0 else "right"
    _, axis, _ = _pedicle(vertebra, side)
    offset = part.points_mm - centre
    direction = np.linalg.svd(offset[:: max(1, len(offset) // 3000)], full_matrices=False)[2][0]
    return float(np.degrees(np.arccos(np.clip(abs(float(direction @ axis)), 0, 1))))


def _wall_route(part: MeasuredPart) -> tuple[Route, float]:
    """A thin long part along a wall fills a segmental vein; a compact one lies beside the spine."""
    radius = max(part.inner_radius_mm, LEAST_RADIUS_MM)
    sphere = 4 / 3 * np.pi * radius**3
    elongation = 1000 * part.ml.value / sphere
    limit = value("leak.tube_elongation")
    thick = value("leak.tube_diameter_mm") / 2 - radius
    thin_mm, long_mm = TOLD_MM
    if elongation > limit and thick > 0:
        return "segmental", min(thick + thin_mm, (elongation / limit - 1) * radius + long_mm)
    return "paraspinal", max(-thick + thin_mm, (1 - elongation / limit) * radius + long_mm)
