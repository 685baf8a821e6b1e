"""Which approach stands first: laws of the ranking, on approaches that are nothing but what it looks at."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kypho.evidence import value
from kypho.planning.approach import Approach, ranked, why_first
from kypho.planning.search import Reason

SPARE = value("plan.ranking.p_canal")
CHANCE = st.integers(0, 1200).map(lambda n: n / 4000)  # of 4000 draws


def needle(side, p, diameter_mm=3.05):
    return SimpleNamespace(
        task=SimpleNamespace(side=side),
        robustness=SimpleNamespace(p_canal=p),
        device=SimpleNamespace(outer_diameter_mm=diameter_mm),
    )


def approach(strategy, *needles, route="transpedicular", reasons=()):
    return Approach(strategy=strategy, route=route, needles=needles, reasons=reasons)


def miss(short, what="canal_margin", unit="mm"):
    return Reason(what=what, value=4.0 - short, limit=4.0, unit=unit)


def three(left, right, both_left, both_right):
    return [
        approach("unilateral_left", needle("left", left)),
        approach("unilateral_right", needle("right", right)),
        approach("bilateral", needle("left", both_left), needle("right", both_right)),
    ]


@given(CHANCE, CHANCE, CHANCE, CHANCE)
def test_the_first_gives_away_no_more_than_the_record_says(left, right, both_left, both_right):
    found = ranked(three(left, right, both_left, both_right), ())
    least = min(a.p_canal for a in found)
    assert found[0].p_canal <= least + SPARE + 1e-9
    # Two punctures stand first only where each single one would cost more than that.
    if found[0].strategy == "bilateral":
        assert min(left, right) > least + SPARE


@given(CHANCE, CHANCE, st.floats(0, 0.4))
def test_no_chance_is_a_cliff_by_itself(left, right, more):
    """Only differences decide, so the same amount on every chance changes nothing."""
    pair = [
        approach("unilateral_left", needle("left", left)),
        approach("unilateral_right", needle("right", right)),
    ]
    moved = [
        approach("unilateral_left", needle("left", left + more)),
        approach("unilateral_right", needle("right", right + more)),
    ]
    if abs(abs(left - right) - SPARE) > 1e-6 and (left == right or abs(left - right) > 1e-6):
        assert ranked(pair, ())[0].strategy == ranked(moved, ())[0].strategy


def test_the_larger_device_may_cost_as_much_and_no_more():
    for p, first in ((0.10 + SPARE, "unilateral_right"), (0.10 + SPARE + 0.001, "unilateral_left")):
        pair = [
            approach("unilateral_left", needle("left", 0.10, diameter_mm=2.41)),
            approach("unilateral_right", needle("right", p, diameter_mm=4.2)),
        ]
        assert ranked(pair, ())[0].strategy == first


def test_what_is_not_acceptable_beside_the_pedicle_or_damaged_stands_behind_however_safe():
    risky = approach("unilateral_left", needle("left", 0.3))
    beside = approach("unilateral_right", needle("right", 0.0), route="extrapedicular")
    refused = approach("unilateral_right", needle("right", 0.0), reasons=(miss(0.5),))
    assert ranked([refused, beside, risky], ()) == (risky, beside, refused)
    safe = approach("unilateral_right", needle("right", 0.0))
    assert ranked([safe, risky], {"right"})[0] is risky


def test_the_nearest_miss_misses_the_fewest_limits_then_the_least():
    left, right = needle("left", 0.0), needle("right", 0.0)
    far = approach("unilateral_left", left, reasons=(miss(0.2), miss(0.1, "lateral_margin")))
    near = approach("unilateral_right", right, reasons=(miss(0.6),))
    nearest = approach("unilateral_left", left, route="extrapedicular", reasons=(miss(0.1),))
    through_a_wall = approach("unilateral_right", right, reasons=(miss(0.0, "pedicle_wall_defect", "mm2"),))
    through_a_lung = approach("bilateral", left, right, reasons=(miss(0.0, "left: crosses_lung"),))
    every = (nearest, near, far, through_a_lung, through_a_wall)
    assert ranked(every[::-1], ()) == every
    assert why_first(every).endswith(
        "unilateral left, extrapedicular comes nearest: canal margin 3.90 against 4.00 mm, 0.10 mm short"
    )


def test_two_needles_touch_as_often_as_either():
    """Of independent chances a and b, at least one happens with a + b - ab."""
    both = approach("bilateral", needle("left", 0.2), needle("right", 0.1))
    assert both.p_canal == pytest.approx(0.28)
