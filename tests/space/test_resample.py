"""Resampling moves voxels, never places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kypho.space import Grid, Volume, resample, rotation_about, sample_at

GRID = Grid.axis_aligned((12, 14, 16), (2.0, 0.9, 0.8), (-5.0, 3.0, 40.0))


def _ramp(grid, slope=(2.0, -3.0, 5.0), start=7.0):
    """A volume that is linear in the world: linear interpolation must return it exactly."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return Volume(array=grid.to_world(index) @ np.asarray(slope) + start, grid=grid, unit="mm")


def _turned(angle):
    turn = rotation_about((1, 1, 3), angle)
    return Grid(
        shape=(9, 8, 7),
        spacing_mm=(0.7, 0.6, 0.5),
        axes=turn @ GRID.axes,
        origin_mm=GRID.centre_mm - turn @ GRID.axes @ np.array([2.8, 2.1, 1.5]),
    )


@settings(max_examples=30)
@given(st.floats(-180, 180))
def test_a_linear_field_is_returned_exactly(angle):
    """At any angle, as long as the new grid lies inside the old one. The array is float32 on the way."""
    grid = _turned(angle)
    expected = _ramp(grid).array
    # Values up to 350 in float32: one part in 1.6e7 for storing and a few for the weights.
    assert np.allclose(resample(_ramp(GRID), grid).array, expected, atol=350 * 1e-6)


def test_the_same_grid_is_the_identity():
    rng = np.random.default_rng(2)
    volume = Volume(array=rng.normal(size=GRID.shape).astype(np.float32), grid=GRID, unit="HU")
    # float32 in and out at the voxel centres: weights are one and zero to rounding.
    assert np.allclose(resample(volume, GRID).array, volume.array, atol=1e-5)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int32])
def test_labels_stay_labels(dtype):
    rng = np.random.default_rng(3)
    labels = Volume(array=rng.integers(0, 2, GRID.shape).astype(dtype) * dtype(1), grid=GRID, unit="label")
    moved = resample(labels, _turned(25.0))
    assert moved.array.dtype == labels.array.dtype
    assert set(np.unique(moved.array)) <= set(np.unique(labels.array))
    assert moved.unit == "label"


@pytest.mark.parametrize(("unit", "outside"), [("HU", -1024.0), ("label", 0.0), ("mm", 0.0)])
def test_outside_is_air_or_nothing(unit, outside):
    volume = Volume(array=np.full(GRID.shape, 40.0, np.float32), grid=GRID, unit=unit)
    far = Grid.axis_aligned((2, 2, 2), 1.0, (500.0, 500.0, 500.0))
    assert np.all(resample(volume, far).array == outside)
    assert np.all(sample_at(volume, [[500.0, 500.0, 500.0]]) == outside)
    assert np.all(resample(volume, far, outside=5.0).array == 5.0)


@settings(max_examples=30)
@given(st.floats(-180, 180))
def test_both_ways_of_sampling_agree(angle):
    """`resample` is SimpleITK, `sample_at` is SciPy; they must mean the same place by the same index."""
    grid = _turned(angle)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    rng = np.random.default_rng(4)
    volume = Volume(array=rng.normal(size=GRID.shape), grid=GRID, unit="mm")
    # float32 against float64 of values near one; SimpleITK's weights are double.
    assert np.allclose(resample(volume, grid).array, sample_at(volume, grid.to_world(index)), atol=1e-5)


def test_points_keep_their_shape():
    points = np.broadcast_to(GRID.centre_mm, (2, 3, 3))
    assert sample_at(_ramp(GRID), points).shape == (2, 3)
