"""Labels: the right names for the right voxels of the right patient, or a refusal that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from spine_builder import numbered, spine

from kypho import errors
from kypho.anatomy import LEVELS
from kypho.anatomy.schemes import SCHEMES, group_ids, structure_name
from kypho.formats import read_ct, read_labels, write_nifti
from kypho.space import Grid, Volume

SAMPLE = Path(__file__).parents[2] / "src" / "kypho" / "formats" / "sample"


def saved(folder: Path, ct: Volume, array: np.ndarray, name: str = "labels.nii.gz") -> Path:
    write_nifti(folder / name, ct.like(array, "label"))
    return folder / name


# The numbers as the owners of the schemes publish them, typed here a second time on purpose.
PUBLISHED = [
    (
        "totalsegmentator",
        {"C1": 50, "C7": 44, "T1": 43, "T7": 37, "T12": 32, "L1": 31, "L5": 27, "sacrum": 25},
    ),
    (
        "totalsegmentator",
        {"spinal_cord": 79, "aorta": 52, "rib_left_1": 92, "rib_right_12": 115, "skull": 91},
    ),
    ("totalsegmentator-v1", {"C1": 41, "T1": 34, "T7": 28, "T12": 23, "L1": 22, "L5": 18, "sacrum": 92}),
    ("verse", {"C1": 1, "C7": 7, "T1": 8, "T12": 19, "L1": 20, "L5": 24, "L6": 25, "sacrum": 26, "T13": 28}),
]


@pytest.mark.parametrize(("scheme", "numbers"), PUBLISHED)
def test_tables_hold_the_published_numbers(scheme: str, numbers: dict[str, int]) -> None:
    for name, number in numbers.items():
        assert SCHEMES[scheme][name] == (number,)


def test_totalsegmentator_names_every_number_once() -> None:
    for scheme, last in (("totalsegmentator", 117), ("totalsegmentator-v1", 104)):
        numbers = sorted(n for ids in SCHEMES[scheme].values() for n in ids)
        assert numbers == list(range(1, last + 1))
    assert SCHEMES["totalsegmentator"]["lung"] == (10, 11, 12, 13, 14)
    assert SCHEMES["totalsegmentator"]["vena_cava"] == (62, 63)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("vertebrae_T7", "T7"),
        ("T7 vertebra", "T7"),
        ("Seventh thoracic vertebra", "T7"),
        ("t12", "T12"),
        ("L6", "L6"),
        ("L7", "l7"),
        ("T7_left_pedicle", "T7_left_pedicle"),
        ("Spinal cord", "spinal_cord"),
        ("vertebral canal", "spinal_canal"),
        ("Inferior vena cava", "vena_cava"),
        ("lung_lower_lobe_left", "lung"),
    ],
)
def test_structure_names(raw: str, name: str) -> None:
    assert structure_name(raw) == name


@pytest.mark.parametrize("level", LEVELS)
def test_structure_names_are_fixed_points(level: str) -> None:
    assert structure_name(level) == level
    assert structure_name(f"vertebrae_{level}") == level


def test_a_level_of_parts_is_their_union() -> None:
    ids = group_ids([(1, "T7_body"), (2, "T7_arch"), (3, "T8")])
    assert ids["T7"] == (1, 2)
    assert ids["T7_body"] == (1,)
    assert ids["T8"] == (3,)


CASES = [
    ("totalsegmentator", ["T12", "L1", "L2", "L3"]),
    ("totalsegmentator", ["C7", "T1", "T2"]),
    ("totalsegmentator-v1", ["T10", "T11", "T12", "L1"]),
    ("verse", ["T5", "T6", "T7", "T8"]),
    ("verse", ["T12", "T13", "L1"]),
    ("verse", ["L4", "L5", "L6"]),
    ("verse", ["T12", "L1"]),
]


@pytest.mark.parametrize(("scheme", "levels"), CASES)
def test_the_scheme_is_detected_and_said(tmp_path: Path, scheme: str, levels: list[str]) -> None:
    ct, which = spine(len(levels))
    found = read_labels(saved(tmp_path, ct, numbered(which, levels, scheme)), ct=ct)
    assert found.labels.scheme == scheme
    assert found.labels.levels() == tuple(levels)
    assert any(scheme.split("-")[0] in note.lower() for note in found.notes)
    for n, level in enumerate(levels, start=1):
        np.testing.assert_array_equal(found.labels.mask(level), which == n)


def test_specks_do_not_hide_the_scheme(tmp_path: Path) -> None:
    """Stray voxels of one level among another's, and a speck of a level far away."""
    ct, which = spine(4)
    array = numbered(which, ["T12", "L1", "L2", "L3"], "totalsegmentator")
    array[3:6, 6:8, 15:17] = SCHEMES["totalsegmentator"]["T12"][0]
    array[12, 9, 15] = SCHEMES["totalsegmentator"]["C3"][0]
    found = read_labels(saved(tmp_path, ct, array), ct=ct)
    assert found.labels.scheme == "totalsegmentator"
    assert {"T12", "L1", "L2", "L3"} <= set(found.labels.levels())


def test_version_1_is_mentioned_where_it_cannot_be_excluded(tmp_path: Path) -> None:
    ct, which = spine(3)
    found = read_labels(saved(tmp_path, ct, numbered(which, ["T5", "T6", "T7"], "totalsegmentator")), ct=ct)
    assert found.labels.levels() == ("T5", "T6", "T7")
    assert any("totalsegmentator-v1" in note and "C3, C4, C5" in note for note in found.notes)


@pytest.mark.parametrize("number", [20, 25, 28])
def test_a_number_with_two_readings_is_refused(tmp_path: Path, number: int) -> None:
    ct, which = spine(1)
    path = saved(tmp_path, ct, which * np.uint8(number))
    with pytest.raises(errors.LabelsError, match="--scheme verse"):
        read_labels(path, ct=ct)
    read = read_labels(path, scheme="verse", ct=ct)
    assert read.labels.levels() == tuple(lv for lv in LEVELS if SCHEMES["verse"][lv] == (number,))


def test_detection_survives_any_patient_orientation(tmp_path: Path) -> None:
    """A world turned so that the spine lies across the table still lines up, in one of the two directions."""
    ct, which = spine(4)
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    grid = Grid(
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        origin_mm=turn @ ct.grid.origin_mm,
        axes=turn @ ct.grid.axes,
    )
    turned = Volume(array=ct.array, grid=grid, unit="HU")
    path = saved(tmp_path, turned, numbered(which, ["T11", "T12", "L1", "L2"], "verse"))
    with pytest.raises(errors.LabelsError, match="--scheme"):
        read_labels(path, ct=turned)  # which end is up cannot be known, and both schemes have an order
    assert read_labels(path, scheme="verse", ct=turned).labels.levels() == ("T11", "T12", "L1", "L2")


def test_names_in_the_file_win(tmp_path: Path) -> None:
    """TotalSegmentator writes its class names into the header; they hold whatever the task's numbers are."""
    ct, which = spine(2)
    path = saved(tmp_path, ct, which)
    image = nibabel.load(path)
    table = (
        '<?xml version="1.0"?><CaretExtension><VolumeInformation Index="0"><LabelTable>'
        '<Label Key="1"><![CDATA[vertebrae_L1]]></Label><Label Key="2"><![CDATA[vertebrae_L2]]></Label>'
        "</LabelTable></VolumeInformation></CaretExtension>"
    )
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, table.encode()))
    nibabel.save(image, tmp_path / "named.nii.gz")
    assert read_labels(tmp_path / "named.nii.gz", ct=ct).labels.levels() == ("L1", "L2")


@pytest.mark.parametrize(
    "content",
    [
        {"T7": 1, "T8": [2], "T8_arch": 3},
        {"1": "T7", "2": "vertebrae_T8", "3": "T8_arch"},
        {"scheme": "clinic", "ids": {"T7": 1, "T8": [2], "T8 arch": [3]}},
    ],
)
def test_json_names(tmp_path: Path, content: dict) -> None:
    ct, which = spine(3)
    names = tmp_path / "names.json"
    names.write_text(json.dumps(content))
    found = read_labels(saved(tmp_path, ct, which), scheme=str(names), ct=ct)
    assert found.labels.levels() == ("T7", "T8")
    np.testing.assert_array_equal(found.labels.mask("T8"), which >= 2)
    np.testing.assert_array_equal(found.labels.mask("T8_arch"), which == 3)
    assert found.labels.scheme == content.get("scheme", "names")


@pytest.mark.parametrize("text", ["[1, 2]", "{}", '{"T7": "x"}', '{"T7": 1.5}', '{"T7": -1}', '{"T7": true}'])
def test_json_names_that_are_none(tmp_path: Path, text: str) -> None:
    ct, which = spine(1)
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(errors.LabelsError, match=r"names\.json"):
        read_labels(saved(tmp_path, ct, which), scheme=str(tmp_path / "names.json"), ct=ct)


def test_broken_json_and_unknown_scheme(tmp_path: Path) -> None:
    ct, which = spine(1)
    path = saved(tmp_path, ct, which)
    (tmp_path / "names.json").write_text("{")
    with pytest.raises(errors.UnreadableFileError, match="JSON"):
        read_labels(path, scheme=str(tmp_path / "names.json"), ct=ct)
    with pytest.raises(errors.SettingsError, match="totalsegmentator"):
        read_labels(path, scheme="mine", ct=ct)


def test_a_folder_of_masks(tmp_path: Path) -> None:
    ct, which = spine(3)
    for n, name in enumerate(("vertebrae_L1", "vertebrae_L2", "vertebrae_L3"), start=1):
        saved(tmp_path, ct, (which == n).astype(np.uint8), f"{name}.nii.gz")
    found = read_labels(tmp_path, ct=ct)
    assert found.labels.levels() == ("L1", "L2", "L3")
    np.testing.assert_array_equal(found.labels.mask("L2"), which == 2)


def test_another_grid_is_resampled_and_said(tmp_path: Path) -> None:
    """Labels at half the slice distance land on the CT's voxels exactly, nearest neighbours being unique."""
    ct, which = spine(3)
    fine = Grid(
        shape=(which.shape[0] * 2, *which.shape[1:]),
        spacing_mm=(1.0, *ct.grid.spacing_mm[1:]),
        origin_mm=ct.grid.origin_mm,
        axes=ct.grid.axes,
    )
    array = numbered(np.repeat(which, 2, axis=0), ["T6", "T7", "T8"], "verse")
    write_nifti(tmp_path / "fine.nii.gz", Volume(array=array, grid=fine, unit="label"))
    found = read_labels(tmp_path / "fine.nii.gz", ct=ct)
    np.testing.assert_array_equal(found.labels.mask("T7"), which == 2)
    assert found.labels.volume.grid.matches(ct.grid)
    assert any("resampled" in note for note in found.notes)


def test_flipped_storage_is_the_same_place(tmp_path: Path) -> None:
    ct, which = spine(3)
    flipped = Grid(
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        origin_mm=ct.grid.to_world((0, 0, ct.grid.shape[2] - 1)),
        axes=ct.grid.axes * [1, 1, -1],
    )
    array = numbered(which, ["T6", "T7", "T8"], "verse")[:, :, ::-1]
    write_nifti(tmp_path / "flipped.nii.gz", Volume(array=array, grid=flipped, unit="label"))
    found = read_labels(tmp_path / "flipped.nii.gz", ct=ct)
    np.testing.assert_array_equal(found.labels.mask("T7"), which == 2)


@pytest.mark.parametrize("move", ["mirrored", "shifted", "upside down", "elsewhere"])
def test_labels_of_another_patient(tmp_path: Path, move: str) -> None:
    ct, which = spine(4)
    array = numbered(which, ["T6", "T7", "T8", "T9"], "verse")
    grid = ct.grid
    if move == "mirrored":
        array = array[:, ::-1]
    elif move == "shifted":
        array = np.roll(array, 10, axis=1)
    elif move == "upside down":
        array = numbered(which, ["T9", "T8", "T7", "T6"], "verse")[::-1, ::-1]
    else:
        grid = Grid.axis_aligned(ct.grid.shape, ct.grid.spacing_mm, ct.grid.origin_mm + 500)
    write_nifti(tmp_path / "labels.nii.gz", Volume(array=array, grid=grid, unit="label"))
    with pytest.raises(errors.FrameOfReferenceError, match=r"labels\.nii\.gz"):
        read_labels(tmp_path / "labels.nii.gz", ct=ct)


@pytest.mark.parametrize("grow", [-1, 1])
def test_tight_and_loose_labels_are_still_of_this_patient(tmp_path: Path, grow: int) -> None:
    from scipy import ndimage

    ct, which = spine(3)
    array = numbered(which, ["T6", "T7", "T8"], "verse")
    array = ndimage.grey_dilation(array, (1, 3, 3)) if grow > 0 else ndimage.grey_erosion(array, (1, 3, 3))
    assert read_labels(saved(tmp_path, ct, array), ct=ct).labels.levels() == ("T6", "T7", "T8")


def test_empty_fractional_negative_and_huge_labels(tmp_path: Path) -> None:
    ct, which = spine(2)
    affine = nibabel.load(saved(tmp_path, ct, which)).affine
    bad = {
        "empty": (np.zeros(which.shape, np.uint8), "empty"),
        "fractions": (which.astype(np.float32) + 0.5, "fractions"),
        "nan": (np.where(which > 0, np.nan, 0).astype(np.float32), "fractions"),
        "negative": (-which.astype(np.int16), "-2 to 0"),
        "huge": (which.astype(np.int32) * 100000, "200000"),
    }
    for name, (array, words) in bad.items():
        nibabel.save(nibabel.Nifti1Image(array.T, affine), tmp_path / f"{name}.nii.gz")
        with pytest.raises(errors.LabelsError, match=words):
            read_labels(tmp_path / f"{name}.nii.gz", scheme="verse", ct=ct)


def test_whole_numbers_stored_as_floats_are_labels(tmp_path: Path) -> None:
    ct, which = spine(2)
    affine = nibabel.load(saved(tmp_path, ct, which)).affine
    array = numbered(which, ["L1", "L2"], "verse").astype(np.float64)
    nibabel.save(nibabel.Nifti1Image(array.T, affine), tmp_path / "float.nii.gz")
    assert read_labels(tmp_path / "float.nii.gz", ct=ct).labels.levels() == ("L1", "L2")


def test_no_vertebra_at_all(tmp_path: Path) -> None:
    ct, which = spine(2)
    with pytest.raises(errors.LabelsError, match="no known scheme"):
        read_labels(saved(tmp_path, ct, (which > 0).astype(np.uint8) * 79), ct=ct)
    with pytest.raises(errors.LabelsError, match="no vertebra"):
        read_labels(saved(tmp_path, ct, (which > 0).astype(np.uint8) * 79), scheme="totalsegmentator", ct=ct)


def test_the_bundled_sample() -> None:
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz")
    found = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct.volume)
    assert found.labels.scheme == "totalsegmentator"
    assert {"T5", "T6", "T7", "T8", "T9"} <= set(found.labels.levels())
    assert found.labels.has("spinal_cord")
    assert found.labels.has("rib_left_7")
    for axis in range(3):
        mirrored = np.flip(found.labels.volume.array, axis)
        with pytest.raises(errors.LabelsError):
            _read_array(ct.volume, mirrored)


def _read_array(ct: Volume, array: np.ndarray) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        read_labels(saved(Path(folder), ct, array), ct=ct)
