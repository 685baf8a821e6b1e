"""`kypho check` as a user runs it: files, exit codes, DICOM objects, refusals."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from kypho.anatomy import Labels
from kypho.case.leakage.document import LeakageDocument
from kypho.cli.main import app
from kypho.errors import FrameOfReferenceError, InputError, LevelError
from kypho.formats import read_ct, write_nifti
from kypho.formats.dicom_source import with_dicom_series
from kypho.leakage.register import register_vertebra
from kypho.phantoms.postop import Leak, PostopRecipe
from kypho.phantoms.xray_ct import Scanner

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def files(site, tmp_path_factory):
    """The founding case on disk: CT after the operation as NIfTI and DICOM, CT before it, labels."""
    folder = tmp_path_factory.mktemp("check")
    recipe = PostopRecipe(
        seed=11,
        leaks=(Leak(route="intradural", side="left", volume_ml=0.25),),
        scanner=Scanner(fwhm_mm=1.4, views=240),
        native_fwhm_mm=1.25,
    )
    write_nifti(folder / "after.nii.gz", site.draw(recipe).ct)
    write_nifti(folder / "before.nii.gz", site.ct)
    write_nifti(folder / "labels.nii.gz", site.labels.volume)
    with_dicom_series(read_ct(folder / "after.nii.gz"), folder / "dicom")
    return folder


@pytest.fixture(scope="module")
def checked(files):
    done = RUNNER.invoke(
        app,
        [
            *("check", str(files / "dicom"), "--labels", str(files / "labels.nii.gz"), "--level", "t7"),
            *("--out", str(files / "case")),
        ],
    )
    return done, files / "case"


def test_the_exit_code_and_the_document_tell_the_founding_case(checked):
    done, case = checked
    assert done.exit_code == 60, done.output
    document = LeakageDocument.model_validate_json((case / "leakage.json").read_text())
    assert document.schema_ == "kypho.leakage/1"
    assert document.canal.found
    assert document.canal.side == "left"
    assert document.canal.state in ("intradural", "undetermined")
    assert document.actions[0].urgency == "at_once"
    assert "leak.seed_hu" in document.unconfirmed
    assert "leak.height_alike" not in document.unconfirmed, "no CT before, so no heights were compared"
    html = (case / "leakage.html").read_text()
    assert "not a medical device" in html
    assert "http" not in html.replace("http://www.w3.org", "")
    assert json.loads((case / "leakage.manifest.json").read_text())["command"] == "check"


def test_seg_and_sr_are_valid_and_hold_what_the_document_says(checked, files):
    _, case = checked
    document = json.loads((case / "leakage.json").read_text())
    seg = highdicom.seg.segread(case / "cement.seg.dcm")
    report = highdicom.sr.srread(case / "leakage.sr.dcm")
    source = pydicom.dcmread(next((files / "dicom").rglob("*.dcm")))
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    groups = report.content.get_volumetric_roi_measurement_groups()
    said = {g.tracking_identifier: {m.name.meaning: m.value for m in g.get_measurements()} for g in groups}
    part = document["parts"][0]
    assert said[f"T7 leak 1 {part['route']}"]["Volume"] == pytest.approx(part["ml"]["value"], abs=1e-4)
    assert seg.number_of_segments == 1 + len(document["parts"])
    ct = read_ct(files / "dicom")
    volume = seg.get_volume(combine_segments=False)
    inside = np.argwhere(volume.array[..., 1]) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    index = ct.volume.grid.to_index(inside)
    assert np.abs(index - np.rint(index)).max() < 1e-2
    assert ct.volume.array[tuple(np.rint(index).astype(int).T)].min() > 300
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    for name in ("cement.seg.dcm", "leakage.sr.dcm"):
        done = subprocess.run(["dciodvfy", str(case / name)], capture_output=True, text=True, check=False)
        assert not [line for line in done.stderr.splitlines() if line.startswith("Error")], done.stderr


def test_without_cement_there_is_no_leak_and_a_note(files, tmp_path):
    done = RUNNER.invoke(
        app,
        [
            *("check", str(files / "before.nii.gz"), "--labels", str(files / "labels.nii.gz")),
            *("--level", "T7", "--out", str(tmp_path / "case")),
        ],
    )
    assert done.exit_code == 63, done.output
    document = json.loads((tmp_path / "case" / "leakage.json").read_text())
    assert document["cement_ml"]["value"] == 0
    assert not document["canal"]["found"]
    assert any("before the operation" in note for note in document["quality"]["notes"])
    assert not (tmp_path / "case" / "cement.seg.dcm").exists()
    assert "no SEG and no SR" in done.output


def run(files: Path, *arguments: str) -> BaseException | None:
    return RUNNER.invoke(app, ["check", *arguments, "--out", str(files / "refused")]).exception


def test_a_screw_alone_is_no_ct_before_the_operation(site, tmp_path):
    """No cement, exit code 63, but the metal is named and no doubt cast on the CT."""
    drawn = site.draw(PostopRecipe(seed=3, fill_ml=0, confusers=("screw",)))
    write_nifti(tmp_path / "ct.nii.gz", drawn.ct)
    write_nifti(tmp_path / "labels.nii.gz", site.labels.volume)
    done = RUNNER.invoke(
        app,
        [
            *("check", str(tmp_path / "ct.nii.gz"), "--labels", str(tmp_path / "labels.nii.gz")),
            *("--level", "T7", "--out", str(tmp_path / "case")),
        ],
    )
    assert done.exit_code == 63, done.output
    assert "Metal:" in done.output
    assert "before the operation" not in done.output
    assert "Only metal is seen" in (tmp_path / "case" / "leakage.html").read_text()


def test_the_wrong_level_is_named_with_the_right_one(files):
    labels = ["--labels", str(files / "labels.nii.gz")]
    error = run(files, str(files / "after.nii.gz"), *labels, "--level", "T6")
    assert isinstance(error, LevelError)
    assert "T7" in str(error)
    assert not (files / "refused").exists()


def test_the_same_ct_before_and_after_is_refused(files):
    labels = ["--labels", str(files / "labels.nii.gz"), "--level", "T7"]
    error = run(files, str(files / "after.nii.gz"), *labels, "--preop", str(files / "after.nii.gz"))
    assert isinstance(error, InputError)
    assert "same" in str(error)


def test_the_ct_of_another_level_range_does_not_register(site):
    """A scan that ends below the level cannot be matched to it: refused, not shifted by a level."""
    low = site.ct.crop((0, 0, 0), (14, *site.ct.grid.shape[1:]))
    with pytest.raises(FrameOfReferenceError):
        register_vertebra(site.ct, low, site.vertebra)


def test_a_label_of_one_level_is_enough(site, operated):
    """Only the treated level labelled, no neighbours and no cord: cortex from the level itself."""
    from kypho.leakage import check_leakage

    phantom, _ = operated("basivertebral")
    mask = site.labels.mask("T7").astype(np.uint8) * site.labels.ids["T7"][0]
    alone = Labels(volume=site.labels.volume.like(mask), scheme=site.labels.scheme, ids=site.labels.ids)
    found = check_leakage(phantom.ct, alone, site.vertebra)
    assert found.canal.found
