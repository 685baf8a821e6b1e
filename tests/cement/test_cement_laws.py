"""Laws of the injection: conservation, bounds, symmetry, rotation, scaling, bad input."""

from dataclasses import replace

import numpy as np
import pytest

from kypho.cement import (
    BoneField,
    Needle,
    Pause,
    Schedule,
    Settings,
    Stage,
    cement,
    homogeneous_field,
    inflate,
    inject,
)
from kypho.cement.compartments import CODES
from kypho.cement.validation.rig import newtonian
from kypho.errors import NotFiniteError, SettingsError
from kypho.space import Grid

DRY = Settings(heat=False, frames=4)


def box(n: int = 21, h: float = 1.0, **changes) -> BoneField:
    grid = Grid.axis_aligned((n, n, n), h, np.full(3, -(n // 2) * h))
    return homogeneous_field(grid, permeability_m2=3e-8, porosity=0.8, **changes)


def rough(field: BoneField, seed: int = 0) -> BoneField:
    noise = np.exp(np.random.default_rng(seed).normal(0, 1.0, field.grid.shape)).astype(np.float32)
    return replace(field, permeability_m2=field.permeability_m2 * noise)


def run(field, volume_ml=1.0, fluid=None, settings=DRY, tip=(0.0, 0.0, 0.0), **stage):
    plan = Schedule(steps=(Stage(volume_ml=volume_ml, **(stage or {"rate_ml_min": 3.0})),), start_min=4.0)
    return inject(field, (Needle(tip_mm=np.array(tip)),), fluid or cement("low"), plan, settings)


@pytest.mark.parametrize("seed", range(3))
def test_cement_is_conserved_and_bounded_at_every_step_in_rough_bone(seed):
    result = run(rough(box(), seed), 1.0, fluid=cement("high"))  # runny cement would finger out of the box
    # Flux form: only rounding remains, far below the promised 1e-6.
    assert result.mass_balance_error < 1e-12
    amount = np.asarray(result.cement.array)
    assert amount.min() >= 0
    assert amount.max() <= 0.8 * (1 + 1e-6)
    # Stored in single precision: the filled cells round to parts in 1e7 each.
    assert amount.sum(dtype=float) * 1e-3 == pytest.approx(1.0, rel=1e-6)


def test_cement_that_leaves_the_box_is_still_counted():
    field = box(9)
    region = field.region.copy()
    region[:, :, -1] = 29
    field = replace(field, region=region)
    result = run(field, 0.45, tip=(3.0, 0.0, 0.0))
    assert result.mass_balance_error < 1e-12
    assert result.leaked_ml["venous"][-1] > 0.05


def test_a_symmetric_problem_has_a_symmetric_result():
    amount = np.asarray(run(box(), 1.5, settings=replace(DRY, tolerance=1e-9)).cement.array)
    for axis in range(3):
        # The pressure's residual of 1e-9 leaves differences of that size, times the number of steps.
        np.testing.assert_allclose(amount, np.flip(amount, axis), atol=1e-5)
    np.testing.assert_allclose(amount, amount.transpose(2, 1, 0), atol=1e-5)


def test_turning_the_bone_by_a_right_angle_turns_the_cement():
    field = rough(box(17))
    turned = replace(
        field,
        permeability_m2=np.ascontiguousarray(np.rot90(field.permeability_m2, axes=(2, 3))),
        porosity=np.ascontiguousarray(np.rot90(field.porosity, axes=(1, 2))),
    )
    settings = replace(DRY, tolerance=1e-9)
    straight = np.asarray(run(field, 0.8, settings=settings).cement.array)
    other = np.asarray(run(turned, 0.8, settings=settings).cement.array)
    np.testing.assert_allclose(np.rot90(straight, axes=(1, 2)), other, atol=1e-4)


def test_a_newtonian_fluid_twice_as_thick_takes_twice_the_pressure_and_the_same_way():
    field = box()
    settings = replace(DRY, marrow_pa_s=1e-3, marrow_yield_pa=0.0)  # marrow that takes no part
    thin = run(field, fluid=newtonian(50.0), settings=settings)
    thick = run(field, fluid=newtonian(100.0), settings=settings)
    # The marrow is the only thing that does not scale: 1e-3 of 50, so the ratio is 2 to a part in 1e3.
    assert thick.tip_kpa[-1] / thin.tip_kpa[-1] == pytest.approx(2.0, rel=2e-3)
    np.testing.assert_allclose(thick.cement.array, thin.cement.array, atol=2e-2)


def test_cement_prefers_the_open_side():
    field = box()
    k = field.permeability_m2.copy()
    k[:, :, :, :9] *= 1e-4
    amount = np.asarray(run(replace(field, permeability_m2=k), 1.5).cement.array)
    assert amount[..., :9].sum() < 0.01 * amount.sum()


def _with_hole(field: BoneField) -> BoneField:
    """A straight hole beside the needle that holds blood, as permeable as the bone around it."""
    region = field.region.copy()
    region[10, 10, 11:] = 11
    return replace(field, region=region)


def test_runny_cement_runs_along_blood_and_thick_cement_does_not():
    """Marrow in place holds still until pressed hard enough; marrow as a plain fluid makes no difference."""
    along = {}
    for marrow in (80.0, 0.0):
        for viscosity in (100.0, 2000.0):
            amount = np.asarray(
                run(
                    _with_hole(box()),
                    0.8,
                    fluid=newtonian(viscosity),
                    settings=replace(DRY, marrow_yield_pa=marrow),
                ).cement.array
            )
            along[marrow, viscosity] = (amount[10, 10, 11:].sum() - amount[10, 10, :10].sum()) / 0.8
    # Cells that the front is ahead in the hole. Blood is 20 times thinner than such marrow, and that over a
    # thousand times thinner than either cement: no cell's difference.
    assert along[0.0, 100.0] == pytest.approx(0.0, abs=0.1)
    assert along[0.0, 2000.0] == pytest.approx(0.0, abs=0.1)
    assert along[80.0, 100.0] > along[80.0, 2000.0] + 1.0 > 1.0


def test_marrow_in_place_adds_its_threshold_to_the_pressure():
    """A slab: the pressure falls by ``yield sqrt(phi / 2k)`` per metre, however slowly marrow is pushed."""
    grid = Grid.axis_aligned((1, 1, 40), (10.0, 10.0, 1.0), (0.0, 0.0, 0.0))
    field = homogeneous_field(
        grid, permeability_m2=4e-8, porosity=0.9, open_faces=(False, False, False, False, False, True)
    )
    settings = replace(DRY, marrow_pa_s=1e-6, marrow_yield_pa=80.0)
    result = run(field, 0.01, fluid=newtonian(1e-4), settings=settings)
    # Clear of the slab's ends, whose cells see flow through one face only.
    fall = float(result.pressure.array[0, 0, 5] - result.pressure.array[0, 0, 35])
    # Nothing but rounding in single precision: the flow of a slab is the same through every cell.
    assert fall == pytest.approx(80.0 * np.sqrt(0.9 / (2 * 4e-8)) * 30e-3 * 1e-3, rel=1e-4)


def test_a_given_pressure_is_met_and_the_rate_falls_as_the_ball_grows():
    result = run(box(), 0.6, fluid=newtonian(200.0), pressure_kpa=900.0)
    np.testing.assert_allclose(result.syringe_kpa, 900.0, rtol=1e-3)  # bisection to 1e-4 of a rate
    rate = np.diff(result.injected_ml) / np.diff(result.time_s)
    assert rate[-1] < rate[0]


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_stage_with_a_needle_that_is_not_there_names_it(wrong):
    with pytest.raises(SettingsError, match=f"needle {wrong}, but there are 1"):
        run(box(), needles=(0, wrong), rate_ml_min=3.0)


def test_a_weak_hand_stalls_on_thick_cement():
    result = run(
        box(), 1.0, fluid=newtonian(5e4), settings=replace(DRY, pressure_limit_kpa=300.0), rate_ml_min=6.0
    )
    assert result.stalled
    assert result.injected_ml.size == 0 or result.injected_ml[-1] < 1.0


def test_a_pause_ages_the_cement_and_pause_and_resume_conserve_it():
    needle = (Needle(tip_mm=np.zeros(3)),)
    first, second = Stage(volume_ml=0.4, rate_ml_min=3.0), Stage(volume_ml=0.4, rate_ml_min=3.0)
    at_once = inject(box(), needle, cement("low"), Schedule(steps=(first, second), start_min=4), DRY)
    later = inject(
        box(), needle, cement("low"), Schedule(steps=(first, Pause(minutes=4), second), start_min=4), DRY
    )
    assert later.tip_kpa[-1] > 2 * at_once.tip_kpa[-1]
    assert later.time_s[-1] == pytest.approx(at_once.time_s[-1] + 240)
    assert later.mass_balance_error < 1e-12


def test_two_needles_share_the_cement_between_the_sides():
    needles = (Needle(tip_mm=np.array([-5.0, 0, 0])), Needle(tip_mm=np.array([5.0, 0, 0])))
    plan = Schedule.simple(volume_ml=1.0, rate_ml_min=3.0, start_min=4.0)
    amount = np.asarray(
        inject(box(), needles, cement("low"), plan, replace(DRY, tolerance=1e-9)).cement.array
    )
    assert amount[..., :10].sum() == pytest.approx(amount[..., 11:].sum(), rel=1e-4)


def test_the_balloon_makes_a_cavity_of_its_volume_in_a_compacted_rim():
    soft = replace(box(31), porosity=np.full((31, 31, 31), 0.9, np.float32))
    opened = inflate(soft, np.zeros(3), 2.0)
    cavity = opened.field.mask("cavity")
    assert cavity.sum() * 1e-3 == pytest.approx(opened.cavity_ml)
    assert opened.inflated_ml == pytest.approx(2.0, abs=1e-3)  # one cell
    solid = lambda f: float((1 - f.porosity).sum())  # noqa: E731
    # The solid of the cavity is in the rim now; none is lost.
    assert solid(opened.field) == pytest.approx(solid(soft), rel=1e-4)
    rim = (opened.field.porosity < 0.89) & ~cavity
    assert opened.field.permeability_m2[0][rim].max() < 3e-8


def _body(n: int = 25) -> BoneField:
    """Soft bone between two spaces of the canal, 10 mm from its middle on the left and on the right."""
    field = box(n)
    region = field.region.copy()
    region[..., :3] = region[..., -3:] = CODES["canal_epidural"]
    return replace(field, region=region, porosity=np.full(field.grid.shape, 0.92, np.float32))


@pytest.mark.parametrize(("name", "into_rim", "out_ml"), [("low", 0.1, 0.01), ("high", 0.04, 1e-6)])
@pytest.mark.parametrize("x_mm", [0.0, 4.0])
def test_a_cavity_fills_before_cement_leaves_the_bone(name, into_rim, out_ml, x_mm):
    """Wherever in the void the cement comes out; runny cement presses hardly more than the marrow holds."""
    opened = inflate(_body(), np.zeros(3), 2.0)
    result = run(opened.field, 0.8 * opened.cavity_ml, fluid=cement(name), tip=(x_mm, 0.0, 0.0))
    amount = np.asarray(result.cement.array)
    # What enters the rim is a part of one cell of the cavity's stepped edge, where the pool touches it.
    assert amount[~opened.field.mask("cavity")].sum() * 1e-3 < into_rim * opened.cavity_ml
    # Half of what a thin CT shows; thick cement's pool leaves but the front's foot.
    assert sum(leaked[-1] for leaked in result.leaked_ml.values()) < out_ml


def test_a_cavity_is_as_open_as_it_is_wide():
    """A ball of 1.6 mL is 14.5 mm wide: ``d^2 / 32``, give or take the cells that its edge rounds to."""
    opened = inflate(_body(), np.zeros(3), 2.0)
    width = 2 * np.cbrt(3 * opened.cavity_ml / (4 * np.pi)) * 1e-2
    k = opened.field.permeability_m2[0][opened.field.mask("cavity")]
    assert np.sqrt(32 * k.max()) == pytest.approx(width, abs=1.5e-3)


def test_an_intact_rim_lowers_the_leak_of_what_goes_beyond_the_cavity():
    tip = (3.0, 0.0, 0.0)
    plain = run(_body(), 3.0, tip=tip)
    held = run(inflate(_body(), np.zeros(3), 2.0).field, 3.0, tip=tip)
    assert held.leaked_ml["canal_epidural"][-1] < 0.5 * plain.leaked_ml["canal_epidural"][-1]


def test_the_balloon_keeps_off_the_walls_and_off_what_lies_behind_them():
    opened = inflate(_body(), np.array([6.0, 0.0, 0.0]), 3.0)
    at = np.argwhere(opened.field.mask("cavity"))[:, 2]
    # The surface lies between columns 21 and 22: a margin of 2 mm leaves columns 20 and 21.
    assert at.max() == 19
    with pytest.raises(SettingsError, match="under the bone's surface"):
        inflate(_body(), np.array([9.0, 0.0, 0.0]), 1.0)


def test_a_balloon_without_room_is_limited():
    field = _body()
    region = field.region.copy()
    region[:7] = region[-7:] = region[:, :7] = region[:, -7:] = CODES["cortex"]
    region[:5] = region[-5:] = region[:, :5] = region[:, -5:] = CODES["paravertebral"]
    opened = inflate(replace(field, region=region), np.zeros(3), 6.0)
    assert opened.limited
    assert opened.inflated_ml < 11 * 11 * 15 * 1e-3 + 1e-9


@pytest.mark.parametrize("wall_m2", [0.0, 1e-13])
def test_a_wall_beside_the_tip_does_not_pass_for_back_pressure(wall_m2):
    """Half of space is closed: the same flow has half the room, whether or not the wall leaks a little."""
    settings = replace(DRY, marrow_yield_pa=0.0, shear=False)
    field = box()
    k = field.permeability_m2.copy()
    k[..., 11:] = wall_m2
    open_kpa = run(field, 1.0, fluid=newtonian(100.0), settings=settings).tip_kpa[-1]
    beside = run(replace(field, permeability_m2=k), 1.0, fluid=newtonian(100.0), settings=settings).tip_kpa[
        -1
    ]
    # Twice for the wall at the tip itself; the tip's cell lies half a cell before it.
    assert 1.2 < beside / open_kpa < 2.1


def test_the_balloon_stops_where_its_pressure_cannot_crush_the_bone():
    hard = inflate(box(31), np.zeros(3), 2.0)  # a fifth of it is bone: four times the reference's strength
    assert hard.limited
    assert hard.inflated_ml < 0.01


def test_heat_stays_at_body_temperature_without_cement_and_rises_with_it():
    field = box(15)
    field.sites["far"] = np.zeros(field.grid.shape, bool)
    field.sites["far"][0, 0, 0] = True
    field.sites["middle"] = np.zeros(field.grid.shape, bool)
    field.sites["middle"][7, 7, 7] = True
    result = run(field, 0.8, settings=Settings(frames=0, follow_min=6.0))
    # Farther than the heat spreads in 6 min (1 cm) only through the box's face, which is held.
    assert result.peak_temperature_c["far"] < 40
    assert result.peak_temperature_c["middle"] > 60
    assert result.cem43_min["middle"] > result.cem43_min["far"]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: run(box(), -1.0), "no positive number"),
        (lambda: run(box(), 1.0, rate_ml_min=-3.0), "rate"),
        (lambda: run(box(), float("nan")), "no positive number"),
        (lambda: cement("concrete"), "unknown cement"),
        (lambda: run(box(), 1.0, tip=(99.0, 0, 0)), "outside the modelled bone"),
        (lambda: run(box(), 50.0), "exceed"),
        (lambda: run(box(open_faces=(False,) * 6), 1.0), "no way out"),
        (lambda: inflate(box(), np.zeros(3), 99.0), "balloon volume"),
        (lambda: Schedule(steps=(Pause(minutes=1),), start_min=0), "injects nothing"),
        (lambda: Schedule.simple(volume_ml=1, rate_ml_min=1, start_min=-1), "negative"),
    ],
)
def test_bad_input_is_named(act, words):
    with pytest.raises(SettingsError, match=words) as error:
        act()
    assert "\n" not in str(error.value)


def test_needle_where_nothing_flows_is_refused():
    field = box()
    k = field.permeability_m2.copy()
    k[:, 10, 10, 10] = 0
    with pytest.raises(SettingsError, match="no cement can flow"):
        run(replace(field, permeability_m2=k))


def test_a_needle_in_the_shell_is_refused():
    field = box()
    region = field.region.copy()
    region[10, 10, 10] = CODES["endplate"]
    with pytest.raises(SettingsError, match="shell"):
        run(replace(field, region=region))


def test_a_field_with_nan_is_refused():
    field = box()
    k = field.permeability_m2.copy()
    k[0, 0, 0, 0] = np.nan
    with pytest.raises(NotFiniteError, match="permeability"):
        replace(field, permeability_m2=k)
