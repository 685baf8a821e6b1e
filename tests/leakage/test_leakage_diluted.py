"""Cement that the scan shows less dense than pure cement: porous, or mixed with trabeculae."""

import numpy as np
import pytest
from scipy import ndimage

from kypho.anatomy import build_vertebra
from kypho.leakage import check_leakage

RADIUS_MM = 7.0


def with_ball(ct, vertebra, ball_hu, radius_mm):
    """The CT with a ball of this density in the body's middle, blurred in the plane as the scan is."""
    index = np.stack(np.indices(ct.grid.shape), axis=-1)
    away = np.linalg.norm(vertebra.frame.to_local(ct.grid.to_world(index)), axis=-1)
    share = np.clip(radius_mm - away + 0.5, 0, 1)
    near = ndimage.binary_dilation(share > 0, iterations=3)
    mixed = ndimage.gaussian_filter(ct.array * (1 - share) + ball_hu * share, (0, 0.6, 0.6))
    return ct.like(np.where(near, mixed, ct.array).astype(np.int16)), share.sum() * ct.grid.voxel_mm3 / 1000


@pytest.mark.parametrize("ball_hu", [1600, 1900])
def test_a_compact_ball_below_the_seed_limit_is_cement(site, ball_hu):
    """Bone is nowhere denser than cortex over 5 mm. The rim is cut at a fixed HU, hence the wide bound."""
    ct, true_ml = with_ball(site.ct, site.vertebra, ball_hu, RADIUS_MM)
    found = check_leakage(ct, site.labels, site.vertebra)
    assert found.cement_ml.value == pytest.approx(true_ml, rel=0.3)
    assert not found.canal.found
    assert found.parts == ()


def test_a_thin_dense_place_is_no_cement(site):
    """A bone island or a calcified rim of 2 mm is as dense, but has no core."""
    ct, _ = with_ball(site.ct, site.vertebra, 1900, 2.0)
    assert check_leakage(ct, site.labels, site.vertebra).cement_ml.value == 0


@pytest.mark.parametrize("ball_hu", [1000, 1200])
def test_cement_as_faint_as_cortex_is_doubtful_and_not_absent(site, ball_hu):
    """No limit tells it from sclerosis; its rim is cut at a fixed HU, hence the wide bound."""
    ct, true_ml = with_ball(site.ct, site.vertebra, ball_hu, RADIUS_MM)
    found = check_leakage(ct, site.labels, site.vertebra)
    assert found.cement_ml.value == 0
    assert found.dense_body_ml == pytest.approx(true_ml, rel=0.3)
    assert "faint_cement" in {a.topic for a in found.actions}


@pytest.mark.parametrize("level", ["T5", "T6", "T7", "T8", "T9", "T10"])
def test_no_intact_body_is_doubtful(chest, level):
    """T6 to T9 of this patient carry sclerotic osteophytes of up to 700 HU and more."""
    ct, labels = chest
    found = check_leakage(ct, labels, build_vertebra(ct, labels, level))
    assert found.dense_body_ml == 0
    assert found.cement_ml.value == 0
