"""The in-silico trial: its statistics in every run, its first cases in the slow one."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def trial():
    path = Path(__file__).parents[2] / "examples" / "05_in_silico_trial.py"
    spec = importlib.util.spec_from_file_location("trial", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["trial"] = module
    spec.loader.exec_module(module)
    return module


def counts(leaks, arms=4):
    return np.column_stack([leaks, np.full(len(leaks), arms)])


def test_a_group_against_itself_has_ratio_one_whatever_is_resampled(trial):
    leaks = counts(np.random.default_rng(1).integers(0, 5, 40))
    for odds in (False, True):
        np.testing.assert_allclose(trial.ratio(leaks, leaks, odds=odds), 1.0)


def test_pairing_by_case_narrows_the_interval_of_arms_that_share_a_case(trial):
    """Half the cases leak in every arm: shuffling one group's cases keeps its risk and loses the pairing."""
    random = np.random.default_rng(2)
    first = counts(np.repeat([4, 0], 30))
    second = counts(np.repeat([3, 0], 30))
    paired = trial.ratio(first, second)
    shuffled = trial.ratio(first, random.permutation(second))
    assert paired[0] == shuffled[0] == pytest.approx(4 / 3)
    assert shuffled[2] - shuffled[1] > 5 * (paired[2] - paired[1])


def test_no_leak_in_a_group_gives_a_finite_ratio(trial):
    nothing, something = counts(np.zeros(20, int)), counts(np.repeat([1, 0], 10))
    middle, low, high = trial.ratio(nothing, something)
    assert 0 < low <= middle <= high < 1


def test_an_effect_per_ml_multiplies_up_to_the_whole(trial):
    first, second = counts(np.repeat([3, 1], 20)), counts(np.repeat([2, 1], 20))
    whole = trial.ratio(first, second, odds=True)[0]
    assert trial.ratio(first, second, odds=True, per=2.0)[0] ** 2 == pytest.approx(whole)


def test_the_state_survives_a_torn_line_and_keeps_trials_apart(trial, tmp_path):
    state = tmp_path / "trial.jsonl"
    ours = json.dumps({"case": 0, "key": trial.trial_key(), "left_out": "no level"})
    theirs = json.dumps({"case": 1, "key": "another", "left_out": "no level"})
    state.write_text(f"\n{ours}\n{ours[:20]}\n{theirs}\n")
    assert [row["case"] for row in trial.read_state(state)] == [0]


@pytest.mark.slow
def test_the_first_eight_cases(trial):
    rows = [trial.one_case(number) for number in range(8)]
    ran = [row for row in rows if "arms" in row]
    assert len(ran) >= 6, [row.get("left_out") for row in rows]
    for row in ran:
        assert len(row["arms"]) == 8
        for arm in row["arms"].values():
            assert 0 <= sum(arm["leaked_ml"].values()) <= arm["volume_ml"] + 1e-9
        for viscosity in ("low", "high"):
            small, large = (row["arms"][f"pvp/{viscosity}/{size}"] for size in ("small", "large"))
            for route in trial.LEAK_REGIONS:
                assert small["leaked_ml"][route] <= large["leaked_ml"][route] + 1e-12, "one run, later on"
    text = trial.page(rows)
    assert "Only 8 of 100 cases have run" in text
    assert "SYNTHETIC" in text
    assert trial.one_case(0) == rows[0], "a case is its number"
