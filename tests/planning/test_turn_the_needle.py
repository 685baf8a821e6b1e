"""The numbered example that turns a needle towards the canal runs, and its text is true."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_turn_the_needle.py"


def test_the_canal_is_touched_before_the_rule_breaks(tmp_path):
    example = runpy.run_path(str(EXAMPLE))
    vertebra, needle = example["planned"]()
    turned = [example["turn"](vertebra, needle, angle) for angle in range(0, 11, 2)]
    # The planner cuts the canal anew on its own grid; the two masks agree to half a voxel of 0.7 mm.
    assert abs(turned[0].canal_mm - needle.margins_mm["canal"]) < 0.35
    assert turned[0].canal_mm > 0 < turned[0].rule_mm
    assert np.all(np.diff([t.canal_mm for t in turned]) < 0)
    rule, canal = example["warnings"](turned)
    assert canal < rule < np.inf
    example["draw"](vertebra, needle, turned, tmp_path / "turned.png")
    assert (tmp_path / "turned.png").stat().st_size > 10_000
