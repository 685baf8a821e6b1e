"""What a reader must know of a part beyond its numbers: how its route was told, whose cement it may be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

from kypho.anatomy import Labels
from kypho.evidence import value
from kypho.leakage import Leakage, LeakPart
from kypho.leakage.scene import CANALS, axial
from kypho.space import Volume

__all__ = ["canal_notes", "dense_ml", "part_notes", "slice_notes"]

LONG_PIXEL = 1.1  # numerics: more than rounding of a header


def dense_ml(ct: Volume, labels: Labels, level: str) -> float:
    """Volume of a labelled level that is as dense as cement, mL."""
    box = labels.box(level)
    dense = (ct.array[box] > value("leak.seed_hu")) & labels.part(level, box)
    return float(np.count_nonzero(dense) * ct.grid.voxel_mm3 / 1000)


def part_notes(found: Leakage, ct: Volume, labels: Labels) -> dict[int, tuple[str, ...]]:
    """Sentences by the part's id; parts that need none are left out.

    Args:
        found: the check of one level.
        ct: the CT after the operation, HU.
        labels: labels on its grid.
    """
    above, below = labels.neighbours(found.level)
    treated = {
        name
        for name in (above, below)
        if name is not None and dense_ml(ct, labels, name) > value("leak.other_level_ml")
    }
    bones = {name: _bone(labels, name) for name in (found.level, *sorted(treated))} if treated else {}
    near = {part.id: _nearer(part, found, bones) for part in found.parts}
    notes = {
        part.id: (
            *_route(part),
            *_shared(part, above, below, treated - {near[part.id]}),
            *_foreign(near[part.id], found),
        )
        for part in found.parts
    }
    return {number: lines for number, lines in notes.items() if lines}


def _bone(labels: Labels, level: str) -> cKDTree:
    """A level's labelled voxels, world mm."""
    box = labels.box(level)
    voxels = np.argwhere(labels.part(level, box)) + [s.start for s in box]
    return cKDTree(labels.volume.grid.to_world(voxels))


def _nearer(part: LeakPart, found: Leakage, bones: Mapping[str, cKDTree]) -> str | None:
    """The treated neighbour whose bone is nearer to the part, by the median, than the level's own."""
    if not bones:
        return None
    points = found.scene.vertebra.frame.to_world(part.measured.points_mm)
    nearest = min(bones, key=lambda name: float(np.median(bones[name].query(points)[0])))
    return None if nearest == found.level else nearest


def _foreign(near: str | None, found: Leakage) -> tuple[str, ...]:
    """Whether a part lies at a treated neighbour, so that its route as told here may be another's."""
    if near is None:
        return ()
    return (
        f"this part lies nearer to {near}, which holds cement too, and more likely came from there; its "
        f"route is told here as if it came from {found.level}: read the check of {near}",
    )


def _route(part: LeakPart) -> tuple[str, ...]:
    """How the route was told where nothing connects the part with the bone."""
    if part.routing.likely != "cortical_canal" or part.measured.exit_mm is not None:
        return ()
    return (
        "no channel from the bone is seen; the route is taken from the usual way in, a breach of the wall "
        "towards the canal, so look along the needle's path",
    )


def _shared(part: LeakPart, above: str | None, below: str | None, treated: set[str]) -> tuple[str, ...]:
    """Whether a part in a disc can have come from the level on its other side."""
    places = {"disc_above": above, "disc_below": below}
    beside = [level for place, level in places.items() if place in part.routing.compartments]
    return tuple(
        f"{level} holds cement too: this part may have come from there, and the check of {level} lists it "
        "again"
        for level in beside
        if level in treated
    )


def canal_notes(found: Leakage, labels: Labels) -> tuple[str, ...]:
    """A warning where what is dense elsewhere may lie in a canal that nothing labels."""
    if not found.elsewhere or any(labels.has(name) for name in CANALS):
        return ()
    return (
        "the labels hold neither canal nor cord: whether what is dense elsewhere in the scan lies in the "
        "canal is not told",
    )


def slice_notes(ct: Volume) -> tuple[str, ...]:
    """A warning on slices thicker than those the check was tried on."""
    slice_mm, *pixels = axial(ct).grid.spacing_mm
    limit = value("leak.thick_slice_mm")
    notes = []
    if max(pixels) > LONG_PIXEL * min(pixels):
        notes.append(
            f"axial pixels of {pixels[0]:g} x {pixels[1]:g} mm: the check was tried on square ones, and "
            "small leaks may be missed; ask for axial slices of the same scan"
        )
    if slice_mm <= limit:
        return tuple(notes)
    return (
        *notes,
        f"slices {slice_mm:g} mm apart: small leaks may be missed and parts may merge; the check was tried "
        f"on slices up to {limit:g} mm, so ask for thinner ones of the same scan",
    )
