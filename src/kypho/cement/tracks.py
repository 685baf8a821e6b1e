"""What a cannula does to the bone: steel where it is, a crushed ring around it, an open channel where it was.

A cannula in place seals its own hole but for the crushed ring. Drawn back, or pulled out after a failed
puncture, it leaves a channel of its own width, and a hole in every wall that it passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from kypho.cement.compartments import CODES
from kypho.cement.scene import CellScene
from kypho.errors import SettingsError
from kypho.evidence import value

__all__ = ["Track", "drill"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """The way of a cannula through the bone.

    Attributes:
        entry_mm, tip_mm: LPS points; the tip is the deepest that the cannula, or its drill, has been.
        radius_mm: outer radius of the cannula.
        drawn_back_mm: how far the cannula's end lies behind the tip now; infinity if it was pulled out.

    Raises:
        SettingsError: entry and tip coincide, radius not positive, or drawn back by less than nothing.
    """

    entry_mm: NDArray[np.float64]
    tip_mm: NDArray[np.float64]
    radius_mm: float
    drawn_back_mm: float = 0.0  # numerics: the cannula lies where it was pushed to

    def __post_init__(self) -> None:
        if not self.radius_mm > 0 or not self.drawn_back_mm >= 0:
            raise SettingsError(
                f"cannula of radius {self.radius_mm} mm drawn back by {self.drawn_back_mm} mm; correct it"
            )
        if not np.linalg.norm(self.way_mm) > 0:
            raise SettingsError("needle entry and tip are one point; give two")

    @property
    def way_mm(self) -> NDArray[np.float64]:
        """From entry to tip."""
        return np.asarray(self.tip_mm, dtype=float) - np.asarray(self.entry_mm, dtype=float)


def drill(
    scene: CellScene,
    region: NDArray[np.uint8],
    bone: NDArray[np.bool_],
    shell: NDArray[np.bool_],
    track: Track,
) -> None:
    """Mark one cannula in `region`: ring, channel, steel, and a breach where it opens the canal's wall."""
    local = scene.vertebra.frame.to_local
    entry = local(track.entry_mm)
    along = local(track.tip_mm) - entry
    length = float(np.linalg.norm(along))
    along = along / length
    dx, dy, dz = scene.x - entry[0], scene.y - entry[1], scene.z - entry[2]
    t = dx * along[0] + dy * along[1] + dz * along[2]
    off = np.sqrt(np.maximum(dx**2 + dy**2 + dz**2 - t**2, 0))
    cell, end = scene.spacing_mm, length - track.drawn_back_mm
    passed = (t > -1.0) & (t < length)
    near = passed & (off < max(track.radius_mm + value("cement.track_ring_mm"), 0.8 * cell))
    region[bone & near & (region != CODES["basivertebral"])] = CODES["track"]
    lumen = passed & (t > end) & (off < max(track.radius_mm, 0.8 * cell))
    region[bone & lumen] = CODES["channel"]
    steel = (off < track.radius_mm - 0.25 * cell) & (t > -1.0) & (t < end - 2 * cell)
    region[steel & (bone | (scene.inside > 0))] = CODES["cannula"]
    _breach(scene, region, shell & near & ~steel, near)


def _breach(
    scene: CellScene, region: NDArray[np.uint8], wall: NDArray[np.bool_], near: NDArray[np.bool_]
) -> None:
    """Open the canal's wall and tear the dura where a cannula passes them."""
    canal = scene.inside > 0
    beside = wall & binary_dilation(canal, iterations=round(2.0 / scene.spacing_mm))
    if (near & canal).any():
        region[beside] = CODES["breach"]
        # What lies behind a torn dura is no longer closed.
        region[near & canal & (region == CODES["dura"])] = CODES["canal_intradural"]
    elif beside.any() and float(scene.inside[near].max()) > -0.5 * scene.spacing_mm:
        region[beside] = CODES["breach"]
