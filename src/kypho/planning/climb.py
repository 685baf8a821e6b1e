"""Local search among the needles of a corridor: a first guess, the climb to a local optimum, the last polish.

Nothing here is certified; the proof is `kypho.planning.optimum`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kypho.planning.corridor import Corridor, Line, path_minima
from kypho.planning.fields import Stack

__all__ = ["MISSED", "Merit", "climb", "first_guess", "polish"]

SEEDS = 800  # numerics: random lines tried first; only speeds up the search, never changes the bound
SHRINKS, CLOUD = 8, 300  # numerics: from the whole corridor down to a hundredth of it
MISSED = -1e6
"""Merit of a line that misses a need by nothing; below it the miss is subtracted."""

_AXES = np.concatenate([np.eye(4), -np.eye(4)])
_PAIRS = np.array([[a, b, c, d] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) for d in (-1, 1)])
MOVES = np.concatenate([_AXES, 0.5 * _PAIRS])
"""Directions of the compass search in the four numbers of a line."""

Merit = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""What n lines, shape (n, 4), are worth, shape (n,)."""


def first_guess(merit: Merit, start: Line | None, seed: int) -> tuple[Line, float]:
    """The best of a few random lines, and of the given start, climbed to a local optimum."""
    lines = np.random.default_rng(seed).uniform(-1, 1, (SEEDS, 4))
    if start is not None:
        lines[0] = start
    merits = merit(lines)
    return climb(lines[int(np.argmax(merits))], 0.25, merit)


def climb(line: Line, step: float, merit: Merit) -> tuple[Line, float]:
    """Compass search: move by `step` along axes and diagonals, halve the step when nothing helps."""
    here = line.copy()
    value = float(merit(here[None])[0])
    while step > 2e-3:
        tried = np.clip(here + step * MOVES, -1, 1)
        merits = merit(tried)
        top = int(np.argmax(merits))
        if merits[top] > value + 1e-6:
            here, value = tried[top], float(merits[top])
        else:
            step /= 2
    return here, value


def polish(
    corridor: Corridor,
    line: Line,
    stack: Stack,
    needs: Mapping[str, float],
    wish: NDArray[np.float64],
    seed: int = 0,
) -> Line:
    """Of all lines that meet the needs, one with its tip near a wished point and central in the gate.

    Many lines are equally good once the needs are met; the sum of squares of both distances singles one
    out, so that the same anatomy gets the same needle. Random lines in a shrinking neighbourhood of the
    best so far, then a compass search; not certified.
    """
    need = stack.in_order(needs)
    middle = corridor.gate[0]

    def merit(lines: NDArray) -> NDArray:
        room = (path_minima(corridor, lines, stack) - need).min(axis=1)
        tips = corridor.target[0] + lines[:, 2:3] * corridor.target[1] + lines[:, 3:4] * corridor.target[2]
        gates = middle + lines[:, 0:1] * corridor.gate[1] + lines[:, 1:2] * corridor.gate[2]
        far = np.sum((tips - wish) ** 2, axis=1) + np.sum((gates - middle) ** 2, axis=1)
        return np.where(room >= 0, -far, MISSED + room)

    return _refine(line, merit, seed)[0]


def _refine(line: Line, merit: Merit, seed: int) -> tuple[Line, float]:
    """Random lines in a shrinking neighbourhood of the best so far, then a compass search."""
    for n, cloud in enumerate(np.random.default_rng(seed).normal(0, 1, (SHRINKS, CLOUD, 4))):
        tried = np.clip(np.vstack([line, line + 0.5**n * cloud]), -1, 1)
        line = tried[int(np.argmax(merit(tried)))]
    return climb(line, 0.02, merit)
