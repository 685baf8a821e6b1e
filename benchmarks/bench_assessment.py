"""Seconds of an assessment, warm; the model of the vertebra beside it for comparison."""

from importlib.resources import files

import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.fracture import assess_level
from kypho.risk import RiskInputs, assess_risk


@pytest.fixture(scope="module")
def t7():
    sample = files("kypho.formats") / "sample"
    ct = read_ct(sample / "t5-t9_ct.nii.gz").volume
    labels = read_labels(sample / "t5-t9_labels.nii.gz", ct=ct).labels
    return ct, labels, build_vertebra(ct, labels, "T7")


def test_assess_level(benchmark, t7):
    assert benchmark(assess_level, *t7).genant.grade == 0


def test_build_vertebra(benchmark, t7):
    ct, labels, _ = t7
    assert benchmark(build_vertebra, ct, labels, "T7").level == "T7"


def test_risk_sheet(benchmark):
    assert benchmark(assess_risk, RiskInputs(cortical_disruption=True)).any is not None
