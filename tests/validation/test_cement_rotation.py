"""Turning the patient turns the cement: T7 of the sample, 3 mL of medium cement from one needle."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kypho.anatomy import Labels, build_vertebra
from kypho.cement import Needle, Schedule, Settings, cement, inject
from kypho.cement.vertebra import vertebra_field
from kypho.formats import read_ct, read_labels
from kypho.space import Grid, Volume, resample, rotation_about

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
PLAN = Schedule.simple(volume_ml=3.0, rate_ml_min=3.0, start_min=4.0)
DRY = Settings(heat=False, frames=0)
TIP_LOCAL_MM = np.array([1.0, -4.0, 0.0])


@pytest.fixture(scope="module")
def sample():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    return ct, read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels


def vertebra_of(ct, numbers, labels):
    return build_vertebra(ct, Labels(volume=numbers, scheme=labels.scheme, ids=labels.ids), "T7")


@pytest.fixture(scope="module")
def plain(sample):
    ct, labels = sample
    vertebra = vertebra_of(ct, labels.volume, labels)
    field = vertebra_field(vertebra, grid_mm=1.5)
    tip = vertebra.frame.to_world(TIP_LOCAL_MM)
    return field, tip, summary(inject(field, (Needle(tip_mm=tip),), cement("medium"), PLAN, DRY))


def summary(result):
    """Centroid, radius of gyration and leaks."""
    amount = np.asarray(result.cement.array, dtype=float)
    cells = np.argwhere(amount > 0)
    weight = amount[amount > 0]
    points = result.cement.grid.to_world(cells)
    centre = weight @ points / weight.sum()
    spread = float(np.sqrt(weight @ ((points - centre) ** 2).sum(axis=1) / weight.sum()))
    leaked = np.array([curve[-1] for curve in result.leaked_ml.values()])
    return centre, spread, leaked, float(result.injected_ml[-1])


def test_a_right_angle_on_the_grid_turns_the_cement_cell_by_cell(plain):
    field, tip, _ = plain
    turn = {"axes": (-2, -1)}  # j and i change places
    ni = field.grid.shape[2]
    # New j runs against old i, new i along old j: the same cells, numbered otherwise.
    turned = Grid(
        shape=(field.grid.shape[0], ni, field.grid.shape[1]),
        spacing_mm=field.grid.spacing_mm,
        origin_mm=field.grid.to_world(np.array([0, 0, ni - 1])),
        axes=np.column_stack([field.grid.axes[:, 0], -field.grid.axes[:, 2], field.grid.axes[:, 1]]),
    )
    move = {
        name: np.ascontiguousarray(np.rot90(getattr(field, name), **turn))
        for name in ("porosity", "region", "drain", "far_kpa")
    }
    k = np.ascontiguousarray(np.rot90(field.permeability_m2, **turn)[[0, 2, 1]])
    other = replace(field, grid=turned, permeability_m2=k, sites={}, **move)
    tight = replace(DRY, tolerance=1e-8)
    first, second = (
        np.asarray(inject(f, (Needle(tip_mm=tip),), cement("medium"), PLAN, tight).cement.array)
        for f in (field, other)
    )
    assert first.sum() > 500
    # The solver visits cells in another order: its residual of 1e-8 of the flow, times thirty steps that
    # each build on the last, in single-precision transmissibilities.
    np.testing.assert_allclose(np.rot90(first, **turn), second, atol=1e-3)


@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0.3, 0.2)], ids=["scoliosis", "oblique"])
def test_the_patient_in_another_pose(sample, plain, axis):
    """The same voxels, 30 degrees turned: the field is laid in the vertebra's own frame.

    That frame may turn by the planner's promise of 0.3 mm and 1 degree, a fifth of a cell: a vein one cell
    wide may then carry a fifth more or less of its 0.1 mL, twice over for the two that there are.
    """
    ct, labels = sample
    turn = rotation_about(axis, 30)
    grid = Grid(
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        origin_mm=turn @ ct.grid.origin_mm,
        axes=turn @ ct.grid.axes,
    )
    vertebra = vertebra_of(
        *(Volume(array=v.array, grid=grid, unit=v.unit) for v in (ct, labels.volume)), labels
    )
    require_turned(vertebra, plain, turn, centre_mm=0.3, spread_mm=0.1, leak_ml=0.04)


def test_the_patient_turned_before_the_scan(sample, plain):
    """Resampled to upright voxels after a turn of 30 degrees about the long axis of the table."""
    ct, labels = sample
    turn = rotation_about((0, 0, 1), 30)
    posed = Grid(
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        origin_mm=turn @ ct.grid.origin_mm,
        axes=turn @ ct.grid.axes,
    )
    corners = posed.to_world(np.argwhere(np.ones((2, 2, 2))) * (np.array(ct.grid.shape) - 1))
    spacing = np.array(ct.grid.spacing_mm)
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = tuple(int(n) for n in np.ceil((high - low)[::-1] / spacing) + 1)
    upright = Grid.axis_aligned(shape, tuple(spacing), low)
    scanned = (
        resample(Volume(array=ct.array, grid=posed, unit=ct.unit), upright, outside=-1000.0),
        resample(Volume(array=labels.volume.array, grid=posed, unit=labels.volume.unit), upright),
    )
    # Interpolation blurs the CT and moves the label's border by up to half a voxel (0.35 mm in the slice):
    # the walls and the holes in them move by as much, a hole of a few cells may gain or lose a third.
    require_turned(vertebra_of(*scanned, labels), plain, turn, centre_mm=0.35, spread_mm=0.2, leak_ml=0.06)


def require_turned(vertebra, plain, turn, *, centre_mm, spread_mm, leak_ml):
    _, tip, (centre, spread, leaked, injected) = plain
    field = vertebra_field(vertebra, grid_mm=1.5)
    other = summary(inject(field, (Needle(tip_mm=turn @ tip),), cement("medium"), PLAN, DRY))
    assert other[3] == pytest.approx(injected)
    assert np.linalg.norm(turn @ centre - other[0]) < centre_mm
    assert abs(spread - other[1]) < spread_mm
    np.testing.assert_allclose(other[2], leaked, atol=leak_ml)
