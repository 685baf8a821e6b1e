"""Canals that must not be called free: painted over, filled, crossed by metal; cement that must be urgent."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.errors import InputError
from kypho.leakage import check_leakage
from kypho.leakage.scene import build_scene


@pytest.fixture(scope="module")
def canal(site):
    """The level's canal on its CT, [k, j, i]."""
    scene = build_scene(site.ct, site.labels, site.vertebra)
    mask = np.zeros(site.ct.grid.shape, bool)
    mask[scene.place] = scene.canal_mm > 0
    return mask


def checked(site, mask, hu):
    array = np.array(site.ct.array)
    array[mask] = hu
    return check_leakage(site.ct.like(array), site.labels, site.vertebra)


@pytest.mark.parametrize("hu", [-1024, 40, 600])
def test_a_canal_without_tissue_is_not_free(site, canal, hu):
    """Air, one value, or something far denser than fluid in four slices: none is cord and fat."""
    middle = np.nonzero(canal.any(axis=(1, 2)))[0].mean()
    few = canal & (np.abs(np.arange(len(canal)) - middle) < 2)[:, None, None]
    assert not check_leakage(site.ct, site.labels, site.vertebra).canal_doubts
    found = checked(site, few, hu)
    assert not found.canal.found
    assert any("no tissue" in doubt for doubt in found.canal_doubts)
    assert any(action.topic == "unreadable" for action in found.actions)


def test_a_rod_through_the_canal_is_metal_and_the_canal_not_free(site):
    """A steel rod from side to side, 5 mm thick."""
    grid = site.ct.grid
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    local = site.vertebra.frame.to_local(grid.to_world(index))
    scene = build_scene(site.ct, site.labels, site.vertebra)
    x, y, z = scene.local_mm[np.unravel_index(np.argmax(scene.canal_mm), scene.canal_mm.shape)]
    rod = (np.hypot(local[..., 1] - y, local[..., 2] - z) < 2.5) & (np.abs(local[..., 0] - x) < 28)
    found = checked(site, rod, 3071)
    assert found.canal.found or any("metal" in doubt for doubt in found.canal_doubts)


def test_a_canal_full_of_cement_is_urgent_whatever_the_side_of_the_dura(site, canal):
    found = checked(site, canal, 3000)
    assert found.canal.max_encroachment_percent.value > 90
    assert found.actions[0].urgency == "at_once"


def test_an_image_exported_with_a_window_is_refused(site):
    clipped = np.clip(site.ct.array, -160, 240)
    with pytest.raises(InputError, match="window"):
        check_leakage(site.ct.like(clipped), site.labels, site.vertebra)


def test_cement_beyond_the_levels_own_arch_is_not_told_to_be_outside_the_dura(site, canal):
    """In the cord at the height of the disc below no wall of this level's canal is modelled."""
    cord = site.labels.mask("spinal_cord")
    lowest = np.nonzero(canal.any(axis=(1, 2)))[0]
    up = site.ct.grid.axes[2, 0] > 0
    k = lowest.min() - 3 if up else lowest.max() + 3
    where = np.argwhere(cord[k]).mean(axis=0)
    index = np.moveaxis(np.indices(site.ct.grid.shape), 0, -1)
    off = (index - np.array([k, *where])) * site.ct.grid.spacing_mm
    found = checked(site, np.linalg.norm(off, axis=-1) < 3, 3000)
    assert found.canal.found or found.canal_doubts
    assert found.canal.dura.state != "epidural"
