"""A real CT, its labels and the drawing of cement brought together: synthetic post-operative CTs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kypho.anatomy import Labels, Vertebra, build_vertebra
from kypho.phantoms.postop import PostopPhantom, PostopRecipe, make_postop, thin_slices
from kypho.space import Volume

__all__ = ["SyntheticSite", "synthetic_site"]

ROOM_MM = 36.0  # numerics: slices kept above and below the level: both neighbours, so that axes are known


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticSite:
    """One level of a real CT on slices of a chosen thickness.

    Attributes:
        ct: whole slices around the level, HU, without cement.
        labels: labels on the same grid.
        vertebra: the level's model.
        other_bone: mask of all other bone, unit "label".
    """

    ct: Volume
    labels: Labels
    vertebra: Vertebra
    other_bone: Volume

    def draw(self, recipe: PostopRecipe) -> PostopPhantom:
        """A synthetic post-operative CT with its truth."""
        aorta = self.labels.mask("aorta") if self.labels.has("aorta") else None
        return make_postop(self.ct, self.other_bone, self.vertebra, recipe, aorta=aorta)


def synthetic_site(ct: Volume, labels: Labels, level: str, slice_mm: float | None = None) -> SyntheticSite:
    """Cut a level out of a CT and put it on slices of another thickness.

    Args:
        ct: a real CT without cement.
        labels: labels on its grid.
        level: "T7".
        slice_mm: slice distance; by default the CT's own.

    Raises:
        LevelError: the level is not in the labels or is incomplete.
    """
    labels.require_level(level)
    slices = np.nonzero(labels.mask(level).any(axis=(1, 2)))[0]
    room = int(np.ceil(ROOM_MM / ct.grid.spacing_mm[0]))
    start = (max(int(slices[0]) - room, 0), 0, 0)
    stop = (min(int(slices[-1]) + room + 1, ct.grid.shape[0]), *ct.grid.shape[1:])
    image, numbers = ct.crop(start, stop), labels.volume.crop(start, stop)
    if slice_mm is not None and slice_mm != ct.grid.spacing_mm[0]:
        image, numbers = thin_slices(image, slice_mm), thin_slices(numbers, slice_mm)
    own = Labels(volume=numbers, scheme=labels.scheme, ids=labels.ids)
    mask = own.union(name for name in own.bones() if name != level)
    return SyntheticSite(
        ct=image,
        labels=own,
        vertebra=build_vertebra(image, own, level),
        other_bone=Volume(array=mask.astype(np.uint8), grid=numbers.grid, unit="label"),
    )
