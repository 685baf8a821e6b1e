"""Chords of the analytic solids against their own definition, point by point."""

import numpy as np
import pytest

from kypho.errors import GeometryError
from kypho.phantoms.analytic import Box, Cylinder, Ellipsoid, sphere, voxelised
from kypho.space import Frame, Grid, rotation_about

TILTED = Frame(origin_mm=np.array([12.0, -7.0, 30.0]), rotation=rotation_about([1, 2, -0.5], 37.0))
SOLIDS = {
    "box": Box(frame=TILTED, half_mm=(9.0, 5.0, 14.0)),
    "ellipsoid": Ellipsoid(frame=TILTED, half_mm=(9.0, 5.0, 14.0)),
    "cylinder": Cylinder(frame=TILTED, radii_mm=(6.0, 4.0), half_length_mm=11.0),
    "sphere": sphere(TILTED.origin_mm, 8.0),
}


def segments(count):
    """Segments across, into and inside the solids, and some that miss."""
    rng = np.random.default_rng(5)
    ends = TILTED.origin_mm + rng.normal(scale=12.0, size=(2, count, 3))
    return ends[0], ends[1]


@pytest.mark.parametrize("name", SOLIDS)
def test_chord_is_the_length_of_the_points_inside(name):
    solid = SOLIDS[name]
    start, end = segments(300)
    steps = 4000
    t = (np.arange(steps) + 0.5) / steps
    inside = solid.contains(start[:, None] + t[:, None] * (end - start)[:, None])
    counted = inside.mean(axis=1) * np.linalg.norm(end - start, axis=1)
    # Counting midpoints misses each of the two ends by at most half a step.
    step_mm = np.linalg.norm(end - start, axis=1) / steps
    assert np.all(np.abs(solid.chord_mm(start, end) - counted) <= step_mm * 1.001)
    assert (counted > 0).sum() > 50


def test_central_chords_are_the_diameters():
    for axis, half in enumerate((9.0, 5.0, 14.0)):
        ray = 100 * TILTED.rotation[:, axis]
        for name in ("box", "ellipsoid"):
            chord = SOLIDS[name].chord_mm(TILTED.origin_mm - ray, TILTED.origin_mm + ray)
            assert chord == pytest.approx(2 * half, rel=1e-12)


def test_rays_beside_and_parallel_to_a_face_have_no_chord():
    outside = TILTED.origin_mm + 20 * TILTED.left
    ray = 100 * TILTED.superior
    for solid in SOLIDS.values():
        assert solid.chord_mm(outside - ray, outside + ray) == 0.0
    assert SOLIDS["box"].chord_mm(TILTED.origin_mm, TILTED.origin_mm) == 0.0


@pytest.mark.parametrize(
    ("name", "volume_mm3"),
    [
        ("box", 18 * 10 * 28),
        ("ellipsoid", 4 / 3 * np.pi * 9 * 5 * 14),
        ("cylinder", np.pi * 6 * 4 * 22),
        ("sphere", 4 / 3 * np.pi * 8**3),
    ],
)
def test_voxels_hold_the_solids_volume(name, volume_mm3):
    grid = Grid(
        shape=(40, 36, 44),
        spacing_mm=(1.1, 1.0, 0.9),
        origin_mm=TILTED.origin_mm - [20.0, 18.0, 22.0],
        axes=np.eye(3)[:, ::-1],
    )
    filled = voxelised(SOLIDS[name], grid, inside=2.0)
    # Samples are 0.3 mm apart; their error on the surface averages out to far below 0.5 % of the volume.
    assert filled.array.sum() / 2.0 * grid.voxel_mm3 == pytest.approx(volume_mm3, rel=5e-3)
    assert filled.array.min() == 0.0
    assert filled.array.max() == 2.0


def test_voxel_sampling_needs_a_sample():
    grid = Grid.axis_aligned((2, 2, 2), 1.0, (0, 0, 0))
    with pytest.raises(GeometryError, match="samples"):
        voxelised(SOLIDS["box"], grid, inside=1.0, samples=0)
