"""What happens to a planned needle when the hand is not exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kypho.evidence import value
from kypho.planning.fields import HUGE, Stack, interpolate
from kypho.planning.settings import PlanSettings

__all__ = ["Robustness", "robustness"]


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Shares of displaced needles that touch the canal, or breach by more than Gertzbein-Robbins B."""

    p_canal: float
    p_breach_2mm: float
    n: int
    seed: int

    def standard_error(self, p: float) -> float:
        """Binomial standard error of a share; with no event, that of one event in n + 2 (Laplace)."""
        share = p if 0 < p < 1 else 1 / (self.n + 2)
        return float(np.sqrt(share * (1 - share) / self.n))


@njit(cache=True, nogil=True)
def _least_along(entries, tips, values, first, inverse_pitch):  # type: ignore[no-untyped-def]
    """Least value of every field along each of n lines from entry to tip, shape (n, fields)."""
    n, nm = entries.shape[0], values.shape[3]
    least = np.full((n, nm), HUGE)
    here = np.empty(nm)
    for line in range(n):
        e, q = entries[line], tips[line]
        steps = int(np.sqrt(np.sum((q - e) ** 2)) / 0.5) + 2
        for s in range(steps):
            t = s / (steps - 1)
            x, y, z = e[0] + t * (q[0] - e[0]), e[1] + t * (q[1] - e[1]), e[2] + t * (q[2] - e[2])
            interpolate(values, first, inverse_pitch, z, y, x, here)
            for m in range(nm):
                least[line, m] = min(least[line, m], here[m])
    return least


def robustness(
    entry: NDArray,
    tip: NDArray,
    radius_mm: float,
    stack: Stack,
    walls: tuple[str, ...],
    settings: PlanSettings,
) -> Robustness:
    """Displace the entry across the needle and turn the direction about it, `robustness_draws` times.

    Args:
        entry: local bone entry.
        tip: local tip.
        radius_mm: radius of the device.
        stack: the distance fields.
        walls: names of the walls whose breach counts.
        settings: sigmas, number of draws, seed.
    """
    rng = np.random.default_rng(settings.seed)
    n = settings.robustness_draws
    run = tip - entry
    length = np.linalg.norm(run)
    axis = run / length
    across = np.linalg.svd(axis[None])[2][1:]
    shift = rng.normal(0, settings.entry_sigma_mm, (n, 2)) @ across
    turn = rng.normal(0, np.deg2rad(settings.angle_sigma_deg), (n, 2)) @ across
    direction = axis + turn
    direction *= length / np.linalg.norm(direction, axis=1, keepdims=True)
    entries = entry + shift
    least = _least_along(entries, entries + direction, stack.values, stack.first_mm, 1 / stack.pitch_mm)
    wall = least[:, [stack.names.index(w) for w in walls]].min(axis=1)
    return Robustness(
        p_canal=float(np.mean(least[:, stack.names.index("canal")] < radius_mm)),
        p_breach_2mm=float(np.mean(radius_mm - wall >= value("plan.robustness.breach_mm"))),
        n=n,
        seed=settings.seed,
    )
