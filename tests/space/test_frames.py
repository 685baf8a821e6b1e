"""Anatomical frames and rotations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kypho.errors import GeometryError
from kypho.space import Frame, rotation_about, unit

ANGLE = st.floats(-360.0, 360.0)
NUMBER = st.floats(-300.0, 300.0)
POINT = st.tuples(NUMBER, NUMBER, NUMBER)
AXIS = POINT.filter(lambda v: np.linalg.norm(v) > 1e-3)

# A few products of doubles near one, coordinates of at most hundreds of mm: rounding stays below this.
ROUNDING = 1e-9


@given(AXIS, ANGLE)
def test_a_rotation_keeps_lengths_hands_and_its_axis(axis, angle):
    turn = rotation_about(axis, angle)
    assert np.allclose(turn.T @ turn, np.eye(3), atol=ROUNDING)
    assert np.linalg.det(turn) == pytest.approx(1, abs=ROUNDING)
    assert np.allclose(turn @ unit(axis), unit(axis), atol=ROUNDING)


@given(AXIS, ANGLE, ANGLE)
def test_rotations_about_one_axis_add(axis, first, second):
    together = rotation_about(axis, first) @ rotation_about(axis, second)
    assert np.allclose(together, rotation_about(axis, first + second), atol=ROUNDING)


def test_a_rotation_is_right_handed():
    """A quarter turn about the axis to the head takes left to posterior."""
    assert np.allclose(rotation_about((0, 0, 1), 90.0) @ (1, 0, 0), (0, 1, 0), atol=ROUNDING)


@given(POINT, AXIS, ANGLE, POINT)
def test_local_and_world_invert_each_other(origin, axis, angle, point):
    frame = Frame(origin_mm=np.array(origin), rotation=rotation_about(axis, angle))
    assert np.allclose(frame.to_world(frame.to_local(point)), point, atol=ROUNDING)
    assert np.allclose(frame.direction_to_world(frame.direction_to_local(point)), point, atol=ROUNDING)
    assert np.allclose(frame.to_local(frame.origin_mm), 0, atol=ROUNDING)


@given(POINT, AXIS, ANGLE)
def test_the_axes_are_where_local_unit_steps_lead(origin, axis, angle):
    frame = Frame(origin_mm=np.array(origin), rotation=rotation_about(axis, angle))
    for step, named in zip(np.eye(3), (frame.left, frame.posterior, frame.superior), strict=True):
        assert np.allclose(frame.to_world(step) - frame.origin_mm, named, atol=ROUNDING)


def test_what_is_no_frame_is_refused():
    for rotation in (np.diag([1.0, 1, -1]), np.eye(3) * 2, np.zeros((3, 3))):
        with pytest.raises(GeometryError, match="right-handed"):
            Frame(origin_mm=np.zeros(3), rotation=rotation)


def test_a_zero_vector_has_no_direction():
    with pytest.raises(GeometryError, match="zero"):
        unit([[1, 0, 0], [0, 0, 0]])
