"""The example on slice thickness: nothing that is there is called absent."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "02_what_thick_slices_hide.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("thick_slices", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["thick_slices"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["thick_slices"]


def holds(example, slices_mm, file):
    """What must be true of the example at these thicknesses."""
    seen = example.see(slices_mm)
    assert [one.slice_mm for one in seen] == list(slices_mm)
    for one in seen:
        for factor in example.DAMAGED:
            assert one.finding(factor).state != "absent", one.finding(factor)
        truth = one.case.truth["height_loss_percent"]["anterior"]
        loss = one.found.loss.percent["anterior"]
        assert abs(loss - truth) <= one.found.loss.uncertainty_at(loss)
    rows = example.table(seen).splitlines()
    assert len(rows) == 2 + len(example.DAMAGED)
    assert {row.count("|") for row in rows} == {len(slices_mm) + 3}
    example.draw(seen, file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_on_medium_slices_nothing_that_is_there_is_called_absent(example, tmp_path):
    holds(example, (1.5,), tmp_path / "one.png")


@pytest.mark.slow
def test_on_no_slices_anything_that_is_there_is_called_absent(example, tmp_path):
    holds(example, example.SLICES_MM, tmp_path / "three.png")
