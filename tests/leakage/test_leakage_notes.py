"""What is said of a part beyond its numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kypho.case.leakage.notes import part_notes, slice_notes


def parts(labels, *compartments, likely="disc", exit_mm=(0.0, 0.0, 0.0), at="T7"):
    """One part of T7's check that lies in the middle of a level."""
    routing = SimpleNamespace(likely=likely, compartments=compartments)
    middle = labels.volume.grid.to_world(np.argwhere(labels.mask(at)).mean(axis=0))
    measured = SimpleNamespace(exit_mm=exit_mm, points_mm=middle[None])
    frame = SimpleNamespace(to_world=lambda points: points)
    scene = SimpleNamespace(vertebra=SimpleNamespace(frame=frame))
    part = SimpleNamespace(id=1, routing=routing, measured=measured)
    return SimpleNamespace(level="T7", parts=(part,), scene=scene)


@pytest.fixture
def two_treated(chest):
    """The bundled CT with T8 full of cement."""
    ct, labels = chest
    hu = np.array(ct.array)
    box = labels.box("T8")
    hu[box][labels.part("T8", box)] = 3000
    return ct.like(hu), labels


def test_cement_in_the_disc_of_two_treated_levels_names_the_other(two_treated):
    (note,) = part_notes(parts(two_treated[1], "disc_below"), *two_treated)[1]
    assert note.startswith("T8 ")


@pytest.mark.parametrize("place", ["disc_above", "paraspinal_left"])
def test_cement_elsewhere_does_not(two_treated, place):
    assert part_notes(parts(two_treated[1], place), *two_treated) == {}


def test_cement_nearer_to_a_treated_neighbour_is_said_to_be_its(two_treated):
    (note,) = part_notes(parts(two_treated[1], "canal", at="T8"), *two_treated)[1]
    assert "nearer to T8" in note
    assert "read the check of T8" in note


def test_cement_nearer_to_a_neighbour_without_cement_is_the_level_s(chest):
    assert part_notes(parts(chest[1], "canal", at="T8"), *chest) == {}


def test_nor_does_it_where_one_level_was_treated(chest):
    assert part_notes(parts(chest[1], "disc_below"), *chest) == {}


@pytest.mark.parametrize(("exit_mm", "said"), [(None, 1), ((0.0, 0.0, 0.0), 0)])
def test_a_route_without_a_channel_says_so(chest, exit_mm, said):
    found = part_notes(parts(chest[1], "canal", likely="cortical_canal", exit_mm=exit_mm), *chest)
    assert len(found) == said


def test_slices_thicker_than_those_tried_are_named(chest):
    """The sample has 2.5 mm slices, the thickest that was tried."""
    ct, _ = chest
    assert slice_notes(ct) == ()
    low, *rest = ct.grid.spacing_mm
    (note,) = slice_notes(replace(ct, grid=replace(ct.grid, spacing_mm=(2 * low, *rest))))
    assert "5 mm" in note
