"""Carrying a vertebra from one scan to another, and refusing the wrong scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kypho.anatomy.rigid import Rigid, move_vertebra, move_volume
from kypho.errors import FrameOfReferenceError
from kypho.leakage.register import register_vertebra
from kypho.phantoms.postop import PostopRecipe
from kypho.phantoms.xray_ct import Scanner
from kypho.space import Volume, rotation_about


def test_a_known_motion_is_found_despite_cement(site, operated):
    """Within 1 mm on the body: a pixel and a half, where 2.5 mm slices and new cement leave no more."""
    phantom, _ = operated("basivertebral")
    rotation, shift = rotation_about([0.2, 1.0, 0.3], 3.0), np.array([9.0, -6.0, 14.0])
    found = register_vertebra(
        site.ct, move_volume(phantom.ct, Rigid(rotation=rotation, shift_mm=shift)), site.vertebra
    ).motion
    points = site.vertebra.frame.to_world(site.vertebra.local_points(1)[::400])
    assert np.abs(found.point(points) - (points @ rotation.T + shift)).max() < 1.0
    carried = move_vertebra(site.vertebra, found)
    assert carried.frame.origin_mm == pytest.approx(found.point(site.vertebra.frame.origin_mm))
    corner = site.vertebra.grid.to_world([3, 4, 5])
    assert carried.grid.to_world([3, 4, 5]) == pytest.approx(found.point(corner))


def test_another_scene_is_refused(site):
    """Noise with the HU of bone matches nowhere."""
    noise = np.random.default_rng(0).normal(200, 200, site.ct.grid.shape).astype(np.float32)
    with pytest.raises(FrameOfReferenceError):
        register_vertebra(site.ct, site.ct.like(noise), site.vertebra)


def test_much_cement_does_not_pull_the_vertebra_along(site):
    """The true motion is none. 0.8 mm is a third of a slice; fitted to the cement as well, it was 1.1 mm."""
    recipe = PostopRecipe(seed=12, fill_ml=3.5, scanner=Scanner(fwhm_mm=1.4, views=240), native_fwhm_mm=1.25)
    found = register_vertebra(site.ct, site.draw(recipe).ct, site.vertebra)
    middle = site.vertebra.frame.origin_mm
    assert np.linalg.norm(found.motion.point(middle) - middle) < 0.8
    assert found.similarity > 0.95


def test_slices_twice_as_thick_still_find_the_vertebra(site, operated):
    """The true motion is none; 1 mm is a fifth of a 5 mm slice. Unthickened, the pair was refused."""
    phantom, _ = operated("intradural")
    whole = phantom.ct.array[: phantom.ct.grid.shape[0] // 2 * 2]
    grid = phantom.ct.grid
    thick = Volume(
        array=whole.reshape(-1, 2, *whole.shape[1:]).mean(axis=1),
        grid=replace(
            grid,
            shape=(len(whole) // 2, *grid.shape[1:]),
            spacing_mm=(2 * grid.spacing_mm[0], *grid.spacing_mm[1:]),
            origin_mm=grid.to_world([0.5, 0, 0]),
        ),
        unit="HU",
    )
    found = register_vertebra(site.ct, thick, site.vertebra)
    points = site.vertebra.frame.to_world(site.vertebra.local_points(1)[::400])
    assert np.linalg.norm(found.motion.point(points) - points, axis=1).mean() < 1.0
