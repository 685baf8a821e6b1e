"""What a fracture changes in the plan."""

from types import SimpleNamespace

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.phantoms.spine import SolidSpine
from kypho.planning import PlanSettings, plan_level
from kypho.planning.fractured import SOUND, Considerations, Damage, considerations_of
from kypho.space import Frame

HOLE = Damage(factor="pedicle_wall_defect", area_mm2=30.0, limit_mm2=10.0)


@pytest.fixture(scope="module")
def a_scene(a_solid_spine):
    _, ct, labels = a_solid_spine
    return build_vertebra(ct, labels, "T7"), ct, labels


def planned(scene, fractured, **settings):
    return plan_level(*scene, PlanSettings(device="13G", **settings), fractured)


@pytest.mark.parametrize(("foreign_ml", "named"), [(0.0, False), (0.05, False), (2.4, True)])
def test_metal_in_the_body_is_named(foreign_ml, named):
    absent = SimpleNamespace(state="absent")
    assessment = SimpleNamespace(foreign_ml=foreign_ml, findings=(), clefts=(), finding=lambda _: absent)
    notes = considerations_of(assessment).notes
    assert any("2.4 mL of metal or cement" in note for note in notes) == named


@pytest.mark.parametrize(
    ("across_mm", "preferred"), [(5.0, "other side"), (-5.0, "other side"), (2.0, "neither")]
)
def test_a_defect_across_the_midline_favours_no_side_and_that_is_said(across_mm, preferred):
    hole = SimpleNamespace(wall="posterior", across_mm=across_mm, width_mm=6.0, area_mm2=28.0)
    states = {"posterior_wall_defect": "present"}
    assessment = SimpleNamespace(
        foreign_ml=0.0,
        clefts=(),
        defects=(hole,),
        finding=lambda name: SimpleNamespace(state=states.get(name, "absent")),
    )
    (note,) = considerations_of(assessment).notes
    assert preferred in note


def test_an_open_pedicle_is_not_passed(a_scene):
    plan = planned(a_scene, Considerations(closed={"left": HOLE}), strategy="bilateral")
    approach = next(a for a in plan.approaches if a.route == "transpedicular")
    assert [(r.what, r.value, r.limit) for r in approach.reasons] == [
        ("left: pedicle_wall_defect", 30.0, 10.0)
    ]


def test_the_side_away_from_a_damaged_wall_is_preferred():
    """Symmetric but for the damage: the damage alone decides the side."""
    spine = SolidSpine(
        frame=Frame(origin_mm=np.zeros(3), rotation=np.eye(3)), pedicle_radius_mm=5.0, pedicle_x_mm=13
    )
    ct, labels = spine.draw(spine.grid((1.0, 1.0, 1.0)))
    scene = build_vertebra(ct, labels, "T7"), ct, labels
    for side, other in (("left", "right"), ("right", "left")):
        plan = planned(scene, Considerations(damaged={side: HOLE}), strategy="unilateral")
        feasible = [a for a in plan.approaches if a.feasible and a.route == "transpedicular"]
        assert feasible[0].needles[0].task.side == other


def test_a_cleft_draws_the_target(a_scene):
    cleft = np.array([0.0, -3.0, 2.5])
    plain = planned(a_scene, SOUND, strategy="bilateral").approaches[0].needles[0]
    aimed = planned(a_scene, Considerations(cleft_mm=cleft), strategy="bilateral").approaches[0].needles[0]
    frame = a_scene[0].frame
    assert frame.to_local(aimed.target_mm)[1:] == pytest.approx(cleft[1:])
    # The needle follows its target in height unless a limit holds it back.
    assert frame.to_local(aimed.tip_mm)[2] > frame.to_local(plain.tip_mm)[2] + 1.0
