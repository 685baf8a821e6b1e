"""An MR and its labels as files: what is read, and what is told apart from an MR."""

import json

import numpy as np
import pytest

from kypho.errors import FrameOfReferenceError, LabelsError, ModalityError
from kypho.formats import write_nifti
from kypho.formats.mr import read_mr, read_mr_labels
from kypho.space import Grid, Volume

GRID = Grid.axis_aligned((20, 40, 40), 2.0, (0.0, 0.0, 0.0))


def written(path, array, unit="1", grid=GRID):
    write_nifti(path, Volume(array=array, grid=grid, unit=unit))
    return path


def signal():
    return np.random.default_rng(0).integers(0, 900, GRID.shape).astype(np.int16)


def numbers(**boxes):
    array = np.zeros(GRID.shape, np.uint8)
    for name, rows in boxes.items():
        array[4:16, rows, 10:30] = int(name[1:])
    return array


def test_an_mr_comes_back_with_its_numbers_and_place(tmp_path):
    found = read_mr(written(tmp_path / "mr.nii.gz", signal())).volume
    assert found.unit == "1"
    assert np.array_equal(found.array, signal())
    assert found.grid.matches(GRID)


@pytest.mark.parametrize(
    ("array", "word"), [(signal() - 1000, "looks like a CT"), (numbers(n3=slice(2, 9)), "label map")]
)
def test_what_is_no_mr_is_named(tmp_path, array, word):
    with pytest.raises(ModalityError, match=word):
        read_mr(written(tmp_path / "wrong.nii.gz", array.astype(np.int16)))


def test_plain_numbers_are_cord_canal_and_body(tmp_path):
    array = numbers(n3=slice(2, 18), n2=slice(20, 28), n1=slice(22, 25))
    mr = Volume(array=signal(), grid=GRID, unit="1")
    found = read_mr_labels(written(tmp_path / "l.nii.gz", array, "label"), mr=mr).labels
    assert found.scheme == "plain"
    assert found.mask("vertebral_body").sum() == 12 * 16 * 20
    assert found.has("spinal_cord")
    assert found.has("spinal_canal")


def test_names_of_a_json_file_stand(tmp_path):
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"T7": 9, "body": 3, "cord": 1}))
    array = numbers(n9=slice(2, 18), n1=slice(22, 25))
    mr = Volume(array=signal(), grid=GRID, unit="1")
    found = read_mr_labels(written(tmp_path / "l.nii.gz", array, "label"), scheme=str(names), mr=mr).labels
    assert found.levels() == ("T7",)
    assert found.has("spinal_cord")


def test_labels_without_a_canal_or_of_another_scan_are_refused(tmp_path):
    mr = Volume(array=signal(), grid=GRID, unit="1")
    body = written(tmp_path / "body.nii.gz", numbers(n49=slice(2, 18)), "label")
    with pytest.raises(LabelsError, match="neither spinal cord nor canal"):
        read_mr_labels(body, scheme="spineps", mr=mr)
    far = Grid.axis_aligned(GRID.shape, 2.0, (300.0, 0.0, 0.0))
    array = numbers(n3=slice(2, 18), n1=slice(22, 25))
    with pytest.raises(FrameOfReferenceError, match="outside the MR"):
        read_mr_labels(written(tmp_path / "far.nii.gz", array, "label", far), mr=mr)
