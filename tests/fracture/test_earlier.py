"""Heights against an earlier CT of the same vertebra."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.anatomy import Labels
from kypho.errors import LevelError
from kypho.fracture import assess_level
from kypho.fracture.earlier import measure_earlier
from kypho.fracture.heights import SITES
from kypho.space import Grid, Volume


@pytest.fixture(scope="module")
def before(a_chest):
    ct, found = a_chest
    return measure_earlier(ct.volume, found.labels, "T7")


def test_a_level_has_lost_nothing_against_itself(a_chest, a_t7, before):
    ct, found = a_chest
    loss = assess_level(ct.volume, found.labels, a_t7, earlier=before).loss
    # The same labels, measured twice along the same way.
    assert [loss.percent[s] for s in SITES] == pytest.approx([0.0] * 5, abs=1e-9)


def test_the_loss_set_is_found_and_better_known_than_from_the_neighbours(broken, before):
    case, vertebra, blind = broken
    seen = assess_level(case.ct, case.labels, vertebra, earlier=before)
    for site, true in case.truth["height_loss_percent"].items():
        assert abs(seen.loss.percent[site] - true) <= seen.loss.uncertainty_at(true)
    assert seen.loss.source == "earlier CT"
    assert seen.loss.uncertainty_percent < blind.loss.uncertainty_percent
    assert any("earlier CT" in note for note in seen.notes)


def test_what_the_neighbours_are_like_has_no_say(broken, before, a_chest, a_t7):
    """Labels without neighbours give the same loss against an earlier CT, and none without it."""
    case, vertebra, _ = broken
    alone = only(case.labels, "T7")
    with_others = assess_level(case.ct, case.labels, vertebra, earlier=before).loss.percent
    assert assess_level(case.ct, alone, vertebra).loss.percent["anterior"] is None
    assert assess_level(case.ct, alone, vertebra, earlier=before).loss.percent == pytest.approx(with_others)


def test_a_body_broken_before_says_so(broken):
    case, vertebra, _ = broken
    again = measure_earlier(case.ct, case.labels, "T7")
    seen = assess_level(case.ct, case.labels, vertebra, earlier=again)
    assert seen.loss.percent["anterior"] == pytest.approx(0.0, abs=1e-9)
    assert any("only what was lost since then" in note for note in seen.notes)


def test_a_smaller_patient_is_refused(a_chest, a_t7):
    ct, found = a_chest
    small = (
        shrunk(ct.volume, 0.8),
        Labels(volume=shrunk(found.labels.volume, 0.8), scheme=found.labels.scheme, ids=found.labels.ids),
    )
    with pytest.raises(LevelError, match="check that both are of this patient"):
        assess_level(ct.volume, found.labels, a_t7, earlier=measure_earlier(*small, "T7"))


def only(labels: Labels, level: str) -> Labels:
    """The labels without the other levels; cord and canal stay."""
    kept = [level, *(n for n in labels.ids if n.startswith("spinal"))]
    numbers = [n for name in kept for n in labels.ids[name]]
    array = np.where(np.isin(labels.volume.array, numbers), labels.volume.array, 0)
    return Labels(volume=labels.volume.like(array), scheme=labels.scheme, ids=labels.ids)


def shrunk(volume: Volume, by: float) -> Volume:
    """The same voxels, smaller."""
    old = volume.grid
    grid = Grid(
        shape=old.shape,
        spacing_mm=tuple(by * s for s in old.spacing_mm),
        origin_mm=old.origin_mm,
        axes=old.axes,
    )
    return Volume(array=volume.array, grid=grid, unit=volume.unit)
