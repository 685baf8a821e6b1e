"""The vertebra model against solids whose every measure is known."""

import numpy as np
import pytest

from kypho.anatomy import ARCH, BODY, CANAL, LEFT_PEDICLE, RIGHT_PEDICLE, Labels, build_vertebra
from kypho.errors import GridMismatchError, LabelsError, LevelError, LevelIncompleteError
from kypho.phantoms.spine import SolidSpine
from kypho.space import Frame, Grid, Volume, rotation_about

# Half a voxel of a binary mask plus what smoothing a curved surface costs.
SURFACE_MM = 0.6


def angle_deg(a, b):
    return np.degrees(np.arccos(np.clip(np.dot(a, b), -1, 1)))


def model_of(spine, spacing=(1.0, 1.0, 1.0), axes=None):
    ct, labels = spine.draw(spine.grid(spacing, axes))
    return build_vertebra(ct, labels, "T7")


@pytest.fixture(scope="module")
def vertebra(a_solid_spine):
    return build_vertebra(*a_solid_spine[1:], "T7")


def test_frame_is_the_one_the_solids_were_built_in(a_solid_spine, vertebra):
    truth = a_solid_spine[0].frame
    for name in ("left", "posterior", "superior"):
        assert (
            angle_deg(getattr(vertebra.frame, name), getattr(truth, name)) < 0.5
        )  # flat endplates, exact symmetry
    # The origin is the body's centre: midline and mid-height of the solid.
    assert abs((vertebra.frame.origin_mm - truth.origin_mm)[[0, 2]]).max() < 0.3


def test_wall_and_endplates_are_where_they_were_put(a_solid_spine, vertebra):
    spine = a_solid_spine[0]
    shift = spine.frame.to_local(vertebra.frame.origin_mm)
    assert vertebra.wall.y_mm(0.0) + shift[1] == pytest.approx(spine.wall_y_mm, abs=SURFACE_MM)
    assert vertebra.superior.height_mm + shift[2] == pytest.approx(spine.half_height_mm, abs=SURFACE_MM)
    assert vertebra.inferior.height_mm + shift[2] == pytest.approx(-spine.half_height_mm, abs=SURFACE_MM)


@pytest.mark.parametrize(("radius", "lean"), [(2.5, 0.0), (2.5, 15.0), (3.5, 0.0)])
def test_isthmus_has_the_width_and_lean_of_its_slab(radius, lean):
    upright = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
    spine = SolidSpine(frame=upright, pedicle_radius_mm=radius, transverse_deg=lean, pedicle_x_mm=12.5)
    for pedicle in model_of(spine).pedicles.values():
        assert pedicle.width_mm == pytest.approx(2 * radius, abs=2 * SURFACE_MM)
        # A pedicle 7 mm long with a voxel's error at either end leaves this much of its direction open.
        assert pedicle.transverse_angle_deg == pytest.approx(lean, abs=6.0)
        assert abs(pedicle.sagittal_angle_deg) < 6.0


def test_parts_share_out_the_bone_and_the_canal_is_empty(vertebra):
    regions = vertebra.regions.array
    bone = vertebra.bone_mm.array > 0.5
    assert set(np.unique(regions)) == {0, BODY, LEFT_PEDICLE, RIGHT_PEDICLE, ARCH, CANAL}
    assert np.all(regions[bone] != 0)
    assert not np.any(bone & (regions == CANAL))


def test_regions_on_the_labels_grid_cover_exactly_the_label(a_solid_spine, vertebra):
    labels = a_solid_spine[2]
    regions = vertebra.regions_on(labels).array
    assert np.array_equal((regions >= BODY) & (regions <= ARCH), labels.mask("T7"))


def test_body_matches_the_solid(a_solid_spine, vertebra):
    spine, ct, labels = a_solid_spine
    local = spine.frame.to_local(ct.grid.to_world(np.argwhere(labels.mask("T7"))))
    truth = (np.abs(local[:, 2]) <= spine.half_height_mm) & (local[:, 1] <= spine.wall_y_mm)
    found = vertebra.regions_on(labels).array[labels.mask("T7")] == BODY
    dice = 2 * np.sum(truth & found) / (truth.sum() + found.sum())
    assert dice > 0.97  # one voxel layer at the wall is 4 % of the depth


@pytest.mark.parametrize(
    ("axis", "angle"),
    [((0, 1, 0), 30.0), ((1, 0, 0), 25.0), ((0, 0, 1), 40.0)],
    ids=["scoliosis", "kyphosis", "turned"],
)
def test_a_turned_patient_gives_the_turned_model(axis, angle):
    """Symmetry of space: the model turns with the patient, though the voxels do not."""
    upright = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
    turn = rotation_about(axis, angle)
    turned = Frame(origin_mm=np.zeros(3), rotation=turn)
    fine = (0.7, 0.7, 0.7)  # so that half a voxel of a flat wall is not already the tolerance
    first, second = model_of(SolidSpine(frame=upright), fine), model_of(SolidSpine(frame=turned), fine)
    for name in ("left", "posterior", "superior"):
        assert angle_deg(getattr(second.frame, name), turn @ getattr(first.frame, name)) < 1.0
    assert np.linalg.norm(second.frame.origin_mm - turn @ first.frame.origin_mm) < 0.3


def alone(axis, angle):
    """T7 of a turned spine without its neighbours and its cord, and the frame it was built in."""
    frame = Frame(origin_mm=np.zeros(3), rotation=rotation_about(axis, angle))
    spine = SolidSpine(frame=frame)
    ct, labels = spine.draw(spine.grid((1.0, 1.0, 1.0)))
    own = np.isin(labels.volume.array, labels.ids["T7"]).astype(np.uint8)
    volume = Volume(array=own, grid=ct.grid, unit="label")
    return ct, Labels(volume=volume, scheme="synthetic", ids={"T7": (1,)}), frame


@pytest.mark.parametrize(("axis", "angle"), [((1, 0, 0), 0.0), ((1, 0, 0), 50.0), ((0, 1, 0), 45.0)])
def test_a_lone_vertebra_is_found_by_the_hole_in_its_ring(axis, angle):
    """Nothing tells where the head is but the vertebra itself; the canal is the way through it."""
    ct, labels, truth = alone(axis, angle)
    found = build_vertebra(ct, labels, "T7").frame
    for name in ("left", "posterior", "superior"):
        assert angle_deg(getattr(found, name), getattr(truth, name)) < 1.5  # flat endplates, voxels of 1 mm


def test_a_lone_vertebra_that_lies_down_is_refused():
    """Head and foot cannot be told apart: a plan for the mirror image would be worse than none."""
    ct, labels, _ = alone((1, 0, 0), 66.0)
    with pytest.raises(LevelIncompleteError, match="label a neighbour"):
        build_vertebra(ct, labels, "T7")


def test_stored_orientation_does_not_matter(a_solid_spine, vertebra):
    """The same voxels with flipped and swapped axes are the same patient."""
    _, ct, labels = a_solid_spine
    grid = ct.grid
    last = np.array([grid.shape[0] - 1, 0, grid.shape[2] - 1])
    axes = np.column_stack([grid.axes[:, 1], -grid.axes[:, 0], -grid.axes[:, 2]])
    shape = (grid.shape[1], grid.shape[0], grid.shape[2])
    other = Grid(shape=shape, spacing_mm=(1.0, 1.0, 1.0), origin_mm=grid.to_world(last), axes=axes)
    moved = [np.ascontiguousarray(v.array.transpose(1, 0, 2)[:, ::-1, ::-1]) for v in (ct, labels.volume)]
    again = build_vertebra(
        Volume(array=moved[0], grid=other, unit="HU"),
        Labels(volume=Volume(array=moved[1], grid=other, unit="label"), scheme="synthetic", ids=labels.ids),
        "T7",
    )
    assert (
        np.linalg.norm(again.frame.origin_mm - vertebra.frame.origin_mm) < 0.02
    )  # same numbers, other order
    assert angle_deg(again.frame.left, vertebra.frame.left) < 0.05


def test_mirrored_anatomy_gives_the_mirrored_model():
    upright = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
    plain = model_of(SolidSpine(frame=upright, pedicle_radius_mm=3.5, right_pedicle_radius_mm=2.5))
    swapped = model_of(SolidSpine(frame=upright, pedicle_radius_mm=2.5, right_pedicle_radius_mm=3.5))
    assert plain.pedicles["left"].width_mm == pytest.approx(swapped.pedicles["right"].width_mm, abs=0.2)
    assert plain.pedicles["right"].width_mm == pytest.approx(swapped.pedicles["left"].width_mm, abs=0.2)


def test_coarse_slices_keep_the_frame():
    upright = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
    coarse = model_of(SolidSpine(frame=upright), (2.5, 0.7, 0.7))
    assert angle_deg(coarse.frame.superior, upright.superior) < 1.0
    # Two endplates that fall between slices 2.5 mm apart are each known to half a slice.
    assert abs(coarse.frame.origin_mm[2]) < 1.25


class TestRefusals:
    def test_absent_level_lists_what_there_is(self, a_solid_spine):
        with pytest.raises(LevelError, match="T6, T7, T8"):
            build_vertebra(*a_solid_spine[1:], "T12")

    def test_body_cut_by_the_border(self, a_solid_spine):
        _, ct, labels = a_solid_spine
        low = labels.box("T7")[0].start + 9
        start, stop = (low, 0, 0), ct.grid.shape
        cut = Labels(volume=labels.volume.crop(start, stop), scheme="synthetic", ids=labels.ids)
        with pytest.raises(LevelIncompleteError, match="border"):
            build_vertebra(ct.crop(start, stop), cut, "T7")

    def test_two_levels_in_one_label(self, a_solid_spine):
        _, ct, labels = a_solid_spine
        merged = np.where(labels.volume.array == 3, 2, labels.volume.array).astype(np.uint8)
        bad = Labels(volume=labels.volume.like(merged), scheme="synthetic", ids={**labels.ids})
        with pytest.raises(LevelIncompleteError, match=r"times the volume|largest piece"):
            build_vertebra(ct, bad, "T7")

    def test_label_in_pieces(self, a_solid_spine):
        _, ct, labels = a_solid_spine
        broken = labels.volume.array.copy()
        middle = labels.box("T7")[1]
        broken[:, (middle.start + middle.stop) // 2 - 2 : (middle.start + middle.stop) // 2 + 2][
            broken[:, (middle.start + middle.stop) // 2 - 2 : (middle.start + middle.stop) // 2 + 2] == 2
        ] = 0
        bad = Labels(volume=labels.volume.like(broken), scheme="synthetic", ids=labels.ids)
        with pytest.raises(LevelIncompleteError, match="piece"):
            build_vertebra(ct, bad, "T7")

    def test_empty_labels(self, a_solid_spine):
        _, _, labels = a_solid_spine
        with pytest.raises(LabelsError, match="empty"):
            Labels(volume=labels.volume.like(np.zeros_like(labels.volume.array)), scheme="x", ids=labels.ids)

    def test_labels_on_another_grid(self, a_solid_spine):
        _, ct, labels = a_solid_spine
        with pytest.raises(GridMismatchError, match="label image"):
            build_vertebra(ct.crop((0, 0, 0), (50, 50, 50)), labels, "T7")
