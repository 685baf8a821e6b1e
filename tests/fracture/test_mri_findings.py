"""What an MR adds to an assessment. Synthetic MR only."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from kypho.anatomy.cord import cord_profile
from kypho.cli.main import app
from kypho.evidence import record
from kypho.formats import write_nifti
from kypho.fracture.advice import advice
from kypho.fracture.findings import unknown
from kypho.fracture.mri import MRI_FACTORS, merge_cleft, mri_findings, mri_unknown
from kypho.phantoms.mri import MrRecipe, make_mri

HEALTHY = dict.fromkeys(("mri_cleft", "canal_narrowing", "cord_compression", "cord_signal"), "absent")
ILL = MrRecipe(oedema=0.3, cleft="fluid", compression=0.4, narrowing=0.3, cord_signal=0.4)


@pytest.fixture(scope="module")
def found(a_chest, a_t7):
    """Recipe -> findings by factor, at the true place: the registration has tests of its own."""

    def read(recipe):
        ct, labels = a_chest
        phantom = make_mri(ct.volume, labels.labels, a_t7, recipe)
        turn = phantom.motion.rotation
        profile = cord_profile(phantom.labels, turn @ a_t7.frame.superior, turn @ a_t7.frame.posterior)
        rows = mri_findings(phantom.image, phantom.labels, a_t7, phantom.motion, profile)
        return {row.factor: row for row in rows}

    return read


@pytest.mark.parametrize(
    ("recipe", "states"),
    [
        (MrRecipe(sequence="stir"), {**HEALTHY, "bone_oedema": "absent"}),
        (MrRecipe(), {**HEALTHY, "bone_oedema": "not_assessable"}),  # fat may hide it
        (ILL, dict.fromkeys(MRI_FACTORS, "present")),
        (
            MrRecipe(sequence="t1", oedema=0.3, cleft="fluid"),
            dict.fromkeys(("bone_oedema", "mri_cleft", "cord_signal"), "not_assessable"),
        ),
    ],
)
def test_what_is_drawn_is_found_and_what_the_sequence_hides_is_said(found, recipe, states):
    rows = found(recipe)
    assert {factor: rows[factor].state for factor in states} == states


def test_a_cleft_has_its_volume(found):
    """Within 0.25 mL: the rim of a flat 1 mL cleft lies in one 3.3 mm slice on either side."""
    assert found(ILL)["mri_cleft"].value == pytest.approx(1.0, abs=0.25)


def test_only_fluid_on_mr_answers_what_the_ct_left_open(found):
    cleft = found(ILL)["mri_cleft"]
    ct = unknown("intravertebral_cleft", "mL", "body", "thin bone", ("fracture.cleft.gas_hu",))
    merged = merge_cleft(ct, cleft)
    assert (merged.factor, merged.state) == ("intravertebral_cleft", "present")
    assert "source: MR" in merged.how
    assert "thin bone" in merged.how
    assert merge_cleft(ct, mri_unknown("mri_cleft", "no T2")) is ct


def test_an_mr_without_a_cleft_excludes_none_where_the_ct_could_not_see_gas(found):
    """In dark marrow a gas cleft shows no signal on MR either: then neither scan has excluded it."""
    none = found(MrRecipe(sequence="stir"))["mri_cleft"]
    ids = ("fracture.cleft.gas_hu",)
    hidden = unknown("intravertebral_cleft", "mL", "body", "cement in the body hides the bone", ids)
    assert merge_cleft(hidden, none).state == "not_assessable"
    gasless = replace(hidden, how="no gas; in thin bone fluid is marrow", excludes_gas=True)
    assert merge_cleft(gasless, none).state == "absent"


def test_the_command_reads_an_mr_or_says_why_not(a_chest, a_t7, tmp_path):
    ct, labels = a_chest
    phantom = make_mri(ct.volume, labels.labels, a_t7, ILL)
    for name, volume in {
        "ct": ct.volume,
        "labels": labels.labels.volume,
        "mr": phantom.image,
        "on_mr": phantom.labels.volume,
    }.items():
        write_nifti(tmp_path / f"{name}.nii.gz", volume)
    call = [
        "assess",
        str(tmp_path / "ct.nii.gz"),
        "--labels",
        str(tmp_path / "labels.nii.gz"),
        "--level",
        "T7",
    ]
    call += ["--out", str(tmp_path / "case"), "--mri-labels", str(tmp_path / "on_mr.nii.gz"), "--mri"]
    done = CliRunner().invoke(app, [*call, str(tmp_path / "mr.nii.gz")])
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "case" / "assessment.json").read_text())
    assert document["mri"]["state"] == "read"
    assert document["mri"]["mscc_percent"] == pytest.approx(40, abs=5)  # as in the tests of the profile
    assert {f["source"] for f in document["findings"] if f["factor"] in MRI_FACTORS} <= {"mri"}
    assert "synthetic MR only" in (tmp_path / "case" / "assessment.html").read_text()
    swapped = CliRunner().invoke(app, [*call, str(tmp_path / "ct.nii.gz")])
    assert "looks like a CT" in str(swapped.exception)


@pytest.mark.parametrize("factor", ["bone_oedema", "canal_narrowing", "cord_compression", "cord_signal"])
def test_what_the_mr_shows_brings_advice_with_evidence(factor, intact):
    shown = replace(mri_unknown(factor, "made for a test"), state="present", value=1.0)
    lines = [a for a in advice(replace(intact, findings=(*intact.findings, shown))) if a.factor == factor]
    assert lines
    for name in shown.evidence:
        assert record(name).id == name
    hidden = replace(intact, findings=(*intact.findings, mri_unknown(factor, "made for a test")))
    assert not any(a.factor == factor for a in advice(hidden))
