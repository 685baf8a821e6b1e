"""The founding case, rehearsed: the example's numbers, not its pictures."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parents[2] / "examples" / "04_seed_case_rehearsed.py"
    spec = importlib.util.spec_from_file_location("seed_case", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["seed_case"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_small_dose_through_the_planned_needle_keeps_the_canal_clean_and_the_breach_does_not(example):
    planned, breaching = (
        example.rehearse("lytic", "medium", name) for name in ("a, planned", "b, drawn back")
    )
    assert planned.canal_ml(3.0) < 0.02, "below the threshold of a leak"
    assert breaching.first_ml is not None
    assert breaching.first_ml < 1.5
    assert breaching.canal_ml(3.0) > 0.1
    assert breaching.left_part > 0.5, "on the side of the breach"
    assert breaching.result.leaked_ml["canal_intradural"][-1] > 0.02, "through the dura that it tore"
    assert np.all(np.diff(breaching.canal) >= -1e-12), "what is in the canal stays there"
    for outcome in (planned, breaching):
        assert outcome.result.mass_balance_error < 1e-12


@pytest.mark.slow
def test_at_one_depth_the_way_of_the_needle_decides(example):
    """Both drawn back to the same distance from the wall: only the breach differs."""
    kept, breached = (example.rehearse("lytic", "medium", f"{n}, drawn back") for n in "ab")
    assert breached.canal_ml(3.0) > 1.5 * kept.canal_ml(3.0)
    inside_dura = [outcome.result.leaked_ml["canal_intradural"][-1] for outcome in (kept, breached)]
    assert inside_dura[0] < 0.1 * inside_dura[1]
