"""`kypho plan` end to end: what it writes, what it refuses, and that it writes all or nothing."""

import errno
import gzip
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from program import START, kypho, one_line

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from dicom_builder import IDENTITY, SeriesSpec, ct_slices, save

from kypho.case.layout import WRITES
from kypho.cli.options import level_name
from kypho.evidence import record
from kypho.formats import read_ct

CT = files("kypho.formats").joinpath("sample/t5-t9_ct.nii.gz")
LABELS = files("kypho.formats").joinpath("sample/t5-t9_labels.nii.gz")
FILES = {"manifest.json", "markups.mrk.json", "needles.csv", "plan.json", "regions.nii.gz", "report.html"}


def _arguments(*more, ct=CT):
    return ["plan", ct, "--labels", LABELS, "--level", "T7", *more]


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """One run on the sample written as a DICOM series that is full of names."""
    folder = tmp_path_factory.mktemp("planned")
    volume = read_ct(Path(str(CT))).volume
    grid = volume.grid
    spec = SeriesSpec(
        hu=volume.array,
        origin=tuple(grid.origin_mm),
        row=tuple(grid.axes[:, 2]),
        column=tuple(grid.axes[:, 1]),
        step=float(
            grid.spacing_mm[0] * np.sign(np.cross(grid.axes[:, 2], grid.axes[:, 1]) @ grid.axes[:, 0])
        ),
        pixel=(grid.spacing_mm[1], grid.spacing_mm[2]),
    )
    ct = save(folder / "Secret Patient", ct_slices(spec))
    done = kypho(*_arguments("--out", "case", "--json", ct=ct), cwd=folder)
    assert done.returncode == 0, done.stderr
    return done, folder / "case"


def test_json_on_stdout_is_plan_json(planned):
    done, case = planned
    shown = json.loads(done.stdout)
    assert shown == json.loads((case / "plan.json").read_text())
    assert shown["schema"] == "kypho.plan/1"
    assert shown["level"] == "T7"


def test_the_plan_names_the_unconfirmed_numbers_it_read(planned):
    """Limits, needles and findings are its own; the risk stands beside it in assessment.json."""
    listed = json.loads((planned[1] / "plan.json").read_text())["unconfirmed"]
    assert {"plan.limit.canal_mm", "plan.target.height_fraction", "balloon.limit_kpa"} <= set(listed)
    assert not [key for key in listed if record(key).confirmed or key.startswith(("risk.", "leak."))]


def test_plan_json_follows_its_schema(planned, tmp_path):
    from jsonschema import validate

    schema = json.loads(kypho("schema", "plan", cwd=tmp_path).stdout)
    validate(json.loads((planned[1] / "plan.json").read_text()), schema)


def test_both_documents_give_the_body_one_volume(planned):
    """The same model, so the same number; a microlitre is rounding."""
    plan, assessment = (
        json.loads((planned[1] / name).read_text()) for name in ("plan.json", "assessment.json")
    )
    assert plan["vertebra"]["body_volume_ml"] == pytest.approx(assessment["body_volume_ml"], abs=1e-3)


def test_the_case_folder_is_complete(planned):
    _, case = planned
    present = {p.relative_to(case).as_posix() for p in case.rglob("*") if p.is_file()}
    assert present >= FILES
    assert not [name for name in present if name.startswith(".")]
    assert {name for name in present if any(Path(name).match(own) for own in WRITES["plan"])} == present
    listed = json.loads((case / "manifest.json").read_text())["outputs"]
    assert set(listed) == present - {"manifest.json"}


def test_the_parts_come_as_dicom_where_the_ct_did(planned):
    """Every segment has as many voxels as its number has in the NIfTI."""
    import pydicom
    import SimpleITK as sitk

    _, case = planned
    seg = pydicom.dcmread(case / "regions.seg.dcm")
    numbers = sitk.GetArrayFromImage(sitk.ReadImage(str(case / "regions.nii.gz")))
    frames = [
        f.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for f in seg.PerFrameFunctionalGroupsSequence
    ]
    for segment in seg.SegmentSequence:
        mine = np.asarray(frames) == segment.SegmentNumber
        assert np.count_nonzero(seg.pixel_array[mine]) == np.count_nonzero(numbers == segment.SegmentNumber)
    assert [s.SegmentLabel for s in seg.SegmentSequence][:2] == ["T7 vertebral body", "T7 left pedicle"]


def test_what_is_for_people_says_what_it_is_for(planned):
    text = (planned[1] / "report.html").read_text(encoding="utf-8")
    assert "not a medical device" in text
    assert "<script src" not in text, "one file that needs nothing else"
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_no_output_names_the_patient(planned):
    """Names, ids, dates, institutions and the folder's own name, in every file and on the terminal."""
    done, case = planned
    secrets = {text.encode() for text in IDENTITY.values()} | {b"Secret", b"20240102", b"SECRET"}
    shown = {"terminal": (done.stdout + done.stderr).encode()}
    for path in case.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            shown[path.name] = gzip.decompress(content) if path.suffix == ".gz" else content
    for name, content in shown.items():
        # Pictures inside the report are base64, where six letters in a row may come about by chance.
        text = re.sub(rb"data:image[^\"']*", b"", content)
        assert not [secret for secret in secrets if secret in text], name


def test_a_refusal_is_written_with_its_numbers(tmp_path):
    done = kypho(*_arguments("--out", "case", "--limit", "canal=9"), cwd=tmp_path)
    assert done.returncode == 30
    assert "REFUSED" in done.stdout
    plan = json.loads((tmp_path / "case" / "plan.json").read_text())
    assert plan["recommended"] is None
    for approach in plan["approaches"]:
        assert not approach["feasible"]
        assert approach["reasons"]
        assert all(reason["unit"] and reason["what"] for reason in approach["reasons"])
    missed = [r for a in plan["approaches"] for r in a["reasons"] if r["limit"] == 9]
    assert missed
    assert all(r["value"] < r["limit"] for r in missed)
    assert "not acceptable" in (tmp_path / "case" / "report.html").read_text(encoding="utf-8").lower()


def test_ctrl_c_leaves_nothing(tmp_path):
    """Interrupted where figures are drawn: the staging folder exists then and has to go."""
    terminal, child = pty.openpty()
    process = subprocess.Popen(
        [*START, *map(str, _arguments("--out", "case"))],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=child,
        start_new_session=True,
        # A shell that runs tests in the background has them ignore the interrupt, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(child)
    seen = _read_until(terminal, b"report")
    process.send_signal(signal.SIGINT)
    seen += _read_until(terminal, None)
    os.close(terminal)
    process.communicate(timeout=60)
    assert process.returncode == 130, seen
    assert b"Traceback" not in seen
    assert b"interrupted; what was not finished was not written" in seen
    assert list(tmp_path.iterdir()) == []


def _read_until(terminal, word):
    """Bytes from the terminal until a word shows or the other end closes."""
    seen = b""
    while word is None or word not in seen:
        try:
            more = os.read(terminal, 4096)
        except OSError as error:
            if error.errno != errno.EIO:  # EIO: how Linux reports a closed pseudo-terminal
                raise
            return seen
        if not more:
            return seen
        seen += more
    return seen


def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit of 100 kB on each file stands in for the disk; the report is larger."""
    limit = 100_000
    done = kypho(
        *_arguments("--out", "case"),
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "case" in one_line(done, 42)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written(tmp_path):
    place = tmp_path
    if os.geteuid() == 0:  # root may write into every folder but the kernel's own
        place = Path("/sys/kernel")
    else:
        place.chmod(0o555)
    out = place / "case"
    # Said before anything is read: there is no CT at this place.
    line = one_line(kypho("plan", tmp_path / "nowhere", "--level", "T7", "--out", out, cwd=tmp_path), 41)
    assert str(out) in line
    assert not out.exists()


def test_a_plan_rests_on_the_earlier_ct_it_is_given(tmp_path):
    before = ("--earlier", CT, "--earlier-labels", LABELS)
    # Th7 is what German, and D7 what French reports call the level.
    done = kypho("plan", CT, "--labels", LABELS, "--level", "Th7", *before, "--out", "case", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    inputs = json.loads((tmp_path / "case/manifest.json").read_text())["inputs"]
    assert inputs["earlier_ct"] == inputs["ct"]
    assessed = json.loads((tmp_path / "case/assessment.json").read_text())
    assert assessed["height_loss_against"] == "earlier CT"
    assert assessed["height_loss_percent"]["anterior"] == pytest.approx(0.0, abs=0.1)


def test_level_names_of_other_languages():
    assert [level_name(name) for name in ("t7", "Th7", "TH7", "d7", " T7")] == ["T7"] * 5
    assert [level_name(name) for name in ("all", "L1", "disc", None)] == ["ALL", "L1", "DISC", None]
