"""Labels: a label volume with the meaning of its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.errors import LabelsError, LevelError
from kypho.space import Volume

__all__ = ["BONES", "LEVELS", "Labels"]

LEVELS: tuple[str, ...] = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 14)),
    *(f"L{n}" for n in range(1, 7)),
)
"""Vertebral levels from head to tail. T13 and L6 are transitional variants."""

BONES = (
    "rib",
    "sacrum",
    "scapula",
    "clavicula",
    "sternum",
    "humerus",
    "hip",
    "femur",
    "skull",
    "costal",
    "S1",
)
"""Beginnings of the names of labelled bones that are no vertebra."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """A label volume and what its numbers mean.

    Attributes:
        volume: integer label map, unit "label".
        scheme: "totalsegmentator", "verse", "dicom-seg", or the name of a JSON map.
        ids: structure name to the label numbers that make it up. Names are levels ("T7"), and
            "sacrum", "spinal_cord", "spinal_canal", "aorta", "rib_left_7", "lung", ...

    Raises:
        LabelsError: the volume holds no label at all.
    """

    volume: Volume
    scheme: str
    ids: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        if not self.present_ids:
            raise LabelsError("the label image is empty (all zero); check that it is the right file")

    @cached_property
    def present_ids(self) -> frozenset[int]:
        """Every non-zero number in the volume."""
        array = self.volume.array
        if array.dtype.itemsize <= 2 and array.dtype.kind == "u":
            top = int(array.max())
            # Slice by slice: counting turns every voxel into eight bytes.
            counts = np.zeros(top + 1, np.int64)
            for plane in array:
                counts += np.bincount(plane.ravel(), minlength=top + 1)
            found = np.nonzero(counts)[0]
        else:
            found = np.unique(array)
        return frozenset(int(n) for n in found if n != 0)

    def has(self, name: str) -> bool:
        """True if at least one voxel carries the structure."""
        return any(n in self.present_ids for n in self.ids.get(name, ()))

    @cached_property
    def _boxes(self) -> list[tuple[slice, ...] | None]:
        return ndimage.find_objects(np.asarray(self.volume.array, np.int32))

    def box(self, name: str, margin_mm: float = 0.0) -> tuple[slice, slice, slice]:
        """Slices ``[k, j, i]`` of the smallest box around a structure, widened within the volume.

        Raises:
            LevelError: the structure is absent.
        """
        boxes = [b for n in self.ids.get(name, ()) if n <= len(self._boxes) and (b := self._boxes[n - 1])]
        if not boxes:
            found = ", ".join(self.levels()) or "no level"
            raise LevelError(f"{name!r} is not in the labels; found: {found}")
        grid = self.volume.grid
        wide = [int(np.ceil(margin_mm / s)) for s in grid.spacing_mm]
        start = [max(0, min(b[d].start for b in boxes) - wide[d]) for d in range(3)]
        stop = [min(grid.shape[d], max(b[d].stop for b in boxes) + wide[d]) for d in range(3)]
        k, j, i = (slice(a, b) for a, b in zip(start, stop, strict=True))
        return k, j, i

    def part(self, name: str, box: tuple[slice, slice, slice] | None = None) -> NDArray[np.bool_]:
        """Mask of a structure inside a box, by default its own."""
        where = self.box(name) if box is None else box
        return np.isin(self.volume.array[where], np.asarray(self.ids.get(name, ())))

    def centre_mm(self, name: str) -> NDArray[np.float64]:
        """LPS centroid of a structure."""
        box = self.box(name)
        inside = np.argwhere(self.part(name, box)).mean(axis=0)
        return self.volume.grid.to_world(inside + [s.start for s in box])

    def levels(self) -> tuple[str, ...]:
        """The vertebral levels present, from head to tail."""
        return tuple(level for level in LEVELS if self.has(level))

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Boolean array ``[k, j, i]`` of a structure; all False if it is absent."""
        wanted = self.ids.get(name, ())
        if len(wanted) == 1:
            return np.asarray(self.volume.array == wanted[0])
        return np.isin(self.volume.array, np.asarray(wanted))

    def numbers(self, names: Iterable[str]) -> NDArray[np.integer]:
        """The numbers in the volume that stand for any of several structures, in its own type."""
        wanted = {n for name in names for n in self.ids.get(name, ())} & self.present_ids
        return np.asarray(sorted(wanted), dtype=self.volume.array.dtype)

    def union(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Boolean array ``[k, j, i]`` of several structures together."""
        return np.isin(self.volume.array, self.numbers(names))

    def bones(self) -> tuple[str, ...]:
        """The names of the vertebrae and other bones that this scheme labels, present or not."""
        return tuple(name for name in self.ids if name in LEVELS or name.startswith(BONES))

    def names(self, prefix: str) -> tuple[str, ...]:
        """The present structures whose name starts with `prefix`."""
        return tuple(name for name in self.ids if name.startswith(prefix) and self.has(name))

    def require_level(self, level: str) -> None:
        """Raise LevelError, listing what there is, unless the level is present."""
        if not self.has(level):
            found = ", ".join(self.levels()) or "none"
            raise LevelError(f"level {level!r} is not in the labels; found: {found}. Choose one with --level")

    def neighbours(self, level: str) -> tuple[str | None, str | None]:
        """The present levels directly above and below."""
        order = self.levels()
        at = order.index(level)
        return (order[at - 1] if at else None, order[at + 1] if at + 1 < len(order) else None)
