"""Each measure on shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kypho.fracture.columns import Columns
from kypho.fracture.endplates import deepest_pit
from kypho.fracture.findings import graded
from kypho.fracture.heights import SITES, Heights, body_heights, cobb_deg, genant, height_loss
from kypho.fracture.retropulsion import retropulsion
from kypho.fracture.walls import Wall, basivertebral, openings, third_of
from kypho.space import Frame, rotation_about

UPRIGHT = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))


def a_body(top=None, bottom=None, frame=UPRIGHT):
    """Columns over a 28 x 26 mm ellipse; top and bottom are functions of (x, y)."""
    x, y = np.arange(-15.0, 16.0), np.arange(-14.0, 15.0)
    xx, yy = np.meshgrid(x, y)
    inside = (xx / 14) ** 2 + (yy / 13.5) ** 2 <= 1
    upper = np.full(xx.shape, 10.0) if top is None else top(xx, yy)
    lower = np.full(xx.shape, -10.0) if bottom is None else bottom(xx, yy)
    return Columns(
        frame=frame,
        x_mm=x,
        y_mm=y,
        top_mm=np.where(inside, upper, np.nan),
        bottom_mm=np.where(inside, lower, np.nan),
        front_mm=-13.0,
        back_mm=13.0,
        half_width_mm=14.0,
        edge_share=1.0,
    )


def equal(mm):
    return Heights(**{f"{site}_mm": mm for site in SITES})


def test_a_box_has_one_height():
    heights = body_heights(a_body())
    assert [heights.at(site) for site in SITES] == pytest.approx([20.0] * 5, abs=1e-9)


def test_a_wedge_is_read_at_its_edges():
    heights = body_heights(a_body(top=lambda x, y: 10 - 0.3 * (13 - y)))
    # Read at 5 % of the depth: 1.3 mm from either edge; a parabola fits a line exactly.
    assert heights.anterior_mm == pytest.approx(20 - 0.3 * (26 - 1.3), abs=1e-6)
    assert heights.posterior_mm == pytest.approx(20 - 0.3 * 1.3, abs=1e-6)
    assert heights.middle_mm == pytest.approx(20 - 0.3 * 13, abs=1e-6)


def test_a_lip_in_front_does_not_count_as_height():
    plain = body_heights(a_body())
    lipped = body_heights(a_body(top=lambda x, y: 10 + 4.0 * (y < -10.5)))
    # Cauchy weights leave a tenth of a lip that is three columns wide.
    assert lipped.anterior_mm == pytest.approx(plain.anterior_mm, abs=0.5)


@given(scale=st.floats(0.5, 2.0), loss=st.floats(0.0, 60.0))
def test_loss_does_not_depend_on_size(scale, loss):
    own = Heights(
        anterior_mm=scale * 20 * (1 - loss / 100),
        middle_mm=scale * 20,
        posterior_mm=scale * 20,
        left_mm=scale * 20,
        right_mm=scale * 20,
    )
    measured = height_loss(own, equal(scale * 20), equal(scale * 20))
    assert measured.percent["anterior"] == pytest.approx(loss, abs=1e-9)


def test_two_neighbours_are_averaged_and_one_is_named():
    own = equal(20.0)
    assert height_loss(own, equal(18.0), equal(22.0)).percent["middle"] == pytest.approx(0.0)
    one = height_loss(own, equal(20.0), None)
    assert one.source == "one neighbour"
    assert one.uncertainty_percent > height_loss(own, equal(20.0), equal(20.0)).uncertainty_percent


def test_without_neighbours_there_is_no_number():
    loss = height_loss(equal(12.0), None, None)
    assert loss.expected is None
    assert set(loss.percent.values()) == {None}
    assert genant(loss).grade is None


@pytest.mark.parametrize(
    ("front", "middle", "back", "kind", "grade"),
    [
        (0, 0, 0, "none", 0),
        (19, 5, 0, "none", 0),
        (21, 10, 0, "wedge", 1),
        (30, 15, 0, "wedge", 2),
        (45, 20, 0, "wedge", 3),
        (5, 30, 0, "biconcave", 2),
        (30, 30, 30, "crush", 2),
        (50, 50, 45, "crush", 3),
    ],
)
def test_genant(front, middle, back, kind, grade):
    own = Heights(
        anterior_mm=20 - front / 5,
        middle_mm=20 - middle / 5,
        posterior_mm=20 - back / 5,
        left_mm=20,
        right_mm=20,
    )
    found = genant(height_loss(own, equal(20.0), equal(20.0)))
    assert (found.type, found.grade) == (kind, grade)


@given(angle=st.floats(-40, 40))
def test_cobb_is_the_angle_between_the_endplates(angle):
    # A positive turn about the left axis leans the upper body forwards.
    leaning = Frame(origin_mm=np.array([0.0, 0.0, 40.0]), rotation=rotation_about([1, 0, 0], angle))
    assert cobb_deg(a_body(frame=leaning), a_body()) == pytest.approx(angle, abs=1e-6)


def test_a_pit_has_its_depth_and_a_bowl_is_no_pit():
    def bowl(x, y):
        return 10 - 0.008 * (x * x + y * y)

    def pitted(x, y):
        flat = np.clip(1 - ((x - 3) ** 2 + (y + 2) ** 2) / 16, 0, None)
        return bowl(x, y) - 5.0 * np.sqrt(flat)

    assert deepest_pit(a_body(top=bowl), upper=True).depth_mm < 0.3
    pit = deepest_pit(a_body(top=pitted), upper=True)
    assert pit.depth_mm == pytest.approx(5.0, abs=0.9)  # blurred over 0.7 columns
    assert (pit.left_mm, pit.posterior_mm) == pytest.approx((3, -2), abs=1.01)
    below = deepest_pit(a_body(bottom=lambda x, y: -pitted(x, y)), upper=False)
    assert below.depth_mm == pytest.approx(pit.depth_mm, abs=1e-6)


def a_wall(hole=None, bulge=None, name="posterior", pixel=0.5):
    """A 16 x 18 mm wall of 300 HU; hole and bulge are functions of (across, up)."""
    across, up = np.arange(-8, 8.1, pixel), np.arange(-9, 9.1, pixel)
    x, z = np.meshgrid(across, up)
    density = np.full(x.shape, 300.0)
    if hole is not None:
        density = np.where(hole(x, z), 45.0, density)
    position = np.full(x.shape, 12.0) if bulge is None else 12.0 + bulge(x, z)
    return Wall(
        name=name,
        across_mm=across,
        up_mm=up,
        position_mm=position,
        density_hu=density,
        thickness_mm=np.full(x.shape, 1.5),
        median_hu=300.0,
    )


def test_a_whole_wall_has_no_opening():
    assert openings(a_wall()) == ()


@pytest.mark.parametrize("radius", [2.5, 3.5, 4.5])
def test_an_opening_has_its_area_and_place(radius):
    found = openings(a_wall(lambda x, z: (x - 1) ** 2 + (z + 4) ** 2 < radius**2, name="anterior"))
    assert len(found) == 1
    # Cut at half density, a blurred disc loses a ring of a third of a pixel: its rim is curved.
    assert found[0].area_mm2 == pytest.approx(np.pi * radius**2, abs=2 * np.pi * radius * 0.2)
    assert (found[0].across_mm, found[0].up_mm) == pytest.approx((1, -4), abs=0.3)
    assert found[0].third == "lower"


def test_two_openings_are_two():
    found = openings(a_wall(lambda x, z: (np.abs(x) > 3) & (np.abs(x) < 6) & (np.abs(z) < 3), name="left"))
    assert len(found) == 2


def test_the_foramen_is_told_by_its_place():
    middle = a_wall(lambda x, z: x**2 + z**2 < 9)
    corner = a_wall(lambda x, z: (x - 3) ** 2 + (z - 6) ** 2 < 6)
    assert len(basivertebral(middle, openings(middle))) == 1
    assert basivertebral(corner, openings(corner)) == ()


@pytest.mark.parametrize("depth", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("lean", [-0.2, 0.0, 0.2])
def test_a_hump_is_measured_from_the_line_of_the_wall(depth, lean):
    def bulge(x, z):
        return lean * z + depth * np.cos(np.pi / 2 * np.clip((z - 2) / 6, -1, 1)) ** 2

    measured = retropulsion(a_wall(bulge=bulge))
    # The half heights tried are 6.0 and its neighbours, the peaks lie on a grid of 0.7 mm.
    assert measured[0] == pytest.approx(depth, abs=0.1 + 0.1 * depth)
    assert measured[1] == pytest.approx(2.0, abs=1.0)


def test_a_straight_wall_has_no_hump():
    assert retropulsion(a_wall(bulge=lambda x, z: 0.1 * z))[0] < 0.05


def test_a_wall_hardly_seen_has_no_retropulsion():
    wall = a_wall()
    hidden = np.where(np.abs(wall.up_mm)[:, None] < 2, wall.position_mm, np.nan)
    assert retropulsion(Wall(**{**vars(wall), "position_mm": hidden})) is None


def test_thirds():
    assert [third_of(z, -9, 9) for z in (-8, 0, 8)] == ["lower", "middle", "upper"]


@pytest.mark.parametrize(
    ("size", "error", "floor", "state"),
    [
        (5, 1, 1, "present"),
        (1, 1, 1, "absent"),
        (2.5, 1, 1, "not_assessable"),
        (1, 1, 4, "not_assessable"),
    ],
)
def test_what_cannot_be_seen_is_never_absent(size, error, floor, state):
    assert graded(size, 3.0, error, floor) == state
