"""Find the cement: seeds far above the patient's own cortex, grown to limits that depend on the tissue."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.evidence.records import interval, value
from kypho.leakage.scene import Scene

__all__ = ["Limits", "Segmentation", "segment", "vesselness"]

THREAD_SIGMA_MM = 0.8  # numerics: scale of a filled vein blurred by the scanner
BEHIND_MM = 2.0  # numerics: a voxel or two behind the posterior wall lies beyond the body's own cement
SKIN_MM = 1.0  # numerics: a label strays from the bone by a voxel or so
REACH_MM = 12.0  # numerics: how far from grown cement threads are looked for


@dataclass(frozen=True, kw_only=True)
class Limits:
    """HU limits of this scan: seed, and growth in bone and in soft tissue.

    Attributes:
        cortex_hu: 99.9th percentile of the other vertebrae; the level's own without neighbours.
        seed_hu, grow_bone_hu, grow_soft_hu: limits used.
        saturation_hu: value at which the scan is clipped.
    """

    cortex_hu: float
    seed_hu: float
    grow_bone_hu: float
    grow_soft_hu: float
    saturation_hu: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """Masks on the scene's voxels.

    Attributes:
        cement: voxels more cement than not, before the boundary is fitted.
        metal: screws and rods.
        doubtful: dense specks outside bone that may be calcification; never silently dropped.
        elsewhere: as dense as cement, but far from the vertebra or inside another bone.
        limits: the limits used.
    """

    cement: NDArray[np.bool_]
    metal: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    elsewhere: NDArray[np.bool_]
    limits: Limits


def segment(scene: Scene) -> Segmentation:
    """Hysteresis segmentation of the cement of a scene.

    1. Limits from the patient's own cortex.
    2. Everything above its growth limit that hangs on a seed; growth is lower in soft tissue and canal,
       where nothing but cement, metal and calcium is that dense.
    3. Metal is taken out: straight rods of even thickness, followed into the bone. In its slices growth is no
       lower in soft tissue than in bone: bright streaks beside a screw reach the lower limit.
    4. Isolated specks in soft tissue with a cement-like peak join; the others are doubtful.
    5. Tubular threads that hang on cement are grown at a lower limit still.
    """
    limits = _limits(scene)
    hu = scene.ct.array
    bone = (scene.bone_mm > -SKIN_MM) | scene.other_bone
    dense = hu > np.where(bone, limits.grow_bone_hu, limits.grow_soft_hu)
    pieces, n = cc3d.connected_components(dense, connectivity=26, return_N=True)
    seeded = np.zeros(n + 1, bool)
    seeded[np.unique(pieces[_seeds(scene, limits)])] = True
    seeded[0] = False
    grown = seeded[pieces]
    metal = _metal(scene, grown, limits)
    metal |= _fringe(scene, grown & ~metal, metal, limits)
    grown &= ~metal.any(axis=(1, 2), keepdims=True) | (hu > limits.grow_bone_hu)
    cement = _of_this_vertebra(scene, grown & ~metal)
    elsewhere = grown & ~metal & ~cement
    cement, doubtful = _specks(scene, pieces, n, seeded, cement, metal, limits)
    cement |= _threads(scene, cement, metal, bone)
    return Segmentation(
        cement=cement, metal=metal, doubtful=doubtful & ~cement, elsewhere=elsewhere, limits=limits
    )


def _seeds(scene: Scene, limits: Limits) -> NDArray[np.bool_]:
    """Voxels denser than bone can be, and the cores of compact bodies denser than this patient's cortex.

    Porous cement, or cement that has mixed with trabeculae, stays below the first limit; cortex, calcified
    discs and joints are as dense as the second, but thin.
    """
    hu, low = scene.ct.array, limits.cortex_hu + value("leak.seed_above_cortex_hu")
    certain = np.asarray(hu > limits.seed_hu)
    dense = (hu > low) & (scene.bone_mm > -value("leak.reach_mm"))
    if limits.cortex_hu <= 0 or not dense.any():
        return certain
    depth = ndimage.distance_transform_edt(dense, sampling=scene.ct.grid.spacing_mm)
    return certain | (depth > value("leak.seed_core_mm"))


def _limits(scene: Scene) -> Limits:
    hu = scene.ct.array
    cement_like = hu > value("leak.seed_hu")
    near = ndimage.binary_dilation(cement_like, iterations=4) if cement_like.any() else cement_like
    own = scene.other_bone & ~near
    if np.count_nonzero(own) < 1000:
        own = (scene.bone_mm > 0) & ~near
    cortex = float(np.percentile(hu[own], 99.9)) if own.any() else 0.0
    return Limits(
        cortex_hu=cortex,
        seed_hu=max(value("leak.seed_hu"), cortex + value("leak.seed_above_cortex_hu")),
        grow_bone_hu=max(value("leak.grow_bone_hu"), cortex),
        grow_soft_hu=float(value("leak.grow_soft_hu")),
        saturation_hu=_saturation_hu(hu),
    )


def _saturation_hu(hu: NDArray) -> float:
    """Value at which the scan is clipped: a 12-bit scale's end, or where many voxels share the largest value.

    An offset, or an export to fewer bits, moves the end of the scale below the usual one. A scan that shows
    more than the usual scale, without a pile at its largest value, is not clipped at all.
    """
    top = hu.max()
    if top > value("leak.seed_hu") and np.count_nonzero(hu == top) >= value("leak.clipped_voxels"):
        return float(top)
    usual = value("leak.saturation_hu")
    return float(top + 2) if top > usual else float(usual)


def _metal(scene: Scene, grown: NDArray, limits: Limits) -> NDArray[np.bool_]:
    """Rods among the densest voxels; a rod that starts behind the body is followed along its axis."""
    # A column of cement in the dural sac is as straight and even as a rod: the canal never votes for metal.
    core = grown & (scene.ct.array >= min(limits.saturation_hu - 50, 2900)) & ~scene.canal
    body_back = scene.vertebra.wall.y_mm(scene.local_mm[..., 2]).astype(np.float32)
    backmost = scene.local_mm[..., 1] - body_back
    behind = core & (backmost > BEHIND_MM)
    metal = np.zeros_like(grown)
    for candidates in (behind, core):
        pieces, n = cc3d.connected_components(candidates & ~metal, connectivity=26, return_N=True)
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)
        for number in range(1, n + 1):
            if sizes[number] * scene.ct.grid.voxel_mm3 < 60:
                continue
            piece = pieces == number
            rod = _rod(scene.local_mm[piece], scene.ct.grid.voxel_mm3)
            # A screw comes in from behind; a cigar of cement can lie in the body alone.
            within = backmost[piece].max() < BEHIND_MM
            if rod is not None and (within or scene.bone_mm[piece].max() < -value("leak.metal_reach_mm")):
                rod = None
            if rod is not None:
                metal |= _along(scene, grown, *rod)
    return metal


def _rod(points: NDArray, voxel_mm3: float) -> tuple[NDArray, NDArray, float] | None:
    """Centre, axis and radius of a straight even rod, with or without a head; None for another shape."""
    centre = points.mean(axis=0)
    spread = np.linalg.svd(points[:: max(1, len(points) // 4000)] - centre, full_matrices=False)[2]
    axis = spread[0]
    along = (points - centre) @ axis
    length = float(np.ptp(along))
    if length < value("leak.metal_length_mm"):
        return None
    across = np.linalg.norm(points - centre - along[:, None] * axis, axis=1)
    stations = np.digitize(along, np.linspace(along.min(), along.max() + 1e-6, 11)) - 1
    edge = [np.percentile(across[stations == n], 90) if (stations == n).any() else 0 for n in range(10)]
    slim = float(np.percentile(edge, 30))
    even = np.mean(np.abs(np.array(edge) - slim) < 0.3 * slim)
    thin, thick = interval("leak.metal_radius_mm")
    if not thin <= slim <= thick or length < 5 * slim or even < 0.4 or max(edge) > 2.6 * slim:
        return None
    shaft = np.abs(np.array(edge)[stations.clip(0, 9)] - slim) < 0.3 * slim
    # A rod fills its cylinder; an arc along a wall does not.
    full = np.count_nonzero(shaft) * voxel_mm3 / (np.pi * slim**2 * even * length)
    if full < value("leak.metal_full_share"):
        return None
    centre = points[shaft].mean(axis=0)
    axis = np.linalg.svd((points[shaft] - centre)[:: max(1, shaft.sum() // 4000)], full_matrices=False)[2][0]
    return centre, axis, slim


def _along(
    scene: Scene, grown: NDArray, centre: NDArray, axis: NDArray, radius_mm: float
) -> NDArray[np.bool_]:
    """The rod among the grown voxels, followed both ways to its ends, with the head that sits on it."""
    offset = scene.local_mm - centre.astype(np.float32)
    along = offset @ axis.astype(np.float32)
    across = np.linalg.norm(offset - along[..., None] * axis.astype(np.float32), axis=-1)
    inner = grown & (across < radius_mm + 1.2)
    station = np.floor(along).astype(int)
    present = np.unique(station[inner])
    breaks = np.split(present, np.nonzero(np.diff(present) > 1)[0] + 1)
    run = max(breaks, key=len)
    rod = inner & (along >= run[0]) & (along < run[-1] + 1)
    around = grown & (across < radius_mm + 4.5) & (along >= run[0] - 2) & (along < run[-1] + 3)
    head = around & (scene.bone_mm < 0)
    pieces = cc3d.connected_components(rod | head, connectivity=6)
    return np.asarray(np.isin(pieces, np.unique(pieces[rod])) & (rod | head))


def _fringe(scene: Scene, rest: NDArray, metal: NDArray, limits: Limits) -> NDArray[np.bool_]:
    """What is left around metal once the rod is gone: its blooming, its corners, streaks between its parts.

    A piece that reaches into the canal is never taken for fringe.
    """
    if not metal.any():
        return metal
    pieces, n = cc3d.connected_components(rest, connectivity=26, return_N=True)
    size = np.bincount(pieces.ravel(), minlength=n + 1)
    peak = np.zeros(n + 1)
    np.maximum.at(peak, pieces[rest], scene.ct.array[rest])
    near = ndimage.binary_dilation(metal, iterations=4)
    close = np.bincount(pieces[near], minlength=n + 1)
    canal = np.bincount(pieces[scene.canal], minlength=n + 1)
    small = size * scene.voxel_ml < value("leak.fringe_ml")
    fringe = ((close > 0) & (peak < limits.seed_hu)) | (small & (close > 0.5 * size))
    fringe &= canal < 0.2 * size
    fringe[0] = False
    return np.asarray(fringe[pieces])


def _of_this_vertebra(scene: Scene, dense: NDArray) -> NDArray[np.bool_]:
    """Leave out pieces far from the vertebra and those inside another bone.

    Undiluted contrast in a great vein is as dense as cement, and a neighbour may have been treated too. What
    lies in this level's own canal stays, whatever it is joined to.
    """
    pieces, n = cc3d.connected_components(dense, connectivity=26, return_N=True)
    nearest = np.full(n + 1, -np.inf)
    np.maximum.at(nearest, pieces[dense], scene.bone_mm[dense])
    size = np.bincount(pieces.ravel(), minlength=n + 1)
    elsewhere = np.bincount(pieces[scene.other_bone], minlength=n + 1)
    own = np.bincount(pieces[scene.bone_mm > 0], minlength=n + 1)
    keep = (nearest > -value("leak.reach_mm")) & ((elsewhere < 0.5 * size) | (own > 0.1 * size))
    keep[0] = False
    kept = keep[pieces]
    return np.asarray((kept & ~_of_another(scene, kept)) | (dense & (scene.canal_mm > 0)))


def _of_another(scene: Scene, cement: NDArray) -> NDArray[np.bool_]:
    """Cement deep inside another bone: of a neighbour that was treated too, joined through the disc."""
    within = cement & scene.other_bone
    if np.count_nonzero(within) * scene.voxel_ml < value("leak.other_level_ml"):
        return np.zeros_like(cement)
    depth = ndimage.distance_transform_edt(scene.other_bone, sampling=scene.ct.grid.spacing_mm)
    pieces = cc3d.connected_components(within, connectivity=26)
    deep = np.unique(pieces[within & (depth > value("leak.other_level_depth_mm"))])
    return np.asarray(np.isin(pieces, deep[deep > 0]))


def _specks(
    scene: Scene, pieces: NDArray, n: int, seeded: NDArray, cement: NDArray, metal: NDArray, limits: Limits
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Unseeded dense pieces: cement where they lie outside bone and peak above cortex; else doubtful."""
    clear = (scene.bone_mm < -SKIN_MM) & ~ndimage.binary_dilation(scene.other_bone, iterations=2)
    touching = np.zeros(n + 1, bool)
    touching[np.unique(pieces[(pieces > 0) & ~clear])] = True
    peak = np.zeros(n + 1)
    np.maximum.at(peak, pieces[pieces > 0], scene.ct.array[pieces > 0])
    free = ~seeded & ~touching
    free[0] = False
    # Calcium in the wall of an artery peaks as high; without any certain cement a speck proves nothing.
    artery = ndimage.binary_dilation(scene.vessels, iterations=3) if scene.vessels.any() else scene.vessels
    in_artery = np.zeros(n + 1, bool)
    in_artery[np.unique(pieces[artery])] = True
    size = np.maximum(np.bincount(pieces.ravel(), minlength=n + 1), 1)
    outside = np.bincount(pieces[(scene.bone_mm < 0) & ~scene.other_bone], minlength=n + 1) / size
    # A thin vein along the wall touches the bone; denser than any cortex of the patient, it is none of it.
    bar = max(value("leak.speck_hu"), limits.cortex_hu + value("leak.seed_above_cortex_hu"))
    peaked = ~seeded & (outside > 0.6) & ~in_artery & (peak > bar) & cement.any()
    peaked[0] = False
    near_metal = ndimage.binary_dilation(metal, iterations=3) if metal.any() else metal
    # Beside metal a bright streak is no speck; in the canal that is left open.
    doubtful = (free & ~peaked)[pieces] & ~scene.vessels & ~near_metal
    doubtful |= peaked[pieces] & near_metal & scene.canal
    return cement | (peaked[pieces] & ~near_metal), doubtful


def _threads(scene: Scene, cement: NDArray, metal: NDArray, bone: NDArray) -> NDArray[np.bool_]:
    """Tubular voxels in soft tissue above the thread limit that hang on cement outside the bone."""
    outside = cement & ~bone
    if not outside.any():
        return np.zeros_like(cement)
    reach = np.ceil(REACH_MM / np.asarray(scene.ct.grid.spacing_mm)).astype(int)
    where = np.argwhere(outside)
    low = np.maximum(where.min(axis=0) - reach, 0)
    high = np.minimum(where.max(axis=0) + reach + 1, cement.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    hu = scene.ct.array[box]
    weak = (hu > value("leak.thread_hu")) & ~bone[box] & ~metal[box] & ~scene.vessels[box]
    tube = vesselness(np.minimum(hu, 1500), scene.ct.grid.spacing_mm) > value("leak.thread_vesselness")
    pieces = cc3d.connected_components((weak & tube) | outside[box], connectivity=26)
    kept = np.unique(pieces[outside[box]])
    found = np.zeros_like(cement)
    found[box] = np.isin(pieces, kept[kept > 0]) & weak
    return found


def vesselness(hu: NDArray, spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Tubularity of bright structures, 0 to 1: one small and two large negative Hessian eigenvalues.

    A reduced Frangi measure (Frangi et al., MICCAI 1998) at one scale: exp(-2 (l1 / l2)^2) |l2| / |l3| for
    |l1| <= |l2| <= |l3| with l2, l3 < 0, and 0 elsewhere.
    """
    sigma = [max(THREAD_SIGMA_MM / s, 0.5) for s in spacing_mm]
    image = np.asarray(hu, np.float32)
    hessian = np.empty((*image.shape, 3, 3), np.float32)
    for a in range(3):
        for b in range(a, 3):
            order = [(n == a) + (n == b) for n in range(3)]
            term = ndimage.gaussian_filter(image, sigma, order=order) / (spacing_mm[a] * spacing_mm[b])
            hessian[..., a, b] = hessian[..., b, a] = term
    values = np.linalg.eigvalsh(hessian)
    ordered = np.take_along_axis(values, np.argsort(np.abs(values), axis=-1), axis=-1)
    small, middle, large = (ordered[..., n] for n in range(3))
    safe = np.where(np.abs(large) > 1e-6, large, -1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        measure = np.exp(-2 * np.nan_to_num(small / middle) ** 2) * np.abs(middle / safe)
    return np.where((middle < 0) & (large < 0), measure, 0).astype(np.float32)
