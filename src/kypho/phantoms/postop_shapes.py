"""Seeded cement shapes for every leak route, cut to an exact volume on a fine lattice.

A shape is a score that falls from its seed and a mask of where it may be; its volume is met by taking the
best-scored voxels. Coordinates are the vertebra's own (left, posterior, superior), in mm.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.phantoms.postop_lattice import Patch, Shape, Site

__all__ = ["ROUTES", "make_shape"]


def make_shape(site: Site, route: str, side: str, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    """The shape of one leak and the channel that feeds it.

    Args:
        site: the vertebra.
        route: one of ROUTES, or "inside".
        side: "left" or "right"; midline routes ignore it.
        volume_mm3: volume outside the bone (inside it for "inside").
        rng: source of the shape's details.

    Returns:
        The shape first, then its channel inside the bone, if it has one.
    """
    sign = 1.0 if side == "left" else -1.0
    return _MAKERS[route](site, sign, volume_mm3, rng)


def _best(site: Site, patch: Patch, score: NDArray, allowed: NDArray, volume_mm3: float) -> NDArray[np.bool_]:
    """The `volume_mm3` best-scored allowed voxels, then the largest connected piece of them."""
    number = max(1, round(volume_mm3 / site.lattice.voxel_mm3))
    values = np.where(allowed, score, -np.inf).ravel()
    available = int(np.count_nonzero(allowed))
    if available > number:
        cut = np.partition(values, len(values) - number)[len(values) - number]
        mask = (values >= cut).reshape(score.shape)
    else:
        mask = allowed.copy()
    pieces, n = ndimage.label(mask)
    if n > 1:
        mask = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    return np.asarray(mask)


def _ripple(points: NDArray, rng: np.random.Generator, amount: float = 0.18) -> NDArray[np.float32]:
    """A smooth random factor around one: cement has no perfect ellipsoids."""
    total = np.zeros(points.shape[:-1], np.float32)
    for _ in range(4):
        wave = rng.normal(size=3) * 2 * np.pi / rng.uniform(5, 12)
        total += np.sin(points @ wave.astype(np.float32) + np.float32(rng.uniform(0, 6.28)))
    return np.asarray(1 + np.float32(amount) * total / 2, np.float32)


def _ellipsoid(points: NDArray, centre: NDArray, half: NDArray) -> NDArray[np.float32]:
    """Minus the ellipsoidal radius: 0 in the centre, -1 on the surface."""
    scaled = (points - centre.astype(np.float32)) / half.astype(np.float32)
    return np.asarray(-np.sqrt((scaled**2).sum(-1)), np.float32)


def _tube(points: NDArray, line: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance to a polyline and the arc length at the nearest point of it."""
    best = np.full(points.shape[:-1], np.inf, np.float32)
    arc = np.zeros(points.shape[:-1], np.float32)
    travelled = 0.0
    for a, b in pairwise(line):
        way = (b - a).astype(np.float32)
        length = float(np.linalg.norm(way))
        along = np.clip((points - a.astype(np.float32)) @ way / length**2, 0, 1)
        distance = np.linalg.norm(points - a.astype(np.float32) - along[..., None] * way, axis=-1)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        arc = np.where(nearer, travelled + along * length, arc)
        travelled += length
    return best, arc


def _channel(site: Site, start: NDArray, end: NDArray, radius_mm: float) -> Shape:
    """A straight channel through the bone."""
    middle = (start + end) / 2
    patch = site.patch(middle, np.abs(end - start) / 2 + radius_mm + 0.5)
    distance, _ = _tube(patch.points, np.array([start, end]))
    mask = (distance < radius_mm) & (patch.bone_mm >= 0)
    return Shape(route="inside", start=patch.start, mask=mask, exit_mm=None)


def _sizes(site: Site) -> tuple[float, float, float]:
    """Half width, half depth and half height of the body."""
    low, high = site.anatomy.body_box_mm
    half = (high - low) / 2
    return float(half[0]), float(half[1]), float(half[2])


def _core(site: Site, sign: float) -> NDArray[np.float64]:
    """Middle of the cement inside the body, a little to one side."""
    width, depth, _ = _sizes(site)
    return np.array([0.22 * width * sign, -0.1 * depth, 0.0])


def _inside(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    width, depth, height = _sizes(site)
    patch = site.patch(np.zeros(3), np.array([width + 1, depth + 1, height + 1]))
    half = np.array([width, 0.8 * depth, 0.9 * height])
    score = _ellipsoid(patch.points, _core(site, sign), half) * _ripple(patch.points, rng)
    behind = patch.points[..., 1] - site.anatomy.wall.y_mm(patch.points[..., 2])
    allowed = (patch.bone_mm > 1.8) & (behind < -2.5)
    mask = _best(site, patch, score, allowed, volume_mm3)
    return [Shape(route="inside", start=patch.start, mask=mask, exit_mm=None)]


def _wall_point(site: Site, x: float, z: float) -> NDArray[np.float64]:
    start = np.array([x, float(site.anatomy.wall.y_mm(z)) - 4.0, z])
    return site.surface(start, np.array([0.0, 1.0, 0.0]))


def _basivertebral(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    _, _, height = _sizes(site)
    z = rng.uniform(-0.15, 0.15) * height
    exit_mm = _wall_point(site, 0.0, z)
    patch = site.patch(exit_mm + np.array([0, 3, 0]), np.array([12, 5, 1.2 * height]))
    behind = patch.points[..., 1] - site.anatomy.wall.y_mm(patch.points[..., 2])
    lean = rng.uniform(-1.5, 1.5)
    lobes = [
        _ellipsoid(patch.points, exit_mm + np.array([x + lean, 0, 0]), np.array([3.0, 6.0, 4.5]))
        for x in (-2.2, 2.2)
    ]
    score = np.maximum(*lobes) * _ripple(patch.points, rng)
    thick = rng.uniform(1.4, 2.6) * (1 if volume_mm3 < 150 else 1.4)
    allowed = patch.free & (patch.canal_mm > 0) & (behind < thick)
    mask = _best(site, patch, score, allowed, volume_mm3)
    channel = _channel(site, _core(site, sign), exit_mm + np.array([0, 0.3, 0]), 1.0)
    return [Shape(route="basivertebral", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _cortical_canal(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    _, _, height = _sizes(site)
    if rng.random() < 0.5:
        z = rng.choice([-1, 1]) * rng.uniform(0.55, 0.75) * height
        exit_mm = _wall_point(site, sign * rng.uniform(2.0, 4.5), z)
        inwards = np.array([0.0, 1.0, 0.0])
        start = _core(site, sign)
    else:
        exit_mm, start = _medial_breach(site, sign)
        inwards = np.array([-sign, 0.0, 0.0])
    radius = (3 * volume_mm3 / (4 * np.pi)) ** (1 / 3)
    centre = exit_mm + inwards * min(0.6 * radius + 0.3, 4.0)
    patch = site.patch(centre, 4.0 + 1.8 * radius)
    score = _ellipsoid(patch.points, centre, np.array([1.0, 0.9, 1.25])) * _ripple(patch.points, rng)
    mask = _best(site, patch, score, patch.free & (patch.canal_mm > 0), volume_mm3)
    channel = _channel(site, start, exit_mm + 0.4 * inwards, 0.9)
    return [Shape(route="cortical_canal", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _medial_breach(site: Site, sign: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the needle broke the pedicle's inner wall, and the pedicle's middle in front of it."""
    pedicle = site.anatomy.pedicles["left" if sign > 0 else "right"]
    isthmus = site.anatomy.frame.to_local(pedicle.isthmus_mm)
    return site.surface(isthmus, np.array([-sign, 0.0, 0.0])), isthmus


def _intradural(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    exit_mm, isthmus = _medial_breach(site, sign)
    wide = site.patch(np.array([0.0, exit_mm[1] + 3, 0.0]), np.array([13, 14, 16]))
    inner = wide.canal_mm > 1.7
    own = inner & (wide.points[..., 0] * sign > 0.5)
    reach = wide.points[own]
    centre = reach.mean(axis=0) + np.array([sign * 0.8, 0, rng.uniform(-2, 2)])
    score = _ellipsoid(wide.points, centre, np.array([1.0, 1.3, 3.2])) * _ripple(wide.points, rng, 0.1)
    mask = _best(site, wide, score, own & wide.free, volume_mm3)
    shapes = [Shape(route="cortical_canal", start=wide.start, mask=mask, exit_mm=exit_mm)]
    if rng.random() < 0.5:
        return shapes
    patch = site.patch((exit_mm + centre) / 2, np.abs(exit_mm - centre) / 2 + 1.5)
    distance, _ = _tube(patch.points, np.array([exit_mm, centre]))
    thread = (distance < 0.6) & patch.free
    return [
        *shapes,
        Shape(route="cortical_canal", start=patch.start, mask=thread, exit_mm=exit_mm),
        _channel(site, isthmus, exit_mm, 0.8),
    ]


def _segmental(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    _, _, height = _sizes(site)
    z = rng.uniform(-0.2, 0.2) * height
    radius = rng.uniform(0.75, 1.1)
    forwards = np.radians(np.arange(0, 150, 6.0))
    line = []
    for angle in forwards:
        way = np.array([sign * np.cos(angle), -np.sin(angle), 0.0])
        line.append(site.surface(np.array([0, 0, z]), way) + (radius + 0.3) * way)
    path = ndimage.gaussian_filter1d(np.array(line), 1.0, axis=0, mode="nearest")
    exit_mm = site.surface(np.array([0, 0, z]), np.array([sign, 0.0, 0.0]))
    path = np.vstack([exit_mm, path])
    patch = site.patch(path.mean(axis=0), np.ptp(path, axis=0) / 2 + 3)
    distance, arc = _tube(patch.points, path)
    mask = _best(site, patch, -arc, patch.free & (distance < radius), volume_mm3)
    channel = _channel(site, _core(site, sign), exit_mm, 0.9)
    return [Shape(route="segmental", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _paraspinal(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    _, _, height = _sizes(site)
    angle = np.radians(rng.uniform(15, 75))
    way = np.array([sign * np.cos(angle), -np.sin(angle), 0.0])
    z = rng.choice([-1, 1]) * rng.uniform(0.1, 0.6) * height
    exit_mm = site.surface(np.array([0, 0, z]), way)
    radius = (3 * volume_mm3 / (4 * np.pi)) ** (1 / 3)
    centre = exit_mm + way * (0.7 * radius)
    patch = site.patch(centre, 4 + 1.9 * radius)
    score = _ellipsoid(patch.points, centre, np.ones(3)) * _ripple(patch.points, rng)
    mask = _best(site, patch, score, patch.free & (patch.canal_mm < -1), volume_mm3)
    channel = _channel(site, _core(site, sign), exit_mm, 1.0)
    return [Shape(route="paraspinal", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _disc(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    width, depth, _ = _sizes(site)
    xy = np.array([sign * rng.uniform(0.05, 0.4) * width, rng.uniform(-0.45, 0.25) * depth])
    up = rng.random() < 0.5
    plate = site.anatomy.superior if up else site.anatomy.inferior
    way = np.array([0, 0, 1.0 if up else -1.0])
    exit_mm = site.surface(np.array([*xy, 0.0]), way)
    centre = exit_mm + 1.2 * way
    radius = (3 * volume_mm3 / (4 * np.pi)) ** (1 / 3)
    patch = site.patch(centre, np.array([6 + 2 * radius, 6 + 2 * radius, 6.0]))
    beyond = (patch.points[..., 2] - plate.z_mm(patch.points[..., :2])) * way[2]
    rim = (patch.points[..., 0] / width) ** 2 + (patch.points[..., 1] / depth) ** 2
    score = _ellipsoid(patch.points, centre, np.array([1.5, 1.5, 0.8])) * _ripple(patch.points, rng)
    allowed = patch.free & (beyond > -1.5) & (beyond < 4.5) & (rim < 0.75) & (patch.canal_mm < -1)
    mask = _best(site, patch, score, allowed, volume_mm3)
    channel = _channel(site, _core(site, sign), exit_mm, 1.0)
    return [Shape(route="disc", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _needle_track(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    pedicle = site.anatomy.pedicles["left" if sign > 0 else "right"]
    isthmus = site.anatomy.frame.to_local(pedicle.isthmus_mm)
    back = -site.anatomy.frame.direction_to_local(pedicle.axis)
    exit_mm = site.surface(isthmus, back)
    radius = rng.uniform(1.1, 1.5)
    line = np.array([exit_mm - 1.0 * back, exit_mm + 40 * back])
    patch = site.patch(exit_mm + 14 * back, np.abs(back) * 15 + 3)
    distance, arc = _tube(patch.points, line)
    mask = _best(site, patch, -arc, patch.free & (distance < radius) & (patch.canal_mm < -0.5), volume_mm3)
    channel = _channel(site, isthmus - 8 * back, exit_mm, radius)
    return [Shape(route="needle_track", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _foraminal(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    width, _, height = _sizes(site)
    pedicle = site.anatomy.pedicles["left" if sign > 0 else "right"]
    isthmus = site.anatomy.frame.to_local(pedicle.isthmus_mm)
    z = min(-0.25 * height, isthmus[2] - 0.5 * pedicle.height_mm - 2.0)
    exit_mm = _wall_point(site, sign * min(0.72 * width, abs(isthmus[0])), max(z, -0.75 * height))
    radius = (3 * volume_mm3 / (4 * np.pi)) ** (1 / 3)
    centre = exit_mm + np.array([0.5 * sign, 0.7 * radius + 0.3, 0.0])
    patch = site.patch(centre, 4 + 1.9 * radius)
    score = _ellipsoid(patch.points, centre, np.array([1.0, 1.1, 1.2])) * _ripple(patch.points, rng)
    allowed = patch.free & (patch.canal_mm < -0.8) & (patch.points[..., 1] > exit_mm[1] - 1.0)
    mask = _best(site, patch, score, allowed, volume_mm3)
    channel = _channel(site, _core(site, sign), exit_mm, 0.9)
    return [Shape(route="foraminal", start=patch.start, mask=mask, exit_mm=exit_mm), channel]


def _systemic(site: Site, sign: float, volume_mm3: float, rng: np.random.Generator) -> list[Shape]:
    _, _, height = _sizes(site)
    up = np.array([0.0, 0.0, 18.0])
    front = site.surface(np.zeros(3), np.array([-0.3, -1.0, 0.0]))
    middle = np.array([front[0], front[1] - rng.uniform(5, 8), rng.uniform(-0.3, 0.3) * height])
    radius = rng.uniform(1.1, 1.7)
    line = np.array([middle - up, middle + up])
    patch = site.patch(middle, np.array([4, 4, 19]))
    distance, arc = _tube(patch.points, line)
    mask = _best(site, patch, -np.abs(arc - 18), patch.free & (distance < radius), volume_mm3)
    return [Shape(route="systemic", start=patch.start, mask=mask, exit_mm=None)]


_MAKERS: dict[str, Callable[[Site, float, float, np.random.Generator], list[Shape]]] = {
    "inside": _inside,
    "basivertebral": _basivertebral,
    "cortical_canal": _cortical_canal,
    "intradural": _intradural,
    "segmental": _segmental,
    "paraspinal": _paraspinal,
    "disc": _disc,
    "needle_track": _needle_track,
    "foraminal": _foraminal,
    "systemic": _systemic,
}

ROUTES: tuple[str, ...] = tuple(name for name in _MAKERS if name != "inside")
"""What `make_shape` can draw; "intradural" is the route "cortical_canal" that ends inside the dura."""
