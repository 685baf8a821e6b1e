"""Heights, loss and grade of bodies whose shape is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kypho.anatomy import Labels
from kypho.errors import LevelIncompleteError
from kypho.fracture.assess import _require_agreement
from kypho.fracture.columns import Columns, level_columns
from kypho.fracture.endplates import deepest_pit
from kypho.fracture.heights import SITES, Heights, body_heights, cobb_deg
from kypho.fracture.loss import Reference, genant, height_loss
from kypho.fracture.neighbours import Neighbours, looks_broken
from kypho.space import Frame, Grid, Volume, rotation_about

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
    )


def equal(mm):
    return Heights(**{f"{site}_mm": mm for site in SITES})


def beside(above, below=None):
    """References next to a level."""
    pairs = [(above, -1), (below, 1)]
    return [Reference(heights=heights, away=away) for heights, away in pairs if heights is not None]


def test_a_box_has_one_height():
    heights = body_heights(a_body())
    assert [heights.at(site) for site in SITES] == pytest.approx([20.0] * 5, abs=1e-9)


def test_a_wedge_is_read_at_its_edges():
    heights = body_heights(a_body(top=lambda x, y: 10 - 0.3 * (13 - y)))
    # Read at 5 % of the depth: 1.3 mm from either edge; planes and bowls fit a line exactly.
    assert heights.anterior_mm == pytest.approx(20 - 0.3 * (26 - 1.3), abs=1e-6)
    assert heights.posterior_mm == pytest.approx(20 - 0.3 * 1.3, abs=1e-6)
    assert heights.middle_mm == pytest.approx(20 - 0.3 * 13, abs=1e-6)


def test_a_lip_in_front_does_not_count_as_height():
    plain = body_heights(a_body())
    lipped = body_heights(a_body(top=lambda x, y: 10 + 4.0 * (y < -10.5)))
    # All of a lip three columns deep is left out; the bowl that tells it is bent a little by it.
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
    measured = height_loss(own, beside(equal(scale * 20), equal(scale * 20)))
    assert measured.percent["anterior"] == pytest.approx(loss, abs=1e-9)


def test_two_neighbours_are_averaged_and_one_is_named():
    own = equal(20.0)
    assert height_loss(own, beside(equal(18.0), equal(22.0))).percent["middle"] == pytest.approx(0.0)
    one = height_loss(own, beside(equal(20.0)))
    assert one.source == "one neighbour"
    assert one.uncertainty_percent > height_loss(own, beside(equal(20.0), equal(20.0))).uncertainty_percent


def test_without_neighbours_there_is_no_number():
    loss = height_loss(equal(12.0), ())
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
    found = genant(height_loss(own, beside(equal(20.0), equal(20.0))))
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


SPACINGS = [(1.0, 0.8, 0.8), (2.5, 0.7, 0.7)]


def a_label(
    spacing=(1.0, 0.8, 0.8),
    turn=None,
    mirror=1.0,
    front=0.0,
    everywhere=0.0,
    dent=0.0,
    side=0.0,
    pushed=0.0,
    hollow=0.0,
):
    """Label and frame of a body 20 mm high, 28 mm deep, 32 mm wide with a flat posterior wall.

    `front`, `everywhere`, `dent` and `side` are the shares of the height lost at the anterior edge,
    everywhere, in the middle of both endplates, and at the left edge; `pushed` mm of the upper wall stand in
    the canal; about the vein, 3 mm over the middle, the wall is `hollow` mm deep.
    """
    turn = np.eye(3) if turn is None else turn
    shape = tuple(int(56 / s) for s in spacing)
    grid = Grid(shape=shape, spacing_mm=spacing, origin_mm=np.full(3, -28.0), axes=np.eye(3))
    points = grid.to_world(np.indices(shape).reshape(3, -1).T) @ turn
    x, y, z = mirror * points[:, 0], points[:, 1], points[:, 2]
    lowered = 20 * (everywhere + front * (12 - y) / 28 + side * (x + 16) / 32)
    bowl = 10 * dent * np.clip(1 - (x / 16) ** 2 - ((y + 2) / 14) ** 2, 0, None) ** 1.5
    hump = np.cos(np.pi / 2 * np.clip(np.abs(x) / 9, 0, 1)) * np.cos(
        np.pi / 2 * np.clip(np.abs(z - 4) / 6, 0, 1)
    )
    inside = ((x / 16) ** 2 + ((y - 4) / 20) ** 2 <= 1) & (y <= 12 + pushed * hump**2)
    inside &= (z <= 10 - lowered - bowl) & (z >= -10 + bowl)
    inside &= ~((np.abs(x) < 4) & (np.abs(z - 3) < 4) & (y > 12 - hollow))
    volume = Volume(array=inside.reshape(shape).astype(np.uint8), grid=grid, unit="label")
    labels = Labels(volume=volume, scheme="totalsegmentator", ids={"T7": (1,)})
    return labels, Frame(origin_mm=turn @ np.array([0.0, 0.0, -10 * (front / 2 + everywhere)]), rotation=turn)


def measured(**shape):
    labels, frame = a_label(**shape)
    return body_heights(level_columns(labels, "T7", frame))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(
    ("shape", "lost"),
    [
        ({}, (0, 0, 0)),
        ({"everywhere": 0.3}, (30, 30, 30)),
        ({"front": 0.4}, (38, 20, 2)),
        ({"front": 0.2, "everywhere": 0.1}, (29, 20, 11)),
        ({"dent": 0.4}, (3.3, 40, 3.3)),
    ],
)
def test_a_body_of_known_loss_has_that_loss(spacing, shape, lost):
    whole, broken = measured(spacing=spacing), measured(spacing=spacing, **shape)
    found = height_loss(broken, beside(whole, whole))
    got = [found.percent[site] for site in SITES[:3]]
    # Four endplates, two of either body, known to a quarter of a slice each are a slice of 20 mm at worst,
    # 5 points per mm; half of that is asked, and half a point for the lean of a wedge's columns. The flank
    # of a dent is read as a plane, which misses a twentieth of it.
    flank = 5 * shape.get("dent", 0.0)
    assert got == pytest.approx(lost, abs=0.5 + 2.5 * spacing[0] + flank)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_fragment_in_the_canal_takes_no_height_from_the_body(spacing):
    whole, pushed = measured(spacing=spacing), measured(spacing=spacing, pushed=5.0)
    for site in SITES[:3]:
        # The last columns touch the fragment's foot: a quarter of a slice is allowed at either end.
        assert pushed.at(site) == pytest.approx(whole.at(site), abs=0.5 * spacing[0]), site


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
def test_heights_do_not_depend_on_how_the_body_lies(axis):
    shape = {"front": 0.3, "dent": 0.2}
    straight, turned = measured(**shape), measured(**shape, turn=rotation_about(axis, 25.0))
    for site in SITES:
        # A fortieth of the height is half of a voxel of 1 mm.
        assert turned.at(site) == pytest.approx(straight.at(site), abs=0.5), site


def test_a_model_that_missed_the_body_is_refused():
    body = a_body()
    beside = Neighbours(above=body, below=body, references=(), notes=())
    _require_agreement(SimpleNamespace(level="T1", frame=UPRIGHT), body, beside)
    pedicle = replace(body, half_width_mm=body.half_width_mm / 2)
    with pytest.raises(LevelIncompleteError, match="much narrower"):
        _require_agreement(SimpleNamespace(level="T1", frame=UPRIGHT), pedicle, beside)
    turned = SimpleNamespace(
        level="T1", frame=Frame(origin_mm=np.zeros(3), rotation=rotation_about((0, 0, 1), 80.0))
    )
    with pytest.raises(LevelIncompleteError, match="another way"):
        _require_agreement(turned, body, beside)


def test_mirroring_swaps_the_sides():
    one, other = measured(side=0.3), measured(side=0.3, mirror=-1.0)
    # The grid is not symmetric about the plane: a quarter of a voxel.
    assert (one.left_mm, one.right_mm) == pytest.approx((other.right_mm, other.left_mm), abs=0.25)
    assert one.left_mm < one.right_mm - 3


def test_moving_the_scan_moves_nothing():
    labels, frame = a_label(front=0.3)
    moved = Volume(
        array=labels.volume.array,
        grid=Grid(
            shape=labels.volume.grid.shape,
            spacing_mm=labels.volume.grid.spacing_mm,
            origin_mm=labels.volume.grid.origin_mm + 100.0,
            axes=labels.volume.grid.axes,
        ),
        unit="label",
    )
    there = Labels(volume=moved, scheme="totalsegmentator", ids=labels.ids)
    shifted = Frame(origin_mm=frame.origin_mm + 100.0, rotation=frame.rotation)
    here = body_heights(level_columns(labels, "T7", frame))
    assert body_heights(level_columns(there, "T7", shifted)).anterior_mm == pytest.approx(here.anterior_mm)


def test_the_columns_of_a_wedge_follow_the_posterior_wall():
    labels, frame = a_label(front=0.4)
    tipped = Frame(origin_mm=frame.origin_mm, rotation=rotation_about((1, 0, 0), 8.0))
    superior = level_columns(labels, "T7", tipped).frame.superior
    # The wall is vertical; its line is known to a third of a voxel over 16 mm, about a degree.
    assert np.degrees(np.arccos(superior[2])) < 1.5


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_hollow_about_the_vein_does_not_turn_the_columns_of_a_wedge(spacing):
    labels, frame = a_label(front=0.4, hollow=2.5, spacing=spacing)
    superior = level_columns(labels, "T7", frame).frame.superior
    # Half of the wall's width is hollow over half of its height; weighted down, that leaves a degree or two
    # (read along the midline alone, 16 degrees).
    assert np.degrees(np.arccos(superior[2])) < 3.0


def test_a_broken_neighbour_is_told_from_a_slender_one():
    assert looks_broken(equal(20.0), [equal(22.0), equal(18.0)]) == ""
    assert "lower than another" in looks_broken(equal(14.0), [equal(20.0)])
    wedge = Heights(anterior_mm=14, middle_mm=18, posterior_mm=20, left_mm=18, right_mm=18)
    assert "in front" in looks_broken(wedge, [])


@given(near=st.floats(15, 30), far=st.floats(15, 30))
def test_the_expectation_lies_between_the_levels_and_nearer_to_the_nearer(near, far):
    references = [Reference(heights=equal(near), away=-1), Reference(heights=equal(far), away=2)]
    expected = height_loss(equal(20.0), references).expected.middle_mm
    assert expected == pytest.approx((2 * near + far) / 3)


@given(away=st.sampled_from([-2, -1, 1, 2]))
def test_from_one_side_the_expectation_grows_downwards(away):
    expected = height_loss(equal(20.0), [Reference(heights=equal(20.0), away=away)]).expected.middle_mm
    assert (expected > 20) == (away < 0)
    nearer = height_loss(equal(20.0), [Reference(heights=equal(20.0), away=away // abs(away))])
    # Growth from level to level is the same everywhere.
    assert expected / 20 == pytest.approx((nearer.expected.middle_mm / 20) ** abs(away))


def test_a_grade_near_a_bound_says_so():
    near = genant(height_loss(equal(20 * 0.76), beside(equal(20.0), equal(20.0))))
    assert near.grade == 1
    assert near.grade_range[0] < 1 < near.grade_range[1]
    assert "near a bound" in near.reason
    far = genant(height_loss(equal(20 * 0.45), beside(equal(20.0), equal(20.0))))
    assert far.grade_range == (3, 3)
    assert "near" not in far.reason


@given(percent=st.floats(0, 70))
def test_doubt_about_the_expectation_shrinks_with_what_is_left(percent):
    loss = height_loss(equal(20 * (1 - percent / 100)), beside(equal(20.0), equal(20.0)))
    assert loss.measured_percent <= loss.uncertainty_percent
    assert loss.uncertainty_at(percent + 5) < loss.uncertainty_at(percent)
