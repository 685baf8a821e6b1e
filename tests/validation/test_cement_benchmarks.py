"""The ranked benchmarks: exact ones must pass, bench ones must run and say how far off they are."""

import math

import pytest

from kypho.cement.validation import BENCHMARKS, run_benchmarks

COARSE = (1, 3, 4, 5, 7, 8, 11, 12)


@pytest.mark.parametrize("number", COARSE)
def test_coarse(number):
    rows = run_benchmarks([number])
    assert rows
    assert all(math.isfinite(row.measured) for row in rows)
    failed = [
        f"{row.quantity}: {row.measured:.4g}, expected {row.target}"
        for row in rows
        if row.kind == "exact" and not row.passed
    ]
    assert not failed


@pytest.mark.slow
@pytest.mark.parametrize("number", list(BENCHMARKS))
def test_fine(number):
    rows = run_benchmarks([number], fine=True)
    failed = [
        f"{row.quantity}: {row.measured:.4g}, expected {row.target}"
        for row in rows
        if row.kind == "exact" and not row.passed
    ]
    assert not failed
