"""Fluid in thin bone: told where it ends, not where it fades; on a real body with painted densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kypho.evidence import value
from kypho.fracture.cavity import cavities
from kypho.fracture.cavity_findings import cavity_findings
from kypho.fracture.fluid import fluid_patch

BONE_HU, FLUID_HU = 105.0, 15.0
QUIET_HU = 5.0


def distance(vertebra, centre, axes):
    """Share of the way from the middle of an ellipsoid to its surface."""
    z, y, x = vertebra.axes_mm
    return np.sqrt(
        ((x - centre[0]) / axes[0])[None, None, :] ** 2
        + ((y - centre[1]) / axes[1])[None, :, None] ** 2
        + ((z - centre[2]) / axes[2])[:, None, None] ** 2
    )


def middle(vertebra):
    return tuple(float(v) for v in np.mean(vertebra.body_box_mm, axis=0))


@pytest.fixture
def holed(a_t7, with_hu):
    """The body in bone of 105 HU with a flat ellipsoid of fluid in it, blurred as a scanner does."""

    def make(volume_ml, noise_hu=0.0):
        wide = (volume_ml * 1000 / (4 / 3 * np.pi * 0.4)) ** (1 / 3)
        hole = distance(a_t7, middle(a_t7), (wide, wide, 0.4 * wide)) < 1
        bone = np.where(hole, FLUID_HU, BONE_HU)
        noise = np.random.default_rng(2).standard_normal(bone.shape)
        noise = gaussian_filter(noise, 1.0)
        array = gaussian_filter(bone, 1.0) + noise * (noise_hu / noise.std())
        return with_hu(a_t7, np.ones(bone.shape, bool), array), hole

    return make


def nothing(vertebra):
    return np.zeros(vertebra.body.shape, bool)


@pytest.mark.parametrize("volume_ml", [0.4, 0.8, 1.2])
def test_a_flat_cavity_is_found_with_its_place_and_volume(holed, volume_ml):
    vertebra, hole = holed(volume_ml)
    patch = fluid_patch(vertebra, nothing(vertebra))
    true = float((hole & vertebra.body).sum() * vertebra.grid.voxel_mm3 / 1000)
    # The sizes tried lie a factor of 1.6 apart; what is told of the volume is the finding's own uncertainty.
    assert patch.volume_ml == pytest.approx(true, rel=value("fracture.uncertainty.cavity_percent") / 100)
    assert (patch.mask & hole).sum() > 0.8 * patch.mask.sum()
    # The blur of 0.7 mm fills up a height of 4 mm by less than a third.
    assert patch.contrast_hu > 0.65 * (BONE_HU - FLUID_HU)


def test_even_bone_and_left_out_voxels_hold_no_patch(a_t7, with_hu, holed):
    even = with_hu(a_t7, np.ones(a_t7.body.shape, bool), BONE_HU)
    assert fluid_patch(even, nothing(even)) is None
    vertebra, hole = holed(0.8)
    assert fluid_patch(vertebra, gaussian_filter(hole.astype(float), 3) > 0.01) is None
    assert fluid_patch(vertebra, np.ones(hole.shape, bool)) is None


def test_marrow_that_fades_into_the_bone_stands_out_less_than_a_cleft_as_dark(a_t7, with_hu, holed):
    vertebra, _ = holed(0.8)
    fading = distance(a_t7, middle(a_t7), (6.0, 6.0, 5.0))
    array = BONE_HU - (BONE_HU - FLUID_HU) * np.exp(-(fading**2) / 2)
    vein = with_hu(a_t7, np.ones(array.shape, bool), array)
    patch = fluid_patch(vein, nothing(vein))
    assert patch.contrast_hu < value("fracture.cleft.patch_hu")
    assert patch.contrast_hu < fluid_patch(vertebra, nothing(vertebra)).contrast_hu
    assert cavity_findings(cavities(vein, BONE_HU), BONE_HU, "", QUIET_HU)[0].state == "not_assessable"


def test_a_cleft_in_thin_bone_is_present_until_noise_may_explain_it(holed):
    assert value("fracture.cleft.marrow_hu") < BONE_HU < value("fracture.cleft.bone_hu")
    vertebra, _ = holed(0.8)
    holes = cavities(vertebra, BONE_HU)
    states = [cavity_findings(holes, BONE_HU, "", noise)[0].state for noise in (0.0, 15.0, 100.0)]
    assert states == ["present", "present", "not_assessable"]


def test_where_marrow_itself_may_be_as_dark_no_shape_tells_fluid(holed):
    vertebra, _ = holed(0.8)
    thinner = value("fracture.cleft.marrow_hu") - 1
    finding = cavity_findings(cavities(vertebra, thinner), thinner, "", QUIET_HU)[0]
    assert finding.state == "not_assessable"


@pytest.mark.parametrize("noise_hu", [10.0, 25.0, 50.0])
def test_noise_alone_is_no_cleft(a_t7, with_hu, noise_hu):
    for seed in range(3):
        noise = gaussian_filter(np.random.default_rng(seed).standard_normal(a_t7.body.shape), 1.0)
        array = BONE_HU + noise * (noise_hu / noise.std())
        holes = cavities(with_hu(a_t7, np.ones(noise.shape, bool), array), BONE_HU)
        assert cavity_findings(holes, BONE_HU, "", noise_hu)[0].state != "present"
