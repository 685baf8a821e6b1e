"""`kypho sample` and `kypho doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kypho import errors
from kypho.cli.main import app
from kypho.formats import read_ct, read_labels

RUNNER = CliRunner()


def test_the_sample_is_usable_and_attributed(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["sample", "--out", str(tmp_path / "in")])
    assert done.exit_code == 0
    ct = read_ct(tmp_path / "in" / "t5-t9_ct.nii.gz")
    labels = read_labels(tmp_path / "in" / "t5-t9_labels.nii.gz", ct=ct.volume).labels
    assert {"T5", "T6", "T7", "T8", "T9"} <= set(labels.levels())
    text = (tmp_path / "in" / "README.md").read_text()
    for words in ("10.7937/K9/TCIA.2015.LO9QL9SX", "CC BY 3.0", "10.1148/ryai.230024", "Changed"):
        assert words in text
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == [
        "README.md",
        "t5-t9_ct.nii.gz",
        "t5-t9_labels.nii.gz",
    ]


def test_the_sample_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = RUNNER.invoke(app, ["sample", "--out", str(tmp_path / "file" / "in")])
    assert isinstance(done.exception, errors.OutputError)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_doctor_names_what_it_finds(options: list[str]) -> None:
    done = RUNNER.invoke(app, ["doctor", *options])
    assert done.exit_code == 0
    for word in ("python", "threads", "numpy", "TotalSegmentator", "kernel cache"):
        assert word in done.output
    if options:
        assert json.loads(done.output)["kypho"]["threads"] >= 1
