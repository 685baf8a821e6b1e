"""The medial walls of the pedicles: the thin bone between a needle and the canal."""

from __future__ import annotations

import numpy as np

from kypho.anatomy import Side, Vertebra
from kypho.fracture.wall_pictures import LOOK_ON_MM, cortex
from kypho.fracture.walls import Wall

__all__ = ["medial_wall"]

ALONG_MM = 5.0  # numerics: half length of the pedicle about its isthmus
INSET_MM = 1.0  # numerics: nearer to the upper or lower edge the medial wall turns away


def medial_wall(vertebra: Vertebra, side: Side) -> Wall:
    """The pedicle's medial wall seen from the canal: across is posterior, up is superior."""
    z, y, x = vertebra.axes_mm
    sign = 1.0 if side == "left" else -1.0
    pedicle = vertebra.pedicles[side]
    centre = vertebra.frame.to_local(pedicle.isthmus_mm)
    step = x[1] - x[0]
    ks = np.nonzero(np.abs(z - centre[2]) <= max(pedicle.height_mm / 2 - INSET_MM, 1.0))[0]
    js = np.nonzero(np.abs(y - centre[1]) <= ALONG_MM)[0]
    start = int(np.argmin(np.abs(x - centre[0])))
    count = round((pedicle.width_mm / 2 + LOOK_ON_MM) / step)
    walk = np.clip(start - int(sign) * np.arange(count), 0, len(x) - 1)
    block = np.ix_(ks, js, walk)
    depth, hu, canal = vertebra.bone_mm.array[block], vertebra.hu.array[block], vertebra.canal_mm.array[block]
    out = depth <= 0
    first = np.argmax(out, axis=2)
    behind = np.minimum(first + round(2.0 / step), count - 1)
    faces = np.take_along_axis(canal, behind[..., None], axis=2)[..., 0] > 0
    good = out.any(axis=2) & (first > 0) & faces
    density, thickness, median = cortex(hu, first, good, step)
    return Wall(
        name=f"{side} pedicle, medial",
        across_mm=y[js],
        up_mm=z[ks],
        position_mm=np.where(good, x[walk][np.minimum(first, count - 1)], np.nan),
        density_hu=density,
        thickness_mm=thickness,
        whole_hu=median,
        axis="x",
        sign=1,
        part="pedicle",
    )
