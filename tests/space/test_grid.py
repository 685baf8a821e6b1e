"""Grids and volumes: made and inverted, cropped, compared, refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kypho.errors import GeometryError, GridMismatchError
from kypho.space import Grid, Volume, rotation_about

SPACING = st.floats(0.2, 5.0)
WHERE = st.floats(-500.0, 500.0)
ANGLE = st.floats(-180.0, 180.0)


@st.composite
def grids(draw):
    """Any orientation, handed either way, as scanners store them."""
    turn = rotation_about((1, 2, 3), draw(ANGLE)) @ rotation_about((0, 0, 1), draw(ANGLE))
    flips = np.diag(draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3)))
    return Grid(
        shape=draw(st.tuples(*[st.integers(1, 40)] * 3)),
        spacing_mm=draw(st.tuples(SPACING, SPACING, SPACING)),
        origin_mm=np.array(draw(st.tuples(WHERE, WHERE, WHERE))),
        axes=turn @ flips,
    )


@given(grids(), st.tuples(WHERE, WHERE, WHERE))
def test_world_and_index_invert_each_other(grid, point):
    # Coordinates of hundreds of mm in double precision: rounding is below 1e-12 of them, over 0.2 mm spacing.
    assert np.allclose(grid.to_world(grid.to_index(point)), point, atol=1e-9)


@given(grids())
def test_a_step_of_index_is_the_spacing_in_mm(grid):
    steps = grid.to_world(np.eye(3)) - grid.to_world(np.zeros(3))
    # Rounding of positions of hundreds of mm, as above.
    assert np.allclose(np.linalg.norm(steps, axis=1), grid.spacing_mm, atol=1e-9)


@given(grids(), st.data())
def test_a_crop_keeps_every_voxel_in_its_place(grid, data):
    start = [data.draw(st.integers(0, n - 1)) for n in grid.shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True)]
    part = grid.crop(start, stop)
    assert part.shape == tuple(np.subtract(stop, start))
    # One more multiplication and addition than the whole grid's own position: rounding only.
    assert np.allclose(part.to_world((0, 0, 0)), grid.to_world(start), atol=1e-9)
    assert np.allclose(
        part.to_world(np.subtract(part.shape, 1)), grid.to_world(np.subtract(stop, 1)), atol=1e-9
    )


@given(grids())
def test_the_centre_is_the_mean_of_the_corners(grid):
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    # Rounding of positions of hundreds of mm.
    assert np.allclose(grid.to_world(corners).mean(axis=0), grid.centre_mm, atol=1e-9)


def test_an_axial_ct_runs_to_the_head_the_back_and_the_left():
    grid = Grid.axis_aligned((2, 2, 2), (3.0, 2.0, 1.0), (10.0, 20.0, 30.0))
    assert grid.to_world((1, 0, 0)).tolist() == [10, 20, 33]
    assert grid.to_world((0, 1, 0)).tolist() == [10, 22, 30]
    assert grid.to_world((0, 0, 1)).tolist() == [11, 20, 30]
    assert grid.voxel_mm3 == 6.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (0, 2, 2)}, "shape"),
        ({"shape": (2, 2)}, "shape"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing"),
        ({"spacing_mm": (1.0, float("nan"), 1.0)}, "spacing"),
        ({"origin_mm": np.array([0.0, float("inf"), 0.0])}, "orthonormal"),
        ({"axes": np.array([[1.0, 0.1, 0], [0, 1, 0], [0, 0, 1]])}, "orthonormal"),
        ({"axes": np.zeros((3, 3))}, "orthonormal"),
    ],
)
def test_a_grid_that_is_none_is_refused(change, message):
    good = {"shape": (2, 2, 2), "spacing_mm": (1, 1, 1), "origin_mm": np.zeros(3), "axes": np.eye(3)}
    Grid(**good)
    with pytest.raises(GeometryError, match=message):
        Grid(**good | change)


@pytest.mark.parametrize("shift", [5e-4, 2e-3])
def test_grids_match_within_a_micrometre(shift):
    """Headers round at 1e-4 mm; a shift of two micrometres is another grid."""
    grid = Grid.axis_aligned((4, 4, 4), 1.0, (0, 0, 0))
    other = Grid.axis_aligned((4, 4, 4), 1.0, (shift, 0, 0))
    assert grid.matches(other) is (shift < 1e-3)
    if grid.matches(other):
        grid.require_match(other, "labels")
    else:
        with pytest.raises(GridMismatchError, match="labels"):
            grid.require_match(other, "labels")


def test_same_place_other_direction_is_no_match():
    grid = Grid.axis_aligned((4, 4, 4), 1.0, (0, 0, 0))
    flipped = Grid(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.to_world((3, 0, 0)),
        axes=grid.axes * [-1, 1, 1],
    )
    assert not grid.matches(flipped)


def test_grids_and_volumes_cannot_be_written_to():
    array = np.zeros((2, 2, 2))
    volume = Volume(array=array, grid=Grid.axis_aligned((2, 2, 2), 1.0, (0, 0, 0)), unit="HU")
    for held in (volume.array, volume.grid.origin_mm, volume.grid.axes):
        with pytest.raises(ValueError, match="read-only"):
            held[0] = 1
    array[0, 0, 0] = 1  # the owner may still write: nothing was copied or locked behind their back
    assert volume.array[0, 0, 0] == 1


def test_a_volume_needs_its_grid():
    grid = Grid.axis_aligned((2, 2, 2), 1.0, (0, 0, 0))
    with pytest.raises(GridMismatchError, match=r"\(2, 2, 3\)"):
        Volume(array=np.zeros((2, 2, 3)), grid=grid, unit="HU")


def test_a_crop_shares_voxels_and_keeps_places():
    rng = np.random.default_rng(1)
    grid = Grid.axis_aligned((4, 5, 6), (3.0, 2.0, 1.0), (-7.0, 8.0, 9.0))
    volume = Volume(array=rng.normal(size=grid.shape), grid=grid, unit="HU")
    part = volume.crop((1, 2, 3), (3, 5, 6))
    assert np.shares_memory(part.array, volume.array)
    assert np.array_equal(part.array, volume.array[1:3, 2:5, 3:6])
    assert part.unit == "HU"
    assert volume.like(volume.array > 0, "label").grid is grid
