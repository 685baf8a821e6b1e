"""The twelve ranked benchmarks of cement physics, as library code: `kypho validate cement` prints them.

`exact` holds what has an exact answer and must pass; `bench` holds published experiments, which pass or
are reported as failed with the deviation. What was adjusted with a result in view stands on the page.
"""

from kypho.cement.validation.check import Check
from kypho.cement.validation.suite import BENCHMARKS, run_benchmarks

__all__ = ["BENCHMARKS", "Check", "run_benchmarks"]
