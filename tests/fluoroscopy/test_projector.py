"""The fast projector against the slow reference, closed forms, and the laws of line integrals."""

import numpy as np
import pytest
from siddon import siddon_image

from kypho import evidence
from kypho.errors import GeometryError
from kypho.fluoroscopy import CArm, Projector, field_shadow, hu_to_mu
from kypho.phantoms.analytic import Box, sphere, voxelised
from kypho.space import Frame, Grid, Volume, rotation_about

# Running sums are float32 (2**-24 relative of a whole column) and one ray adds some dozen differences:
# a few 1e-6 of the largest line integral at most.
ROUNDING = 5e-6


def random_volume(seed, axes=None):
    rng = np.random.default_rng(seed)
    if axes is None:
        axes = rotation_about(rng.normal(size=3), rng.uniform(0, 180))
    grid = Grid(
        shape=tuple(rng.integers(3, 20, 3)),
        spacing_mm=tuple(rng.uniform(0.5, 4.0, 3)),
        origin_mm=rng.normal(size=3) * 50,
        axes=axes,
    )
    return Volume(array=rng.uniform(0, 0.1, grid.shape).astype(np.float32), grid=grid, unit="1/mm")


def pixel_ends(carm):
    return carm.pixel_centre_mm(np.stack(np.meshgrid(*map(np.arange, carm.shape), indexing="ij"), axis=-1))


@pytest.mark.parametrize("seed", range(24))
def test_every_ray_equals_the_slow_reference(seed):
    """Random grids, spacings, orientations, off-centre poses and detectors, all three summed axes."""
    volume = random_volume(seed)
    rng = np.random.default_rng(seed + 1000)
    carm = CArm.from_angles(
        volume.grid.centre_mm + rng.normal(size=3) * 5,
        rng.uniform(-180, 180),
        rng.uniform(-90, 90),
        shape=(21, 24),
        pixel_mm=[3.0, 20.0][seed % 2],
    )
    expected = siddon_image(volume.array, volume.grid, carm)
    assert Projector(volume).trace(carm) == pytest.approx(expected, abs=ROUNDING * expected.max())
    assert expected.max() > 0


@pytest.mark.parametrize("pose", [(0, 0), (90, 0), (0, 90), (45, 0), (180, 0)])
def test_rays_along_voxel_faces_and_diagonals_keep_their_length(pose):
    """The central rays run exactly in voxel faces, through edges or corners; an even cube hides no slip."""
    grid = Grid.axis_aligned((8, 8, 8), 2.0, (-7.0, -7.0, -7.0))
    mu = 0.03
    cube = Box(frame=Frame(origin_mm=np.zeros(3), rotation=np.eye(3)), half_mm=(8.0, 8.0, 8.0))
    carm = CArm.from_angles([0, 0, 0], *pose, shape=(31, 31), pixel_mm=1.0)
    image = Projector(Volume(array=np.full((8, 8, 8), mu), grid=grid, unit="1/mm")).trace(carm)
    assert image == pytest.approx(
        mu * cube.chord_mm(carm.source_mm, pixel_ends(carm)), abs=ROUNDING * mu * 28
    )


@pytest.mark.parametrize("pose", [(0, 0), (90, 0), (-25, 12), (40, -35), (10, 75)])
def test_box_projection_is_exact(pose):
    """A box whose faces are voxel faces has no voxel error: only rounding is left, far below 1 %."""
    axes = rotation_about([1, 1, 2], 20.0)
    grid = Grid(shape=(20, 30, 26), spacing_mm=(2.5, 0.7, 0.7), origin_mm=np.array([3.0, 4, 5]), axes=axes)
    mu = np.zeros(grid.shape)
    mu[4:15, 6:24, 5:20] = 0.05
    middle = grid.to_world([9.0, 14.5, 12.0])
    # Local left, posterior, superior of the box are the grid's i, j and k, mirrored where needed.
    frame = Frame(origin_mm=middle, rotation=axes[:, ::-1] * [-1, 1, 1])
    box = Box(frame=frame, half_mm=(7.5 * 0.7, 9 * 0.7, 5.5 * 2.5))
    carm = CArm.from_angles(middle, *pose, shape=(64, 60), pixel_mm=0.9)
    expected = 0.05 * box.chord_mm(carm.source_mm, pixel_ends(carm))
    image = Projector(Volume(array=mu, grid=grid, unit="1/mm")).trace(carm)
    # A ray that only grazes an edge may fall on either side of it: those chords are below 1e-3 mm here.
    assert image == pytest.approx(expected, abs=2e-5 * float(expected.max()))


def test_sphere_projection_is_within_one_percent():
    """A ball of 0.3 mm voxels: 1 % of the diameter as RMS over its shadow and for every core ray.

    What is left is the voxels' staircase at the rim, where a quarter voxel changes the chord by 5 %.
    """
    radius, mu = 15.0, 0.02
    ball = sphere([0.1, 0.2, -0.1], radius)
    projector = Projector(
        voxelised(ball, Grid.axis_aligned((110,) * 3, 0.3, np.full(3, -16.4)), inside=mu, samples=3)
    )
    for pose in ((0, 0), (-25, 12)):
        carm = CArm.from_angles([0, 0, 0], *pose, shape=(64, 64), pixel_mm=0.9)
        chord = ball.chord_mm(carm.source_mm, pixel_ends(carm))
        image = projector.trace(carm)
        error = np.abs(image - mu * chord) / (mu * 2 * radius)
        assert np.sqrt(np.mean(error[chord > 0] ** 2)) <= 0.01
        assert error[chord > 2 * radius * np.sqrt(0.75)].max() <= 0.01
        # Over the whole shadow the rim's errors cancel: what is summed up is the sphere's volume.
        assert image.sum() == pytest.approx(mu * chord.sum(), rel=1e-3)


def test_sphere_error_falls_with_the_voxel():
    """The rim's blur is as wide as a voxel, so halving the voxel must at least halve the squared error."""
    ball, errors = sphere([0.1, 0.2, -0.1], 15.0), []
    carm = CArm.from_angles([0, 0, 0], 20, 10, shape=(64, 64), pixel_mm=0.9)
    chord = ball.chord_mm(carm.source_mm, pixel_ends(carm))
    for spacing in (2.0, 1.0, 0.5):
        count = round(34 / spacing)
        grid = Grid.axis_aligned((count,) * 3, spacing, np.full(3, (spacing - 34) / 2))
        image = Projector(voxelised(ball, grid, inside=1.0, samples=3)).trace(carm)
        errors.append(np.mean((image - chord) ** 2))
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0


def test_turning_patient_and_machine_together_changes_nothing():
    volume = random_volume(3)
    carm = CArm.from_angles(volume.grid.centre_mm, 15, 5, shape=(20, 20), pixel_mm=4.0)
    turn = rotation_about([2, -1, 1], 70.0)
    grid = Grid(
        shape=volume.grid.shape,
        spacing_mm=volume.grid.spacing_mm,
        origin_mm=turn @ volume.grid.origin_mm,
        axes=turn @ volume.grid.axes,
    )
    turned = CArm(
        isocentre_mm=turn @ carm.isocentre_mm, rotation=turn @ carm.rotation, shape=(20, 20), pixel_mm=4.0
    )
    image = Projector(volume).trace(carm)
    again = Projector(Volume(array=volume.array, grid=grid, unit="1/mm")).trace(turned)
    assert again == pytest.approx(image, abs=ROUNDING * float(image.max()))


@pytest.mark.parametrize("flips", [(0,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_how_the_voxels_are_stored_does_not_matter(flips, order):
    volume = random_volume(8, axes=np.eye(3)[:, ::-1])
    grid = volume.grid
    last = np.array([n - 1 if axis in flips else 0 for axis, n in enumerate(grid.shape)])
    signs = np.array([-1.0 if axis in flips else 1.0 for axis in range(3)])
    other = Grid(
        shape=tuple(grid.shape[n] for n in order),
        spacing_mm=tuple(grid.spacing_mm[n] for n in order),
        origin_mm=grid.to_world(last),
        axes=(grid.axes * signs)[:, order],
    )
    array = np.ascontiguousarray(np.flip(volume.array, flips).transpose(order))
    carm = CArm.from_angles(grid.centre_mm, -20, 15, shape=(20, 22), pixel_mm=4.0)
    image = Projector(volume).trace(carm)
    again = Projector(Volume(array=array, grid=other, unit="1/mm")).trace(carm)
    assert again == pytest.approx(image, abs=ROUNDING * float(image.max()))


def test_line_integrals_are_linear_and_shadows_add_up():
    """The patient with a cement cloud is the patient's frame plus the cloud's shadow."""
    volume = random_volume(4)
    small = volume.crop((1, 1, 0), (3, 3, 2))
    extra = small.like(np.full(small.grid.shape, 0.4, dtype=np.float32))
    filled = np.array(volume.array)
    filled[1:3, 1:3, 0:2] += extra.array
    carm = CArm.from_angles(volume.grid.centre_mm, 70, -10, shape=(40, 40), pixel_mm=1.0)
    together = Projector(volume.like(filled)).trace(carm)
    apart = Projector(volume).trace(carm) + field_shadow(carm, extra)
    assert together == pytest.approx(apart, abs=ROUNDING * float(together.max()))
    doubled = Projector(volume.like(2 * volume.array)).trace(carm)
    assert doubled == pytest.approx(2 * Projector(volume).trace(carm), rel=1e-6)


@pytest.mark.parametrize("pose", [(0, 0), (90, 0), (-33, 21), (12, 80)])
def test_a_marker_lands_where_the_pose_says(pose):
    """A bright ball far off the middle: its shadow's centre is the projected point, not half a pixel off."""
    grid = Grid.axis_aligned((30, 40, 50), (2.5, 0.7, 0.7), (-16.0, -15.0, -35.0))
    middle = grid.to_world([22, 31, 9])
    ball = voxelised(sphere(middle, 3.0), grid, inside=1.0, samples=5)
    carm = CArm.from_angles([0, 0, 0], *pose).with_field(80.0)
    image = Projector(ball).trace(carm)
    rows, cols = np.indices(carm.shape)
    centre = np.array([(image * rows).sum(), (image * cols).sum()]) / image.sum()
    # The ball fades out towards its rim, so sampling at pixel centres moves the centroid little.
    assert centre == pytest.approx(carm.project(middle), abs=0.05)


def test_a_marker_on_the_patients_left_is_on_the_images_right_in_ap():
    grid = Grid.axis_aligned((20, 20, 20), 2.0, (-20.0, -20.0, -20.0))
    array = np.full(grid.shape, -1000, dtype=np.int16)
    array[17, 10, 15] = 3000  # up and to the left
    carm = CArm.from_angles(grid.centre_mm, 0, 0)
    row, col = np.unravel_index(
        np.argmax(Projector(Volume(array=array, grid=grid, unit="HU")).trace(carm)), (512, 512)
    )
    assert col > 256
    assert row < 255


def test_hu_volumes_are_attenuated_as_the_records_say():
    grid = Grid.axis_aligned((4, 4, 4), 5.0, (-7.5, -7.5, -7.5))
    carm = CArm.from_angles([0, 0, 0], 0, 0, shape=(3, 3), pixel_mm=0.5)
    for hu in (-1000, -960, -700, 0, 300, 1559, 3000):
        volume = Volume(array=np.full((4, 4, 4), hu, dtype=np.int16), grid=grid, unit="HU")
        assert Projector(volume).trace(carm)[1, 1] == pytest.approx(20.0 * hu_to_mu(hu), rel=1e-6)
    assert hu_to_mu(0) == pytest.approx(evidence.value("fluoroscopy.water_cm2_g") / 10)


def test_stored_types_agree():
    volume = random_volume(6, axes=np.eye(3)[:, ::-1])
    hu = np.round(volume.array * 20000 - 1000)
    carm = CArm.from_angles(volume.grid.centre_mm, 10, 10, shape=(16, 16), pixel_mm=5.0)
    images = [
        Projector(Volume(array=hu.astype(kind), grid=volume.grid, unit="HU")).trace(carm)
        for kind in (np.int16, np.float32, np.float64)
    ]
    assert np.array_equal(images[0], images[1])
    assert np.array_equal(images[0], images[2])


def test_air_casts_no_shadow_and_rays_that_miss_read_zero():
    grid = Grid.axis_aligned((4, 4, 4), 5.0, (200.0, 0.0, 0.0))
    bone = Volume(array=np.full((4, 4, 4), 800, dtype=np.int16), grid=grid, unit="HU")
    air = bone.like(np.full((4, 4, 4), -1000, dtype=np.int16))
    assert not Projector(air).trace(CArm.from_angles(grid.centre_mm, 0, 0)).any()
    assert not Projector(bone).trace(CArm.from_angles([-100, 0, 0], 0, 0)).any()


def test_only_what_lies_between_focus_and_detector_counts():
    """Tube and detector inside the volume, as when a table or an arm reaches the machine."""
    volume = random_volume(2)
    size = np.linalg.norm(np.multiply(volume.grid.shape, volume.grid.spacing_mm))
    carm = CArm.from_angles(
        volume.grid.centre_mm,
        35,
        5,
        shape=(16, 16),
        pixel_mm=size / 100,
        source_isocentre_mm=size / 5,
        source_detector_mm=size / 3,
    )
    expected = siddon_image(volume.array, volume.grid, carm)
    assert Projector(volume).trace(carm) == pytest.approx(expected, abs=ROUNDING * expected.max())


def test_only_hu_and_attenuation_can_be_projected():
    volume = random_volume(1)
    with pytest.raises(GeometryError, match="label"):
        Projector(volume.like(volume.array, unit="label"))
