"""Bad input to `kypho plan`: one line with the file and the next step, its own exit code, nothing left."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

from kypho.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))
from dicom_builder import SeriesSpec, ct_slices, save
from spine_builder import numbered, spine

SAMPLE = Path(__file__).parents[2] / "src" / "kypho" / "formats" / "sample"
CT, LABELS = SAMPLE / "t5-t9_ct.nii.gz", SAMPLE / "t5-t9_labels.nii.gz"


def outcome(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str]:
    """Exit code and stderr of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["kypho", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main.run()
    return int(left.value.code or 0), capfd.readouterr().err


def _tilted(slices: list) -> list:
    for k, ds in enumerate(slices):
        ds.ImagePositionPatient[1] = float(ds.ImagePositionPatient[1]) + 0.4 * k
    return slices


def _uneven(slices: list) -> list:
    for ds in slices[3:]:
        ds.ImagePositionPatient[2] = float(ds.ImagePositionPatient[2]) + 0.6
    return slices


def _mr(slices: list) -> list:
    for ds in slices:
        ds.Modality = "MR"
    return slices


def _twice(slices: list) -> list:
    twin = ct_slices(SeriesSpec(series=slices[0].SeriesInstanceUID))[2]
    twin.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    return [*slices, twin]


SERIES = {
    "missing slice": (lambda s: s[:3] + s[4:], 12, "lacks 1"),
    "duplicate slice": (_twice, 13, "already taken"),
    "uneven": (_uneven, 14, "steps"),
    "tilt": (_tilted, 15, "tilted"),
    "mr": (_mr, 16, "MR"),
    "two series": (lambda s: s + ct_slices(), 3, "--series"),
}


@pytest.mark.parametrize("fault", SERIES)
def test_dicom(tmp_path: Path, capfd, monkeypatch, fault: str) -> None:
    change, code, words = SERIES[fault]
    folder = save(tmp_path / "ct", change(ct_slices()))
    out = tmp_path / "out"
    ended, told = outcome(
        capfd, monkeypatch, "plan", folder, "--labels", LABELS, "--level", "T7", "--out", out
    )
    assert ended == code
    assert words in told
    assert str(folder) in told
    assert told.count("\n") == 1
    assert "Traceback" not in told
    assert not out.exists()


def _truncated(folder: Path) -> Path:
    (folder / "ct.nii.gz").write_bytes(CT.read_bytes()[:100_000])
    return folder / "ct.nii.gz"


def _zip_out(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "ct.zip", "w") as archive:
        archive.writestr("../x", b"x")
    return folder / "ct.zip"


def _zip_broken(folder: Path) -> Path:
    (folder / "ct.zip").write_bytes(b"PK\x03\x04")
    return folder / "ct.zip"


def _nan(folder: Path) -> Path:
    array = np.full((8, 8, 8), -1000, np.float32)
    array[4, 4, 4] = np.nan
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


FILES = {
    "truncated": (_truncated, 11),
    "zip out": (_zip_out, 19),
    "zip broken": (_zip_broken, 19),
    "nan": (_nan, 18),
}


@pytest.mark.parametrize("fault", FILES)
def test_files(tmp_path: Path, capfd, monkeypatch, fault: str) -> None:
    make, code = FILES[fault]
    path, out = make(tmp_path), tmp_path / "out"
    ended, told = outcome(capfd, monkeypatch, "plan", path, "--labels", LABELS, "--level", "T7", "--out", out)
    assert (ended, told.count("\n")) == (code, 1)
    assert path.name in told
    assert not out.exists()


def _labels(folder: Path, array: np.ndarray) -> Path:
    like = nibabel.load(LABELS)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.uint8), like.affine), folder / "labels.nii.gz")
    return folder / "labels.nii.gz"


def test_labels_of_another_patient_and_none(tmp_path: Path, capfd, monkeypatch) -> None:
    array = np.asarray(nibabel.load(LABELS).dataobj)
    out = tmp_path / "out"
    for content, code in ((array[:, ::-1], 23), (np.zeros_like(array), 22)):
        path = _labels(tmp_path, content)
        ended, told = outcome(capfd, monkeypatch, "plan", CT, "--labels", path, "--level", "T7", "--out", out)
        assert (ended, told.count("\n")) == (code, 1)
        assert "labels.nii.gz" in told or "label image" in told
        assert not out.exists()


@pytest.mark.parametrize(("level", "code"), [("L4", 25), ("T3", 26), (None, 3)])
def test_levels(tmp_path: Path, capfd, monkeypatch, level: str | None, code: int) -> None:
    words = ["--level", level] if level else []
    ended, told = outcome(
        capfd, monkeypatch, "plan", CT, "--labels", LABELS, *words, "--out", tmp_path / "out"
    )
    assert (ended, told.count("\n")) == (code, 1)
    assert not (tmp_path / "out").exists()


def test_no_labels_and_no_segmenter(tmp_path: Path, capfd, monkeypatch) -> None:
    monkeypatch.setattr("kypho.formats.segmenters.totalsegmentator_command", lambda: None)
    ended, told = outcome(capfd, monkeypatch, "plan", CT, "--level", "T7", "--out", tmp_path / "out")
    assert (ended, told.count("\n")) == (24, 1)
    assert "--labels" in told


def test_no_labels_of_the_earlier_ct(tmp_path: Path, capfd, monkeypatch) -> None:
    monkeypatch.setattr("kypho.formats.segmenters.totalsegmentator_command", lambda: None)
    words = ("plan", CT, "--labels", LABELS, "--level", "T7", "--earlier", CT, "--out", tmp_path / "out")
    ended, told = outcome(capfd, monkeypatch, *words)
    assert (ended, told.count("\n")) == (24, 1)
    assert "--earlier-labels" in told


def test_interrupted_while_reading(tmp_path: Path, capfd, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kypho.formats.read_labels", interrupted)
    ended, told = outcome(
        capfd, monkeypatch, "plan", CT, "--labels", LABELS, "--level", "T7", "--out", tmp_path / "out"
    )
    assert ended == 130
    assert "interrupted" in told
    assert list(tmp_path.iterdir()) == []


def test_the_fault_is_in_the_input_not_in_the_test(tmp_path: Path, capfd, monkeypatch) -> None:
    """The same sound CT and labels as DICOM get past reading: the level is what stops them."""
    ct, which = spine(3)
    folder = save(
        tmp_path / "ct",
        ct_slices(SeriesSpec(hu=ct.array, step=2.0, pixel=(1.5, 1.2), origin=tuple(ct.grid.origin_mm))),
    )
    affine = np.diag([-1.2, -1.5, 2.0, 1.0])
    affine[:3, 3] = ct.grid.origin_mm * [-1, -1, 1]
    array = numbered(which, ["L1", "L2", "L3"], "verse").T
    nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "labels.nii.gz")
    ended, told = outcome(
        capfd, monkeypatch, "plan", folder, "--labels", tmp_path / "labels.nii.gz", "--level", "T7"
    )
    assert ended == 25
    assert "L1, L2, L3" in told


def test_every_command_reads_a_plan_with_the_same_eyes(tmp_path: Path, capfd, monkeypatch) -> None:
    plan = json.loads((Path(__file__).parent / "t7_plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"recommended": -1}))
    on_ct = (CT, "--labels", LABELS, "--level", "T7", "--out", tmp_path / "out")
    for words in (("view-angles",), ("rehearse", *on_ct), ("check", *on_ct)):
        for given in (tmp_path, tmp_path / "plan.json"):
            ended, told = outcome(capfd, monkeypatch, *words, "--plan", given)
            assert (ended, told.count("\n")) == (11, 1), told
            assert "recommended: there is no approach -1" in told
