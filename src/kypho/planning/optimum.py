"""The best straight needle through a corridor, with a proof of how good any other could be.

A needle is a line from a tip q in one rectangle through a point p in another: four numbers. A distance
field d is Lipschitz, |d(x) - d(y)| <= L |x - y|, so the clearance of every needle in a box of those four
numbers is bounded by that of the box's middle plus L times how far a point of the line can move. Branch
and bound splits the boxes that may still hold something better, and stops when no box can hold anything
better by more than the tolerance. The bound is a certificate: no needle of the corridor, sampled at the
same fractions of its length, exceeds it (Piyavskii 1972, Shubert 1972 for the principle).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kypho.planning.climb import MISSED, climb, first_guess
from kypho.planning.corridor import Corridor, Line, path_minima
from kypho.planning.fields import HUGE, Stack, interpolate

__all__ = ["Certificate", "Goal", "Optimum", "maximise"]

TOLERANCE_MM = 0.07  # numerics: gap at which the search stops, inside the 0.1 mm that is promised
NEARLY_MM = 1e-3  # numerics: what is worth it to this accuracy is worth it
MOST_BOXES = 600_000  # numerics: beyond this the open bound is reported as it stands
LEVEL = 1e-6  # numerics: a field without its structure is constant; never divide by its slope


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What to maximise and what to respect, per field of a stack.

    Attributes:
        offsets: the objective is the least of ``field - offset`` over these fields.
        needs: these fields must be at least so large all along the line.
        cap_mm: values of the objective beyond it count as equal to it.
        worth_mm: values of the objective below it are of no use; the search then only decides whether
            there is a better one.
    """

    offsets: Mapping[str, float]
    needs: Mapping[str, float]
    cap_mm: float = HUGE
    worth_mm: float = -HUGE

    def arrays(self, stack: Stack) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Offsets and needs in the stack's order; HUGE marks a field that is not part of either."""
        return stack.in_order(self.offsets), stack.in_order(self.needs), min(float(self.cap_mm), HUGE)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Best value found, proven upper bound over the corridor, boxes examined."""

    objective_mm: float
    upper_bound_mm: float
    boxes: int

    @property
    def gap_mm(self) -> float:
        """How much better any other needle could be."""
        return self.upper_bound_mm - self.objective_mm


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimum:
    """The best line (None if none is feasible) and its certificate."""

    line: Line | None
    certificate: Certificate


def maximise(
    corridor: Corridor, stack: Stack, goal: Goal, *, start: Line | None = None, seed: int = 0
) -> Optimum:
    """Maximise the goal over all lines of the corridor.

    Args:
        corridor: the lines to choose from.
        stack: the fields.
        goal: objective and constraints.
        start: a line to begin with.
        seed: of the random lines tried first.

    Returns:
        The best line and its certificate. Without a feasible line the objective is -inf; the upper bound
        is -inf too if that has been proven.
    """
    offsets, needs, cap = goal.arrays(stack)

    def merit(lines: NDArray) -> NDArray:
        least = path_minima(corridor, lines, stack)
        room = (least - needs).min(axis=1)
        value = np.minimum(np.where(offsets > -HUGE, least - offsets, HUGE).min(axis=1), cap)
        return np.where(room >= 0, value, MISSED + room)

    line, best = first_guess(merit, start, seed)
    lines, halves, open_bound = np.zeros((1, 4)), np.ones((1, 4)), np.array([cap])
    boxes, proven = 0, best
    while len(lines) and boxes < MOST_BOXES and best < cap:
        floor = max(best + TOLERANCE_MM, goal.worth_mm - NEARLY_MM)
        found = _bounds(
            lines, halves, corridor.gate, corridor.target, corridor.fractions, stack.values, stack.first_mm,
            1 / stack.pitch_mm, stack.slopes, offsets, needs, cap, floor,
        )  # fmt: skip
        boxes += len(lines)
        # Whatever is dropped below was bounded by the best value of its time plus the tolerance.
        proven = max(proven, floor)
        top = int(np.argmax(found[:, 0]))
        if found[top, 0] > best:
            line, best = climb(lines[top], float(halves[top].max()), merit)
        keep = found[:, 1] > max(best + TOLERANCE_MM, goal.worth_mm - NEARLY_MM)
        open_bound = found[keep, 1]
        lines, halves = _split(lines[keep], halves[keep], found[keep, 2], corridor)
    return Optimum(
        line=line if best > MISSED / 2 else None,
        certificate=_certificate(best, proven, cap, boxes, lines, open_bound),
    )


def _certificate(
    best: float, proven: float, cap: float, boxes: int, lines: NDArray, open_bound: NDArray
) -> Certificate:
    """What has been proven when the search stops."""
    feasible = best > MISSED / 2
    upper = max(best, proven) if feasible else -np.inf
    if len(lines) and best < cap:
        upper = max(upper, float(open_bound.max()))
    return Certificate(
        objective_mm=best if feasible else -np.inf, upper_bound_mm=min(cap, upper), boxes=boxes
    )


def _split(lines: NDArray, halves: NDArray, share: NDArray, corridor: Corridor) -> tuple[NDArray, NDArray]:
    """Halve each box along the side that moves the limiting point of its line most."""
    sizes = np.linalg.norm(
        [corridor.gate[1], corridor.gate[2], corridor.target[1], corridor.target[2]], axis=1
    )
    weight = np.column_stack([share, share, 1 - share, 1 - share])
    axis = np.argmax(halves * sizes * (np.abs(weight) + 0.05), axis=1)
    row = np.arange(len(lines))
    smaller = halves.copy()
    smaller[row, axis] /= 2
    shift = np.zeros_like(lines)
    shift[row, axis] = smaller[row, axis]
    return np.concatenate([lines - shift, lines + shift]), np.concatenate([smaller, smaller])


@njit(cache=True, nogil=True)
def _bound_of(  # type: ignore[no-untyped-def]
    p, q, move_p, move_q, fractions, values, first, inverse_pitch, slopes, offsets, needs, cap, floor
):
    """Value of the line through gate point p and tip q, bound and share: see `_bounds`.

    Where every field has room to spare, the samples that its slope cannot bring down to what binds so
    far are passed over; a bound from fewer samples is a bound too.
    """
    step_mm = abs(fractions[1] - fractions[0]) * np.sqrt(np.sum((p - q) ** 2))
    halfway = np.count_nonzero(fractions <= 1.0)
    here = np.empty(len(slopes))
    value, bound, share, tightest = cap, cap, 0.5, HUGE
    at, turned = 0, False
    while at < len(fractions):
        t = fractions[at]
        x, y, z = q[0] + t * (p[0] - q[0]), q[1] + t * (p[1] - q[1]), q[2] + t * (p[2] - q[2])
        interpolate(values, first, inverse_pitch, z, y, x, here)
        from_p = t * move_p
        move = from_p + abs(1 - t) * move_q
        spare_mm = HUGE
        for m in range(len(slopes)):
            steep = max(slopes[m], LEVEL)
            room = here[m] - needs[m]
            if room + slopes[m] * move < 0.0:
                return -HUGE, -HUGE, share
            spare_mm = min(spare_mm, room / steep)
            if room < 0.0:
                value = -HUGE
                if room < tightest:
                    tightest, share = room, from_p / (move + 1e-12)
            if offsets[m] > -HUGE:
                d = here[m] - offsets[m]
                value = min(value, d)
                if d + slopes[m] * move < bound:
                    bound = d + slopes[m] * move
                    if tightest > 0.0:
                        share = from_p / (move + 1e-12)
                    if bound <= floor:
                        return -HUGE, -HUGE, share
                spare_mm = min(spare_mm, (d - max(value, bound - slopes[m] * move)) / steep)
        following = at + max(1, int(spare_mm / step_mm))
        # The far side of the gate begins anew.
        if not turned and following >= halfway:
            following, turned = halfway, True
        at = following
    return value, bound, share


@njit(cache=True, nogil=True)
def _bounds(  # type: ignore[no-untyped-def]
    lines, halves, gate, target, fractions, values, first, inverse_pitch, slopes, offsets, needs, cap, floor
):
    """Per box: value at its middle, upper bound over it, and the share of the movement due to the gate.

    The value is -HUGE where the middle is not feasible; the bound is -HUGE where nothing in the box is
    feasible or can exceed `floor`. Shape (n, 3).
    """
    result = np.empty((lines.shape[0], 3))
    for b in range(lines.shape[0]):
        p = gate[0] + lines[b, 0] * gate[1] + lines[b, 1] * gate[2]
        q = target[0] + lines[b, 2] * target[1] + lines[b, 3] * target[2]
        move_p = np.sqrt(np.sum((halves[b, 0] * gate[1]) ** 2) + np.sum((halves[b, 1] * gate[2]) ** 2))
        move_q = np.sqrt(np.sum((halves[b, 2] * target[1]) ** 2) + np.sum((halves[b, 3] * target[2]) ** 2))
        result[b] = _bound_of(
            p, q, move_p, move_q, fractions, values, first, inverse_pitch, slopes, offsets, needs, cap, floor
        )
    return result
