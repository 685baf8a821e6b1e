"""Tell which scheme a label map follows: its vertebrae must line up from head to foot."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.labels import LEVELS
from kypho.anatomy.schemes import SCHEMES
from kypho.errors import LabelsError
from kypho.evidence import interval, value
from kypho.space import Volume

__all__ = ["bone_contrast_hu", "detect_scheme"]

MM3_PER_ML = 1000  # numerics: unit conversion
TPTBOX_OFFSETS = (100, 200)
"""TPTBox keeps the disc below vertebra n as n + 100 and its endplate as n + 200."""


def _middles(labels: Volume, numbers: list[int]) -> dict[int, NDArray[np.float64]]:
    """LPS middle of each label in mm; medians, so that stray voxels do not move it.

    Labels of less than ``formats.level_ml`` are specks or slivers at the border and are left out, unless
    there is nothing else.
    """
    boxes = ndimage.find_objects(labels.array, max_label=max(numbers))
    middles, voxels = {}, {}
    for n in numbers:
        box = boxes[n - 1]
        inside = np.argwhere(labels.array[box] == n)
        middles[n] = labels.grid.to_world(np.median(inside, axis=0) + [part.start for part in box])
        voxels[n] = len(inside)
    enough = value("formats.level_ml") * MM3_PER_ML / labels.grid.voxel_mm3
    large = {n: middle for n, middle in middles.items() if voxels[n] >= enough}
    return large or middles


def _lines_up(levels: list[str], middles_mm: NDArray[np.float64]) -> bool:
    """True if the middles of these levels (head to tail) make one downward row with plausible steps.

    The row may bend as far as a kyphosis does, but never turns back on itself from one level to the next.
    """
    if len(levels) == 1:
        return True
    low, high = interval("formats.level_pitch_mm")
    places = np.array([LEVELS.index(level) for level in levels])
    # T13 and L6 may be skipped in the list without being missing in the patient.
    skipped = [sum(v in LEVELS[a + 1 : b] for v in ("T13", "L6")) for a, b in pairwise(places)]
    apart = np.diff(places) - np.array(skipped)
    steps = np.diff(middles_mm, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    if not ((lengths >= low * apart) & (lengths <= high * apart)).all():
        return False
    along = middles_mm[-1] - middles_mm[0]
    axis = along / np.linalg.norm(along)
    forward = np.einsum("nm,nm->n", steps[1:], steps[:-1]) > 0
    upright = abs(axis[2]) >= value("formats.spine_upright")
    return bool(forward.all() and (axis[2] < 0 or not upright))


def _level_numbers(ids: Mapping[str, tuple[int, ...]], present: frozenset[int]) -> dict[str, int]:
    return {level: ids[level][0] for level in LEVELS if level in ids and ids[level][0] in present}


def _strangers(scheme: str, present: frozenset[int]) -> bool:
    """True if the map holds numbers that a closed scheme has no word for; version 2 still grows."""
    if scheme == "totalsegmentator":
        return False
    known = {n for numbers in SCHEMES[scheme].values() for n in numbers}
    if scheme == "verse":
        known |= {n + offset for n in known for offset in TPTBOX_OFFSETS}
    return not present <= known


def _cordless(scheme: str, present: frozenset[int]) -> bool:
    """True if a map lacks what TotalSpineSeg always draws; L2 to L5 of VerSe would else be its T1 to T4."""
    if scheme != "totalspineseg":
        return False
    return not present & {*SCHEMES[scheme]["spinal_cord"], *SCHEMES[scheme]["spinal_canal"]}


def detect_scheme(labels: Volume, present: frozenset[int], what: str) -> tuple[str, str]:
    """The scheme that makes sense of the numbers, and a sentence why.

    A scheme fits if the numbers it calls vertebrae lie in a row from head to foot, in its order. Version 2 of
    TotalSegmentator is preferred to version 1, and that is said; any other tie is refused.

    Raises:
        LabelsError: no scheme fits, or several do.
    """
    fits: dict[str, dict[str, int]] = {}
    for scheme, ids in SCHEMES.items():
        numbers = _level_numbers(ids, present)
        if not numbers or _strangers(scheme, present) or _cordless(scheme, present):
            continue
        middles = _middles(labels, list(numbers.values()))
        judged = [level for level, n in numbers.items() if n in middles]
        if _lines_up(judged, np.array([middles[numbers[level]] for level in judged])):
            fits[scheme] = numbers
    # A reading that leaves out vertebrae which another one puts in line is no rival to it.
    used = {scheme: set(numbers.values()) for scheme, numbers in fits.items()}
    fits = {s: numbers for s, numbers in fits.items() if not any(used[s] < other for other in used.values())}
    if not fits:
        shown = ", ".join(str(n) for n in sorted(present)[:20])
        raise LabelsError(
            f"{what}: no known scheme makes a spine of its numbers ({shown}); name one with --scheme "
            f"({', '.join(SCHEMES)}, or a JSON file of names)"
        )
    if set(fits) == {"totalsegmentator", "totalsegmentator-v1"}:
        old = ", ".join(fits.pop("totalsegmentator-v1"))
        found = ", ".join(fits["totalsegmentator"])
        return "totalsegmentator", (
            f"{what}: read as TotalSegmentator version 2 ({found}); in version 1 the same numbers would mean "
            f"{old}. If it was made with version 1, give --scheme totalsegmentator-v1"
        )
    if len(fits) > 1:
        readings = "; ".join(f"--scheme {scheme}: {', '.join(levels)}" for scheme, levels in fits.items())
        raise LabelsError(
            f"{what}: its numbers mean different levels in different schemes, choose ({readings})"
        )
    scheme, levels = next(iter(fits.items()))
    return scheme, f"{what}: scheme {scheme} detected ({', '.join(levels)})"


def bone_contrast_hu(ct: NDArray, inside: NDArray[np.bool_], enough_hu: float) -> float:
    """Mean HU step across the surface of a mask, or of it grown or shrunk by up to two voxels if larger.

    Bone is brighter than what surrounds it, whatever its density, so labels of another patient, whose surface
    cuts through bone and soft tissue alike, average to a step near zero. Growing and shrinking forgives
    labels drawn too tight or too loose; it is tried only until the step is `enough_hu`.
    Minus infinity where no mask has a surface.
    """
    best = _surface_step_hu(ct, inside)
    for change in (ndimage.binary_dilation, ndimage.binary_erosion):
        for voxels in (1, 2):
            if best >= enough_hu:
                return best
            best = max(best, _surface_step_hu(ct, change(inside, iterations=voxels)))
    return best


def _surface_step_hu(ct: NDArray, inside: NDArray[np.bool_]) -> float:
    """Mean over the faces between voxels in and out of the mask: HU inside minus HU outside."""
    total, faces = 0.0, 0
    for axis in range(3):
        head = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
        tail = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
        edge = inside[head] != inside[tail]
        step = ct[head][edge].astype(np.float64) - ct[tail][edge]
        total += float(np.where(inside[head][edge], step, -step).sum())
        faces += int(np.count_nonzero(edge))
    return total / faces if faces else float("-inf")
