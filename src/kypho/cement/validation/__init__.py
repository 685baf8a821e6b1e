"""The twelve ranked benchmarks of cement physics, as library code: `kypho validate cement` prints them.

By topic: `displacement`, `spread`, `curing` and `pressures` have formulas or references recomputed elsewhere;
`leaks` and `canal_heat` are published experiments, which pass or are reported as failed with the deviation.
What was adjusted with a result in view stands on the page.
"""

from kypho.cement.validation.check import Check
from kypho.cement.validation.suite import BENCHMARKS, run_benchmarks

__all__ = ["BENCHMARKS", "Check", "run_benchmarks"]
