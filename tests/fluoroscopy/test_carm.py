"""C-arm poses: what the angles mean, which way the picture is shown, where points land."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kypho.errors import GeometryError
from kypho.fluoroscopy import CArm, angles_of, angles_text, direction_of, en_face, true_ap, true_lateral
from kypho.space import Frame, rotation_about

CENTRE = np.array([5.0, -20.0, 110.0])
TILTED = Frame(origin_mm=CENTRE, rotation=rotation_about([0.3, 1.0, 0.4], 25.0))
LEFT, POSTERIOR, SUPERIOR = np.eye(3)


def right_of_and_above(carm, point, other):
    """How far `point` lies to the right of and above `other` on the image, in pixels."""
    row, col = carm.project(point) - carm.project(other)
    return col, -row


def test_zero_angles_are_ap_seen_from_the_front():
    carm = CArm.from_angles(CENTRE, 0, 0)
    assert carm.source_mm == pytest.approx(CENTRE - 620 * POSTERIOR)
    right, _ = right_of_and_above(carm, CENTRE + LEFT, CENTRE)
    _, above = right_of_and_above(carm, CENTRE + SUPERIOR, CENTRE)
    assert right > 1
    assert above > 1


@pytest.mark.parametrize(
    ("lao", "cranial", "tube_end"),
    [
        (90, 0, LEFT),
        (-90, 0, -LEFT),
        (180, 0, POSTERIOR),
        (0, 90, SUPERIOR),
        (0, -90, -SUPERIOR),
        (30, 0, np.sin(np.pi / 6) * LEFT - np.cos(np.pi / 6) * POSTERIOR),
        (0, 20, np.sin(np.pi / 9) * SUPERIOR - np.cos(np.pi / 9) * POSTERIOR),
    ],
)
def test_angles_say_where_the_tubes_end_of_the_ray_leans(lao, cranial, tube_end):
    carm = CArm.from_angles(CENTRE, lao, cranial)
    assert (carm.source_mm - CENTRE) / 620 == pytest.approx(tube_end, abs=1e-12)


def test_lateral_from_the_left_shows_anterior_on_the_left():
    for carm in (CArm.from_angles(CENTRE, 90, 0), true_lateral(Frame(origin_mm=CENTRE, rotation=np.eye(3)))):
        right, _ = right_of_and_above(carm, CENTRE - POSTERIOR, CENTRE)
        assert right < -1
    mirrored = true_lateral(Frame(origin_mm=CENTRE, rotation=np.eye(3)), side="right")
    assert right_of_and_above(mirrored, CENTRE - POSTERIOR, CENTRE)[0] > 1


@given(lao=st.floats(-179.9, 180), cranial=st.floats(-89.9, 89.9))
def test_angles_round_trip(lao, cranial):
    back = angles_of(direction_of(lao, cranial))
    # Near the pole the azimuth is a ratio of numbers of size cos(89.9 deg) = 2e-3: 1e-16 / 2e-3 rad.
    assert back == pytest.approx((lao, cranial), abs=1e-9)
    assert CArm.from_angles(CENTRE, lao, cranial).angles_deg == pytest.approx((lao, cranial), abs=1e-9)


def test_angles_along_the_body_axis_are_zero_and_ninety():
    assert angles_of([0, 0, -1]) == (0.0, 90.0)
    assert angles_of([0, 0, 5]) == (0.0, -90.0)


def test_angles_read_as_dialled():
    assert angles_text(-20.04, 4.5) == "RAO 20.0°, CRA 4.5°"
    assert angles_text(12.0, -3.26) == "LAO 12.0°, CAU 3.3°"


@given(
    row=st.floats(-50, 600),
    col=st.floats(-50, 600),
    reach=st.floats(1, 2000),
    lao=st.floats(-180, 180),
    cranial=st.floats(-90, 90),
)
def test_a_point_on_a_pixels_ray_lands_on_the_pixel(row, col, reach, lao, cranial):
    carm = CArm.from_angles(CENTRE, lao, cranial)
    source, ray = carm.backproject([row, col])
    # Coordinates of 1e3 mm hold 1e-13; a point 1 mm from the focus is magnified a thousandfold.
    assert carm.project(source + reach * ray) == pytest.approx([row, col], abs=1e-6)


def test_isocentre_lands_in_the_middle_and_its_plane_is_magnified_evenly():
    carm = CArm.from_angles(CENTRE, 33, -12, shape=(100, 151), pixel_mm=0.4)
    assert carm.project(CENTRE) == pytest.approx([49.5, 75.0])
    shift = carm.project(CENTRE + 10 * carm.right) - carm.project(CENTRE)
    assert shift == pytest.approx([0, 10 * 1020 / 620 / 0.4])
    assert carm.magnification == pytest.approx(1020 / 620)


def test_pixels_are_pixel_mm_apart_on_the_detector():
    carm = CArm.from_angles(CENTRE, 10, 10)
    corner, below, beside = carm.pixel_centre_mm([[0, 0], [1, 0], [0, 1]])
    assert below - corner == pytest.approx(carm.pixel_mm * carm.down)
    assert beside - corner == pytest.approx(carm.pixel_mm * carm.right)
    assert np.dot(corner - carm.source_mm, carm.direction) == pytest.approx(1020)


def test_a_field_keeps_the_pose_and_spans_the_square():
    carm = CArm.from_angles(CENTRE, -15, 8).with_field(120.0)
    edge = carm.project(CENTRE + 60 * carm.right) - carm.project(CENTRE - 60 * carm.right)
    assert edge == pytest.approx([0, 512])
    assert carm.angles_deg == pytest.approx((-15, 8))


def test_true_ap_sees_the_endplate_plane_edge_on_and_the_midline_upright():
    carm = true_ap(TILTED)
    in_plane = TILTED.to_world([[10, 5, 0], [-12, 20, 0], [0, -30, 0]])
    # A plane through focus and isocentre is a line: all its points share one row.
    assert carm.project(in_plane)[:, 0] == pytest.approx(np.full(3, 255.5), abs=1e-9)
    midline = TILTED.to_world([[0, 10, 25], [0, -15, -20]])
    assert carm.project(midline)[:, 1] == pytest.approx(np.full(2, 255.5), abs=1e-9)


def test_true_lateral_lays_left_and_right_over_each_other_in_the_middle():
    carm = true_lateral(TILTED)
    assert carm.project(TILTED.to_world([[20, 0, 0], [-20, 0, 0]])) == pytest.approx(255.5)
    assert abs(np.dot(carm.direction, true_ap(TILTED).direction)) < 1e-12


def test_en_face_shows_the_needle_as_a_point():
    entry, tip = TILTED.to_world([[15, 30, 4], [2, -14, -3]])
    carm = en_face(TILTED, entry, tip)
    assert carm.project([entry, tip]) == pytest.approx(255.5)
    # The operator's side: the detector lies beyond the entry, above the prone patient's back.
    assert np.dot(carm.direction, entry - tip) > 0
    assert right_of_and_above(carm, TILTED.to_world([0, 0, 10]), TILTED.origin_mm)[1] > 0


def test_views_turn_with_the_patient():
    turn = rotation_about([1, -2, 3], 50.0)
    turned = Frame(origin_mm=turn @ TILTED.origin_mm, rotation=turn @ TILTED.rotation)
    points = TILTED.to_world(np.random.default_rng(0).normal(scale=30, size=(20, 3)))
    for view in (true_ap, true_lateral):
        assert view(turned).project(points @ turn.T) == pytest.approx(view(TILTED).project(points), abs=1e-8)


def test_points_behind_the_focus_have_no_image():
    carm = CArm.from_angles(CENTRE, 0, 0)
    assert np.isnan(carm.project(carm.source_mm - carm.direction)).all()
    assert np.isnan(carm.project(carm.source_mm)).all()


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"source_isocentre_mm": 1020.0}, "between focus and detector"),
        ({"pixel_mm": 0.0}, "no area"),
        ({"shape": (0, 512)}, "no area"),
        ({"pixel_mm": 3.0}, "too wide"),
    ],
)
def test_impossible_machines_are_refused(machine, words):
    with pytest.raises(GeometryError, match=words):
        CArm.from_angles(CENTRE, 0, 0, **machine)


def test_impossible_directions_are_refused():
    with pytest.raises(GeometryError, match="parallel"):
        CArm.looking_along(CENTRE, SUPERIOR, SUPERIOR)
    with pytest.raises(GeometryError, match="zero"):
        CArm.looking_along(CENTRE, [0, 0, 0])
    with pytest.raises(GeometryError, match="finite"):
        CArm.from_angles([0, np.nan, 0], 0, 0)
