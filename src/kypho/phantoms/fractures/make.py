"""Make a fractured CT, its labels and its truth from an intact CT and its vertebra model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kypho.anatomy import Labels, Vertebra
from kypho.phantoms.fractures import paint
from kypho.phantoms.fractures.paint import Painter
from kypho.phantoms.fractures.spec import FractureSpec, require_slice
from kypho.phantoms.fractures.truth import truth_of
from kypho.phantoms.fractures.warp import (
    BodyShape,
    body_shape,
    collapse_source,
    retropulsion_source,
)
from kypho.space import Grid, Volume, sample_at

__all__ = ["FracturedCase", "make_fracture"]

SUBSLICE_MM = 0.9
"""Thick slices are averaged from sub-slices no thicker than this, as a scanner averages them."""

BLUR_MM = 0.45
"""Standard deviation of the blur put on painted edges, about that of a standard kernel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FracturedCase:
    """A synthetic case: image, labels, and what is true of them."""

    ct: Volume
    labels: Labels
    truth: dict[str, Any]


def make_fracture(
    ct: Volume,
    labels: Labels,
    vertebra: Vertebra,
    spec: FractureSpec,
    *,
    slice_mm: float | None = None,
    grid: Grid | None = None,
) -> FracturedCase:
    """The fractured version of one vertebra, with its neighbours and the canal moved along.

    Args:
        ct: intact CT in HU.
        labels: its labels, on the same grid.
        vertebra: model of the level to fracture, built from both.
        spec: the damage.
        slice_mm: slice thickness of the result; by default that of the CT.
        grid: part of the CT's grid to make; by default all of it. Its slice step is replaced by `slice_mm`.

    Raises:
        SettingsError: no such slice thickness.
    """
    require_slice(slice_mm)
    grid = grid or ct.grid
    step = slice_mm or grid.spacing_mm[0]
    out = _resliced(grid, step)
    parts = int(np.ceil(step / SUBSLICE_MM))
    parts += 1 - parts % 2  # odd, so that the middle sub-slice lies at the slice's centre
    shape = body_shape(vertebra)
    sources = _label_distances(labels, vertebra.level, out)
    hu = np.empty(out.shape, np.float32)
    numbers = np.empty(out.shape, labels.volume.array.dtype)
    measured: dict[str, float] = {}
    random = np.random.default_rng(spec.seed)
    for k in range(out.shape[0]):
        slab = _slab(out, k, step, parts)
        points = _source_points(slab, vertebra, shape, spec)
        world = vertebra.frame.to_world(points)
        values = sample_at(ct, world).reshape(slab.shape)
        values, node = _painted(values, points, slab, vertebra, shape, spec, random, measured)
        hu[k] = values.mean(axis=0)
        middle = world.reshape(*slab.shape, 3)[parts // 2]
        numbers[k] = _numbers(labels, sources, middle)
        if node is not None:
            own = labels.ids[vertebra.level][0]
            numbers[k][node[parts // 2] & (numbers[k] == own)] = 0
    image = Volume(array=np.rint(hu).astype(np.int16), grid=out, unit="HU")
    fractured = replace(labels, volume=Volume(array=numbers, grid=out, unit="label"))
    return FracturedCase(ct=image, labels=fractured, truth=truth_of(vertebra, shape, spec, step, measured))


def _resliced(grid: Grid, step: float) -> Grid:
    """The grid with another slice step over the same extent."""
    count = int(np.floor((grid.shape[0] - 1) * grid.spacing_mm[0] / step)) + 1
    return replace(
        grid, shape=(count, *grid.shape[1:]), spacing_mm=(step, grid.spacing_mm[1], grid.spacing_mm[2])
    )


def _slab(grid: Grid, k: int, step: float, parts: int) -> Grid:
    """One slice as `parts` sub-slices."""
    offset = (np.arange(parts) - (parts - 1) / 2)[0] / parts
    return replace(
        grid,
        shape=(parts, *grid.shape[1:]),
        spacing_mm=(step / parts, *grid.spacing_mm[1:]),
        origin_mm=grid.to_world([k + offset, 0, 0]),
    )


def _source_points(
    slab: Grid, vertebra: Vertebra, shape: BodyShape, spec: FractureSpec
) -> NDArray[np.float64]:
    """Local coordinates in the intact vertebra of every voxel of the slab, shape (n, 3)."""
    index = np.indices(slab.shape).reshape(3, -1).T
    points = vertebra.frame.to_local(slab.to_world(index))
    if spec.collapse is not None:
        points = collapse_source(shape, spec.collapse, points)
    if spec.retropulsion is not None:
        wall = vertebra.wall.y_mm(points[:, 2])
        points = retropulsion_source(shape, spec.retropulsion, wall, points)
    return points


def _painted(
    values: NDArray,
    points: NDArray,
    slab: Grid,
    vertebra: Vertebra,
    shape: BodyShape,
    spec: FractureSpec,
    random: np.random.Generator,
    measured: dict[str, float],
) -> tuple[NDArray, NDArray | None]:
    """The slab with its damage, and the mask of a Schmorl node in it (which is no bone any more)."""
    low, high = vertebra.body_box_mm
    near = np.all((points > low - 15.0) & (points < high + np.array([15.0, 30.0, 15.0])), axis=1)
    if not near.any():
        return values, None
    world = vertebra.frame.to_world(points[near])
    painter = Painter(
        shape=shape,
        points=points[near],
        bone_mm=sample_at(vertebra.bone_mm, world, outside=-99.0),
        canal_mm=sample_at(vertebra.canal_mm, world, outside=-99.0),
        wall_y_mm=vertebra.wall.y_mm(points[near, 2]),
    )
    flat = values.reshape(-1).copy()
    body = painter.in_body()
    cancellous = np.clip((painter.bone_mm - 0.5) / 1.5, 0, 1) * body
    flat[near] -= spec.density_drop_hu * cancellous
    flat[near] += spec.sclerosis_hu * cancellous * (painter.points[:, 2] > 0)
    values = flat.reshape(values.shape)
    texture = paint.TEXTURE_HU * random.standard_normal(slab.shape)
    node = None
    for name, mask, fill in _holes(painter, spec, vertebra):
        full = np.zeros(near.shape, bool)
        full[near] = mask
        hole = full.reshape(slab.shape)
        measured[name] = measured.get(name, 0.0) + float(hole.sum()) * slab.voxel_mm3
        weight = gaussian_filter(hole.astype(np.float32), [0, *(BLUR_MM / np.array(slab.spacing_mm[1:]))])
        values = values * (1 - weight) + (fill + texture) * weight
        if name == "schmorl":
            node = hole
    return values, node


def _holes(painter: Painter, spec: FractureSpec, vertebra: Vertebra) -> list[tuple[str, NDArray, float]]:
    """Every hole of the spec: name, mask, and the HU that fills it. Later ones lie over earlier ones."""
    holes: list[tuple[str, NDArray, float]] = []
    if spec.lesion:
        holes.append(("lesion", painter.lesion(spec.lesion), paint.LYTIC_HU))
    if spec.schmorl:
        holes.append(("schmorl", painter.node(spec.schmorl), paint.DISC_HU))
    for n, defect in enumerate(spec.walls):
        holes.append((f"wall.{n}", painter.wall_hole(defect), paint.SOFT_HU))
    if spec.breach:
        isthmus = vertebra.frame.to_local(vertebra.pedicles[spec.breach.side].isthmus_mm)
        holes.append(("breach", painter.breach(spec.breach, isthmus), paint.SOFT_HU))
    if spec.cleft:
        fill = paint.GAS_HU if spec.cleft.content == "gas" else paint.FLUID_HU
        holes.append(("cleft", painter.cleft(spec.cleft), fill))
    return holes


def _label_distances(labels: Labels, level: str, grid: Grid) -> dict[int, Volume]:
    """Signed distances of the spine's labels around the level, so that thinner slices get smooth labels."""
    order = labels.levels()
    at = order.index(level)
    names = [*order[max(at - 2, 0) : at + 3], *(n for n in ("spinal_cord", "spinal_canal") if labels.has(n))]
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    index = labels.volume.grid.to_index(grid.to_world(corners))
    start = np.maximum(np.floor(index.min(axis=0)).astype(int) - 8, 0)
    stop = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 9, labels.volume.grid.shape)
    part = labels.volume.crop(start, stop)
    out = {}
    for name in names:
        for number in labels.ids[name]:
            mask = part.array == number
            if not mask.any():
                continue
            depth = edt.sdf(np.ascontiguousarray(mask), anisotropy=part.grid.spacing_mm, parallel=1)
            out[number] = Volume(array=depth, grid=part.grid, unit="mm")
    return out


def _numbers(labels: Labels, sources: dict[int, Volume], world: NDArray) -> NDArray:
    """Label numbers at LPS points (rows, columns, 3): the spine by distance, the rest by nearest voxel."""
    numbers = sample_at(labels.volume, world, order=0).astype(labels.volume.array.dtype)
    numbers[np.isin(numbers, list(sources))] = 0
    best = np.zeros(numbers.shape)
    for number, distance in sources.items():
        depth = sample_at(distance, world, outside=-99.0)
        wins = depth > best
        numbers[wins], best[wins] = number, depth[wins]
    return numbers
