"""Cut the cement at the bone's surface into what is inside and the parts outside, and measure each."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.evidence import value
from kypho.leakage.blur import Blur
from kypho.leakage.boundary import Boundary, Density, Fits, fit_shapes, likely_density, settle
from kypho.leakage.formation import refine, repeat
from kypho.leakage.scene import Scene
from kypho.leakage.segment import Segmentation

__all__ = ["Interval", "Measured", "MeasuredPart", "measure", "split"]

ROOM_MM = 3.0  # numerics: room around a part for the blur of its edges
LARGE_ML = 4.0  # numerics: with its blurred border; beyond it half a pixel at the surface is below 3 %
FITTED_FULLY = 2  # numerics: the largest parts decide on the density, the others follow it


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the bounds between which everything lies that fits the image almost as well."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredPart:
    """One part of the cement outside the vertebra.

    Attributes:
        mask: its voxels on the scene.
        ml: its volume outside the bone.
        canal_ml: its volume in the canal.
        points_mm: local coordinates of its fine voxels with a share over one half, shape (n, 3).
        inner_radius_mm: radius of the largest sphere inside.
        exit_mm: local point where it left the bone; None without contact to cement inside.
        bone_gap_mm: smallest distance to the vertebra's surface.
        peak_hu: largest HU.
    """

    mask: NDArray[np.bool_]
    ml: Interval
    canal_ml: float
    points_mm: NDArray[np.float32]
    inner_radius_mm: float
    exit_mm: NDArray[np.float64] | None
    bone_gap_mm: float
    peak_hu: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """All cement of a scene.

    Attributes:
        inside: mask of the cement within the vertebra.
        inside_ml: its volume.
        parts: the parts outside, largest first.
        canal_mm2: cement's area in the canal per slice: value, low and high, shape (3, slices).
    """

    inside: NDArray[np.bool_]
    inside_ml: Interval
    parts: tuple[MeasuredPart, ...]
    canal_mm2: NDArray[np.float64]


def split(scene: Scene, cement: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Number the cement: 0 none, 1 inside, 2.. connected parts outside, largest first.

    A part begins `leak.outside_tolerance_mm` from the surface, beyond the blooming of cement at the wall;
    it then takes back its own neck down to the surface.
    """
    outside = cement & (scene.bone_mm < -value("leak.outside_tolerance_mm"))
    pieces, n = cc3d.connected_components(outside, connectivity=26, return_N=True)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
    numbers = np.zeros(n + 1, np.uint16)
    numbers[1 + np.argsort(-sizes)] = np.arange(2, n + 2)
    result = numbers[pieces]
    neck = cement & (scene.bone_mm < 0) & (result == 0)
    for _ in range(2):
        spread = ndimage.grey_dilation(result, footprint=ndimage.generate_binary_structure(3, 3))
        result = np.where(neck & (result == 0), spread, result)
    return np.where(cement & (result == 0), 1, result).astype(np.uint16)


def measure(scene: Scene, segmentation: Segmentation, blur: Blur) -> Measured:
    """Fit every part's boundary and measure it.

    The largest parts are fitted for every density; the density they agree on serves the others.
    """
    numbers = split(scene, segmentation.cement)
    count = int(numbers.max())
    boxes = ndimage.find_objects(numbers)
    top = segmentation.limits.saturation_hu
    families: list[Fits] = []
    density: Density | None = None
    crops = {}
    for number in range(2, count + 1):
        box = _roomy(boxes[number - 1], scene)
        near = _near(numbers[box] == number, scene)
        crops[number] = (
            box,
            fit_shapes(
                scene.ct.within(box),
                segmentation.cement[box],
                blur,
                saturation_hu=top,
                bone=_bone(scene, box),
                judge=near & (scene.bone_mm[box] < 0.3),
                coarse=bool(np.count_nonzero(near) * scene.voxel_ml > LARGE_ML),
                known=density,
            ),
        )
        if density is None:
            families.append(crops[number][1])
            density = likely_density(families) if len(families) >= FITTED_FULLY else None
    if families and density is None:
        density = likely_density(families)
    parts, areas = [], np.zeros((3, scene.ct.grid.shape[0]))
    for number, (box, fits) in crops.items():
        assert density is not None  # there is a part, so it was fitted
        part, area = _part(scene, numbers, number, box, settle(fits, density))
        parts.append(part)
        areas[:, box[0]] += area
    inside = numbers == 1
    return Measured(
        inside=inside,
        inside_ml=_inside_volume(scene, inside, segmentation, blur, boxes[0] if count else None),
        parts=tuple(parts),
        canal_mm2=areas,
    )


def _roomy(box: tuple[slice, ...], scene: Scene) -> tuple[slice, ...]:
    room = np.ceil(ROOM_MM / np.asarray(scene.ct.grid.spacing_mm)).astype(int)
    room[0] = max(2, room[0])
    return tuple(
        slice(max(s.start - r, 0), min(s.stop + r, n))
        for s, r, n in zip(box, room, scene.ct.grid.shape, strict=True)
    )


def _bone(scene: Scene, box: tuple[slice, ...]) -> NDArray[np.bool_]:
    return np.asarray((scene.bone_mm[box] > 0) | scene.other_bone[box])


def _near(mask: NDArray, scene: Scene) -> NDArray[np.bool_]:
    """Within two pixels in the plane and one slice (two thin ones) of the mask."""
    layers = 1 if scene.ct.grid.spacing_mm[0] > 1.5 else 2
    grown = ndimage.binary_dilation(mask, ndimage.generate_binary_structure(3, 3), iterations=1)
    grown = ndimage.binary_dilation(grown, np.ones((1, 3, 3), bool))
    return np.asarray(ndimage.binary_dilation(grown, np.ones((2 * layers - 1, 1, 1), bool)))


def _part(
    scene: Scene, numbers: NDArray, number: int, box: tuple[slice, ...], boundary: Boundary
) -> tuple[MeasuredPart, NDArray[np.float64]]:
    """Volumes, place and canal areas of one part."""
    mask = numbers == number
    factors = boundary.factors
    fine_mm3 = scene.ct.grid.voxel_mm3 / np.prod(factors)
    region = _own_region(numbers[box], number, scene)
    region = repeat(region, factors)
    bone_mm = refine(scene.bone_mm[box], factors)
    canal = (
        refine(np.where(scene.cord[box], np.maximum(scene.canal_mm[box], 0.5), scene.canal_mm[box]), factors)
        > 0
    )
    own = region & (bone_mm < 0)
    shares = (boundary.share, boundary.low, boundary.high)
    volumes = [float((s * own).sum() * fine_mm3 / 1000) for s in shares]
    slice_area = scene.ct.grid.spacing_mm[1] * scene.ct.grid.spacing_mm[2] / np.prod(factors)
    areas = np.stack([_per_slice(s * (own & canal), factors[0]) * slice_area for s in shares])
    half = own & (boundary.share > 0.5)
    if not half.any():
        half = own & (boundary.share >= 0.5 * boundary.share[own].max()) if own.any() else own
    points = np.stack([refine(scene.local_mm[box][..., n], factors)[half] for n in range(3)], axis=-1)
    if not len(points):
        points = scene.local_mm[mask]
    fine_spacing = np.asarray(scene.ct.grid.spacing_mm) / factors
    depth = ndimage.distance_transform_edt(np.pad(half, 1), sampling=fine_spacing)
    return (
        MeasuredPart(
            mask=mask,
            ml=Interval(value=volumes[0], low=volumes[1], high=volumes[2]),
            canal_ml=float((boundary.share * (own & canal)).sum() * fine_mm3 / 1000),
            points_mm=points,
            inner_radius_mm=float(depth.max()),
            exit_mm=_exit(scene, numbers, mask),
            bone_gap_mm=float(max(0.0, -scene.bone_mm[mask].max())),
            peak_hu=float(scene.ct.array[mask].max()),
        ),
        areas,
    )


def _own_region(numbers: NDArray, number: int, scene: Scene) -> NDArray[np.bool_]:
    """Voxels near the part and nearer to it than to any other cement."""
    near = _near(numbers == number, scene)
    if not ((numbers > 0) & (numbers != number)).any():
        return near
    index = ndimage.distance_transform_edt(
        numbers == 0, sampling=scene.ct.grid.spacing_mm, return_distances=False, return_indices=True
    )
    nearest = numbers[tuple(index)]
    # Next to the cement inside, the bone's surface is the border, not the middle between the two.
    return np.asarray(near & ((nearest == number) | (nearest == 1)))


def _per_slice(values: NDArray, layers: int) -> NDArray[np.float64]:
    return np.asarray(values.sum(axis=(1, 2)).reshape(-1, layers).sum(axis=1), float)


def _exit(scene: Scene, numbers: NDArray, mask: NDArray) -> NDArray[np.float64] | None:
    """Centre of the patch where the part meets cement inside the bone."""
    box = _roomy(ndimage.find_objects(mask.astype(np.uint8))[0], scene)
    inside = (numbers[box] == 1) & (scene.bone_mm[box] > -0.3)
    if not inside.any():
        return None
    patch = mask[box] & ndimage.binary_dilation(inside, ndimage.generate_binary_structure(3, 3))
    if not patch.any():
        return None
    points = scene.local_mm[box][patch]
    depth = np.clip(1.5 + scene.bone_mm[box][patch], 0.05, None)
    return np.asarray(np.average(points, axis=0, weights=depth), float)


def _inside_volume(
    scene: Scene, inside: NDArray, segmentation: Segmentation, blur: Blur, box: tuple[slice, ...] | None
) -> Interval:
    if box is None or not inside.any():
        return Interval(value=0.0, low=0.0, high=0.0)
    place = _roomy(box, scene)
    fits = fit_shapes(
        scene.ct.within(place),
        segmentation.cement[place],
        blur,
        coarse=True,
        saturation_hu=segmentation.limits.saturation_hu,
        bone=_bone(scene, place),
        densities_hu=value("leak.cement_hu")[::2],
    )
    boundary = settle(fits, likely_density([fits]))
    bone = refine(scene.bone_mm[place], boundary.factors) >= 0
    fine_ml = scene.voxel_ml / np.prod(boundary.factors)
    low, middle, high = (
        float((s * bone).sum() * fine_ml) for s in (boundary.low, boundary.share, boundary.high)
    )
    return Interval(value=middle, low=low, high=high)
