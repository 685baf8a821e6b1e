"""Terms on their own: the linear solver, rheology, tube, bone law, dose, ensemble arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from kypho.cement import Cannula, Needle, Schedule, cement, cement_names, homogeneous_field, multigrid
from kypho.cement.bone import bone_volume_fraction, permeability
from kypho.cement.cannula import tube_pressure_kpa
from kypho.cement.cure import kinetics
from kypho.cement.dose import arrhenius_damage, cem43_min
from kypho.cement.ensemble import _explained, run_ensemble, wilson
from kypho.cement.marrow import displaced, marrow_yield_pa
from kypho.cement.rheology import ageing_rate, darcy_viscosity, shear_factor, yield_viscosity
from kypho.cement.syringe import held_share
from kypho.cement.thermal import ThermalBox
from kypho.cement.transport import fractional_flow
from kypho.cement.validation.check import meets
from kypho.errors import SettingsError
from kypho.evidence import value
from kypho.space import Grid


def random_system(shape, seed):
    rng = np.random.default_rng(seed)
    faces = np.zeros((3, *shape), np.float32)
    for axis in range(3):
        part = [slice(None)] * 3
        part[axis] = slice(0, -1)
        faces[(axis, *part)] = 10 ** rng.uniform(-2, 2, faces[(axis, *part)].shape)
    sink = np.where(rng.random(shape) < 0.05, 1.0, 0.0).astype(np.float32)
    sink[0, 0, 0] = 1.0
    return faces, sink, rng.normal(size=shape)


def assembled(faces, sink):
    shape = sink.shape
    index = np.arange(sink.size).reshape(shape)
    rows, cols, data = [index.ravel()], [index.ravel()], [sink.ravel().astype(float)]
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        a, b, t = (
            index[tuple(low)].ravel(),
            index[tuple(high)].ravel(),
            faces[(axis, *low)].ravel().astype(float),
        )
        rows += [a, b, a, b]
        cols += [a, b, b, a]
        data += [t, t, -t, -t]
    return coo_matrix((np.concatenate(data), (np.concatenate(rows), np.concatenate(cols)))).tocsc()


@pytest.mark.parametrize("shape", [(5, 6, 7), (12, 9, 16), (1, 13, 11)])
@pytest.mark.parametrize("seed", [0, 1])
def test_multigrid_solves_what_the_direct_solver_solves(shape, seed):
    faces, sink, rhs = random_system(shape, seed)
    solved = multigrid.solve(multigrid.allocate(shape), faces, sink, rhs, tolerance=1e-8)
    matrix = assembled(faces, sink)
    assert np.linalg.norm(matrix @ solved.x.ravel() - rhs.ravel()) <= 2e-8 * np.linalg.norm(rhs)
    exact = spsolve(matrix, rhs.ravel()).reshape(shape)
    # A contrast of 1e4 turns a residual of 1e-8 into an error of at most 1e-4.
    np.testing.assert_allclose(solved.x, exact, rtol=0, atol=1e-4 * np.abs(exact).max())


def test_multigrid_iterations_hardly_grow_with_the_grid():
    counts = []
    for n in (16, 32, 64):
        faces = np.ones((3, n, n, n), np.float32)
        faces[0, -1], faces[1, :, -1], faces[2, :, :, -1] = 0, 0, 0
        sink = np.zeros((n, n, n), np.float32)
        sink[0] = 2.0
        rhs = np.zeros((n, n, n))
        rhs[n // 2, n // 2, n // 2] = 1.0
        counts.append(
            multigrid.solve(multigrid.allocate((n, n, n)), faces, sink, rhs, tolerance=1e-8).iterations
        )
    assert counts[-1] <= 2 * counts[0]
    assert counts[-1] < 40


def test_curing_takes_half_as_long_at_37_as_at_25():
    assert ageing_rate(37.0) / ageing_rate(25.0) == pytest.approx(2.0)


@pytest.mark.parametrize("name", cement_names())
def test_viscosity_grows_all_the_way_to_the_common_end(name):
    what = cement(name)
    mu = what.consistency_pa_s(np.linspace(0, what.set_min, 200))
    assert np.all(np.diff(mu) > 0)
    assert mu[-1] == pytest.approx(value("cement.set_viscosity_pa_s"))
    assert what.consistency_pa_s(2 * what.set_min) == pytest.approx(mu[-1])


def test_classes_keep_their_order_while_workable():
    at = [float(cement(name).consistency_pa_s(5.0)) for name in ("low", "medium", "high")]
    assert at == sorted(at)


@given(st.floats(0.4, 0.98), st.floats(1e-6, 1e-2))
@settings(max_examples=50, deadline=None)
def test_porous_power_law_is_the_published_one(index, speed):
    """Christopher & Middleman: mu = K/12 (9 + 3/n)^n (150 k phi)^((1-n)/2) u^(n-1)."""
    k, phi, consistency = 4e-8, 0.9, 100.0
    rate = shear_factor(index) * speed / np.sqrt(150 * k * phi)
    expected = (
        consistency
        / 12
        * (9 + 3 / index) ** index
        * (150 * k * phi) ** ((1 - index) / 2)
        * speed ** (index - 1)
    )
    assert consistency * rate ** (index - 1) == pytest.approx(expected, rel=1e-9)


def test_newtonian_cement_ignores_speed():
    what = cement("low")
    plain = np.full((2, 2, 2), 7.0)
    from dataclasses import replace

    newton = replace(what, flow_index=1.0, yield_pa=0.0)
    assert darcy_viscosity(newton, plain, plain, plain, plain) is plain


def test_tube_is_poiseuille_for_a_newtonian_fluid():
    tube = Cannula(bore_mm=3.0, length_mm=120.0)
    flow = 4e-6 / 60
    expected = 8 * 200.0 * 0.12 * flow / (np.pi * 1.5e-3**4) * 1e-3
    assert tube_pressure_kpa(tube, 200.0, 1.0, 4.0) == pytest.approx(expected)


def test_permeability_falls_with_bone_and_meets_its_anchor():
    reference = value("cement.permeability_reference_bvtv")
    assert permeability(reference) == pytest.approx(value("cement.permeability_si_m2"))
    assert np.all(np.diff(permeability(np.linspace(0.03, 0.9, 50))) <= 0)


def test_bone_volume_fraction_of_the_worked_examples():
    # 72.8, 150 and 230 HU give 5.9, 10.4 and 15 %, printed to that many digits.
    np.testing.assert_allclose(bone_volume_fraction([72.8, 150.0, 230.0]), [0.059, 0.104, 0.150], atol=6e-4)


@given(st.floats(0, 1), st.floats(0.01, 100))
@settings(max_examples=50, deadline=None)
def test_fractional_flow_is_a_fraction(s, ratio):
    for exponent in (0.0, 1.0, 2.0):
        assert 0 <= fractional_flow(s, exponent, ratio) <= 1
    assert fractional_flow(0.0, 0.0, ratio) == 0
    assert fractional_flow(1.0, 2.0, ratio) == 1


def test_dose_adds_over_time_and_dead_tissue_is_dead():
    one = cem43_min([44, 44], [0, 60])
    assert cem43_min([44, 44, 44], [0, 60, 120]) == pytest.approx(2 * one)
    assert arrhenius_damage([60, 60], [0, 60]) > 1 > arrhenius_damage([37, 37], [0, 3600])


def test_wilson_interval_reproduces_the_published_one():
    # VERTOS II prints 64/80 as 80 % (70-87); Wilson gives .6995 to .8730.
    i = wilson(64, 80)
    assert (i.value, i.low, i.high) == (0.8, pytest.approx(0.6995, abs=5e-5), pytest.approx(0.8730, abs=5e-5))


def test_explained_share_of_a_linear_law_is_all():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 100))
    assert _explained([a, b], 2 * a - b) == pytest.approx(1.0)
    assert _explained([a], b) < 0.1


def test_an_ensemble_is_reproducible_and_its_probability_grows_with_volume():
    grid = Grid.axis_aligned((13, 13, 13), 1.5, np.full(3, -9.0))
    field = homogeneous_field(grid, permeability_m2=3e-8, porosity=0.8)
    region = field.region.copy()
    region[:, :, 10:] = 20
    from dataclasses import replace

    field = replace(field, region=region)
    needle = (Needle(tip_mm=np.zeros(3)),)
    plan = Schedule.simple(volume_ml=1.5, rate_ml_min=3.0, start_min=4.0)
    first = run_ensemble(field, needle, cement("high"), plan, members=32, seed=5)
    again = run_ensemble(field, needle, cement("high"), plan, members=32, seed=5)
    assert first.interval["canal"] == again.interval["canal"]
    assert first.leaked_ml == again.leaked_ml
    assert np.all(np.diff(first.p_leak["canal"]) >= 0)
    assert first.interval["canal"].value > 0.3
    assert 0 < first.safe_volume_ml < 1.5
    assert first.drivers is not None
    assert sum(first.drivers.values()) == pytest.approx(1.0)
    # The canal lies on one side of the needle and thick cement fills evenly: where the tip is decides.
    assert max((k for k in first.drivers if k != "unexplained"), key=first.drivers.get) == "tip"


def test_an_ensemble_of_one_is_refused():
    grid = Grid.axis_aligned((5, 5, 5), 1.5, np.zeros(3))
    field = homogeneous_field(grid, permeability_m2=3e-8, porosity=0.8)
    with pytest.raises(SettingsError, match="at least 2"):
        run_ensemble(
            field, (), cement("low"), Schedule.simple(volume_ml=1, rate_ml_min=1, start_min=0), members=1
        )


@given(st.floats(1.0, 1e4), st.floats(1e-5, 1e-2), st.floats(1e-9, 1e-6), st.floats(0.3, 1.0))
@settings(max_examples=50, deadline=None)
def test_a_yield_stress_is_a_threshold_gradient_whatever_the_speed(yield_pa, speed, k, phi):
    """``u mu / k = yield sqrt(phi / 2k)``: four yield stresses over the diameter of a pore bundle's pores."""
    rate = speed * np.sqrt(2 / (k * phi))
    mu = yield_viscosity(*(np.array([x]) for x in (yield_pa, speed, k, phi)))[0]
    if rate > value("cement.shear_rate_floor_per_s"):
        assert speed * mu / k == pytest.approx(4 * yield_pa / np.sqrt(32 * k / phi), rel=1e-9)
    else:
        assert mu == pytest.approx(yield_pa / value("cement.shear_rate_floor_per_s"))


def test_only_marrow_in_place_is_solid_and_only_holes_hold_blood():
    grid = Grid.axis_aligned((1, 1, 4), 1.0, np.zeros(3))
    field = homogeneous_field(grid, permeability_m2=3e-8, porosity=0.8)
    field.region[0, 0] = [1, 6, 7, 28]  # cancellous, breach, basivertebral, paravertebral
    fluid = displaced(field, marrow_pa_s=0.08, yield_pa=marrow_yield_pa())
    blood = value("cement.blood_viscosity_pa_s")
    np.testing.assert_allclose(fluid.viscosity_pa_s[0, 0], [0.08, blood, blood, 0.08])
    assert (fluid.yield_pa[0, 0] > 0).tolist() == [True, False, False, False]


def test_no_blood_runs_where_cement_stands():
    grid = Grid.axis_aligned((4, 4, 4), 1.5, np.zeros(3))
    field = homogeneous_field(grid, permeability_m2=3e-8, porosity=0.8)
    box = ThermalBox(field, kinetics("B"))
    before = box.state.perfusion.copy()
    amount = np.zeros(grid.shape)
    amount[0], amount[1] = 0.8, 0.2
    box.receive(amount, np.full(grid.shape, 23.0), np.full(grid.shape, 1e-6))
    # Full, a quarter full, empty: porosity is stored in single precision.
    for layer, part in ((0, 0.0), (1, 0.75), (2, 1.0)):
        np.testing.assert_allclose(box.state.perfusion[layer], part * before[layer], atol=1e-6 * before.max())


def test_the_hardest_needle_sets_the_rate():
    """Tips at 50 and 90 kPa, rest 10, cannulas 100 kPa per unit rate: 10 + s 80 + s 100 = 100."""
    assert held_share([10.0, 10.0], [50.0, 90.0], lambda n, s: 100.0 * s, 100.0) == pytest.approx(0.5)


def test_a_range_meets_what_it_comes_near_enough_to():
    for found, passed, nearest in (
        ([1.0, 3.0], True, 2.0),
        ([3.0, 4.0], False, 3.0),
        ([0.5, 1.6], True, 1.6),
    ):
        row = meets(1, "", 2.0, 0.5, found)
        assert (row.passed, row.measured) == (passed, nearest)
