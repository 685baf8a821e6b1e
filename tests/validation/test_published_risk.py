"""Every published number of the leakage evidence that can be recomputed, and those that cannot.

Tolerances are half a unit of the last printed digit unless a sentence says otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, chi2_contingency, fisher_exact

from kypho.evidence import all_records, interval, value
from kypho.risk import RiskInputs, RiskSettings, any_leak
from kypho.risk.audit import defect_of, printed_defects
from kypho.risk.logodds import beta_se, implied_p
from kypho.risk.metastasis import pufhs_points, pufhs_probability


def wilson_interval(events, total):
    return tuple(binomtest(events, total).proportion_ci(method="wilson"))


def two_by_two(a, n, b, m):
    return np.array([[a, n - a], [b, m - b]])


def chi2_p(table, *, yates=False):
    return chi2_contingency(table, correction=yates)[1]


# T1: PUFHS (doi 10.1186/s12885-021-08503-2)
GRID = {
    1: ["11.30/8.63/6.54", "19.62/15.32/11.82", "31.86/25.73/20.42", "47.25/39.89/32.96"],
    2: ["14.19/10.91/8.32", "24.05/19.00/14.80", "37.75/31.00/24.97", "53.74/46.26/38.94"],
    3: ["17.65/13.71/10.53", "29.11/23.33/18.39", "44.03/36.82/30.15", "60.11/52.75/45.26"],
}


def test_t1_the_worked_example_of_pufhs():
    assert pufhs_points("rapid", 1, 0.6) == (3, 1, 3)
    assert 100 * pufhs_probability(3, 1, 3) == pytest.approx(10.53, abs=0.005)


@pytest.mark.parametrize("growth", [1, 2, 3])
def test_t1_the_whole_grid_of_pufhs(growth):
    for levels, cell in enumerate(GRID[growth], start=1):
        got = [100 * pufhs_probability(growth, levels, collapse) for collapse in (1, 2, 3)]
        assert got == pytest.approx([float(x) for x in cell.split("/")], abs=0.0051)


# T2: KAVIAR
def test_t2_the_printed_p_of_the_randomised_trial_is_fishers():
    table = two_by_two(157, 214, 164, 201)
    assert fisher_exact(table)[1] == pytest.approx(0.0471, abs=5e-5)
    assert chi2_p(table) == pytest.approx(0.0454, abs=5e-5)
    assert chi2_p(table, yates=True) == pytest.approx(0.0596, abs=5e-5)
    assert round(fisher_exact(table)[1], 3) == 0.047
    assert round(chi2_p(table), 3) != 0.047


def test_t2_the_baselines_are_the_trials():
    assert value("risk.model.baseline.pkp_ct") == pytest.approx(157 / 214, abs=1e-6)
    assert value("risk.model.baseline.pvp_ct") == pytest.approx(164 / 201, abs=1e-6)
    assert wilson_interval(157, 214) == pytest.approx(interval("risk.model.baseline.pkp_ct"), abs=5e-4)
    assert wilson_interval(164, 201) == pytest.approx(interval("risk.model.baseline.pvp_ct"), abs=5e-4)


# T3: cleft, matched (doi 10.1186/s12891-021-04685-9); the counts are rebuilt from printed percentages
@pytest.mark.parametrize(
    ("kind", "cleft", "none", "p"),
    [
        ("B", 29, 44, 0.0409), ("S", 34, 73, 0.0000), ("venous", 52, 94, 0.0000), ("C", 36, 17, 0.0037),
        ("D", 23, 9, 0.0085), ("cortical", 56, 23, 0.0000), ("any", 94, 106, 0.1092),
    ],
)  # fmt: skip
def test_t3_the_matched_cleft_study(kind, cleft, none, p):
    assert chi2_p(two_by_two(cleft, 139, none, 139)) == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize(
    ("route", "cleft", "none"), [("venous", 52, 94), ("intradiscal", 23, 9), ("paravertebral", 36, 17)]
)
def test_t3_the_cleft_coefficients_follow_from_the_counts(route, cleft, none):
    (a, b), (c, d) = two_by_two(cleft, 139, none, 139)
    # The coefficient was taken from the OR rounded to three decimals and its interval: 0.002 apart.
    assert np.log(a * d / (b * c)) == pytest.approx(value(f"risk.route.{route}.beta.cleft"), abs=2e-3)
    assert np.sqrt(1 / a + 1 / b + 1 / c + 1 / d) == pytest.approx(
        value(f"risk.route.{route}.se.cleft"), abs=1e-3
    )
    assert none / 139 == pytest.approx(value(f"risk.route.{route}.base_no_cleft"), abs=1e-6)


# T4: BMC Surg 2023 Table 1 (doi 10.1186/s12893-023-01959-y)
@pytest.mark.parametrize(
    ("rows", "printed"),
    [
        ([(11, 21), (39, 71), (100, 282)], 0.006), ([(46, 138), (103, 235)], 0.046),
        ([(20, 68), (130, 306)], 0.047), ([(19, 58), (131, 316)], 0.214),
        ([(92, 218), (58, 147)], 0.601), ([(125, 299), (25, 75)], 0.181),
    ],
)  # fmt: skip
def test_t4_the_table_of_374(rows, printed):
    assert chi2_p(np.array([[a, n - a] for a, n in rows])) == pytest.approx(printed, abs=5.1e-4)


def test_t4_the_rows_of_the_table_that_do_not_reproduce():
    kyphosis, sex = two_by_two(21, 85, 129, 289), two_by_two(37, 94, 113, 280)
    assert chi2_p(kyphosis) == pytest.approx(0.001, abs=5e-4)  # printed .01
    assert chi2_p(sex) == pytest.approx(0.865, abs=5e-4)  # printed .657
    assert 138 + 235 != 374
    assert 218 + 147 != 374


# T5, T6, T10, T11
def test_t5_the_intraspinal_groups():
    assert [100 * a / n for a, n in ((9, 128), (3, 26), (4, 9))] == pytest.approx(
        [7.03, 11.54, 44.44], abs=0.005
    )
    assert (128 + 26 + 9, 9 + 3 + 4) == (163, 16)
    assert pytest.approx(9.82, abs=0.005) == 100 * 16 / 163


def test_t6_the_vertos_interval_is_wilsons():
    assert 64 / 80 == 0.80
    assert wilson_interval(64, 80) == pytest.approx((0.6995, 0.8730), abs=5e-5)


def test_t10_counts():
    assert 68 + 9 == 77
    assert 68 + 2 * 9 == 86 == 52 + 9 + 5 + 20
    assert pytest.approx(58.5, abs=0.05) == 100 * 62 / 106


def test_t11_three_groups_of_posterior_wall():
    rows = [(61, 424), (31, 132), (8, 28)]
    assert [100 * a / n for a, n in rows] == pytest.approx([14.4, 23.5, 28.6], abs=0.05)
    assert chi2_p(np.array([[a, n - a] for a, n in rows])) == pytest.approx(0.0137, abs=5e-5)


# T7: intervals to coefficients
@pytest.mark.parametrize(
    ("row", "beta", "se"),
    [
        ("intravertebral_cleft.any_leak.zhan_world_neurosurg_meta_analysis_2017", 0.336, 0.125),
        ("cortical_disruption.any_leak.zhan_world_neurosurg_meta_analysis_2017", 1.716, 0.564),
        ("cement_viscosity.any_leak.zhan_world_neurosurg_meta_analysis_2017", 1.200, 0.454),
        ("cortical_disruption.any_leak.ren_h_2022", 2.466, 0.504),
        ("dynamic_fracture_mobility.any_leak.ren_h_2022", 1.772, 0.480),
        ("operative_approach.any_leak.ren_h_2022", 1.145, 0.519),
        ("cement_volume.any_leak.ren_h_2022", 0.396, 0.145),
        ("n_levels.pulmonary_embolism.josr_pkp_pvp_pulmonary_cement_embolism_2021", 0.880, 0.441),
        ("cement_viscosity.any_leak.hvc_vs_lvc_meta_analysis_2022", -1.470, 0.261),
        ("basivertebral_foramen.any_leak.ou_bj_2023", 1.211, 0.523),
    ],
)
def test_t7_coefficients_from_printed_intervals(row, beta, se):
    item = all_records()[f"risk.row.{row}"]
    assert beta_se(float(item.value), item.low, item.high) == pytest.approx((beta, se), abs=6e-4)


@pytest.mark.parametrize(
    ("ratio", "p", "printed"),
    [
        ((11.774, 4.384, 31.619), 9.8e-7, None), ((3.143, 1.136, 8.698), 0.0274, 0.027),
        ((1.486, 1.119, 1.973), 0.0062, 0.006), ((2.412, 1.017, 5.722), 0.0457, 0.046),
    ],
)  # fmt: skip
def test_t7_implied_p(ratio, p, printed):
    got = implied_p(*ratio)
    assert got == pytest.approx(p, rel=0.02)  # the printed intervals keep three digits
    if printed:
        assert round(got, 3) == printed


def test_t7_implied_p_of_printed_coefficients():
    from scipy.stats import norm

    assert 2 * norm.sf(3.689 / 1.246) == pytest.approx(0.0031, abs=5e-5)  # printed .002
    assert 2 * norm.sf(3.787 / 1.409) == pytest.approx(0.0072, abs=5e-5)  # printed .007
    assert implied_p(0.80, 0.57, 1.11) == pytest.approx(0.189, abs=1e-3)  # printed .182


def test_t7_the_inverted_embolism_ratios():
    assert np.log(1 / 0.241) == pytest.approx(value("risk.route.embolism.beta.thoracic"), abs=5e-4)
    assert np.log(1 / 0.178) == pytest.approx(value("risk.route.embolism.beta.fresh"), abs=5e-4)
    assert beta_se(0.241, 0.105, 0.55)[1] == pytest.approx(value("risk.route.embolism.se.thoracic"), abs=6e-4)
    assert beta_se(0.178, 0.074, 0.429)[1] == pytest.approx(value("risk.route.embolism.se.fresh"), abs=6e-4)


# T8: the detector
def test_t8_exactly_four_printed_ratios_are_defective():
    assert [d.record_id.removeprefix("risk.row.") for d in printed_defects()] == [
        "cement_volume.any_leak.ou_bj_2023",
        "cement_viscosity.intradiscal.hvc_vs_lvc_meta_analysis_2018",
        "level.pulmonary_embolism.josr_pkp_pvp_pulmonary_cement_embolism_2021.2",
        "paravertebral_leak.pulmonary_embolism.pce_cohort_2021",
    ]


def test_t8_the_repaired_bounds_pass():
    assert defect_of(0.45, 0.25, 0.80, printed_decimals=2) is None
    assert defect_of(0.094, 0.0113, 0.779, printed_decimals=4) is None
    assert defect_of(2.27, 1.148, 4.477) is None


def test_t8_inconsistencies_that_no_interval_can_show():
    # Kummell: printed P < .001, the intervals imply more, but both call it significant.
    assert implied_p(3.896, 1.133, 13.401) == pytest.approx(0.031, abs=5e-4)
    assert implied_p(3.518, 1.239, 9.995) == pytest.approx(0.018, abs=5e-4)
    # Hsieh: printed P < .01 for 3/9 against 1/17; Fisher does not reproduce it.
    table = two_by_two(3, 9, 1, 17)
    assert fisher_exact(table)[1] == pytest.approx(0.104, abs=5e-4)
    assert fisher_exact(table)[0] == pytest.approx(8.0, abs=1e-9)
    # Han: a single factor cannot rank better than the model that holds it.
    assert value("risk.row.model.any_leak.han_y_nomogram_2023") < 0.803


# T9: bench masses, kept for the flow simulator
def test_t9_bench_masses_are_on_record():
    rows = [i for i in all_records() if i.startswith("risk.row.injection_time_and_viscosity")]
    assert sorted(value(i) for i in rows) == [0.92, 1.5, 2.6, 4.0]


# Section 5: the worked table of the model
@pytest.mark.parametrize(
    ("procedure", "detection", "alpha", "cells"),
    [
        ("pvp", "ct", 0.5116, (0.6252, 0.9027, 0.8470, 0.9686)),
        ("pkp", "ct", -0.0373, (0.4907, 0.8427, 0.7618, 0.9468)),
        ("pkp", "mixed", -3.0911, (0.0435, 0.2018, 0.1311, 0.4563)),
    ],
)
def test_the_worked_table_of_the_model(procedure, detection, alpha, cells):
    got = [
        any_leak(
            RiskInputs(
                procedure=procedure,
                detection=detection,
                cortical_disruption=c,
                low_viscosity=v,
                volume_ml=4.5,
            ),
            RiskSettings(draws=50),
        )
        for c, v in ((False, False), (True, False), (False, True), (True, True))
    ]
    assert got[0].intercept == pytest.approx(alpha, abs=6e-5)
    assert [e.probability for e in got] == pytest.approx(cells, abs=6e-5)


def test_counts_behind_rates():
    assert pytest.approx(0.126, abs=5e-4) == 100 * 4 / 3175
    assert wilson_interval(4, 256) == pytest.approx((0.006, 0.039), abs=5e-4)
    assert wilson_interval(34, 1782) == pytest.approx(interval("risk.route.embolism.base"), abs=6e-5)
    assert pytest.approx(0.089, abs=5e-4) == 14 / 157
    assert pytest.approx(0.030, abs=5e-4) == 1 - 0.05 ** (1 / 98)
