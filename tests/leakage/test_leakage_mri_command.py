"""`kypho check --mri` as a user runs it, on synthetic MR: read, refused with the reason, or required."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kypho.cli.main import app
from kypho.errors import KyphoError
from kypho.formats import write_nifti
from kypho.phantoms.mri import MrRecipe, make_mri
from kypho.phantoms.postop import Leak, PostopRecipe
from kypho.phantoms.xray_ct import Scanner

RUNNER = CliRunner()
MRI = {
    "compressed": MrRecipe(compression=0.4, narrowing=0.3, seed=3),
    "stranger": MrRecipe(scale=1.25, seed=4),
}


@pytest.fixture(scope="module")
def files(site, tmp_path_factory):
    """A CT with cement in the canal, its labels, and two MR with theirs."""
    folder = tmp_path_factory.mktemp("mri")
    leaks = (Leak(route="intradural", side="left", volume_ml=0.25),)
    after = site.draw(
        PostopRecipe(seed=11, leaks=leaks, scanner=Scanner(fwhm_mm=1.4, views=240), native_fwhm_mm=1.25)
    ).ct
    write_nifti(folder / "after.nii.gz", after)
    write_nifti(folder / "labels.nii.gz", site.labels.volume)
    for name, recipe in MRI.items():
        phantom = make_mri(site.ct, site.labels, site.vertebra, recipe)
        write_nifti(folder / f"{name}.nii.gz", phantom.image)
        write_nifti(folder / f"{name}_labels.nii.gz", phantom.labels.volume)
    return folder


def check(files, mri, *more):
    case = files / f"case-{mri}"
    done = RUNNER.invoke(
        app,
        [
            *(
                "check",
                str(files / "after.nii.gz"),
                "--labels",
                str(files / "labels.nii.gz"),
                "--level",
                "T7",
            ),
            *("--mri", str(files / f"{mri}.nii.gz"), "--mri-labels", str(files / f"{mri}_labels.nii.gz")),
            *("--mri-scheme", "totalspineseg", "--out", str(case), *more),
        ],
    )
    return done, case


def test_a_compressed_cord_is_measured_and_asks_for_action(files):
    done, case = check(files, "compressed")
    assert done.exit_code == 60, (done.output, done.exception)
    document = json.loads((case / "leakage.json").read_text())
    assert document["mri"]["state"] == "read"
    # Drawn 40 %; the MR's pixels of 0.6 mm are some 10 % of a cord's sagittal diameter.
    assert document["mri"]["mscc_percent"] == pytest.approx(40, abs=10)
    asked = {a["evidence"]: a["urgency"] for a in document["actions"]}
    assert asked["action.cord_compressed"] == "at_once"
    assert asked["action.canal_narrowed"] == "soon"
    order = [("at_once", "soon", "routine").index(a["urgency"]) for a in document["actions"]]
    assert order == sorted(order)
    assert set(json.loads((case / "leakage.manifest.json").read_text())["inputs"]) >= {"mri", "mri_labels"}


def test_the_mr_of_another_patient_is_not_assessable_and_says_why(files):
    """The CT's finding stands; nothing is read from the MR, and the page says so."""
    done, case = check(files, "stranger")
    assert done.exit_code == 60, (done.output, done.exception)
    document = json.loads((case / "leakage.json").read_text())
    assert document["mri"]["state"] == "not_assessable"
    assert document["mri"]["reason"]
    assert document["mri"]["mscc_percent"] is None
    assert not [a for a in document["actions"] if a["evidence"].startswith("mri.")]
    html = (case / "leakage.html").read_text()
    assert "Nothing is read from this MR" in html
    assert "not assessable" in done.output


def test_a_required_mr_that_does_not_fit_is_an_error_and_writes_nothing(files):
    case = files / "required"
    done, _ = check(files, "stranger", "--require-mri", "--out", str(case))
    assert isinstance(done.exception, KyphoError)
    assert done.exception.exit_code in (22, 23, 25)
    assert "\n" not in str(done.exception)
    assert not case.exists()
