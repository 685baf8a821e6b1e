"""The plan belongs to the patient, not to the way the patient was scanned or stored: T7 of the sample."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kypho.anatomy import Labels, build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.planning import PlanSettings, plan_level
from kypho.space import Grid, Volume, resample, rotation_about

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
SETTINGS = PlanSettings(device="13G", strategy="bilateral")
MIRROR = np.diag([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def sample():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    return ct, read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels


def needles_of(ct, numbers, labels):
    moved = Labels(volume=numbers, scheme=labels.scheme, ids=labels.ids)
    vertebra = build_vertebra(ct, moved, "T7")
    plan = plan_level(vertebra, ct, moved, SETTINGS)
    approach = next(a for a in plan.approaches if a.route == "transpedicular")
    return {n.task.side: n for n in approach.needles}


@pytest.fixture(scope="module")
def plain(sample):
    ct, labels = sample
    return needles_of(ct, labels.volume, labels)


def require_same(plain, other, *, tip_mm, angle_deg, turn=None, mirrored=False):
    turn = MIRROR if mirrored else np.eye(3) if turn is None else turn
    for side, needle in plain.items():
        twin = other[{"left": "right", "right": "left"}[side] if mirrored else side]
        assert np.linalg.norm(turn @ needle.tip_mm - twin.tip_mm) < tip_mm
        cosine = float((turn @ needle.direction) @ twin.direction)
        assert np.degrees(np.arccos(min(cosine, 1.0))) < angle_deg


def on(grid, *volumes):
    return [Volume(array=v.array, grid=grid, unit=v.unit) for v in volumes]


@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0.3, 0.2)], ids=["scoliosis", "oblique"])
def test_patient_turned_by_thirty_degrees(sample, plain, axis):
    """The same voxels in another pose: only rounding differs, so the promise of 0.3 mm and 1 degree holds."""
    ct, labels = sample
    turn = rotation_about(axis, 30)
    grid = Grid(
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        origin_mm=turn @ ct.grid.origin_mm,
        axes=turn @ ct.grid.axes,
    )
    require_same(
        plain, needles_of(*on(grid, ct, labels.volume), labels), tip_mm=0.3, angle_deg=1.0, turn=turn
    )


def test_stored_in_another_order(sample, plain):
    ct, labels = sample
    grid = ct.grid
    last = (0, grid.shape[1] - 1, grid.shape[2] - 1)
    axes = np.column_stack([-grid.axes[:, 2], grid.axes[:, 0], -grid.axes[:, 1]])
    shape = (grid.shape[2], grid.shape[0], grid.shape[1])
    spacing = (grid.spacing_mm[2], grid.spacing_mm[0], grid.spacing_mm[1])
    other = Grid(shape=shape, spacing_mm=spacing, origin_mm=grid.to_world(last), axes=axes)
    moved = [
        Volume(array=np.ascontiguousarray(v.array.transpose(2, 0, 1)[::-1, :, ::-1]), grid=other, unit=v.unit)
        for v in (ct, labels.volume)
    ]
    require_same(
        plain, needles_of(*moved, labels), tip_mm=0.1, angle_deg=0.3
    )  # identical numbers, reordered sums


def test_mirrored_anatomy(sample, plain):
    """Voxels fall elsewhere about the mirror plane, so half a voxel of the local grid is allowed."""
    ct, labels = sample
    grid = ct.grid
    origin = MIRROR @ grid.to_world((0, 0, grid.shape[2] - 1))
    other = Grid(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=origin, axes=grid.axes)
    moved = [
        Volume(array=np.ascontiguousarray(v.array[:, :, ::-1]), grid=other, unit=v.unit)
        for v in (ct, labels.volume)
    ]
    require_same(plain, needles_of(*moved, labels), tip_mm=0.35, angle_deg=1.0, mirrored=True)


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_resampled(sample, plain, spacing):
    """Nearest-neighbour labels move every surface by up to half a voxel: 1 mm at the tip, 2.5 degrees."""
    ct, labels = sample
    grid = ct.grid
    shape = tuple(int(n * s / spacing) for n, s in zip(grid.shape, grid.spacing_mm, strict=True))
    other = Grid(shape=shape, spacing_mm=(spacing,) * 3, origin_mm=grid.origin_mm, axes=grid.axes)
    moved = needles_of(resample(ct, other), resample(labels.volume, other), labels)
    require_same(plain, moved, tip_mm=1.0, angle_deg=2.5)


@pytest.mark.slow
def test_scanned_on_an_oblique_grid(sample, plain):
    """Gantry and patient 30 degrees apart, 1 mm voxels: all surfaces are sampled anew."""
    ct, labels = sample
    axes = rotation_about((0, 1, 0), 30) @ np.eye(3)[:, ::-1]
    shape = (150, 190, 170)
    origin = ct.grid.centre_mm - axes @ (np.asarray(shape) / 2)
    other = Grid(shape=shape, spacing_mm=(1.0, 1.0, 1.0), origin_mm=origin, axes=axes)
    moved = needles_of(resample(ct, other), resample(labels.volume, other), labels)
    require_same(plain, moved, tip_mm=0.5, angle_deg=2.0)
