"""Laws of the leak-risk sheet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kypho.errors import SettingsError
from kypho.risk import RiskInputs, RiskSettings, any_leak, assess_risk, route_risk
from kypho.risk.leak import Estimate, band_of, in_words
from kypho.risk.logodds import beta_se, exposure_patterns, intercept_for
from kypho.risk.metastasis import pufhs_points

FEW = RiskSettings(draws=400)
V0 = 4.5


@given(
    baseline=st.floats(0.001, 0.999),
    betas=st.lists(st.floats(-4, 4), min_size=1, max_size=3),
    share=st.floats(0, 1),
)
@settings(max_examples=50, deadline=None)
def test_the_solved_intercept_reproduces_the_published_rate(baseline, betas, share):
    shares = [share] * len(betas)
    alpha = intercept_for(baseline, betas, shares)
    patterns, weights = exposure_patterns(shares)
    rate = weights @ (1 / (1 + np.exp(-(alpha + patterns @ np.array(betas)))))
    # 60 halvings of a bracket of 120 leave 1e-16; the sum of eight terms rounds to about 1e-15.
    assert rate == pytest.approx(baseline, abs=1e-12)


def test_the_exposure_weights_add_to_one():
    _, weights = exposure_patterns([0.2, 0.7, 0.5])
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_the_site_average_over_known_states_is_the_baseline():
    shares = {True: 0.4, False: 0.6}, {True: 0.5, False: 0.5}
    total = sum(
        shares[0][c] * shares[1][v] * any_leak(_inputs(c, v), FEW).probability
        for c in (True, False)
        for v in (True, False)
    )
    assert total == pytest.approx(157 / 214, abs=1e-5)  # the record keeps six decimals


def test_an_unknown_factor_is_the_site_average_and_never_the_absent_case():
    unknown = any_leak(_inputs(None, True), FEW).probability
    present, absent = (any_leak(_inputs(c, True), FEW).probability for c in (True, False))
    assert unknown == pytest.approx(0.4 * present + 0.6 * absent, abs=1e-9)
    assert unknown > absent


def test_everything_unknown_returns_the_baseline_in_every_draw():
    estimate = any_leak(RiskInputs(), FEW)
    assert (estimate.low, estimate.probability, estimate.high) == pytest.approx(
        [estimate.baseline] * 3, abs=1e-9
    )
    assert estimate.band == "about the baseline"


def test_more_exposure_is_more_risk():
    steps = [(False, False, 3.0), (False, True, 3.0), (True, True, 3.0), (True, True, 6.0)]
    chances = [any_leak(replace(_inputs(c, v), volume_ml=ml), FEW).probability for c, v, ml in steps]
    assert chances == sorted(chances)
    assert len(set(chances)) == 4


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    inputs = _inputs(True, True)
    first, again, other = (any_leak(inputs, RiskSettings(seed=s)) for s in (1, 1, 2))
    assert first == again
    assert first.low != other.low


def test_the_interval_settles_as_draws_grow():
    inputs = _inputs(True, False)
    lows = [[any_leak(inputs, RiskSettings(draws=n, seed=s)).low for s in range(12)] for n in (200, 20000)]
    # A hundred times the draws shrink the scatter of a quantile tenfold; a factor 4 allows for 12 seeds.
    assert np.std(lows[1]) < np.std(lows[0]) / 4


def test_the_estimate_lies_inside_its_interval_for_all_settings():
    for procedure in ("pkp", "pvp"):
        for detection in ("ct", "mixed"):
            for coefficients in ("pooled", "sensitivity"):
                e = any_leak(
                    replace(_inputs(True, False), procedure=procedure, detection=detection),
                    RiskSettings(draws=2000, coefficients=coefficients),
                )
                assert e.low < e.probability < e.high


def test_bands_need_the_whole_interval_on_one_side():
    assert band_of(0.5, 0.6, 0.4) == "above the baseline"
    assert band_of(0.3, 0.5, 0.4) == "about the baseline"
    assert band_of(0.2, 0.3, 0.4) == "below the baseline"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.59, 0.68, "59 to 68 would be expected to leak somewhere, fewer than the published 73 of 100"),
        (0.70, 0.80, "70 to 80 would be expected to leak somewhere, not clearly more or fewer than the"),
        (0.75, 0.80, "75 to 80 would be expected to leak somewhere, more than the published 73 of 100"),
        (0.73, 0.73, "of 100 vertebrae with these findings 73 would be expected"),
    ],
)
def test_the_sentence_counts_vertebrae_and_says_what_they_are_compared_with(low, high, words):
    estimate = Estimate(
        probability=(low + high) / 2,
        low=low,
        high=high,
        baseline=0.73,
        band=band_of(low, high, 0.73),
        intercept=0.0,
        terms=(),
    )
    sentence = in_words(estimate, RiskInputs(procedure="pkp", detection="ct"))
    assert words in sentence
    assert sentence.endswith("for kyphoplasty looked for by CT")


def test_a_cleft_raises_cortical_routes_and_lowers_the_venous_one():
    without, with_cleft = (
        {
            r.route: r.probability
            for r in route_risk(replace(_inputs(False, True), intravertebral_cleft=c), FEW)
        }
        for c in (False, True)
    )
    assert with_cleft["venous"] < without["venous"]
    assert with_cleft["intradiscal"] > without["intradiscal"]
    assert with_cleft["paravertebral"] > without["paravertebral"]


def test_an_unknown_cleft_gives_a_range_and_no_probability():
    for route in route_risk(RiskInputs(), FEW)[:3]:
        assert route.probability is None
        assert route.low < route.high


def test_high_viscosity_multiplies_the_venous_risk_itself():
    low, high = (
        route_risk(replace(_inputs(False, v), intravertebral_cleft=False), FEW)[0].probability
        for v in (True, False)
    )
    assert high == pytest.approx(0.54 * low, rel=1e-12)


def test_an_interval_has_a_width_or_is_none():
    """A base rate that nothing moves is no more certain than one that something does."""
    for cleft in (None, False, True):
        for cortical in (None, False, True):
            asked = replace(_inputs(cortical, True), intravertebral_cleft=cleft)
            for route in route_risk(asked, FEW):
                assert (route.low is None) == (route.high is None)
                assert route.low is None or route.low < route.high
    plain = route_risk(replace(_inputs(False, True), intravertebral_cleft=False), FEW)[1]
    assert plain.probability is not None
    assert plain.low is None


def test_the_canal_route_never_carries_a_probability():
    canal = route_risk(replace(_inputs(True, True), posterior_wall_defect=True), FEW)[3]
    assert canal.probability is None
    assert "posterior wall defect" in canal.flags


def test_lumbar_embolism_is_the_base_rate_only():
    embolism = {level: route_risk(RiskInputs(level=level), FEW)[4] for level in ("T7", "L1", "L4")}
    assert embolism["L4"].probability is None
    assert embolism["T7"].probability > embolism["L1"].probability


def test_metastasis_uses_its_own_model_and_no_osteoporotic_one():
    risk = assess_risk(
        RiskInputs(population="metastasis", primary_growth="rapid", treated_levels=1, height_ratio=0.4)
    )
    assert risk.any is None
    assert risk.routes[0].probability == pytest.approx(0.1053, abs=5e-5)


def test_metastasis_without_its_inputs_has_no_number():
    assert route_risk(RiskInputs(population="metastasis"), FEW)[0].probability is None


@pytest.mark.parametrize(("collapse", "points"), [(0.0, 1), (0.3, 2), (0.5, 3), (0.7, 3)])
def test_collapse_points_follow_the_score(collapse, points):
    assert pufhs_points("slow", 7, collapse) == (1, 4, points)


def test_both_rates_and_the_list_of_what_is_not_claimed_are_always_there():
    risk = assess_risk(RiskInputs())
    rates = {b.name: b.rate for b in risk.baselines}
    assert rates["kyphoplasty, CT, randomised trial"] > 0.7
    assert rates["founding case report, ceiling for kyphoplasty"] == 0.5
    assert len(risk.not_claimed) >= 9
    assert any("assumed" in a for a in risk.assumptions)


def test_zero_weight_factors_bring_their_rows():
    zeros = {z.factor: z for z in assess_risk(RiskInputs()).zero_weights}
    assert len(zeros["intravertebral cleft (any leak)"].rows) >= 4
    assert zeros["needle angle"].rows == ()
    assert zeros["needle angle"].reason == "no effect size known"


def test_beta_and_se_round_trip_to_the_interval():
    beta, se = beta_se(2.0, 2.0 * np.exp(-1.96 * 0.3), 2.0 * np.exp(1.96 * 0.3))
    assert (beta, se) == pytest.approx((np.log(2), 0.3), abs=1e-4)  # 1.96 is rounded


@pytest.mark.parametrize("bad", [{"volume_ml": -1.0}, {"height_ratio": 60.0}, {"treated_levels": 0}])
def test_inputs_out_of_range_are_refused(bad):
    with pytest.raises(SettingsError):
        RiskInputs(**bad)


def test_a_baseline_of_one_is_refused():
    with pytest.raises(SettingsError, match="baseline"):
        intercept_for(1.0, [1.0], [0.5])


def _inputs(cortical, viscous):
    return RiskInputs(cortical_disruption=cortical, low_viscosity=viscous, volume_ml=V0)
