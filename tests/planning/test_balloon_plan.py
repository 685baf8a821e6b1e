"""The balloon fits where it is put, and promises no more than was lost."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.fracture import assess_level
from kypho.planning.balloon import plan_balloon
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


def test_the_filled_balloon_stays_inside_with_its_margin(a_level):
    vertebra, found = a_level
    plan = plan_balloon(vertebra, found, *a_needle(vertebra))
    radius = (plan.largest_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    # The margin is 2 mm; the ball's room was read from the same distance field at its centre.
    assert float(sample_at(vertebra.bone_mm, plan.centre_mm[None])[0]) >= radius + 2.0 - 1e-6
    y = vertebra.frame.to_local(plan.centre_mm)
    assert y[1] + radius + 2.0 <= float(vertebra.wall.y_mm(y[2])) + 1e-6


def test_the_lift_is_never_more_than_what_was_lost(a_level):
    vertebra, found = a_level
    needle = a_needle(vertebra)
    small = plan_balloon(vertebra, with_loss(found, 5.0), *needle)
    large = plan_balloon(vertebra, with_loss(found, 50.0), *needle)
    assert small.lift_mm[1] == pytest.approx(0.05 * found.loss.expected.anterior_mm)
    assert large.lift_mm == (0.0, 3.67)


def test_an_unknown_loss_promises_nothing(a_level):
    vertebra, found = a_level
    plan = plan_balloon(vertebra, with_loss(found, None), *a_needle(vertebra))
    assert plan.lift_mm == (0.0, 0.0)
    assert any("unknown" in note for note in plan.notes)


def test_no_room_means_no_balloon(a_level):
    vertebra, found = a_level
    outside = vertebra.frame.to_world(np.array([[60.0, 60.0, 0.0], [60.0, 40.0, 0.0]]))
    plan = plan_balloon(vertebra, found, *outside)
    assert plan.size is None
    assert plan.largest_ml == 0.0
