"""The founding case, rehearsed: the example's numbers, not its pictures."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.slow
def test_only_the_breaching_needle_puts_cement_into_the_canal():
    path = Path(__file__).parents[2] / "examples" / "04_seed_case_rehearsed.py"
    spec = importlib.util.spec_from_file_location("seed_case", path)
    example = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["seed_case"] = example
    spec.loader.exec_module(example)
    planned, breaching = (example.rehearse(name, grid_mm=0.75) for name in example.needles())
    assert planned.first_ml is None
    assert planned.canal_ml(6.0) < 0.005
    assert breaching.first_ml is not None
    assert 3.0 < breaching.first_ml <= 6.0
    assert breaching.left_part > 0.5
    leaks = [breaching.canal_ml(v) for v in example.VOLUMES_ML]
    assert np.all(np.diff(leaks) >= 0)
    for outcome in (planned, breaching):
        assert outcome.result.mass_balance_error < 1e-12
