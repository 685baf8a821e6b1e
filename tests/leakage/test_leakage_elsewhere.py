"""Nothing dense is dropped without a word: carried away, a speck in the canal, on either side of the dura."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from kypho.anatomy import Labels, build_vertebra
from kypho.cli.main import app
from kypho.followup.typed import imaging_from_check
from kypho.formats import write_nifti
from kypho.leakage import check_leakage
from kypho.leakage.elsewhere import dense_elsewhere
from kypho.leakage.scene import build_scene
from kypho.phantoms.postop import Leak, PostopRecipe
from kypho.phantoms.xray_ct import Scanner
from kypho.space import Volume


def painted(site, centre_mm, radius_mm, hu):
    """The level's CT with dense balls at LPS centres."""
    grid = site.ct.grid
    array = np.array(site.ct.array)
    reach = np.ceil(radius_mm / np.asarray(grid.spacing_mm)).astype(int)
    for middle in grid.to_index(np.atleast_2d(centre_mm)):
        low = np.maximum(np.rint(middle).astype(int) - reach, 0)
        box = tuple(slice(a, a + 2 * r + 1) for a, r in zip(low, reach, strict=True))
        index = low + np.moveaxis(np.indices(array[box].shape), 0, -1)
        array[box][np.linalg.norm((index - middle) * grid.spacing_mm, axis=-1) < radius_mm] = hu
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


def test_a_certain_crumb_in_the_canal_is_no_free_canal(site, tmp_path):
    """Two voxels of 3000 HU are too little to state a leak, and a canal with them is not called free."""
    scene = build_scene(site.ct, site.labels, site.vertebra)
    k, j, i = np.unravel_index(np.argmax(scene.canal_mm), scene.canal_mm.shape) + np.asarray(scene.start)
    array = np.array(site.ct.array)
    array[k, j, i : i + 2] = 3000
    found = check_leakage(site.ct.like(array), site.labels, site.vertebra)
    assert not found.canal.found
    assert found.canal.crumbs == 1
    assert found.canal_doubts
    assert any(action.topic == "doubtful_speck" for action in found.actions)
    write_nifti(tmp_path / "ct.nii.gz", site.ct.like(array))
    write_nifti(tmp_path / "labels.nii.gz", site.labels.volume)
    done = CliRunner().invoke(
        app,
        [
            *("check", str(tmp_path / "ct.nii.gz"), "--labels", str(tmp_path / "labels.nii.gz")),
            *("--level", "T7", "--out", str(tmp_path / "case")),
        ],
    )
    assert done.exit_code == 61, done.output
    assert "DOUBTFUL" in done.output
    assert "verdict good" not in (tmp_path / "case" / "leakage.html").read_text(encoding="utf-8")
    result = json.loads((tmp_path / "case" / "leakage.json").read_text(encoding="utf-8"))
    assert imaging_from_check(result)["canal_cement"] == "unknown"


def test_cement_in_the_canal_counts_whatever_it_is_joined_to(site):
    """A neighbour full of cement, joined to a column that rises into this level's canal."""
    scene = build_scene(site.ct, site.labels, site.vertebra)
    grid = site.ct.grid
    below = site.labels.neighbours("T7")[1]
    array = np.array(site.ct.array)
    body = site.labels.centre_mm(below) + 8 * -site.vertebra.frame.posterior
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    array[np.linalg.norm((index - grid.to_index(body)) * grid.spacing_mm, axis=-1) < 9] = 3000
    deepest = np.unravel_index(np.argmax(scene.canal_mm), scene.canal_mm.shape) + np.asarray(scene.start)
    top = grid.to_world(deepest)
    foot = np.array([top[0], top[1], site.labels.centre_mm(below)[2]])
    for a, b in ((top, foot), (foot, body)):
        for share in np.linspace(0, 1, 200):
            at = np.rint(grid.to_index(a + share * (b - a))).astype(int)
            array[tuple(slice(n, n + 2) for n in at)] = 3000
    found = check_leakage(site.ct.like(array), site.labels, site.vertebra)
    assert found.canal.found
    assert any(place.structure == below for place in found.elsewhere)


def test_a_dense_place_beside_the_cord_of_another_level_is_in_its_canal(site):
    """A cord's label leaves out fat and fluid: epidural cement may lie beside it, in nothing labelled."""
    cord = site.labels.mask("spinal_cord")
    scene = build_scene(site.ct, site.labels, site.vertebra)
    cord[scene.place] = False
    k, j, _ = np.argwhere(cord)[len(np.argwhere(cord)) // 2]
    row = np.nonzero(cord[k, j])[0]
    beside = row.max() + 2
    assert site.labels.volume.array[k, j, beside] == 0
    array = np.array(site.ct.array)
    array[k, j, beside] = 3000
    found = check_leakage(site.ct.like(array), site.labels, site.vertebra)
    (place,) = found.elsewhere
    assert place.canal_ml == place.ml == pytest.approx(site.ct.grid.voxel_mm3 / 1000)
    assert "canal_elsewhere" in {action.topic for action in found.actions}
    assert place.level not in (None, "T7")
    assert any(place.level in doubt for doubt in found.canal_doubts)


def test_the_findings_turn_with_the_patient(site, operated):
    """A grid turned by 20 degrees about the patient's left, with all that is on it, has the same cement.

    Volumes agree to 2 %, places to half a voxel: the crop of the scan begins elsewhere.
    """
    phantom, straight = operated("basivertebral")
    turn = Rotation.from_rotvec(np.radians(20) * np.array([1.0, 0, 0])).as_matrix()

    def turned(volume):
        grid = replace(volume.grid, origin_mm=turn @ volume.grid.origin_mm, axes=turn @ volume.grid.axes)
        return Volume(array=volume.array, grid=grid, unit=volume.unit)

    ct = turned(phantom.ct)
    labels = Labels(volume=turned(site.labels.volume), scheme=site.labels.scheme, ids=site.labels.ids)
    vertebra = build_vertebra(turned(site.ct), labels, "T7")
    found = check_leakage(ct, labels, vertebra)
    assert found.canal.ml == pytest.approx(straight.canal.ml, rel=0.02)
    percent = found.canal.max_encroachment_percent.value
    assert percent == pytest.approx(straight.canal.max_encroachment_percent.value, abs=0.5)
    half = max(site.ct.grid.spacing_mm) / 2
    assert np.allclose(found.canal.at_lps_mm, turn @ np.array(straight.canal.at_lps_mm), atol=half)
