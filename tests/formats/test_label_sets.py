"""Label sets of other makers: each is read with its own names, or asks for what it lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spine_builder import numbered, spine

from kypho import errors
from kypho.anatomy.schemes import SCHEMES, structure_name
from kypho.formats import read_labels, write_nifti
from kypho.space import Grid, Volume

LEVELS = ["T11", "T12", "L1", "L2"]


def saved(folder: Path, like: Volume, array: np.ndarray) -> Path:
    write_nifti(folder / "labels.nii.gz", like.like(array, "label"))
    return folder / "labels.nii.gz"


# The numbers as TotalSpineSeg publishes them, typed here a second time on purpose.
def test_totalspineseg_holds_the_published_numbers() -> None:
    numbers = {"spinal_cord": 1, "spinal_canal": 2, "C1": 11, "T1": 21, "T12": 32, "L1": 41, "sacrum": 50}
    for name, number in numbers.items():
        assert SCHEMES["totalspineseg"][name] == (number,)
    assert {63, 67, 71, 82, 91, 95, 100} <= set(SCHEMES["totalspineseg"]["disc"])


def test_totalspineseg_is_told_by_its_cord(tmp_path: Path) -> None:
    """T1 to T4 of TotalSpineSeg are L2 to L5 of VerSe by their numbers alone; only the first draws a cord."""
    ct, which = spine(4)
    array = numbered(which, ["T1", "T2", "T3", "T4"], "totalspineseg")
    found = read_labels(saved(tmp_path, ct, array), ct=ct).labels
    assert (found.scheme, found.levels()) == ("verse", ("L2", "L3", "L4", "L5"))
    array[2:-2, 18:22, 15:20] = 1
    found = read_labels(saved(tmp_path, ct, array), ct=ct).labels
    assert (found.scheme, found.levels()) == ("totalspineseg", ("T1", "T2", "T3", "T4"))
    assert found.has("spinal_cord")


@pytest.mark.parametrize("number", [1, 255])
def test_a_plain_mask_is_the_level_that_is_asked_for(tmp_path: Path, number: int) -> None:
    ct, which = spine(1)
    path = saved(tmp_path, ct, which * np.uint8(number))
    found = read_labels(path, ct=ct, level="t7")
    assert found.labels.levels() == ("T7",)
    np.testing.assert_array_equal(found.labels.mask("T7"), which == 1)
    assert any("as asked" in note for note in found.notes)
    for level in (None, "all", "X3"):
        with pytest.raises(errors.ChoiceNeededError, match="--level"):
            read_labels(path, ct=ct, level=level)
    # A scheme that is named keeps its own meaning of the number.
    if number == 1:
        assert read_labels(path, ct=ct, scheme="verse", level="T7").labels.levels() == ("C1",)


def test_a_level_asked_for_does_not_rename_labels_that_have_names(tmp_path: Path) -> None:
    ct, which = spine(4)
    path = saved(tmp_path, ct, numbered(which, LEVELS, "verse"))
    assert read_labels(path, ct=ct, level="T7").labels.levels() == tuple(LEVELS)


@pytest.mark.parametrize("arc_deg", [40, 100, 150])
@pytest.mark.parametrize("scheme", ["verse", "totalsegmentator"])
def test_a_bent_spine_still_lines_up(tmp_path: Path, scheme: str, arc_deg: float) -> None:
    """Nine vertebrae on an arc: at 150 degrees the outer ones lie across the line from first to last."""
    levels = [f"T{n}" for n in range(3, 12)]
    shape = (100, 80, 30)
    grid = Grid.axis_aligned(shape, 2.0, (0.0, 0.0, 0.0))
    turn = np.deg2rad(np.linspace(-arc_deg / 2, arc_deg / 2, len(levels)))
    radius = 22.0 * (len(levels) - 1) / np.deg2rad(arc_deg)
    hu = np.full(shape, -1000, np.int16)
    hu[:, 4:-4, 4:-4] = 40
    which = np.zeros(shape, np.uint8)
    behind = radius * (np.cos(turn) - np.cos(turn).min())
    for n, (up, back) in enumerate(zip(100 - radius * np.sin(turn), 40 + behind, strict=True), start=1):
        k, j = round(up / 2), round(back / 2)
        block = np.s_[k - 3 : k + 4, j - 5 : j + 5, 10:20]
        hu[block], which[block] = 250, n
    ct = Volume(array=hu, grid=grid, unit="HU")
    found = read_labels(saved(tmp_path, ct, numbered(which, levels, scheme)), ct=ct).labels
    assert (found.scheme, found.levels()) == (scheme, tuple(levels))


@pytest.mark.parametrize(
    "raw", ["T7_T8_disc", "disc_T7_T8", "Disc T7-T8", "vertebrae_T7_disc", "IVD_T7", "T7 disk"]
)
def test_a_disc_is_never_bone_of_its_level(raw: str) -> None:
    assert structure_name(raw) == "disc"
