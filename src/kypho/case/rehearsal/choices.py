"""What can be chosen for a rehearsal and what holds without a choice, light enough for `--help`."""

from __future__ import annotations

from typing import Literal

__all__ = ["CEMENT", "GRID_MM", "MEMBERS", "MOST_COMPARED", "MOST_MEMBERS", "SEED", "STRATEGY", "Strategy"]

Strategy = Literal["best", "unilateral", "bilateral"]
STRATEGY: Strategy = "best"
CEMENT = "medium"

GRID_MM = 0.75  # numerics: three cells across the epidural space
MEMBERS = 200
SEED = 1
MOST_MEMBERS = 10_000
"""An interval of a proportion is then no wider than 2 %; more would only run on."""
MOST_COMPARED = 3
"""Scenarios beside the first: what a page shows side by side."""
