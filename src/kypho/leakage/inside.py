"""The cement that stayed where it belongs: filling, symmetry, support of the endplates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kypho.evidence import value
from kypho.leakage.parts import Interval, Measured
from kypho.leakage.scene import Scene

__all__ = ["InsideFinding", "read_inside"]


@dataclass(frozen=True, kw_only=True)
class InsideFinding:
    """Cement inside the vertebra.

    Attributes:
        ml: its volume.
        fill_percent: share of the body's volume.
        left_share: share of it on the left of the mid-sagittal plane.
        superior_gap_mm, inferior_gap_mm: smallest distance to each endplate; None without cement.
        superior_contact, inferior_contact: within `leak.endplate_contact_mm`; None without cement.
    """

    ml: Interval
    fill_percent: Interval
    left_share: float | None
    superior_gap_mm: float | None
    inferior_gap_mm: float | None
    superior_contact: bool | None
    inferior_contact: bool | None


def read_inside(scene: Scene, measured: Measured) -> InsideFinding:
    """Measure the cement inside the vertebra."""
    vertebra = scene.vertebra
    body_ml = vertebra.body_ml
    ml = measured.inside_ml
    fill = Interval(
        value=100 * ml.value / body_ml, low=100 * ml.low / body_ml, high=min(100.0, 100 * ml.high / body_ml)
    )
    where = measured.inside & scene.body
    if not where.any():
        return InsideFinding(
            ml=ml,
            fill_percent=fill,
            left_share=None,
            superior_gap_mm=None,
            inferior_gap_mm=None,
            superior_contact=None,
            inferior_contact=None,
        )
    points = scene.local_mm[where]
    above = vertebra.superior.z_mm(points[:, :2]) - points[:, 2]
    below = points[:, 2] - vertebra.inferior.z_mm(points[:, :2])
    # The first percentile: one noisy voxel is no support.
    gaps = [max(0.0, float(np.percentile(g, 1))) for g in (above, below)]
    contact = value("leak.endplate_contact_mm")
    return InsideFinding(
        ml=ml,
        fill_percent=fill,
        left_share=float(np.mean(points[:, 0] > 0)),
        superior_gap_mm=gaps[0],
        inferior_gap_mm=gaps[1],
        superior_contact=gaps[0] <= contact,
        inferior_contact=gaps[1] <= contact,
    )
