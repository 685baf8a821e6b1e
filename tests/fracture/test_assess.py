"""A whole assessment: the bundled T7, intact and fractured, and inputs that cannot be assessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kypho.anatomy import Labels
from kypho.errors import LevelIncompleteError
from kypho.fracture import FACTORS, assess_level
from kypho.fracture.advice import advice
from kypho.fracture.cavity import cancellous, cavities
from kypho.phantoms.fractures import Cleft, FractureSpec, WallDefect, make_fracture
from kypho.space import Frame


def test_an_intact_level_has_every_factor_and_nothing_broken(intact):
    assert set(FACTORS) == {f.factor for f in intact.findings}
    for factor in ("posterior_wall_defect", "cortical_defect", "intravertebral_cleft", "severe_compression"):
        assert intact.finding(factor).state == "absent", intact.finding(factor)
    assert intact.genant.grade == 0


def test_every_finding_names_its_evidence_and_how(intact):
    for finding in intact.findings:
        assert finding.evidence
        assert finding.how
        assert (finding.value is None) <= (finding.state == "not_assessable")


def test_a_wedge_is_found_with_its_loss(broken, intact):
    case, _, found = broken
    assert (found.genant.type, found.genant.grade) == ("wedge", 3)
    true = case.truth["height_loss_percent"]["anterior"]
    # The intact T7 itself is 5 % lower in front than its neighbours, and 2.5 mm slices add as much.
    assert found.loss.percent["anterior"] == pytest.approx(true, abs=10)
    assert found.kyphosis_deg > intact.kyphosis_deg + 5


def test_a_gas_cleft_is_found_with_its_volume(broken):
    case, _, found = broken
    finding = found.finding("intravertebral_cleft")
    assert finding.state == "present"
    assert "gas" in finding.where
    # A third: the rim is blurred over a slice of 2.5 mm and the cleft is 4 mm thick after the collapse.
    assert finding.value == pytest.approx(case.truth["cleft_ml"], rel=0.33)


def test_a_posterior_hole_is_found_in_its_third(broken):
    finding = broken[2].finding("posterior_wall_defect")
    assert finding.state == "present"
    assert "upper" in finding.where
    assert "left" in finding.where


def test_a_posterior_wall_that_is_gone_is_no_whole_wall(fracture):
    """Four fifths of it: its own median is that of the hole."""
    wall = WallDefect(wall="posterior", area_mm2=250)
    case, _, found = fracture(FractureSpec(walls=(wall,)))
    finding = found.finding("posterior_wall_defect")
    assert finding.state == "present"
    assert "T6 and T8, most" in finding.how
    # A fifth: the rim of a hole is blurred over a slice of 2.5 mm at either end of a wall 17 mm high.
    assert finding.value == pytest.approx(case.truth["wall_defects"][0]["area_mm2"], rel=0.2)


def test_an_anterior_hole_is_cortical_and_not_posterior(pierced):
    found = pierced[2]
    assert found.finding("cortical_defect").state == "present"
    assert "anterior" in found.finding("cortical_defect").where
    assert found.finding("posterior_wall_defect").state != "present"


def test_thin_slices_find_what_thick_ones_do(pierced):
    assert pierced[0].ct.grid.spacing_mm[0] == 1.5
    assert pierced[2].finding("intravertebral_cleft").state == "present"


def test_damage_brings_advice(broken):
    factors = {line.factor for line in advice(broken[2])}
    assert {"posterior_wall_defect", "intravertebral_cleft"} <= factors


def test_the_truth_says_synthetic_and_what_was_made(broken):
    truth = broken[0].truth
    assert truth["synthetic"].startswith("SYNTHETIC")
    assert truth["height_loss_percent"]["anterior"] > 35


def test_the_same_seed_makes_the_same_image(a_chest, a_t7):
    ct, found = a_chest
    middle = np.rint(ct.volume.grid.to_index(a_t7.frame.origin_mm)).astype(int)
    half = np.array([2, 25, 25])
    few = ct.volume.grid.crop(middle - half, middle + half)
    spec = FractureSpec(cleft=Cleft(content="gas", volume_ml=1.0), seed=4)
    first, second = (make_fracture(ct.volume, found.labels, a_t7, spec, grid=few) for _ in range(2))
    assert np.array_equal(first.ct.array, second.ct.array)
    assert np.array_equal(first.labels.volume.array, second.labels.volume.array)
    assert first.ct.array.min() < -500


def test_cement_already_inside_blocks_what_it_hides(a_chest, a_t7, with_hu):
    ct, found = a_chest
    z, y, x = a_t7.axes_mm
    ball = (z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2) < 36
    result = assess_level(ct.volume, found.labels, with_hu(a_t7, ball, 2000.0))
    for factor in ("posterior_wall_defect", "cortical_defect", "intravertebral_cleft", "low_bone_density"):
        assert result.finding(factor).state == "not_assessable"
        assert result.finding(factor).value is None
    assert result.foreign_ml > 0.5
    assert any(line.factor == "foreign_material" for line in advice(result))


def test_without_neighbours_heights_are_measured_but_not_judged(a_chest, a_t7):
    ct, found = a_chest
    alone = np.where(np.isin(found.labels.volume.array, found.labels.ids["T7"]), found.labels.volume.array, 0)
    labels = Labels(volume=found.labels.volume.like(alone), scheme="totalsegmentator", ids=found.labels.ids)
    result = assess_level(ct.volume, labels, a_t7)
    assert result.heights.anterior_mm > 10
    assert set(result.loss.percent.values()) == {None}
    assert result.finding("severe_compression").state == "not_assessable"
    assert result.genant.grade is None


def test_thick_slices_are_not_assessable(a_chest, a_t7):
    ct, found = a_chest
    grid = replace(ct.volume.grid, shape=(ct.volume.grid.shape[0] // 2, *ct.volume.grid.shape[1:]),
                   spacing_mm=(5.0, *ct.volume.grid.spacing_mm[1:]))  # fmt: skip
    half = slice(None, 2 * grid.shape[0], 2)
    thick = type(ct.volume)(array=ct.volume.array[half], grid=grid, unit="HU")
    labels = replace(
        found.labels,
        volume=type(ct.volume)(array=found.labels.volume.array[half], grid=grid, unit="label"),
    )
    result = assess_level(thick, labels, a_t7)
    for factor in ("posterior_wall_defect", "cortical_defect", "intravertebral_cleft"):
        assert result.finding(factor).state == "not_assessable"


def test_a_fluid_cleft_in_thin_bone_is_not_assessable_rather_than_absent(a_chest, a_t7, with_hu):
    ct, found = a_chest
    thin = with_hu(a_t7, a_t7.body & (a_t7.bone_mm.array > 1.5), 60.0)
    result = assess_level(ct.volume, found.labels, thin)
    assert result.finding("intravertebral_cleft").state == "not_assessable"
    assert "MRI" in result.finding("intravertebral_cleft").how


@pytest.mark.parametrize(("hu", "content"), [(-700.0, "gas"), (0.0, "fluid"), (55.0, "soft")])
def test_a_cavity_is_named_by_its_density(a_t7, with_hu, hu, content):
    z, y, x = a_t7.axes_mm
    bone = with_hu(a_t7, a_t7.body & (a_t7.bone_mm.array > 1.5), 180.0)
    ball = (z[:, None, None] ** 2 + (y[None, :, None] + 3) ** 2 + x[None, None, :] ** 2) < 25
    found = cavities(with_hu(bone, ball, hu), 180.0)
    assert found[0].content == content
    # A ball of 5 mm is 0.52 mL; voxels of 0.7 mm and the smoothing move its surface by a quarter voxel.
    assert found[0].volume_ml == pytest.approx(0.524, rel=0.15)


def test_the_cancellous_mean_is_that_of_the_region(a_t7, with_hu):
    flat = with_hu(a_t7, a_t7.body & (a_t7.bone_mm.array > 1.0), 137.0)
    bone = cancellous(flat)
    assert (bone.mean_hu, bone.sd_hu) == pytest.approx((137.0, 0.0), abs=1e-3)


@pytest.mark.parametrize("turn", [50.0, 90.0, 180.0])
def test_a_model_that_looks_another_way_than_the_labels_beside_it_is_refused(a_chest, a_t7, turn):
    """The neighbours are looked at by themselves: a wrong model must not turn them with it."""
    ct, found = a_chest
    angle = np.deg2rad(turn)
    spin = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    frame = Frame(origin_mm=a_t7.frame.origin_mm, rotation=a_t7.frame.rotation @ spin)
    with pytest.raises(LevelIncompleteError, match="another way"):
        assess_level(ct.volume, found.labels, replace(a_t7, frame=frame))
