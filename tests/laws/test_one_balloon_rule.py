"""Plan and rehearsal inflate the same balloon: the same centre, the same verdict, the same room."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.case.rehearsal.run import prepared
from kypho.case.rehearsal.settings import NeedleLineMm, Scenario
from kypho.cement import inflate
from kypho.cement.vertebra import vertebra_field
from kypho.errors import SettingsError
from kypho.evidence import value
from kypho.formats import read_ct, read_labels
from kypho.fracture import assess_level
from kypho.planning.balloon import plan_balloons
from kypho.space import sample_at

GRID_MM = 0.75
BACK_MM = value("cement.balloon.back_mm")

# Local left, posterior, superior mm of entry and tip: towards the middle, towards every wall, past the body.
LINES = {
    "middle": ((14.0, 28.0, 4.0), (3.0, -7.0, 0.0)),
    "right": ((-14.0, 28.0, 4.0), (-6.0, -7.0, 0.0)),
    "lateral": ((14.0, 28.0, 4.0), (10.5, -2.0, 0.0)),
    "beside the wall": ((14.0, 28.0, 4.0), (13.0, -2.0, 0.0)),
    "far lateral": ((16.0, 28.0, 4.0), (17.0, -2.0, 0.0)),
    "high": ((14.0, 28.0, 4.0), (5.0, -5.0, 5.5)),
    "above": ((14.0, 28.0, 4.0), (5.0, -5.0, 12.0)),
    "low": ((14.0, 28.0, 4.0), (5.0, -5.0, -7.0)),
    "behind": ((14.0, 28.0, 4.0), (10.0, 18.0, 2.0)),
}


@cache
def level():
    sample = Path(str(files("kypho.formats").joinpath("sample")))
    ct = read_ct(sample / "t5-t9_ct.nii.gz").volume
    labels = read_labels(sample / "t5-t9_labels.nii.gz", ct=ct).labels
    vertebra = build_vertebra(ct, labels, "T7")
    return vertebra, assess_level(ct, labels, vertebra)


@cache
def plain_field():
    return vertebra_field(level()[0], grid_mm=GRID_MM)


def line(name):
    entry, tip = level()[0].frame.to_world(np.array(LINES[name]))
    return NeedleLineMm(entry_mm=entry, tip_mm=tip, outer_mm=3.2, bore_mm=2.4)


@pytest.mark.parametrize("name", LINES)
def test_one_balloon_fits_in_both_or_in_neither_and_takes_as_much(name):
    vertebra, found = level()
    needle = line(name)
    (plan,) = plan_balloons(vertebra, found, [(needle.entry_mm, needle.tip_mm)])
    depth = float(sample_at(vertebra.bone_mm, plan.centre_mm, outside=-1.0))
    # Nearer to the margin than a cell's half diagonal two grids may differ; the table avoids it.
    assert abs(depth - value("balloon.wall_margin_mm")) > GRID_MM * np.sqrt(3) / 2
    try:
        made = inflate(
            plain_field(), plan.centre_mm, value("cement.balloon.max_volume_ml"), max_pressure_kpa=np.inf
        )
    except SettingsError:
        assert (plan.size, plan.largest_ml) == (None, 0.0)
        return
    assert plan.size is not None
    # Grids of 0.70 and 0.75 mm round the margin by a third of a cell: 0.25 mm over some 15 cm2 of surface.
    assert min(made.inflated_ml, value("balloon.sizes_ml")[plan.size]) == pytest.approx(
        plan.largest_ml, abs=0.4
    )


def test_the_rehearsal_centres_its_balloon_where_the_plan_does():
    vertebra, found = level()
    needle = line("middle")
    (plan,) = plan_balloons(vertebra, found, [(needle.entry_mm, needle.tip_mm)])
    field, (made,), (outlet,) = prepared(vertebra, (needle,), Scenario(procedure="pkp"), 1.0)
    np.testing.assert_allclose(outlet.tip_mm, plan.centre_mm, atol=1e-9)
    assert made.cavity_ml > 0
    assert field.region[tuple(np.rint(field.grid.to_index(plan.centre_mm)).astype(int))] == 4, "a cavity"


def test_two_balloons_of_the_planned_size_stand_side_by_side():
    """The way drilled for the second one offers no resistance: the first must not take it."""
    vertebra, found = level()
    needles = line("middle"), line("right")
    plans = plan_balloons(vertebra, found, [(n.entry_mm, n.tip_mm) for n in needles])
    assert all(plan.size for plan in plans)
    _, made, _ = prepared(vertebra, needles, Scenario(procedure="pkp", volume_ml=4.0), 1.0)
    given = 4.0 * value("cement.balloon.default_ml") / 2
    assert min(plan.largest_ml for plan in plans) > given
    cell_ml = 1e-3
    for inflation in made:
        assert inflation.inflated_ml == pytest.approx(given, abs=cell_ml)
        assert not inflation.limited


def test_the_room_of_two_balloons_is_the_same_in_both():
    vertebra, found = level()
    needles = line("middle"), line("right")
    plans = plan_balloons(vertebra, found, [(n.entry_mm, n.tip_mm) for n in needles])
    for plan, other in (plans, plans[::-1]):
        made = inflate(
            plain_field(),
            plan.centre_mm,
            value("cement.balloon.max_volume_ml"),
            max_pressure_kpa=np.inf,
            beside_mm=[other.centre_mm],
        )
        assert made.limited
        # Grids of 0.70 and 0.75 mm round the margin by a third of a cell: 0.25 mm over some 10 cm2.
        assert made.inflated_ml == pytest.approx(plan.largest_ml, abs=0.25)
