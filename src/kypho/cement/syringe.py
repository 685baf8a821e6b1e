"""The syringe: the pressure at a needle's tip, and the rate that a limited pressure can hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["held_share", "tip_kpa"]

EDGES = np.array(
    [(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if abs(z) + abs(y) + abs(x) == 2]
)
EDGE_RADIUS = 1.44185
"""Around a point source the twelve cells across an edge have the exact pressure at this many cell sizes:
``1 / (4 pi g)`` with the cubic lattice's Green's function g = 0.055191 at (1, 1, 0). Peaceman's well radius,
one ring further out, where neither the tip's own cell nor its shear spoils it."""


def tip_kpa(
    cell: tuple[int, int, int],
    bore_mm: float,
    cell_m: float,
    flow_m3_s: float,
    pressure_pa: NDArray,
    viscosity_pa_s: NDArray,
    permeability_m2: NDArray,
) -> float:
    """Pressure at the bore's radius, from the cells around the tip's cell (see `EDGE_RADIUS`).

    Cells count by their permeability: nothing flows into steel or a wall beside the tip, and what it takes
    from the tip's surroundings leaves the flow that much less room.
    """
    around = np.clip(np.asarray(cell) + EDGES, 0, np.asarray(pressure_pa.shape) - 1)
    cells = tuple(around.T)
    k = permeability_m2[cells]
    if not k.any():
        return float(pressure_pa[cell]) * 1e-3
    resistance = float(np.average(viscosity_pa_s[cells], weights=k) / k.mean())
    bore = bore_mm * 1e-3 / 2
    drop = flow_m3_s * resistance / (4 * np.pi) * (1 / bore - 1 / (EDGE_RADIUS * cell_m))
    return (float(np.average(pressure_pa[cells], weights=k)) + drop) * 1e-3


def held_share(
    resting_kpa: list[float], tips_kpa: list[float], cannula_kpa: Callable[[int, float], float], limit: float
) -> float:
    """Multiple of the wanted rate at which the hardest needle just meets the limit.

    Args:
        resting_kpa: pressure at every tip without flow.
        tips_kpa: the same at the wanted rate.
        cannula_kpa: pressure that needle n's cannula takes at a multiple of the rate.
        limit: what the syringe can press, kPa.
    """
    low, high = 0.0, 1e4
    for _ in range(60):
        share = 0.5 * (low + high)
        needed = max(
            still + share * (tip - still) + cannula_kpa(n, share)
            for n, (still, tip) in enumerate(zip(resting_kpa, tips_kpa, strict=True))
        )
        low, high = (low, share) if needed > limit else (share, high)
    return low
