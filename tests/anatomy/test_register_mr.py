"""A vertebra found on an MR, or refused; cord and canal measured along their line. Synthetic MR only."""

from dataclasses import replace
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
from scipy import ndimage

from kypho.anatomy import Labels, Rigid, build_vertebra, move_volume
from kypho.anatomy.cord import compression_percent, cord_profile
from kypho.anatomy.register_mr import register_mr
from kypho.errors import FrameOfReferenceError, LabelsError, LevelError
from kypho.formats import read_ct, read_labels
from kypho.phantoms.mri import MrRecipe, make_mri
from kypho.space import rotation_about

SAMPLE = files("kypho.formats") / "sample"
TALL = MrRecipe(compression=0.4, narrowing=0.3, oedema=0.2, seed=3)


@pytest.fixture(scope="module")
def chest():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    labels = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels
    return ct, labels, build_vertebra(ct, labels, "T7")


@pytest.fixture(scope="module")
def scanned(chest):
    """Recipe -> synthetic MR."""
    return cache(lambda recipe: make_mri(*chest, recipe))


def with_numbers(labels: Labels, array: np.ndarray) -> Labels:
    return replace(labels, volume=labels.volume.like(array))


def dilated(labels: Labels) -> Labels:
    """Vertebrae drawn half a slice's pixel too wide, in the plane of the slices."""
    array = labels.volume.array
    wide = ndimage.grey_dilation(array * (array > 2), footprint=np.ones((1, 3, 3)))
    return with_numbers(labels, np.where(array == 0, wide, array))


def profile_of(phantom, vertebra, motion=None):
    turn = (motion or phantom.motion).rotation
    return cord_profile(phantom.labels, turn @ vertebra.frame.superior, turn @ vertebra.frame.posterior)


def beside(vertebra, motion):
    return motion.point(vertebra.frame.to_world(np.array([0.0, vertebra.wall.a, 0.0])))


@pytest.mark.parametrize(
    ("recipe", "spoil"),
    [(TALL, None), (TALL, dilated), (MrRecipe(sequence="stir", angle_deg=-12, bias=0.4), None)],
)
def test_a_known_motion_is_found(chest, scanned, recipe, spoil):
    """Within 1 mm on the body and 2 degrees.

    A third of a 3.3 mm slice: faces between slices are known to 3.3 / sqrt(12) = 1 mm each, and hundreds of
    them are fitted at once. 2 degrees move the body's rim, 17 mm from its centre, by 0.6 mm.
    """
    _, labels, vertebra = chest
    phantom = scanned(recipe)
    on_mr = phantom.labels if spoil is None else spoil(phantom.labels)
    found = register_mr(phantom.image, on_mr, labels, vertebra)
    points = vertebra.frame.to_world(vertebra.local_points(1)[::200])
    error = np.linalg.norm(found.motion.point(points) - phantom.motion.point(points), axis=1)
    assert error.max() < 1.0
    assert found.motion.after(phantom.motion.inverse).angle_deg < 2.0
    assert found.information > found.displaced > found.shuffled


@pytest.mark.parametrize("name", ["T6", "T8"])
def test_another_level_under_this_name_is_refused(chest, scanned, name):
    """The MR's T6 or T8 given as T7: the CT's own neighbour fits it better."""
    _, labels, vertebra = chest
    phantom = scanned(TALL)
    with pytest.raises(FrameOfReferenceError, match=f"fits {name} of the CT better than T7"):
        register_mr(phantom.image, phantom.labels, labels, vertebra, name)


def test_a_spine_of_another_size_is_refused(chest, scanned):
    """12 % larger: neither body nor canal can be laid onto this CT."""
    _, labels, vertebra = chest
    phantom = scanned(MrRecipe(scale=1.12))
    with pytest.raises(FrameOfReferenceError, match="does not fit the CT at T7"):
        register_mr(phantom.image, phantom.labels, labels, vertebra)


def test_a_shuffled_image_is_refused_although_its_labels_fit(chest, scanned):
    _, labels, vertebra = chest
    phantom = scanned(TALL)
    mixed = (
        np.random.default_rng(0).permutation(phantom.image.array.ravel()).reshape(phantom.image.array.shape)
    )
    with pytest.raises(FrameOfReferenceError, match="shuffled"):
        register_mr(phantom.image.like(mixed), phantom.labels, labels, vertebra)


def test_a_missing_level_and_a_missing_canal_are_named(chest, scanned):
    _, labels, vertebra = chest
    phantom = scanned(TALL)
    array = phantom.labels.volume.array
    seven = phantom.labels.ids["T7"][0]
    with pytest.raises(LevelError, match="do not show T7"):
        register_mr(phantom.image, with_numbers(phantom.labels, array * (array != seven)), labels, vertebra)
    with pytest.raises(LabelsError, match="neither spinal cord nor canal"):
        register_mr(phantom.image, with_numbers(phantom.labels, array * (array > 2)), labels, vertebra)


@pytest.mark.parametrize(("compression", "narrowing"), [(0.0, 0.0), (0.25, 0.15), (0.4, 0.3), (0.6, 0.4)])
def test_compression_of_cord_and_canal_is_measured(chest, scanned, compression, narrowing):
    """Within 5 points: half a 0.6 mm pixel is 4.5 % of the cord, at both walls of the canal about as much."""
    _, _, vertebra = chest
    phantom = scanned(replace(TALL, compression=compression, narrowing=narrowing))
    profile = profile_of(phantom, vertebra)
    place = beside(vertebra, phantom.motion)
    assert profile.narrowest("cord", place, 20.0).percent == pytest.approx(100 * compression, abs=5.0)
    assert profile.narrowest("canal", place, 20.0).percent == pytest.approx(100 * narrowing, abs=5.0)


def test_measures_do_not_depend_on_how_the_patient_lies(chest, scanned):
    """The same labels turned in the world: sections follow the canal, so nothing changes but rounding."""
    _, _, vertebra = chest
    phantom = scanned(TALL)
    turn = Rigid(rotation=rotation_about([1.0, 0.5, -0.3], 25.0), shift_mm=np.array([40.0, 3.0, -7.0]))
    turned = replace(phantom, labels=replace(phantom.labels, volume=move_volume(phantom.labels.volume, turn)))
    motion = turn.after(phantom.motion)
    before, after = profile_of(phantom, vertebra), profile_of(turned, vertebra, motion)
    # Voxels turn along; the 1 mm stations start elsewhere by rounding: a hundredth of a pixel is 0.1 %.
    for what in ("cord", "canal"):
        first = before.narrowest(what, beside(vertebra, phantom.motion), 20.0)
        second = after.narrowest(what, beside(vertebra, motion), 20.0)
        assert first.percent == pytest.approx(second.percent, abs=0.1)
        assert first.area_mm2 == pytest.approx(second.area_mm2, rel=1e-3)


def test_compression_follows_its_formula():
    assert compression_percent(8.0, 8.0, 8.0) == 0
    assert compression_percent(4.0, 7.0, 9.0) == pytest.approx(50)


def test_motions_compose_and_invert():
    one = Rigid.about(np.array([5.0, 2.0, 1.0]), rotation_about([1, 2, 3], 20), np.array([1.0, 0.0, 2.0]))
    two = Rigid(rotation=rotation_about([0, 1, 0], -7), shift_mm=np.array([0.0, 4.0, 0.0]))
    point = np.array([3.0, -8.0, 11.0])
    assert two.after(one).point(point) == pytest.approx(two.point(one.point(point)))
    assert one.inverse.point(one.point(point)) == pytest.approx(point)
    assert one.angle_deg == pytest.approx(20)
