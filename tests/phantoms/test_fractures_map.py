"""The map of a virtual fracture: exact where it claims to be, invertible, still where it must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kypho.errors import SettingsError
from kypho.phantoms.fractures import Cleft, Collapse, FractureSpec, Retropulsion, WallDefect, random_spec
from kypho.phantoms.fractures.warp import BodyShape, collapse_source, remaining_height, retropulsion_source

SHAPE = BodyShape(
    bottom=(-11.0, 0.03), top=(11.0, -0.05), front_mm=-13.0, back_mm=12.0, half_width_mm=15.0, middle_x_mm=0.5
)
KINDS = ("wedge", "biconcave", "crush")
WALL_Y = 12.0


def column(x, y, low=-40.0, high=40.0, n=1601):
    z = np.linspace(low, high, n)
    return np.column_stack([np.full(n, x), np.full(n, y), z])


@pytest.mark.parametrize("kind", KINDS)
def test_no_loss_moves_nothing(kind):
    points = np.random.default_rng(0).uniform(-40, 40, (500, 3))
    source = collapse_source(SHAPE, Collapse(kind=kind, loss=0.0), points)
    # Square roots and quotients of numbers near 40 round at 1e-14.
    assert np.abs(source - points).max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
@given(loss=st.floats(0.0, 0.6), x=st.floats(-14, 14), y=st.floats(-30, 40))
@settings(max_examples=40, deadline=None)
def test_the_map_never_folds(kind, loss, x, y):
    source = collapse_source(SHAPE, Collapse(kind=kind, loss=loss), column(x, y))
    assert np.all(np.diff(source[:, 2]) > 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("y", [-12.0, -0.5, 11.0])
def test_the_slab_keeps_the_height_that_the_truth_says(kind, y):
    collapse = Collapse(kind=kind, loss=0.4)
    points = column(0.5, y, n=16001)
    source = collapse_source(SHAPE, collapse, points)
    bottom, top = float(SHAPE.bottom_mm(y)), float(SHAPE.top_mm(y))
    inside = (source[:, 2] > SHAPE.bottom_mm(source[:, 1])) & (source[:, 2] < SHAPE.top_mm(source[:, 1]))
    height = inside.sum() * 80.0 / 16000
    share = float(remaining_height(SHAPE, collapse, np.array(0.5), np.array(y)))
    # Counted on steps of 0.005 mm at two ends; the truth is told along the same column.
    assert height == pytest.approx(share * (top - bottom), abs=0.02)


def test_a_wedge_loses_what_is_set_in_front_and_nothing_behind():
    wedge = Collapse(kind="wedge", loss=0.35)
    front, back = remaining_height(SHAPE, wedge, np.zeros(2), np.array([SHAPE.front_mm, SHAPE.back_mm]))
    assert (front, back) == pytest.approx((0.65, 1.0), abs=1e-12)


def test_a_biconcave_body_keeps_its_rim():
    biconcave = Collapse(kind="biconcave", loss=0.35)
    rim = remaining_height(SHAPE, biconcave, np.full(2, 0.5), np.array([SHAPE.front_mm, SHAPE.back_mm]))
    middle = remaining_height(SHAPE, biconcave, np.array(0.5), np.array(SHAPE.middle_y_mm))
    assert np.allclose(rim, 1.0)
    assert float(middle) == pytest.approx(0.65, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_below_the_vertebra_nothing_moves(kind):
    points = np.random.default_rng(1).uniform([-20, -20, -60], [20, 40, -20], (400, 3))
    source = collapse_source(SHAPE, Collapse(kind=kind, loss=0.5), points)
    assert np.abs(source - points).max() < 1e-12  # a sum and a difference of numbers near 40


@pytest.mark.parametrize("kind", ["wedge", "crush"])
def test_above_the_vertebra_the_spine_moves_as_a_rigid_body(kind):
    rng = np.random.default_rng(2)
    points = rng.uniform([-10, -15, 25], [10, 40, 60], (60, 3))
    source = collapse_source(SHAPE, Collapse(kind=kind, loss=0.4), points)
    before = np.linalg.norm(points[:, None] - points[None], axis=-1)
    after = np.linalg.norm(source[:, None] - source[None], axis=-1)
    assert np.abs(after - before).max() < 1e-9  # rotations round at 1e-14 of 60 mm


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_continuous(kind):
    rng = np.random.default_rng(3)
    points = rng.uniform([-14, -18, -30], [14, 40, 30], (3000, 3))
    step = rng.normal(size=points.shape) * 1e-6
    collapse = Collapse(kind=kind, loss=0.5)
    moved = collapse_source(SHAPE, collapse, points + step) - collapse_source(SHAPE, collapse, points)
    # A compression to one half stretches backwards by two, its shear by a few more; a tear would be mm.
    assert np.abs(moved).max() < 1e-4


def test_the_posterior_wall_stays_where_it_is_in_a_wedge():
    source = collapse_source(SHAPE, Collapse(kind="wedge", loss=0.5), column(0.0, SHAPE.back_mm, -11, 10))
    assert np.abs(source[:, 1] - SHAPE.back_mm).max() < 1e-12


def test_the_bulge_reaches_the_depth_that_is_set():
    for depth in (1.0, 3.0, 5.0):
        up = 0.4
        half = float(SHAPE.height_mm(SHAPE.back_mm)) / 2
        z = float(SHAPE.bottom_mm(SHAPE.back_mm)) + half * (1 + up)
        peak = np.array([[SHAPE.middle_x_mm, WALL_Y + depth, z]])
        source = retropulsion_source(SHAPE, Retropulsion(depth_mm=depth), np.array([WALL_Y]), peak)
        assert source[0, 1] == pytest.approx(WALL_Y, abs=1e-12)


@given(depth=st.floats(0.01, 6.0), x=st.floats(-12, 12), z=st.floats(-12, 12))
@settings(max_examples=40, deadline=None)
def test_the_bulge_never_folds_and_ends_inside_the_canal(depth, x, z):
    y = np.linspace(-20, 40, 601)
    points = np.column_stack([np.full(601, x), y, np.full(601, z)])
    source = retropulsion_source(SHAPE, Retropulsion(depth_mm=depth), np.full(601, WALL_Y), points)
    assert np.all(np.diff(source[:, 1]) > 0)
    far = (y < WALL_Y - 10.1) | (y > WALL_Y + 13.1)
    assert np.abs(source[far, 1] - y[far]).max() < 1e-12


def test_specs_refuse_what_cannot_be_made():
    with pytest.raises(SettingsError, match="0 to 70 % of the height, got 90 %"):
        Collapse(kind="wedge", loss=0.9)
    with pytest.raises(SettingsError, match="collapse"):
        Collapse(kind="burst", loss=0.3)
    with pytest.raises(SettingsError, match="wall"):
        WallDefect(wall="top", area_mm2=20)
    with pytest.raises(SettingsError, match="gas or fluid"):
        Cleft(content="oil", volume_ml=1)
    with pytest.raises(SettingsError, match="volume"):
        Cleft(content="gas", volume_ml=0)
    with pytest.raises(SettingsError, match="retropulsion"):
        Retropulsion(depth_mm=12)


def test_a_seed_draws_the_same_spec_twice_and_another_seed_another():
    assert random_spec(5) == random_spec(5)
    assert len({str(random_spec(seed)) for seed in range(20)}) == 20
    assert isinstance(random_spec(0), FractureSpec)
