"""What is exactly true of a virtual fracture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra
from kypho.phantoms.fractures.paint import REACH_MM, Painter
from kypho.phantoms.fractures.spec import Collapse, FractureSpec, Retropulsion, WallDefect
from kypho.phantoms.fractures.warp import BodyShape, collapse_source, remaining_height, retropulsion_source
from kypho.space import sample_at

__all__ = ["body_edges_mm", "truth_of", "wall_area_mm2", "wall_push_mm"]

TRUTH_SCHEMA = "kypho.virtual_fracture/1"
SYNTHETIC = "SYNTHETIC: a virtual fracture on a real CT; no patient has this spine"

SITES = ("anterior", "middle", "posterior")

EDGE_FRACTION = 0.05
"""The anterior and posterior heights are told this far from the bone's edge, in fractions of its depth."""

EDGE_MM = 3.0
"""The edges are those of the bone within this distance of the midline and of mid height."""

LEAST_HEIGHT_MM = 7.0
"""Bodies of adults are hardly ever lower than this; below it parts of the model may not be found."""

RAY_MM = 0.4
"""Rays through a wall are this far apart, and so are the points along them."""

COLUMN_POINTS = 200  # numerics: a tenth of a millimetre apart

PEAK_MM2 = 30.0
"""The greatest push of the wall lies within this area about the place drawn."""

BEHIND_MM = 2.0
"""The canal must lie this far behind a surface for it to be posterior wall rather than pedicle."""


def truth_of(
    vertebra: Vertebra, shape: BodyShape, spec: FractureSpec, step: float, measured: dict[str, float]
) -> dict[str, Any]:
    """The truth of a fracture made with `spec`; `measured` has the painted volumes in mm3 by name.

    A wall defect has two areas: `drawn_mm2`, the whole disc of the spec, and `area_mm2`, the part of the
    disc under which there was wall to open (not disc space, not pedicle), both after the collapse. The
    retropulsion is the greatest way that a point of the wall itself was pushed.
    """
    heights = _heights_mm(vertebra, shape, spec)
    left = {site: after / before for site, (before, after) in heights.items()}
    scale = {"posterior": left["posterior"]}
    lowest = min(after for _, after in heights.values())
    thin = f"only {lowest:.1f} mm of the body are left: hardly plausible, and parts of it may not be found"
    return {
        "schema": TRUTH_SCHEMA,
        "synthetic": SYNTHETIC,
        "level": vertebra.level,
        "slice_mm": step,
        "spec": spec.as_dict(),
        "height_loss_percent": {site: 100 * (1 - share) for site, share in left.items()},
        "wall_defects": [
            {
                "wall": d.wall,
                "area_mm2": wall_area_mm2(vertebra, shape, d) * scale.get(d.wall, left["middle"]),
                "drawn_mm2": d.area_mm2 * scale.get(d.wall, left["middle"]),
                "third": "upper" if d.up > 1 / 3 else "lower" if d.up < -1 / 3 else "middle",
            }
            for d in spec.walls
        ],
        "retropulsion_mm": wall_push_mm(vertebra, shape, spec.retropulsion) if spec.retropulsion else 0.0,
        "cleft_ml": measured.get("cleft", 0.0) / 1000,
        "lesion_ml": measured.get("lesion", 0.0) / 1000,
        "schmorl_ml": measured.get("schmorl", 0.0) / 1000,
        "pedicle_breach": spec.breach.side if spec.breach else None,
        "density_drop_hu": spec.density_drop_hu,
        "notes": [thin] if lowest < LEAST_HEIGHT_MM else [],
    }


def _heights_mm(vertebra: Vertebra, shape: BodyShape, spec: FractureSpec) -> dict[str, tuple[float, float]]:
    """Heights of the slab before and after, each at its places between the edges that the bone then has."""
    middle = np.array(shape.middle_x_mm)
    edges = [body_edges_mm(vertebra, shape, collapse) for collapse in (None, spec.collapse)]
    places = [_sites_mm(*edge) for edge in edges]
    return {
        site: (
            float(shape.height_mm(before)),
            float(shape.height_mm(after) * remaining_height(shape, spec.collapse, middle, np.array(after))),
        )
        for site, before, after in zip(SITES, *places, strict=True)
    }


def _sites_mm(front: float, back: float) -> tuple[float, float, float]:
    return front + EDGE_FRACTION * (back - front), (front + back) / 2, back - EDGE_FRACTION * (back - front)


def body_edges_mm(
    vertebra: Vertebra, shape: BodyShape, collapse: Collapse | None = None
) -> tuple[float, float]:
    """Posterior coordinates of the anterior and posterior edge of the body, where its waist stands.

    The body's box has its lips in it, and the wall's fitted curve strays from the bone: heights are read at
    the bone. A wedge turns the front of the body in, so a broken body has edges of its own.
    """
    y = np.arange(shape.front_mm - EDGE_MM, shape.back_mm + EDGE_MM, RAY_MM)
    offsets = np.arange(-EDGE_MM, EDGE_MM + 1.0)
    low, high = float(shape.bottom_mm(shape.middle_y_mm)), float(shape.top_mm(shape.middle_y_mm))
    waist = (low + high) / 2
    if collapse is not None:
        column = np.tile((shape.middle_x_mm, shape.middle_y_mm, 0.0), (COLUMN_POINTS, 1))
        column[:, 2] = np.linspace(low, high, COLUMN_POINTS)
        waist = float(np.interp(waist, collapse_source(shape, collapse, column)[:, 2], column[:, 2]))
    z, x, along = np.meshgrid(waist + offsets, shape.middle_x_mm + offsets, y, indexing="ij")
    points = np.stack([x, along, z], -1).reshape(-1, 3)
    source = points if collapse is None else collapse_source(shape, collapse, points)
    bone = sample_at(vertebra.bone_mm, vertebra.frame.to_world(source)).reshape(-1, len(y))
    centre = int(np.argmin(np.abs(y - shape.middle_y_mm)))
    ahead = [_way_out_mm(ray[centre::-1], y[centre::-1]) for ray in bone]
    behind = [_way_out_mm(ray[centre:], y[centre:]) for ray in bone]
    return float(np.median(ahead)), float(np.median(behind))


def _way_out_mm(depth: NDArray, along: NDArray) -> float:
    """Where a ray first leaves the bone: its start where it begins outside, its end where it never does."""
    out = depth <= 0
    if out[0] or not out.any():
        return float(along[0] if out[0] else along[-1])
    at = int(np.argmax(out))
    inner, outer = depth[at - 1 : at + 1]
    return float(along[at - 1] + inner / (inner - outer) * (along[at] - along[at - 1]))


def wall_area_mm2(vertebra: Vertebra, shape: BodyShape, defect: WallDefect) -> float:
    """Area of intact wall under a defect: rays along the view that leave the bone within its cylinder."""
    points, outward = _rays(vertebra, shape, defect)
    rays = points.shape[:2]
    flat = points.reshape(-1, 3)
    world = vertebra.frame.to_world(flat)
    bone = sample_at(vertebra.bone_mm, world, outside=-99.0).reshape(rays)
    painter = Painter(
        shape=shape,
        points=flat,
        bone_mm=bone.ravel(),
        canal_mm=np.zeros(len(flat)),
        wall_y_mm=vertebra.wall.y_mm(flat[:, 2]),
    )
    under = painter.under_hole(defect).reshape(rays)
    leaves = (bone[:, :-1] > 0) & (bone[:, 1:] <= 0) & under[:, :-1]
    if defect.wall == "posterior":
        behind = vertebra.frame.to_world(flat + BEHIND_MM * outward)
        leaves &= (sample_at(vertebra.canal_mm, behind, outside=-99.0).reshape(rays) > 0)[:, 1:]
    return float(leaves.any(axis=1).sum() * RAY_MM**2)


def wall_push_mm(vertebra: Vertebra, shape: BodyShape, retropulsion: Retropulsion) -> float:
    """Greatest way in mm that the intact wall's surface moves back.

    The push is drawn at the wall's fitted curve and dies out before and behind it; the wall itself strays
    from the curve, so it moves a little less than drawn.
    """
    peak = WallDefect(wall="posterior", area_mm2=PEAK_MM2, up=retropulsion.up)
    points, _ = _rays(vertebra, shape, peak)
    flat = points.reshape(-1, 3)
    rays = points.shape[:2]
    bone = sample_at(vertebra.bone_mm, vertebra.frame.to_world(flat), outside=-99.0).reshape(rays)
    fitted = vertebra.wall.y_mm(flat[:, 2])
    source = retropulsion_source(shape, retropulsion, fitted, flat)[:, 1].reshape(rays)
    along = points[..., 1]
    pushes = [0.0]
    for ray in np.nonzero((bone[:, 0] > 0) & (bone[:, -1] <= 0))[0]:
        surface = _way_out_mm(bone[ray], along[ray])
        pushes.append(float(np.interp(surface, source[ray], along[ray]) - surface))
    return max(pushes)


def _rays(
    vertebra: Vertebra, shape: BodyShape, defect: WallDefect
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (rays, steps, 3) through the wall about the defect, and the direction out of the body."""
    place = Painter(
        shape=shape, points=np.empty((0, 3)), bone_mm=np.empty(0), canal_mm=np.empty(0), wall_y_mm=np.empty(0)
    ).place
    radius = np.sqrt(defect.area_mm2 / np.pi)
    offset = np.arange(-radius, radius + RAY_MM, RAY_MM)
    along = np.arange(-REACH_MM, REACH_MM, RAY_MM)
    side = defect.wall in ("left", "right")
    sign = 1.0 if defect.wall in ("left", "posterior") else -1.0
    centre = place(sign, defect.across, defect.up) if side else place(defect.across, sign, defect.up)
    if defect.wall == "posterior":
        centre[1] = float(vertebra.wall.y_mm(centre[2]))
    up, across, depth = np.meshgrid(offset, offset, sign * along, indexing="ij")
    x, y = (depth, across) if side else (across, depth)
    points = centre + np.stack([x, y, up], axis=-1)
    outward = np.array([sign, 0.0, 0.0]) if side else np.array([0.0, sign, 0.0])
    return points.reshape(-1, len(along), 3), outward
