"""Plans on solids: optimum in closed form, symmetry, refusals, the rule."""

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.errors import SettingsError
from kypho.phantoms.spine import SolidSpine
from kypho.planning import Limits, PlanSettings, gertzbein_robbins, plan_level
from kypho.planning.ap_lateral import check_rule
from kypho.planning.needle import heary
from kypho.planning.robustness import Robustness, robustness
from kypho.planning.walls import build_walls
from kypho.space import Frame, rotation_about

UPRIGHT = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
FINE = (0.7, 0.7, 0.7)
# A binary mask knows a surface to half a voxel, a margin has one surface, a cylinder's wall is curved.
MARGIN_MM = 0.5


def planned(spine, settings=None, spacing=FINE):
    ct, labels = spine.draw(spine.grid(spacing))
    vertebra = build_vertebra(ct, labels, "T7")
    return vertebra, plan_level(vertebra, ct, labels, settings or PlanSettings())


@pytest.fixture(scope="module")
def a_plan():
    return planned(SolidSpine(frame=UPRIGHT), PlanSettings(device="13G", strategy="bilateral"))


def test_optimum_between_two_walls_has_its_closed_form():
    """Without "enough", the canal margin is limited by the lateral wall alone.

    The pedicle reaches from x = 7.5 to 14.5: a needle of radius r whose lateral margin is m has its axis at
    14.5 - m - r, and its canal margin is that less 7.5 and r.
    """
    lateral = 1.0
    settings = PlanSettings(
        device="13G", strategy="bilateral", enough_canal_mm=50.0, limits=Limits(lateral_mm=lateral)
    )
    _, plan = planned(SolidSpine(frame=UPRIGHT), settings)
    needle = plan.approaches[0].needles[0]
    r = needle.device.radius_mm
    expected = 14.5 - lateral - r - 7.5 - r
    assert needle.certificates["canal"].objective_mm == pytest.approx(expected, abs=MARGIN_MM)
    assert needle.certificates["canal"].gap_mm <= 0.1
    assert needle.margins_mm["lateral"] == pytest.approx(lateral, abs=0.1)


def test_accepted_needles_keep_every_limit_and_the_rule(a_plan):
    _, plan = a_plan
    limits = vars(Limits())
    best = plan.approaches[0]
    assert best.feasible
    for needle in best.needles:
        assert needle.rule.compliant
        assert needle.gertzbein_robbins == "A"
        for wall, margin in needle.margins_mm.items():
            assert margin >= limits[f"{wall}_mm"] - 2e-3, wall  # float32 fields


def test_a_limit_above_what_is_enough_stays_the_limit():
    """The pedicle of 7 mm leaves 4 mm beside a 13G needle and the lateral limit."""
    settings = PlanSettings(device="13G", strategy="bilateral", limits=Limits(canal_mm=3.0))
    assert settings.enough_canal_mm < settings.limits.canal_mm
    best = planned(SolidSpine(frame=UPRIGHT), settings)[1].approaches[0]
    assert best.feasible
    assert best.route == "transpedicular"


def test_symmetric_anatomy_gives_mirror_image_needles(a_plan):
    vertebra, plan = a_plan
    left, right = (vertebra.frame.to_local(n.tip_mm) for n in plan.approaches[0].needles)
    # The objective is level around its optimum, so the two searches may stop a little apart.
    assert left * [-1, 1, 1] == pytest.approx(right, abs=0.3)


@pytest.mark.parametrize(
    ("axis", "angle"), [((0, 1, 0), 30.0), ((0, 0, 1), -35.0)], ids=["scoliosis", "turned"]
)
def test_a_turned_patient_gets_the_turned_plan(a_plan, axis, angle):
    turn = rotation_about(axis, angle)
    spine = SolidSpine(frame=Frame(origin_mm=np.zeros(3), rotation=turn))
    _, plan = planned(spine, PlanSettings(device="13G", strategy="bilateral"))
    for first, second in zip(a_plan[1].approaches[0].needles, plan.approaches[0].needles, strict=True):
        off = turn @ first.direction @ second.direction
        assert np.degrees(np.arccos(min(off, 1.0))) < 3.0  # 0.5 mm at entry and tip, over 35 mm, either way
        assert np.linalg.norm(turn @ first.tip_mm - second.tip_mm) < 1.0
        for wall in ("canal", "medial", "lateral"):
            assert first.margins_mm[wall] == pytest.approx(second.margins_mm[wall], abs=MARGIN_MM)


def test_narrow_pedicle_is_refused_with_the_diameter_that_would_fit():
    """A pedicle of 3 mm less 1 mm medially and 0.5 mm laterally leaves 1.5 mm."""
    spine = SolidSpine(frame=UPRIGHT, pedicle_radius_mm=1.5)
    _, plan = planned(spine, PlanSettings(strategy="bilateral"))
    approach = next(a for a in plan.approaches if a.route == "transpedicular")
    assert not approach.feasible
    reason = next(r for r in approach.reasons if "largest_device" in r.what)
    assert reason.value == pytest.approx(1.5, abs=2 * MARGIN_MM)
    assert reason.limit == pytest.approx(2.41)
    assert approach.needles[0].device.name == "13G"


def test_wider_pedicle_takes_the_larger_device():
    sizes = []
    for radius in (2.6, 3.4):
        spine = SolidSpine(frame=UPRIGHT, pedicle_radius_mm=radius)
        _, plan = planned(spine, PlanSettings(strategy="bilateral"))
        sizes.append(min(n.device.outer_diameter_mm for n in plan.approaches[0].needles))
    assert sizes[0] < sizes[1]


class TestRule:
    def test_violation_is_caught_at_its_depth(self, a_plan):
        """From lateral-behind straight to the midline: medial of the border before the wall."""
        vertebra, _ = a_plan
        start, end = np.array([14.0, 26.0, 3.0]), np.array([2.0, 10.0, 3.0])
        border = (vertebra.frame.to_local(vertebra.pedicles["left"].contour_mm)[:, 0]).min()
        length = np.linalg.norm(end - start)
        expected = length * (14.0 - border) / 12.0
        entry, tip = (vertebra.frame.to_world(p) for p in (start, end))
        check = check_rule(vertebra, "left", entry, tip)
        assert not check.compliant
        # Steps are 1 mm apart; the cone beam shifts a point 20 mm off centre by some tenths.
        assert check.first_violation_mm == pytest.approx(expected, abs=1.6)

    def test_obeying_the_rule_is_not_the_same_as_no_breach(self, a_plan):
        """Far below the pedicle, lateral of its medial border all the way: obeys, and breaches inferiorly."""
        vertebra, _ = a_plan
        centre = vertebra.frame.to_local(vertebra.pedicles["left"].isthmus_mm)
        start, end = centre + np.array([1.0, 8.0, -8.5]), centre + np.array([0.0, -12.0, -9.0])
        check = check_rule(vertebra, "left", vertebra.frame.to_world(start), vertebra.frame.to_world(end))
        assert check.compliant
        from kypho.space import sample_at

        assert (
            sample_at(vertebra.bone_mm, vertebra.frame.to_world(centre + np.array([0.5, 0.0, -8.7]))) < -1.0
        )

    def test_sides_are_mirror_images(self, a_plan):
        vertebra, _ = a_plan
        start, end = np.array([13.0, 26.0, 3.0]), np.array([1.0, -4.0, 0.0])
        steps = [
            check_rule(
                vertebra, side, vertebra.frame.to_world(start * flip), vertebra.frame.to_world(end * flip)
            ).steps
            for side, flip in (("left", [1, 1, 1]), ("right", [-1, 1, 1]))
        ]
        apart = [abs(a.ap_mm - b.ap_mm) for a, b in zip(*steps, strict=True)]
        assert max(apart) < 0.4  # half a voxel between the two measured medial borders


class TestRobustness:
    def test_repeats_with_its_seed_and_knows_its_error(self, a_solid_spine):
        _, ct, labels = a_solid_spine
        walls = build_walls(build_vertebra(ct, labels, "T7"), labels)
        entry, tip = np.array([11.0, 27.0, 3.0]), np.array([11.0, -3.0, 3.0])
        first, again, other = (
            robustness(entry, tip, 1.2, walls.stack, ("lateral",), PlanSettings(seed=seed))
            for seed in (1, 1, 2)
        )
        assert first == again
        # Two seeds differ by chance alone: within five standard errors of their difference.
        apart = abs(first.p_breach_2mm - other.p_breach_2mm) + abs(first.p_canal - other.p_canal)
        assert apart < 10 * np.sqrt(2) * first.standard_error(max(first.p_canal, first.p_breach_2mm))
        assert Robustness(p_canal=0.2, p_breach_2mm=0, n=400, seed=0).standard_error(0.2) == pytest.approx(
            0.02
        )

    def test_grows_with_the_error_and_vanishes_without(self, a_solid_spine):
        _, ct, labels = a_solid_spine
        vertebra = build_vertebra(ct, labels, "T7")
        walls = build_walls(vertebra, labels)
        entry, tip = np.array([11.0, 27.0, 3.0]), np.array([11.0, -3.0, 3.0])
        shares = [
            robustness(
                entry, tip, 1.2, walls.stack, ("lateral",), PlanSettings(entry_sigma_mm=s, angle_sigma_deg=s)
            ).p_canal
            for s in (0.0, 1.0, 3.0)
        ]
        assert shares[0] == 0.0
        assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize(
    ("breach", "grade"), [(0.0, "A"), (0.1, "B"), (1.99, "B"), (2.0, "C"), (4.0, "D"), (6.0, "E")]
)
def test_gertzbein_robbins_edges(breach, grade):
    assert gertzbein_robbins(breach) == grade


def test_heary_names_the_worst_direction():
    safe = dict.fromkeys(("canal", "medial", "lateral", "superior", "inferior", "anterior"), 1.0)
    assert heary(safe) == "I"
    assert heary(safe | {"lateral": -1}) == "II"
    assert heary(safe | {"lateral": -1, "anterior": -1}) == "III"
    assert heary(safe | {"inferior": -1, "anterior": -1}) == "IV"
    assert heary(safe | {"medial": -1, "canal": -0.5}) == "V"


@pytest.mark.parametrize("bad", [{"strategy": "both"}, {"entry_sigma_mm": -1.0}, {"robustness_draws": 0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(SettingsError):
        PlanSettings(**bad)
