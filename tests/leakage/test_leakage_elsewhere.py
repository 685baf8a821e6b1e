"""Nothing dense is dropped without a word: carried away, a speck in the canal, on either side of the dura."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from kypho.anatomy import Labels
from kypho.leakage import check_leakage
from kypho.leakage.elsewhere import dense_elsewhere
from kypho.leakage.scene import build_scene
from kypho.phantoms.postop import Leak, PostopRecipe
from kypho.phantoms.xray_ct import Scanner


def painted(site, centre_mm, radius_mm, hu):
    """The level's CT with dense balls at LPS centres."""
    grid = site.ct.grid
    array = np.array(site.ct.array)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    for centre in np.atleast_2d(centre_mm):
        off = (index - grid.to_index(centre)) * grid.spacing_mm
        array[np.linalg.norm(off, axis=-1) < radius_mm] = hu
    return site.ct.like(array)


def places(site, ct):
    scene = build_scene(ct, site.labels, site.vertebra)
    return dense_elsewhere(ct, site.labels, scene, np.zeros(scene.ct.grid.shape, bool))


def free_points(site):
    """Voxels' centres at least 11 mm apart, clear of bone, of the border, and of what is read."""
    taken = site.labels.union(site.labels.bones())
    taken[build_scene(site.ct, site.labels, site.vertebra).place] = True
    spacing = site.ct.grid.spacing_mm
    gap = distance_transform_edt(np.pad(~taken, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    steps = [int(np.ceil(11 / s)) for s in spacing]
    axes = [np.arange(4, n - 4, step) for n, step in zip(gap.shape, steps, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return site.ct.grid.to_world(index[gap[tuple(index.T)] > 4])


def test_every_dense_ball_far_away_is_listed_where_it_lies(site):
    """More balls than fit a short list; a voxel is what a ball's centre is uncertain by."""
    centres = free_points(site)
    assert len(centres) > 20
    found = places(site, painted(site, centres, 3.0, 3000))
    assert len(found) == len(centres)
    gaps = np.linalg.norm(np.array([p.lps_mm for p in found])[:, None] - np.array(centres), axis=-1)
    assert gaps.min(axis=1).max() < max(site.ct.grid.spacing_mm)
    assert [p.ml for p in found] == sorted((p.ml for p in found), reverse=True)


def test_cement_in_a_labelled_vessel_is_listed_with_its_name(site):
    """A vessel is no bone: cement in the blood is what one looks for far away."""
    centre = free_points(site)[0]
    array = np.array(site.labels.volume.array)
    number = 250
    index = np.rint(site.ct.grid.to_index(centre)).astype(int)
    array[tuple(slice(n - 3, n + 4) for n in index)] = number
    labels = Labels(
        volume=site.labels.volume.like(array),
        scheme="test",
        ids={**site.labels.ids, "pulmonary_artery": (number,)},
    )
    (found,) = places(replace(site, labels=labels), painted(site, centre, 2.5, 3000))
    assert found.structure == "pulmonary_artery"


def test_dense_bone_elsewhere_is_no_finding(site):
    ribs = site.labels.union(n for n in site.labels.bones() if n.startswith("rib"))
    ribs[build_scene(site.ct, site.labels, site.vertebra).place] = False
    array = np.array(site.ct.array)
    array[ribs] = 3000
    assert places(site, site.ct.like(array)) == ()


def test_a_speck_in_the_canal_is_doubtful_however_small(site):
    """Two voxels of 900 HU, a fifth of the volume from which specks elsewhere count."""
    scene = build_scene(site.ct, site.labels, site.vertebra)
    k, j, i = np.unravel_index(np.argmax(scene.canal_mm), scene.canal_mm.shape) + np.asarray(scene.start)
    array = np.array(site.ct.array)
    array[k, j, i : i + 2] = 900
    found = check_leakage(site.ct.like(array), site.labels, site.vertebra)
    assert len(found.doubtful) == 1
    gap = np.array(found.doubtful[0]) - site.ct.grid.to_world(np.array([k, j, i + 0.5]))
    assert np.abs(gap).max() < 1e-3
    assert any(action.topic == "doubtful_speck" for action in found.actions)


def test_a_part_on_either_side_of_the_dura_is_both(site):
    leaks = (
        Leak(route="intradural", side="left", volume_ml=0.1),
        Leak(route="basivertebral", side="right", volume_ml=0.1),
    )
    recipe = PostopRecipe(seed=5, leaks=leaks, scanner=Scanner(fwhm_mm=1.4, views=240), native_fwhm_mm=1.25)
    phantom = site.draw(recipe)
    assert phantom.truth["canal"]["state"] == "both"
    found = check_leakage(phantom.ct, site.labels, site.vertebra)
    assert found.canal.dura.state == "both"
    assert len(found.canal.dura.signs) == 2
    assert found.actions[0].topic == "intradural"
    # Each alone is read as it was drawn.
    for leak, state in zip(leaks, ("intradural", "epidural"), strict=True):
        alone = site.draw(replace(recipe, leaks=(leak,)))
        assert check_leakage(alone.ct, site.labels, site.vertebra).canal.dura.state == state


def test_slices_of_a_turned_grid_tell_the_height_of_the_canal(operated):
    """Each slice's height is that of the canal in it, so it lies between the canal's own ends."""
    _, found = operated("basivertebral")
    scene = found.scene
    canal = np.argwhere(scene.canal_mm > 0)
    height = scene.ct.grid.to_world(canal)[:, 2]
    z = [s.z_mm for s in found.canal.slices]
    step = scene.ct.grid.spacing_mm[0]
    assert min(z) >= height.min() - step
    assert max(z) <= height.max() + step
    assert np.allclose(np.diff(z), step * np.sign(z[-1] - z[0]), atol=1e-6)


@pytest.mark.parametrize(
    ("local_mm", "words"),
    [
        ((12.4, 0.2, -45.0), "12 mm left, 45 mm below"),
        ((-3.0, -20.0, 5.0), "3 mm right, 20 mm in front, 5 mm above"),
        ((0.0, 0.0, 0.0), "at its centre"),
    ],
)
def test_a_place_is_told_in_words(local_mm, words):
    from kypho.report.html import _away

    assert _away(local_mm) == words
