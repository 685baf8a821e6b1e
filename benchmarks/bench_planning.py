"""How long one level takes: vertebra model, and both sides with all strategies.

The bundled T5-T9 by default; set KYPHO_BENCH_CT and KYPHO_BENCH_LABELS for a scan of your own.
"""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from kypho.anatomy import build_vertebra
from kypho.errors import LevelIncompleteError
from kypho.formats import read_ct, read_labels
from kypho.planning import PlanSettings, plan_level

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
CT = Path(os.environ.get("KYPHO_BENCH_CT", SAMPLE / "t5-t9_ct.nii.gz"))
LABELS = Path(os.environ.get("KYPHO_BENCH_LABELS", SAMPLE / "t5-t9_labels.nii.gz"))


@pytest.fixture(scope="module")
def a_scan():
    ct = read_ct(CT).volume
    return ct, read_labels(LABELS, ct=ct).labels


def levels():
    ct = read_ct(CT).volume
    labels = read_labels(LABELS, ct=ct).labels
    for level in labels.levels():
        try:
            build_vertebra(ct, labels, level)
        except LevelIncompleteError:
            continue
        yield level


@pytest.mark.parametrize("level", levels())
def test_plan_of_a_level(benchmark, a_scan, level):
    ct, labels = a_scan
    vertebra = build_vertebra(ct, labels, level)
    benchmark.group = "plan: both sides, all strategies"
    benchmark.pedantic(plan_level, (vertebra, ct, labels, PlanSettings()), rounds=3, warmup_rounds=1)


def test_vertebra_model(benchmark, a_scan):
    benchmark.group = "vertebra model"
    benchmark.pedantic(build_vertebra, (*a_scan, "T7"), rounds=3, warmup_rounds=1)


def test_help(benchmark):
    benchmark.group = "start of the program"
    benchmark.pedantic(
        subprocess.run,
        ([sys.executable, "-m", "kypho.cli.main", "--help"],),
        {"check": True, "capture_output": True},
        rounds=5,
        warmup_rounds=1,
    )
