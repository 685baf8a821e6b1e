"""Three real levels: no random needle is better than the certified one."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.planning import PlanSettings
from kypho.planning.corridor import path_minima
from kypho.planning.optimum import Goal, maximise
from kypho.planning.routes import Task, corridor_of, fixed_needs, walls_of
from kypho.planning.walls import build_walls

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
RADIUS_MM = 1.2


@pytest.fixture(scope="module")
def sample():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    return ct, read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels


def beaten_by(sample, level, candidates):
    """Certificate, and the best canal margin among random feasible needles of the same corridor."""
    ct, labels = sample
    vertebra = build_vertebra(ct, labels, level)
    walls = build_walls(vertebra, labels)
    task = Task(side="left", aim="paramedian", route="transpedicular")
    corridor = corridor_of(vertebra, task)
    limits = PlanSettings().limits
    needs = fixed_needs("left", limits) | {
        name: RADIUS_MM + getattr(limits, f"{name}_mm") / 2 for name in walls_of(task.route)
    }
    stack = walls.stack.only(list(needs))
    found = maximise(corridor, stack, Goal(offsets={"canal": RADIUS_MM}, needs=needs))
    need = np.array([needs[name] for name in stack.names])
    rng = np.random.default_rng(7)
    best, feasible = -np.inf, 0
    while feasible < candidates:
        # Half of the candidates anywhere, half about the best line: there better ones would be.
        lines = rng.uniform(-1, 1, (20_000, 4))
        near = np.clip(found.line + rng.normal(0, 0.2, (20_000, 4)), -1, 1)
        least = path_minima(corridor, np.vstack([lines, near]), stack)
        allowed = (least >= need).all(axis=1)
        feasible += int(allowed.sum())
        best = max(best, (least[allowed, stack.names.index("canal")] - RADIUS_MM).max(initial=-np.inf))
    return found.certificate, best


def require_unbeaten(certificate, best):
    assert best <= certificate.upper_bound_mm + 1e-4  # the proof; float32 fields
    assert best <= certificate.objective_mm + 0.1  # the promised gap
    assert certificate.gap_mm <= 0.1


def test_two_thousand_candidates(sample):
    require_unbeaten(*beaten_by(sample, "T7", 2_000))


@pytest.mark.slow
@pytest.mark.parametrize("level", ["T5", "T7", "T8"])
def test_two_hundred_thousand_candidates(sample, level):
    require_unbeaten(*beaten_by(sample, level, 200_000))
