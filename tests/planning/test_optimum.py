"""The certified optimum: closed forms, brute force, and the Lipschitz bound itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kypho.planning.climb import polish
from kypho.planning.corridor import Corridor, path_minima
from kypho.planning.fields import Stack, lipschitz
from kypho.planning.optimum import MOST_BOXES, TOLERANCE_MM, Goal, maximise

PITCH = 0.75


def stack_of(*functions):
    """Fields of local (x, y, z) sampled on a box that holds the corridor below."""
    axes = [np.arange(-14, 14.01, PITCH), np.arange(-30, 30.01, PITCH), np.arange(-14, 14.01, PITCH)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    values = np.stack([f(x, y, z) for f in functions], axis=-1).astype(np.float32)
    names = tuple(f"f{n}" for n in range(len(functions)))
    return Stack(names=names, values=values, first_mm=np.array([a[0] for a in axes]), pitch_mm=PITCH)


def a_corridor(gate_half=5.0, target_half=4.0):
    """Tip near y = -20, gate at y = 0, looked at as far as y = 20."""
    gate = np.array([[0, 0, 0], [gate_half, 0, 0], [0, 0, gate_half]], float)
    target = np.array([[0, -20, 0], [target_half, 0, 0], [0, 0, target_half]], float)
    return Corridor(gate=gate, target=target, reach=2.0)


def tube(radius, x0=0.0, z0=0.0):
    """Depth inside a tube along y."""
    return lambda x, y, z: radius - np.hypot(x - x0, z - z0)


def slab(x0):
    """Distance to the left of the plane x = x0."""
    return lambda x, y, z: x0 - x


def test_tube_holds_a_needle_as_thick_as_itself():
    """The line along the axis is best; its clearance is the radius, less the rounding of a cone's apex."""
    found = maximise(a_corridor(), stack_of(tube(3.0, 1.1, -0.7)), Goal(offsets={"f0": 0.0}, needs={}))
    # Trilinear interpolation cuts the apex of the cone by up to half a voxel's diagonal.
    assert found.certificate.objective_mm == pytest.approx(3.0, abs=0.75 * PITCH)
    assert 0 <= found.certificate.gap_mm <= TOLERANCE_MM + 1e-9


def test_two_walls_share_the_room_between_them():
    """Between the planes x = -2 and x = 5 the best line lies at 1.5 with 3.5 mm on either side."""
    stack = stack_of(slab(5.0), lambda x, y, z: x + 2.0)
    found = maximise(a_corridor(), stack, Goal(offsets={"f0": 0.0, "f1": 0.0}, needs={}))
    assert found.certificate.objective_mm == pytest.approx(3.5, abs=TOLERANCE_MM)  # linear fields are exact


def test_need_pushes_the_line_to_its_edge():
    """Maximise the distance from x = 5 while x stays >= -1: the line rests on the need."""
    stack = stack_of(slab(5.0), lambda x, y, z: x)
    found = maximise(a_corridor(), stack, Goal(offsets={"f0": 0.0}, needs={"f1": -1.0}))
    assert found.certificate.objective_mm == pytest.approx(6.0, abs=TOLERANCE_MM)


def test_what_cannot_be_is_proven():
    stack = stack_of(slab(5.0), lambda x, y, z: x - 12.0)
    found = maximise(a_corridor(), stack, Goal(offsets={"f0": 0.0}, needs={"f1": 0.0}))
    assert found.line is None
    assert found.certificate.upper_bound_mm == -np.inf


def test_cap_ends_the_search_with_no_gap():
    found = maximise(a_corridor(), stack_of(tube(6.0)), Goal(offsets={"f0": 0.0}, needs={}, cap_mm=2.0))
    assert found.certificate.objective_mm == 2.0
    assert found.certificate.gap_mm == 0.0


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_no_random_line_beats_the_bound(seed):
    """Random smooth fields: the proven bound holds for every line tried."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 0.25, (4, 3))
    phase = rng.uniform(0, 6, 4)

    def field(x, y, z):
        return sum(np.sin(w[0] * x + w[1] * y + w[2] * z + p) for w, p in zip(waves, phase, strict=True))

    stack, corridor = stack_of(field), a_corridor(2.5, 2.0)
    found = maximise(corridor, stack, Goal(offsets={"f0": 0.0}, needs={}))
    lines = rng.uniform(-1, 1, (4000, 4))
    best = path_minima(corridor, lines, stack)[:, 0].max()
    assert best <= found.certificate.upper_bound_mm + 1e-5  # float32 fields
    if found.certificate.boxes < MOST_BOXES:  # a search cut short states its open bound instead
        assert found.certificate.gap_mm <= TOLERANCE_MM + 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_lipschitz_constant_bounds_every_difference(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (6, 5, 7, 1)).astype(np.float32)
    slope = lipschitz(values, PITCH)[0]
    from scipy.ndimage import map_coordinates

    a, b = (rng.uniform([[0], [0], [0]], [[5], [4], [6]], (3, 400)) for _ in range(2))
    change = np.abs(np.subtract(*(map_coordinates(values[..., 0].astype(float), p, order=1) for p in (a, b))))
    assert np.all(change <= slope * PITCH * np.linalg.norm(a - b, axis=0) + 1e-6)


def test_polish_reaches_the_wish_and_keeps_the_needs():
    stack = stack_of(slab(5.0))
    corridor = a_corridor()
    line = polish(corridor, np.array([-0.5, 0.2, -0.5, 0.3]), stack, {"f0": 4.0}, np.array([3.0, -20.0, 0.0]))
    tip = corridor.ends(line)[1]
    # The need keeps every point of the line at x <= 1, so the tip stops there.
    assert tip[0] == pytest.approx(1.0, abs=0.05)
    assert path_minima(corridor, line, stack)[0, 0] >= 4.0
