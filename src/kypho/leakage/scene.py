"""The scene: the part of a CT around one vertebra, with the vertebra's anatomy on the CT's own voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import BODY, CANAL, Labels, Vertebra
from kypho.space import Grid, Volume, resample

__all__ = ["CANALS", "Scene", "axial", "build_scene"]

CANALS = ("spinal_canal", "spinal_cord")
"""Labels that continue the canal beyond the level, the better first."""

VESSELS = (
    "aorta",
    "vena_cava",
    "pulmonary",
    "brachiocephalic",
    "subclavian",
    "common_carotid",
    "heart",
    "iliac_a",
    "iliac_v",
)
"""Beginnings of the names of vessels whose contrast or calcium may be as dense as cement."""

SIDE_MM = 50.0  # numerics: half width; segmental veins and the azygos lie inside, the arms do not
HEIGHT_MM = 22.0  # numerics: room above and below the body: both discs and the neighbours' near halves
FAR_MM = -20.0  # numerics: distance given outside the vertebra's own grid


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A crop of the CT with fields on its voxels, all of shape ``ct.grid.shape``.

    Attributes:
        ct: HU.
        start: index of its first voxel in the whole CT.
        vertebra: the model of the level.
        local_mm: (left, posterior, superior) coordinates, shape (..., 3).
        bone_mm: signed distance to the vertebra's surface, positive inside.
        canal_mm: signed distance to the canal's boundary, positive inside.
        body: mask of the vertebral body.
        canal: mask of the canal, continued above and below by the cord's label.
        other_bone: mask of all other labelled bone.
        vessels: mask of labelled great vessels.
        cord: mask of the cord's label; empty without one.
    """

    ct: Volume
    start: tuple[int, int, int]
    vertebra: Vertebra
    local_mm: NDArray[np.float32]
    bone_mm: NDArray[np.float32]
    canal_mm: NDArray[np.float32]
    body: NDArray[np.bool_]
    canal: NDArray[np.bool_]
    other_bone: NDArray[np.bool_]
    vessels: NDArray[np.bool_]
    cord: NDArray[np.bool_]

    @property
    def place(self) -> tuple[slice, ...]:
        """Where the crop lies in the whole CT."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.ct.grid.shape, strict=True))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel."""
        return self.ct.grid.voxel_mm3 / 1000


def axial(volume: Volume) -> Volume:
    """The same voxels with slices along the body: the axis nearest to the patient's own first.

    Everything that is read slice by slice, and the blur in the plane, means axial slices. Nothing is
    interpolated; a volume already stored so is returned as it is.
    """
    up = int(np.argmax(np.abs(volume.grid.axes[2])))
    if up == 0:
        return volume
    order = (up, *(n for n in range(3) if n != up))
    grid = volume.grid
    array = np.ascontiguousarray(volume.array.transpose(order))
    spacing = [grid.spacing_mm[n] for n in order]
    turned = Grid(
        shape=(array.shape[0], array.shape[1], array.shape[2]),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        origin_mm=grid.origin_mm,
        axes=grid.axes[:, order],
        frame_of_reference=grid.frame_of_reference,
    )
    return Volume(array=array, grid=turned, unit=volume.unit)


def build_scene(ct: Volume, labels: Labels, vertebra: Vertebra) -> Scene:
    """Crop the CT around a vertebra and bring the anatomy onto its voxels.

    Args:
        ct: the post-operative CT.
        labels: labels on the same grid.
        vertebra: model of the level in the same world.
    """
    labels.volume.grid.require_match(ct.grid, "the label image")
    start, stop = _box(ct, vertebra)
    crop = ct.crop(start, stop)
    label_crop = labels.volume.crop(start, stop).array
    near = Labels(
        volume=Volume(array=label_crop, grid=crop.grid, unit="label"), scheme=labels.scheme, ids=labels.ids
    )
    vessels = [n for n in near.ids if n.startswith(VESSELS)]
    regions = resample(vertebra.regions, crop.grid).array
    present = [name for name in CANALS if near.has(name)]
    cord = near.mask(present[0]) if present else np.zeros(crop.grid.shape, bool)
    return Scene(
        ct=crop,
        start=(int(start[0]), int(start[1]), int(start[2])),
        vertebra=vertebra,
        local_mm=vertebra.frame.to_local(_points(crop)).astype(np.float32),
        bone_mm=resample(vertebra.bone_mm, crop.grid, order=1, outside=FAR_MM).array,
        canal_mm=resample(vertebra.canal_mm, crop.grid, order=1, outside=FAR_MM).array,
        body=np.asarray(regions == BODY),
        canal=np.asarray((regions == CANAL) | cord),
        other_bone=near.union(name for name in near.bones() if name != vertebra.level),
        vessels=near.union(vessels),
        cord=cord,
    )


def _box(ct: Volume, vertebra: Vertebra) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    low, high = vertebra.body_box_mm
    corners = np.array(
        [
            (x, y, z)
            for x in (-SIDE_MM, SIDE_MM)
            for y in (low[1] - SIDE_MM / 2, high[1] + SIDE_MM)
            for z in (low[2] - HEIGHT_MM, high[2] + HEIGHT_MM)
        ]
    )
    index = ct.grid.to_index(vertebra.frame.to_world(corners))
    start = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    stop = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, ct.grid.shape)
    return start, stop


def _points(volume: Volume) -> NDArray[np.float64]:
    axes = [np.arange(n, dtype=float) for n in volume.grid.shape]
    matrix, origin = volume.grid.matrix, volume.grid.origin_mm
    return (
        origin
        + axes[0][:, None, None, None] * matrix[:, 0]
        + axes[1][None, :, None, None] * matrix[:, 1]
        + axes[2][None, None, :, None] * matrix[:, 2]
    )
