"""What is said of a part beyond its numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kypho.case.leakage.notes import part_notes, slice_notes


def parts(*compartments, likely="disc", exit_mm=(0.0, 0.0, 0.0)):
    routing = SimpleNamespace(likely=likely, compartments=compartments)
    part = SimpleNamespace(id=1, routing=routing, measured=SimpleNamespace(exit_mm=exit_mm))
    return SimpleNamespace(level="T7", parts=(part,))


@pytest.fixture
def two_treated(chest):
    """The bundled CT with T8 full of cement."""
    ct, labels = chest
    hu = np.array(ct.array)
    box = labels.box("T8")
    hu[box][labels.part("T8", box)] = 3000
    return ct.like(hu), labels


def test_cement_in_the_disc_of_two_treated_levels_names_the_other(two_treated):
    (note,) = part_notes(parts("disc_below"), *two_treated)[1]
    assert note.startswith("T8 ")


@pytest.mark.parametrize("place", ["disc_above", "paraspinal_left"])
def test_cement_elsewhere_does_not(two_treated, place):
    assert part_notes(parts(place), *two_treated) == {}


def test_nor_does_it_where_one_level_was_treated(chest):
    assert part_notes(parts("disc_below"), *chest) == {}


@pytest.mark.parametrize(("exit_mm", "said"), [(None, 1), ((0.0, 0.0, 0.0), 0)])
def test_a_route_without_a_channel_says_so(chest, exit_mm, said):
    found = part_notes(parts("canal", likely="cortical_canal", exit_mm=exit_mm), *chest)
    assert len(found) == said


def test_slices_thicker_than_those_tried_are_named(chest):
    """The sample has 2.5 mm slices, the thickest that was tried."""
    ct, _ = chest
    assert slice_notes(ct) == ()
    low, *rest = ct.grid.spacing_mm
    (note,) = slice_notes(replace(ct, grid=replace(ct.grid, spacing_mm=(2 * low, *rest))))
    assert "5 mm" in note
