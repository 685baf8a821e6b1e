"""The numbered example of the founding case runs and says what it must."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "03_founding_case_check.py"


def test_the_founding_case_example(tmp_path):
    example = runpy.run_path(str(EXAMPLE))
    phantom, _, document = example["check"](tmp_path)
    assert phantom.truth["canal"]["side"] == document.canal.side == "left"
    assert document.canal.state in ("intradural", "undetermined")
    assert document.actions[0].urgency == "at_once"
    # Three points: the accuracy asked of the check on synthetic cases.
    assert abs(document.canal.max_encroachment_percent.value - phantom.truth["canal"]["max_percent"]) < 3
    assert "synthetic" in (tmp_path / "check" / "leakage.html").read_text()
