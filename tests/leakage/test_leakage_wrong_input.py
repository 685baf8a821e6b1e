"""`kypho check` on what is no CT after the operation of this patient at this level: one line, no files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from kypho.cli.main import app
from kypho.errors import FrameOfReferenceError, InputError, KyphoError, LevelError, ModalityError
from kypho.formats import write_nifti
from kypho.phantoms.mri import MrRecipe, make_mri
from kypho.phantoms.postop import Leak, PostopRecipe
from kypho.phantoms.xray_ct import Scanner
from kypho.space import Volume

RUNNER = CliRunner()
RECIPE = PostopRecipe(
    seed=11,
    leaks=(Leak(route="basivertebral", volume_ml=0.25),),
    scanner=Scanner(fwhm_mm=1.4, views=240),
    native_fwhm_mm=1.25,
)


def other_patient(image: Volume, change: str) -> Volume:
    """A CT or its labels as somebody else's: larger, slimmer, or bent and dented by up to 15 mm."""
    where = np.indices(image.grid.shape).astype(np.float32)
    if change == "bent":
        rng = np.random.default_rng(3)
        for axis, spacing in enumerate(image.grid.spacing_mm):
            noise = rng.normal(size=image.grid.shape)
            bumps = ndimage.gaussian_filter(noise, 14 / np.asarray(image.grid.spacing_mm))
            where[axis] += bumps * (15 / np.abs(bumps).max()) / spacing
    else:
        size = (1.2, 1.2, 1.2) if change == "larger" else (1.05, 0.8, 0.85)
        for axis, (n, by) in enumerate(zip(image.grid.shape, size, strict=True)):
            where[axis] = (where[axis] - n / 2) / by + n / 2
    numbers = image.unit == "label"
    array = ndimage.map_coordinates(
        image.array if numbers else image.array.astype(np.float32),
        where,
        order=0 if numbers else 1,
        cval=0 if numbers else -1000,
    )
    return image.like(array if numbers else np.rint(array).astype(np.int16))


@pytest.fixture(scope="module")
def files(site, tmp_path_factory):
    """CT after and before, labels, an MR, and the CT before as other patients', on disk."""
    folder = tmp_path_factory.mktemp("wrong")
    after = site.draw(RECIPE).ct
    write_nifti(folder / "after.nii.gz", after)
    write_nifti(folder / "before.nii.gz", site.ct)
    write_nifti(folder / "labels.nii.gz", site.labels.volume)
    write_nifti(
        folder / "again.nii.gz", Volume(array=after.array.astype(np.float32), grid=after.grid, unit="HU")
    )
    for change in ("larger", "slimmer", "bent"):
        write_nifti(folder / f"{change}.nii.gz", other_patient(site.ct, change))
        write_nifti(folder / f"{change}_labels.nii.gz", other_patient(site.labels.volume, change))
    mr = make_mri(site.ct, site.labels, site.vertebra, MrRecipe(slices=9, height_mm=70.0))
    write_nifti(folder / "mr.nii.gz", mr.image)
    # The lowest third: the levels below T7 only.
    write_nifti(folder / "below.nii.gz", site.ct.crop((0, 0, 0), (14, *site.ct.grid.shape[1:])))
    return folder


def refused(files, ct, *, labels="labels.nii.gz", preop=None, level="T7") -> KyphoError:
    """The error of a check, after its message and the output folder were looked at."""
    out = files / "case"
    arguments = ["check", str(files / ct), "--labels", str(files / labels), "--level", level]
    arguments += ["--preop", str(files / preop)] if preop else []
    done = RUNNER.invoke(app, [*arguments, "--out", str(out)])
    assert isinstance(done.exception, KyphoError), (done.output, done.exception)
    assert "\n" not in str(done.exception)
    assert len(str(done.exception)) < 300
    assert not out.exists()
    assert {p.suffix for p in files.iterdir()} == {".gz"}, "something half-written was left"
    return done.exception


@pytest.mark.parametrize("change", ["larger", "slimmer", "bent"])
def test_the_ct_before_of_another_patient_is_refused(files, change):
    error = refused(files, "after.nii.gz", labels=f"{change}_labels.nii.gz", preop=f"{change}.nii.gz")
    assert isinstance(error, FrameOfReferenceError)
    assert error.exit_code == 23
    assert "before and after" in str(error)
    assert "T7" in str(error)


def test_the_same_voxels_in_another_file_are_refused(files):
    error = refused(files, "after.nii.gz", preop="again.nii.gz")
    assert isinstance(error, InputError)
    assert error.exit_code == 10
    assert "same image" in str(error)


def test_swapped_cts_are_refused(files):
    error = refused(files, "before.nii.gz", preop="after.nii.gz")
    assert isinstance(error, InputError)
    assert error.exit_code == 10
    assert "after the operation first" in str(error)


def test_a_ct_before_that_does_not_show_the_level_is_refused(files):
    error = refused(files, "below.nii.gz", preop="before.nii.gz")
    assert isinstance(error, FrameOfReferenceError)
    assert error.exit_code == 23


@pytest.mark.parametrize("given", ["labels.nii.gz", "mr.nii.gz"])
@pytest.mark.parametrize("place", ["after", "before"])
def test_an_image_that_is_no_ct_is_refused(files, given, place):
    ct, preop = (given, None) if place == "after" else ("after.nii.gz", given)
    error = refused(files, ct, preop=preop)
    assert isinstance(error, ModalityError)
    assert error.exit_code == 16
    assert given in str(error)
    assert "give a CT" in str(error)


@pytest.mark.parametrize("level", ["T6", "T8"])
def test_a_level_beside_the_treated_one_is_refused_by_name(files, level):
    error = refused(files, "after.nii.gz", level=level)
    assert isinstance(error, LevelError)
    assert error.exit_code == 25
    assert "--level T7" in str(error)


def test_a_level_that_is_not_labelled_is_refused(files):
    error = refused(files, "after.nii.gz", level="L4")
    assert isinstance(error, LevelError)
    assert error.exit_code == 25
    assert "T7" in str(error)


def test_a_ct_before_the_operation_says_so_with_its_own_code(files, tmp_path):
    arguments = ["check", str(files / "before.nii.gz"), "--labels", str(files / "labels.nii.gz")]
    done = RUNNER.invoke(app, [*arguments, "--level", "T7", "--out", str(tmp_path / "case")])
    assert done.exit_code == 63
    assert "this looks like a CT before the operation or of another level" in done.output
    expected = RUNNER.invoke(
        app, [*arguments, "--level", "T7", "--out", str(tmp_path / "untreated"), "--expect-no-cement"]
    )
    assert expected.exit_code == 0
    assert "looks like" not in expected.output


def test_an_out_that_is_a_file_is_refused_before_the_work(files, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("kept")
    done = RUNNER.invoke(app, ["check", "missing.nii.gz", "--out", str(taken)])
    assert isinstance(done.exception, KyphoError)
    assert done.exception.exit_code in (40, 41)
    assert taken.read_text() == "kept"
