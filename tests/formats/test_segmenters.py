"""Labels from a segmenter: used where installed, asked for otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kypho import errors
from kypho.anatomy.schemes import SCHEMES
from kypho.formats import segmenters, write_nifti
from kypho.space import Grid, Volume


@pytest.fixture
def ct() -> Volume:
    """Two bony blocks in soft tissue, lower and higher."""
    hu = np.full((24, 20, 18), 40, dtype=np.int16)
    hu[:, 0] = -1000
    hu[3:9, 5:14, 5:14] = 300
    hu[13:19, 5:14, 5:14] = 300
    return Volume(array=hu, grid=Grid.axis_aligned(hu.shape, 2.0, (0, 0, 0)), unit="HU")


def test_without_one_the_three_ways_are_named(ct: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenters, "totalsegmentator_command", lambda: None)
    with pytest.raises(errors.LabelsNeededError, match=r"\(1\).*\(2\).*\(3\).*--labels") as caught:
        segmenters.find_labels(ct)
    assert "\n" not in str(caught.value)


def program(folder: Path, body: str) -> str:
    """A stand-in for the program, with its command line."""
    path = folder / "TotalSegmentator"
    path.write_text(f"#!{sys.executable}\nimport shutil, sys\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_with_one_its_output_is_read(ct: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.zeros(ct.array.shape, np.uint8)
    numbers[3:9, 5:14, 5:14] = SCHEMES["totalsegmentator"]["T8"][0]
    numbers[13:19, 5:14, 5:14] = SCHEMES["totalsegmentator"]["T7"][0]
    write_nifti(tmp_path / "made.nii.gz", ct.like(numbers, "label"))
    body = (
        f"assert sys.argv[1::2] == ['-i', '-o', '--ml', 'total'], sys.argv\n"
        f"shutil.copy({str(tmp_path / 'made.nii.gz')!r}, sys.argv[4])"
    )
    name = program(tmp_path, body)
    monkeypatch.setattr(segmenters, "totalsegmentator_command", lambda: name)
    found = segmenters.find_labels(ct)
    assert found.labels.levels() == ("T7", "T8")
    np.testing.assert_array_equal(found.labels.mask("T7"), numbers == 37)
    assert "automatic" in found.notes[0]


@pytest.mark.parametrize("body", ["sys.exit('no weights')", "pass"])
def test_its_failure_is_passed_on(
    ct: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    name = program(tmp_path, body)
    monkeypatch.setattr(segmenters, "totalsegmentator_command", lambda: name)
    with pytest.raises(errors.MissingPartError, match="no weights" if "exit" in body else "no message"):
        segmenters.find_labels(ct)
