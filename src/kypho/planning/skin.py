"""From the bone back to the skin: where the needle goes in, and what it would pass on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels
from kypho.evidence import value
from kypho.planning.walls import obstacle_kind
from kypho.space import Volume, sample_at

__all__ = ["crossed", "skin_point"]

STEP_MM = 0.5  # numerics: below the pixel of the CT
OUTSIDE_MM = 6.0  # numerics: air this thick is outside the patient; gas in a skin fold is thinner
FARTHEST_MM = 300.0  # numerics: longer than any path through the back
RING = 12  # numerics: points on the shaft's circumference


def skin_point(ct: Volume, entry_mm: NDArray, backwards: NDArray) -> NDArray[np.float64] | None:
    """Where the needle's line leaves the patient behind the bone entry; None if the scan ends before.

    Args:
        ct: CT in HU.
        entry_mm: LPS bone entry.
        backwards: unit LPS direction from the bone towards the back.
    """
    along = np.arange(0.0, FARTHEST_MM, STEP_MM)
    points = entry_mm + along[:, None] * backwards
    index = ct.grid.to_index(points)
    within = np.all((index >= 0) & (index <= np.asarray(ct.grid.shape) - 1), axis=1)
    last = len(along) if within.all() else int(np.argmin(within))
    air = sample_at(ct, points[:last]) < value("plan.skin_hu")
    run = round(OUTSIDE_MM / STEP_MM)
    thick = np.convolve(air, np.ones(run), mode="valid") == run
    return points[int(np.argmax(thick))] if thick.any() else None


def crossed(
    labels: Labels, level: str, entry_mm: NDArray, outer_mm: NDArray, radius_mm: float
) -> tuple[str, ...]:
    """The bones and organs that the shaft passes between bone entry and skin, nearest the bone first.

    Args:
        labels: the label image.
        level: the planned level, which does not count.
        entry_mm: LPS bone entry.
        outer_mm: LPS skin point, or where the scan ends.
        radius_mm: radius of the device.
    """
    run = outer_mm - entry_mm
    length = float(np.linalg.norm(run))
    if length < STEP_MM:
        return ()
    axis = run / length
    across = np.linalg.svd(axis[None])[2][1:]
    turn = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    ring = radius_mm * np.column_stack([np.cos(turn), np.sin(turn)]) @ across
    along = np.arange(STEP_MM, length, STEP_MM)[:, None, None] * axis
    points = entry_mm + along + np.vstack([ring, np.zeros(3)])
    numbers = sample_at(labels.volume, points, order=0).astype(int)
    name_of = {
        n: name
        for name, ids in labels.ids.items()
        for n in ids
        if obstacle_kind(name) and name.split("_")[0] != level
    }
    order = [n for row in numbers for n in row if n in name_of]
    return tuple(dict.fromkeys(name_of[n] for n in order))
