"""The balloon fits where it is put, and promises no more than was lost."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.evidence import value
from kypho.formats import read_ct, read_labels
from kypho.fracture import assess_level
from kypho.planning.balloon import balloon_room, drilled_tip_mm, plan_balloons
from kypho.space import sample_at


@pytest.fixture(scope="module")
def a_level():
    sample = files("kypho.formats") / "sample"
    ct = read_ct(sample / "t5-t9_ct.nii.gz").volume
    labels = read_labels(sample / "t5-t9_labels.nii.gz", ct=ct).labels
    vertebra = build_vertebra(ct, labels, "T7")
    return vertebra, assess_level(ct, labels, vertebra)


def a_needle(vertebra):
    return vertebra.frame.to_world(np.array([[14.0, 28.0, 4.0], [3.0, -7.0, 0.0]]))


def with_loss(found, percent):
    return replace(found, loss=replace(found.loss, percent={**found.loss.percent, "anterior": percent}))


def test_the_balloon_lies_half_its_length_behind_the_drill_and_keeps_the_margin(a_level):
    vertebra, found = a_level
    entry, tip = a_needle(vertebra)
    (plan,) = plan_balloons(vertebra, found, [(entry, tip)])
    end = drilled_tip_mm(vertebra, entry, tip)
    assert np.linalg.norm(end - plan.centre_mm) == pytest.approx(value("cement.balloon.back_mm"))
    assert (
        float(sample_at(vertebra.bone_mm, plan.centre_mm[None])[0]) >= value("balloon.wall_margin_mm") - 0.6
    )
    assert 0 < plan.largest_ml <= value("balloon.sizes_ml")[plan.size]


def test_the_room_is_one_piece_and_keeps_the_margin():
    """A body with a slit that parts it where the margin of 2 mm meets from both sides."""
    depth = np.full((9, 9, 19), 5.0)
    depth[:, :, 9] = 1.9
    inside = np.ones(depth.shape, bool)
    inside[0] = False
    room = balloon_room(depth, inside, (4, 4, 3))
    assert np.array_equal(room, inside & (np.arange(19) < 9))
    assert balloon_room(depth, inside, (4, 4, 9)) is None, "a centre under less than the margin"
    assert balloon_room(depth, inside, (0, 4, 3)) is None, "a centre outside"


def test_two_balloons_share_what_one_could_take(a_level):
    vertebra, found = a_level
    left = vertebra.frame.to_world(np.array([[14.0, 28.0, 4.0], [6.0, -7.0, 0.0]]))
    right = vertebra.frame.to_world(np.array([[-14.0, 28.0, 4.0], [-6.0, -7.0, 0.0]]))
    both = plan_balloons(vertebra, found, [left, right])
    alone = plan_balloons(vertebra, found, [left])[0]
    largest = max(value("balloon.sizes_ml").values())
    assert all(b.largest_ml < alone.largest_ml for b in both)
    # Together they take the piece that either could have alone, which may be more than one balloon holds.
    assert sum(b.largest_ml for b in both) >= 0.9 * min(alone.largest_ml, largest)
    again = plan_balloons(vertebra, found, [right, left])
    assert [b.largest_ml for b in again] == pytest.approx([b.largest_ml for b in both[::-1]], rel=0.01)


def test_the_lift_is_never_more_than_what_was_lost(a_level):
    vertebra, found = a_level
    needle = a_needle(vertebra)
    small = plan_balloons(vertebra, with_loss(found, 5.0), [needle])[0]
    large = plan_balloons(vertebra, with_loss(found, 50.0), [needle])[0]
    assert small.lift_mm[1] == pytest.approx(0.05 * found.loss.expected.anterior_mm)
    assert large.lift_mm == (0.0, 3.67)


def test_an_unknown_loss_promises_nothing(a_level):
    vertebra, found = a_level
    (plan,) = plan_balloons(vertebra, with_loss(found, None), [a_needle(vertebra)])
    assert plan.lift_mm == (0.0, 0.0)
    assert any("unknown" in note for note in plan.notes)


def test_no_room_means_no_balloon(a_level):
    vertebra, found = a_level
    outside = vertebra.frame.to_world(np.array([[60.0, 60.0, 0.0], [60.0, 40.0, 0.0]]))
    (plan,) = plan_balloons(vertebra, found, [outside])
    assert plan.size is None
    assert plan.largest_ml == 0.0
