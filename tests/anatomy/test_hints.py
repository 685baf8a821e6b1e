"""What the neighbours of a level say of its axes, on the bundled spine."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.anatomy.hints import neighbour_hints
from kypho.formats import read_ct, read_labels

SAMPLE = files("kypho.formats") / "sample"


@pytest.fixture(scope="module")
def chest():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz")
    return ct.volume, read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct.volume).labels


def only(labels, *names):
    """The labels of some names; nothing else."""
    kept = [n for name in names for n in labels.ids[name]]
    array = np.where(np.isin(labels.volume.array, kept), labels.volume.array, 0)
    return replace(labels, volume=labels.volume.like(array))


def off_deg(hint, axis):
    return float(np.degrees(np.arccos(np.clip(hint @ axis, -1, 1))))


@pytest.mark.parametrize("level", ["T6", "T7", "T8"])
def test_two_neighbours_know_the_axes(chest, level):
    ct, labels = chest
    frame = build_vertebra(ct, labels, level).frame
    hints = neighbour_hints(labels, level)
    # A kyphosis turns one level by some 5 degrees against the next; the middles are known to 2 mm of 40.
    assert off_deg(hints.superior, frame.superior) < 8
    assert off_deg(hints.posterior, frame.posterior) < 10


def test_the_level_itself_has_no_say_between_two_neighbours(chest):
    """Half of it may be gone."""
    _, labels = chest
    array = labels.volume.array.copy()
    own = np.argwhere(np.isin(array, labels.ids["T7"]))
    array[tuple(own[own[:, 2] > np.median(own[:, 2])].T)] = 0
    whole, half = (
        neighbour_hints(some, "T7") for some in (labels, replace(labels, volume=labels.volume.like(array)))
    )
    assert np.array_equal(whole.superior, half.superior)
    assert np.array_equal(whole.posterior, half.posterior)


def test_a_level_alone_has_no_hints(chest):
    _, labels = chest
    hints = neighbour_hints(only(labels, "T7"), "T7")
    assert hints.superior is None
    assert hints.posterior is None


def test_without_a_cord_nobody_knows_the_back(chest):
    _, labels = chest
    hints = neighbour_hints(only(labels, "T6", "T7", "T8"), "T7")
    assert hints.superior is not None
    assert hints.posterior is None
