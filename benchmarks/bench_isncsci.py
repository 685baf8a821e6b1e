"""Speed of the ISNCSCI classification: the target is 100,000 examinations a minute, 0.6 ms each.

Run: pytest benchmarks/bench_isncsci.py --benchmark-enable
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from kypho.followup.isncsci import Examination, classify

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "followup" / "isncsci"))
import isncsci_exams as exams

COUNT = 500


def batch(gaps: int, *, tags: bool) -> list[dict]:
    rng = random.Random(0)
    return [exams.with_gaps(rng, exams.plain(rng), count=gaps, tags=tags) for _ in range(COUNT)]


def per_minute(benchmark) -> None:
    benchmark.extra_info["examinations_per_minute"] = round(60 * COUNT / benchmark.stats.stats.median)


@pytest.mark.parametrize(("gaps", "tags"), [(0, False), (10, False), (10, True), (100, True)])
def test_dictionaries(benchmark, gaps, tags):
    """From the dictionary, checks included."""
    given = batch(gaps, tags=tags)
    benchmark(lambda: [classify(exam) for exam in given])
    per_minute(benchmark)


def test_nothing_tested(benchmark):
    """Every value missing: the case that explodes if substitutions are enumerated."""
    exam = exams.normal()
    for side in exams.SIDES:
        for column in exams.COLUMNS:
            exam[side][column] = dict.fromkeys(exam[side][column], "NT")
    given = [Examination.from_dict(exam)] * COUNT
    benchmark(lambda: [classify(item) for item in given])
    per_minute(benchmark)
