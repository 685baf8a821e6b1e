"""The program as a whole: what it loads, how it fails. Each failure is one line and its own exit code."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from program import START, kypho, one_line

from kypho.case.layout import WRITES
from kypho.case.schemas import SCHEMAS

HEAVY = ("numpy", "scipy", "SimpleITK", "numba", "matplotlib", "pydicom", "nibabel", "sqlalchemy")
CT = str(files("kypho.formats").joinpath("sample/t5-t9_ct.nii.gz"))
LABELS = str(files("kypho.formats").joinpath("sample/t5-t9_labels.nii.gz"))


def test_the_command_line_loads_nothing_heavy():
    """Help is quick because of this; the seconds themselves are measured in benchmarks/."""
    script = f"import sys, kypho.cli.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_help_says_what_this_is_for(tmp_path):
    done = kypho("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "not a medical device" in " ".join(done.stdout.split())
    assert "plan" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["plann"], "plann"),
        (["plan", CT, "--levels", "T7"], "--levels"),
        (["plan"], "'ct'"),
        (["follow", "nothing"], "nothing"),
    ],
    ids=["command", "option", "missing argument", "subcommand"],
)
def test_a_wrong_command_line_is_one_line(tmp_path, arguments, named):
    line = one_line(kypho(*arguments, cwd=tmp_path), 2)
    assert named in line
    assert "kypho --help" in line


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["plan", "nowhere.nii.gz", "--labels", LABELS, "--level", "T7"], 11, "nowhere.nii.gz"),
        (["plan", CT, "--labels", "nowhere.nii.gz", "--level", "T7"], 11, "nowhere.nii.gz"),
        (["plan", CT, "--labels", LABELS], 3, "T5, T6, T7, T8"),
        (["plan", CT, "--labels", LABELS, "--level", "L3"], 25, "L3"),
        (["plan", CT, "--labels", LABELS, "--level", "T7", "--device", "12G"], 27, "12G"),
        (["plan", CT, "--labels", LABELS, "--level", "T7", "--limit", "canal=wide"], 27, "canal=wide"),
        (["plan", CT, "--labels", LABELS, "--level", "T7", "--strategy", "both"], 27, "both"),
        (["plan", CT, "--labels", LABELS, "--level", "T7", "--scheme", "mine.json"], 11, "mine.json"),
        (["schema", "nothing"], 3, "nothing"),
    ],
    ids=[
        "no ct",
        "no labels",
        "no level chosen",
        "level not there",
        "unknown device",
        "bad limit",
        "bad strategy",
        "no scheme",
        "no schema",
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, arguments, code, named):
    assert named in one_line(kypho(*arguments, cwd=tmp_path), code)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_inside_is_one_line_too(tmp_path):
    """An exception nobody foresaw: exit code 70 and how to report it, no traceback."""
    script = (
        "import kypho.cli.main as m, typer\n"
        "def broken() -> None:\n    raise ZeroDivisionError('first line\\nsecond line')\n"
        "m.app.command()(broken)\n"
        "m.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "broken"], cwd=tmp_path, capture_output=True, text=True
    )
    line = one_line(done, 70)
    assert "ZeroDivisionError: first line second line" in line
    assert "KYPHO_DEBUG=1" in line


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_json_schemas(tmp_path, name):
    from jsonschema import Draft202012Validator

    done = kypho("schema", name, cwd=tmp_path)
    assert done.returncode == 0
    Draft202012Validator.check_schema(json.loads(done.stdout))


@pytest.mark.parametrize(
    "words",
    [
        ["plan", CT, "--labels", LABELS, "--level", "T7", "--out", ""],
        ["plan", CT, "--labels", "", "--level", "T7"],
        ["plan", CT, "--labels", LABELS, "--level", "T7", "--out="],
        ["plan", "", "--labels", LABELS, "--level", "T7"],
        ["sample", "--out", ""],
    ],
    ids=["out", "labels", "out=", "ct", "sample"],
)
def test_an_empty_name_is_refused(tmp_path, words):
    assert "empty" in one_line(kypho(*words, cwd=tmp_path), 27)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["follow"]], ids=["kypho", "kypho follow"])
def test_without_a_command_the_help_is_shown_as_it_is_laid_out(tmp_path, words):
    done = kypho(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == kypho(*words, "--help", cwd=tmp_path).stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = started("schema", stdout=full, stderr=subprocess.PIPE, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (42, 1)
    assert "no space left" in done.stderr


def test_a_reader_that_goes_away(tmp_path):
    """As of `kypho schema plan | head -1`; a shell names a death by SIGPIPE 141."""
    read, write = os.pipe()
    os.close(read)
    done = started("schema", "plan", stdout=write, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-", ">&- 2>&-"])
def test_closed_streams_do_not_matter(tmp_path, closed):
    line = f'"$@" {closed}'
    done = subprocess.run(["sh", "-c", line, "sh", *START, "sample"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    done = subprocess.run(["sh", "-c", line, "sh", *START, "plan", "no.nii"], cwd=tmp_path, check=False)
    assert done.returncode == 11
    assert {p.name for p in (tmp_path / "kypho-sample").iterdir()} == set(WRITES["sample"])


def started(*words, **options):
    return subprocess.run([*START, *words], text=True, check=False, **options)
