"""What damage and needles open in a real vertebra's field."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.case.rehearsal.needles import drilled
from kypho.case.rehearsal.settings import NeedleLineMm
from kypho.cement.compartments import CODES
from kypho.cement.vertebra import Track, vertebra_field
from kypho.errors import SettingsError
from kypho.evidence import value
from kypho.formats import read_ct, read_labels
from kypho.space import Volume, sample_at

GRID_MM = 1.0


@pytest.fixture(scope="module")
def vertebra():
    sample = Path(str(files("kypho.formats").joinpath("sample")))
    ct = read_ct(sample / "t5-t9_ct.nii.gz")
    return build_vertebra(ct.volume, read_labels(sample / "t5-t9_labels.nii.gz", ct=ct.volume).labels, "T7")


@pytest.fixture(scope="module")
def needle(vertebra):
    """Entry and tip through the left pedicle."""
    isthmus = vertebra.pedicles["left"].isthmus_mm
    tip = vertebra.frame.to_world([2.0, -4.0, 0.0])
    return isthmus + 14 * (isthmus - tip) / np.linalg.norm(isthmus - tip), tip


def cells(field, name):
    return int((field.region == CODES[name]).sum())


def test_drawing_a_cannula_back_turns_steel_into_an_open_channel(vertebra, needle):
    entry, tip = needle
    steel, channel = [], []
    for back in (0.0, 6.0, 12.0, np.inf):
        track = Track(entry_mm=entry, tip_mm=tip, radius_mm=1.6, drawn_back_mm=back)
        field = vertebra_field(vertebra, grid_mm=GRID_MM, tracks=(track,))
        steel.append(cells(field, "cannula"))
        channel.append(cells(field, "channel"))
    assert steel == sorted(steel, reverse=True)
    assert channel == sorted(channel)
    assert (steel[0] > 0, steel[-1], channel[0]) == (True, 0, 0)
    # The channel is the bone's part of a cylinder: about pi r^2 per mm, the walls of cells give or take.
    assert channel[2] - channel[1] == pytest.approx(np.pi * 1.6**2 * 6 / GRID_MM**3, rel=0.35)


def test_an_open_channel_resists_as_its_record_says(vertebra, needle):
    track = Track(entry_mm=needle[0], tip_mm=needle[1], radius_mm=1.6, drawn_back_mm=8.0)
    field = vertebra_field(vertebra, grid_mm=GRID_MM, tracks=(track,))
    at = field.mask("channel")
    assert np.all(field.permeability_m2[:, at] == np.float32(value("cement.breach_permeability_m2")))
    assert np.all(field.porosity[at] == 1)


def test_only_a_needle_through_the_canal_tears_the_dura_and_opens_its_wall(vertebra, needle):
    entry, tip = needle
    middle = vertebra.frame.to_local(vertebra.pedicles["left"].isthmus_mm)
    wrong = vertebra.frame.to_world(middle - np.array([6.0, 0.0, 0.0]))
    through = Track(
        entry_mm=wrong + 14 * (wrong - tip) / np.linalg.norm(wrong - tip), tip_mm=tip, radius_mm=1.6
    )
    kept = vertebra_field(
        vertebra, grid_mm=GRID_MM, tracks=(Track(entry_mm=entry, tip_mm=tip, radius_mm=1.6),)
    )
    torn = vertebra_field(vertebra, grid_mm=GRID_MM, tracks=(through,))
    plain = vertebra_field(vertebra, grid_mm=GRID_MM)
    assert cells(torn, "breach") > cells(plain, "breach")
    assert cells(torn, "dura") < cells(plain, "dura") == cells(kept, "dura")


def test_defects_open_the_shell_only_and_a_cleft_is_a_void(vertebra):
    grid = vertebra.grid
    whole = np.ones(grid.shape, bool)
    plain = vertebra_field(vertebra, grid_mm=GRID_MM)
    everywhere = Volume(array=whole, grid=grid, unit="label")
    opened = vertebra_field(vertebra, grid_mm=GRID_MM, defects=everywhere)
    shell = plain.mask("cortex", "endplate", "breach")
    assert np.array_equal(opened.mask("breach") & ~plain.mask("basivertebral", "venous"), shell)
    hollow = vertebra_field(vertebra, grid_mm=GRID_MM, cleft=everywhere)
    assert np.array_equal(hollow.mask("cleft"), plain.mask("cancellous", "basivertebral"))
    assert np.all(hollow.porosity[hollow.mask("cleft")] == 1)
    assert hollow.void_ml > plain.void_ml


@pytest.mark.parametrize("back_mm", [0.0, 6.0, 12.0])
def test_a_kyphoplasty_is_drilled_to_the_front_wherever_the_cannula_stopped(vertebra, needle, back_mm):
    line = NeedleLineMm(entry_mm=needle[0], tip_mm=needle[1], outer_mm=3.2, bore_mm=2.4)
    made = drilled(vertebra, replace(line, tip_mm=line.point(back_mm)))
    way = (line.tip_mm - line.entry_mm) / np.linalg.norm(line.tip_mm - line.entry_mm)
    np.testing.assert_allclose(np.cross(made.tip_mm - line.entry_mm, way), 0, atol=1e-9)
    stop = value("plan.depth.guide_wire_stop_mm")
    # A step of the search, and what a voxel rounds.
    assert sample_at(vertebra.bone_mm, made.tip_mm + (stop - 0.5) * way, outside=-1.0) > 0
    assert sample_at(vertebra.bone_mm, made.tip_mm + (stop + 0.5) * way, outside=-1.0) < 0


@pytest.mark.parametrize("bad", [{"radius_mm": 0.0}, {"drawn_back_mm": -1.0}, {"tip_mm": np.zeros(3)}])
def test_an_impossible_track_is_refused(bad):
    sound = {"entry_mm": np.zeros(3), "tip_mm": np.ones(3), "radius_mm": 1.0}
    with pytest.raises(SettingsError):
        Track(**(sound | bad))
