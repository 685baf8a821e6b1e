"""The best straight needle through a corridor, with a proof of how good any other could be.

A needle is a line from a tip q in one rectangle through a point p in another: four numbers. A distance
field d is Lipschitz, |d(x) - d(y)| <= L |x - y|, so the clearance of every needle in a box of those four
numbers is bounded by that of the box's middle plus L times how far a point of the line can move. Branch
and bound splits the boxes that may still hold something better, and stops when no box can hold anything
better by more than the tolerance. The bound is a certificate: no needle of the corridor, sampled at the
same fractions of its length, exceeds it (Piyavskii 1972, Shubert 1972 for the principle).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "Certificate",
    "Corridor",
    "Goal",
    "Line",
    "Optimum",
    "Stack",
    "interpolate",
    "lipschitz",
    "maximise",
    "path_minima",
    "polish",
]

SAMPLE_MM = 0.5  # numerics: a unit-slope field changes by at most half of this between two samples
TOLERANCE_MM = 0.07  # numerics: gap at which the search stops, inside the 0.1 mm that is promised
NEARLY_MM = 1e-3  # numerics: what is worth it to this accuracy is worth it
SEEDS = 800  # numerics: random lines tried first; only speeds up the search, never changes the bound
SHRINKS, CLOUD = 8, 300  # numerics: from the whole corridor down to a hundredth of it
MOST_BOXES = 600_000  # numerics: beyond this the open bound is reported as it stands

LEVEL = 1e-6  # numerics: a field without its structure is constant; never divide by its slope

HUGE = 1e9
"""Stands for infinity in compiled code."""
MISSED = -1e6
"""Merit of a line that misses a need by nothing; below it the miss is subtracted."""
_AXES = np.concatenate([np.eye(4), -np.eye(4)])
_PAIRS = np.array([[a, b, c, d] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) for d in (-1, 1)])
MOVES = np.concatenate([_AXES, 0.5 * _PAIRS])
"""Directions of the compass search in the four numbers of a line."""

Merit = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Line = NDArray[np.float64]
"""Four numbers in [-1, 1]: p across, p up, q across, q up, in half sizes of the two rectangles."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Corridor:
    """All lines from a target rectangle through a gate rectangle, in local mm.

    Attributes:
        gate: centre, half-across and half-up vectors of the rectangle the line passes, shape (3, 3).
        target: the same for the rectangle in which the tip lies, shape (3, 3).
        reach: fraction of the way from tip through gate up to which the line is checked (> 1: beyond).
    """

    gate: NDArray[np.float64]
    target: NDArray[np.float64]
    reach: float

    @cached_property
    def fractions(self) -> NDArray[np.float64]:
        """Positions along the line at which it is checked: 0 at the tip, 1 at the gate.

        They run from the gate to the tip, then from the gate to the far end: most lines fail near the
        gate, and the rest of them need no look.
        """
        length = float(np.linalg.norm(self.gate[0] - self.target[0]))
        along = np.arange(0.0, self.reach, SAMPLE_MM / length)
        return np.concatenate([along[along <= 1][::-1], along[along > 1]])

    def ends(self, line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Local gate point and tip of a line."""
        gate = self.gate[0] + line[0] * self.gate[1] + line[1] * self.gate[2]
        tip = self.target[0] + line[2] * self.target[1] + line[3] * self.target[2]
        return gate, tip


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Several distance fields on one regular local grid, in mm.

    Attributes:
        names: of the fields.
        values: float32 array indexed (superior, posterior, left, field).
        first_mm: local (superior, posterior, left) coordinates of voxel (0, 0, 0).
        pitch_mm: voxel size.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    first_mm: NDArray[np.float64]
    pitch_mm: float

    @cached_property
    def slopes(self) -> NDArray[np.float64]:
        """Lipschitz constant of each field."""
        return np.asarray(lipschitz(self.values, self.pitch_mm))

    def only(self, names: Sequence[str]) -> Stack:
        """The stack of these fields alone."""
        columns = [self.names.index(name) for name in names]
        part = Stack(
            names=tuple(names),
            values=np.take(self.values, columns, axis=-1),
            first_mm=self.first_mm,
            pitch_mm=self.pitch_mm,
        )
        part.__dict__["slopes"] = self.slopes[columns]
        return part


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
        offsets = np.array([self.offsets.get(name, -HUGE) for name in stack.names])
        needs = np.array([self.needs.get(name, -HUGE) for name in stack.names])
        return offsets, needs, min(float(self.cap_mm), HUGE)


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


@njit(cache=True, nogil=True)
def lipschitz(values: NDArray[np.float32], pitch_mm: float) -> NDArray[np.float64]:
    """Largest slope of the trilinear interpolant of each field of ``values[k, j, i, m]``, shape (m,).

    Inside a cell each component of the gradient is a mean of the differences along the four edges of
    that direction, so the slope is at most the root of the summed squares of the largest ones.
    """
    nk, nj, ni, nm = values.shape
    worst = np.zeros(nm)
    for k in range(nk - 1):
        for j in range(nj - 1):
            for i in range(ni - 1):
                for m in range(nm):
                    dz = dy = dx = 0.0
                    for a in range(2):
                        for b in range(2):
                            dz = max(dz, abs(values[k + 1, j + a, i + b, m] - values[k, j + a, i + b, m]))
                            dy = max(dy, abs(values[k + a, j + 1, i + b, m] - values[k + a, j, i + b, m]))
                            dx = max(dx, abs(values[k + a, j + b, i + 1, m] - values[k + a, j + b, i, m]))
                    worst[m] = max(worst[m], dz * dz + dy * dy + dx * dx)
    return np.sqrt(worst) / pitch_mm


@njit(cache=True, nogil=True)
def interpolate(values, first, inverse_pitch, z, y, x, out):  # type: ignore[no-untyped-def]
    """Write the trilinear values of all fields at a local point into `out`; border values beyond the grid."""
    nk, nj, ni, nm = values.shape
    fk = min(max((z - first[0]) * inverse_pitch, 0.0), nk - 1.000001)
    fj = min(max((y - first[1]) * inverse_pitch, 0.0), nj - 1.000001)
    fi = min(max((x - first[2]) * inverse_pitch, 0.0), ni - 1.000001)
    k, j, i = int(fk), int(fj), int(fi)
    a, b, c = fk - k, fj - j, fi - i
    a0, b0, c0 = 1 - a, 1 - b, 1 - c
    for m in range(nm):
        low = (values[k, j, i, m] * c0 + values[k, j, i + 1, m] * c) * b0 + (
            values[k, j + 1, i, m] * c0 + values[k, j + 1, i + 1, m] * c
        ) * b
        high = (values[k + 1, j, i, m] * c0 + values[k + 1, j, i + 1, m] * c) * b0 + (
            values[k + 1, j + 1, i, m] * c0 + values[k + 1, j + 1, i + 1, m] * c
        ) * b
        out[m] = low * a0 + high * a


@njit(cache=True, nogil=True)
def _minima(lines, gate, target, fractions, values, first, inverse_pitch):  # type: ignore[no-untyped-def]
    """Least value of every field along every line, shape (n, m)."""
    n, nm = lines.shape[0], values.shape[3]
    least = np.full((n, nm), HUGE)
    here = np.empty(nm)
    for b in range(n):
        p = gate[0] + lines[b, 0] * gate[1] + lines[b, 1] * gate[2]
        q = target[0] + lines[b, 2] * target[1] + lines[b, 3] * target[2]
        for t in fractions:
            x, y, z = q[0] + t * (p[0] - q[0]), q[1] + t * (p[1] - q[1]), q[2] + t * (p[2] - q[2])
            interpolate(values, first, inverse_pitch, z, y, x, here)
            for m in range(nm):
                least[b, m] = min(least[b, m], here[m])
    return least


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


def path_minima(corridor: Corridor, lines: NDArray, stack: Stack) -> NDArray[np.float64]:
    """Least value of every field along each of n lines, shape (n, fields)."""
    return np.asarray(
        _minima(
            np.atleast_2d(lines), corridor.gate, corridor.target, corridor.fractions,
            stack.values, stack.first_mm, 1 / stack.pitch_mm,
        )
    )  # fmt: skip


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

    line, best = _first_guess(merit, start, seed)
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
            line, best = _climb(lines[top], float(halves[top].max()), merit)
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


def _first_guess(merit: Merit, start: Line | None, seed: int) -> tuple[Line, float]:
    """The best of a few random lines, and of the given start, climbed to a local optimum."""
    lines = np.random.default_rng(seed).uniform(-1, 1, (SEEDS, 4))
    if start is not None:
        lines[0] = start
    merits = merit(lines)
    return _climb(lines[int(np.argmax(merits))], 0.25, merit)


def _climb(line: Line, step: float, merit: Merit) -> tuple[Line, float]:
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
    _, need, _ = Goal(offsets={}, needs=needs).arrays(stack)
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
    return _climb(line, 0.02, merit)
