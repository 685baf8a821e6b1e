"""Speed of simulated fluoroscopy on a volume of a whole chest, 512 x 512 x 133 voxels.

    python -m pytest benchmarks/bench_fluoroscopy.py --benchmark-enable --benchmark-only

The projector's work depends on the grid and the filled part, not on what the voxels hold, so a cylinder of
water fills in for a patient. KYPHO_BENCH_CT names a real CT to use instead.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from kypho.fluoroscopy import CArm, Look, Projector, field_shadow, needle_shadow, to_film, true_ap
from kypho.space import Frame, Grid, Volume

WHOLE_CHEST_MM = 1.15
"""Pixel at which 512 pixels see all of the volume."""

POSES = {
    "ap, 300 mm panel": CArm.from_angles([0, 0, 0], 0, 0),
    "ap, whole chest": CArm.from_angles([0, 0, 0], 0, 0, pixel_mm=WHOLE_CHEST_MM),
    "lateral, whole chest": CArm.from_angles([0, 0, 0], 90, 0, pixel_mm=WHOLE_CHEST_MM),
    "en face 20/10, one vertebra": CArm.from_angles([0, 0, 0], -20, -10).with_field(120.0),
    "oblique 25/10, whole chest": CArm.from_angles([0, 0, 0], -25, 10, pixel_mm=WHOLE_CHEST_MM),
    "oblique 45/20, whole chest": CArm.from_angles([0, 0, 0], 45, 20, pixel_mm=WHOLE_CHEST_MM),
}


def synthetic_chest():
    grid = Grid.axis_aligned((133, 512, 512), (2.5, 0.703125, 0.703125), (-179.65, -179.65, -165.0))
    _, j, i = np.ogrid[:133, :512, :512]
    body = ((i - 255.5) / 250) ** 2 + ((j - 255.5) / 190) ** 2 <= 1
    array = np.where(np.broadcast_to(body, grid.shape), 0, -1000).astype(np.int16)
    return Volume(array=array, grid=grid, unit="HU")


@pytest.fixture(scope="module")
def chest():
    path = os.environ.get("KYPHO_BENCH_CT")
    if path is None:
        return synthetic_chest()
    from kypho.formats import read_ct

    volume = read_ct(Path(path)).volume
    grid = volume.grid
    centred = Grid(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.origin_mm - grid.centre_mm,
        axes=grid.axes,
    )
    return Volume(array=volume.array, grid=centred, unit="HU")


@pytest.fixture(scope="module")
def projector(chest):
    return Projector(chest)


@pytest.mark.benchmark(group="512 x 512 frame of the whole chest (limit 0.36 s, aim 0.1 s)")
@pytest.mark.parametrize("pose", POSES)
def test_frame(benchmark, projector, pose):
    benchmark.pedantic(projector.trace, args=(POSES[pose],), rounds=9, warmup_rounds=1)


@pytest.mark.benchmark(group="first frame of a new patient: running sums and one frame")
def test_first_frame(benchmark, chest):
    def first():
        return Projector(chest).trace(POSES["ap, whole chest"])

    benchmark.pedantic(first, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="overlay-only frame (limit 30 ms)")
@pytest.mark.parametrize("what", ["needle", "two needles and cement"])
def test_overlay_only(benchmark, projector, what):
    """A needle moves: new shadow, added to the traced patient, and the picture for the monitor."""
    carm = true_ap(Frame(origin_mm=np.zeros(3), rotation=np.eye(3)))
    patient = projector.trace(carm)
    look = Look.of(patient)
    cement = Volume(
        array=np.full((40, 40, 40), 0.1, dtype=np.float32),
        grid=Grid.axis_aligned((40, 40, 40), 0.75, (-15.0, -15.0, -15.0)),
        unit="1/mm",
    )

    def frame():
        shadow = needle_shadow(carm, [20, 60, 10], [3, -15, 0], 2.1)
        if what != "needle":
            shadow = shadow + needle_shadow(carm, [-20, 60, 10], [-3, -15, 0], 2.1)
            shadow = shadow + field_shadow(carm, cement)
        return to_film(patient + shadow, look)

    benchmark.pedantic(frame, rounds=30, warmup_rounds=2)
