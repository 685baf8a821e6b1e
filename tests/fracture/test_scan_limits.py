"""What the scan feigns: noise is no cleft, and the stairs of a coarse label are no damage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from kypho.anatomy import Labels, build_vertebra
from kypho.fracture import assess_level
from kypho.fracture.retropulsion import retropulsion_finding
from kypho.fracture.scan import label_steps_mm, noise_hu, slice_mm, stairs_mm
from kypho.phantoms.fractures import Collapse, FractureSpec, Retropulsion, make_fracture
from kypho.space import Grid, Volume

DAMAGE = (
    "cortical_defect",
    "posterior_wall_defect",
    "pathological_fracture",
    "intravertebral_cleft",
    "schmorl_node",
    "pedicle_wall_defect",
    "retropulsion",
)

OFF_MM = 0.7  # a ball about a corner of the grid would have equal slices by symmetry


def on_steps(steps, voxel_mm=1.0, radius_mm=14.0):
    """Labels of a ball, drawn on a grid of `steps` millimetres and repeated onto a fine one."""
    n = 40
    grid = Grid(shape=(n, n, n), spacing_mm=(voxel_mm,) * 3, origin_mm=np.zeros(3), axes=np.eye(3))
    at = [
        np.floor((np.arange(n) + 0.5) * voxel_mm / s) * s + s / 2 - n * voxel_mm / 2 - OFF_MM for s in steps
    ]
    ball = sum(a**2 for a in np.meshgrid(*at, indexing="ij")) < radius_mm**2
    volume = Volume(array=ball.astype(np.uint8), grid=grid, unit="label")
    return Labels(volume=volume, scheme="totalsegmentator", ids={"T7": (1,)})


@pytest.mark.parametrize("steps", [(2.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 4.0, 2.0)])
def test_the_step_of_a_label_is_found_along_each_axis(steps):
    # A ball of 28 mm meets 7 to 28 steps; the slice cut at either end moves the share by a seventh.
    assert label_steps_mm(on_steps(steps), "T7") == pytest.approx(steps, rel=0.15)


def test_a_label_as_fine_as_its_scan_has_no_stairs(a_chest):
    fine, coarse = on_steps((1.0, 1.0, 1.0)), on_steps((2.5, 2.5, 2.5))
    assert (stairs_mm(fine, "T7"), slice_mm(fine, "T7")) == (0.0, 1.0)
    # Eleven steps of 2.5 mm change ten times, or nine by chance; the coarsest axis is told.
    assert stairs_mm(coarse, "T7") == pytest.approx(2.5, rel=0.25)
    assert slice_mm(coarse, "T7") == pytest.approx(2.5, rel=0.25)
    # The bundled labels were drawn at 1.5 mm on slices of 2.5 mm.
    assert (stairs_mm(a_chest[1].labels, "T7"), slice_mm(a_chest[1].labels, "T7")) == (0.0, 2.5)


@pytest.mark.parametrize("sd_hu", [40.0, 80.0])
def test_noise_makes_nothing_present(a_chest, intact, sd_hu):
    ct, found = a_chest
    noise = gaussian_filter(np.random.default_rng(3).standard_normal(ct.volume.array.shape), (0, 0.8, 0.8))
    noisy = ct.volume.like((ct.volume.array + noise * (sd_hu / noise.std())).astype(np.float32))
    vertebra = build_vertebra(noisy, found.labels, "T7")
    result = assess_level(noisy, found.labels, vertebra)
    for factor in DAMAGE:
        assert result.finding(factor).state != "present", result.finding(factor)
    # Fluid is 80 HU below the bone of T7, so noise of this size leaves it neither seen nor excluded.
    assert result.finding("intravertebral_cleft").state == "not_assessable"


def test_noise_that_is_added_is_measured(a_t7):
    noise = gaussian_filter(np.random.default_rng(5).standard_normal(a_t7.hu.array.shape), 1.0)
    seen = [
        noise_hu(
            replace(a_t7, hu=a_t7.hu.like(a_t7.hu.array + (noise * (sd / noise.std())).astype(np.float32)))
        )
        for sd in (0.0, 30.0, 60.0, 120.0)
    ]
    assert seen == sorted(seen)
    # Far above the scan's own noise, what is added twice over is measured twice over.
    assert seen[3] / seen[2] == pytest.approx(2.0, rel=0.15)


def test_stairs_of_a_coarse_label_make_nothing_present(a_chest, a_t7):
    ct, found = a_chest
    middle = ct.volume.grid.to_index(a_t7.frame.origin_mm)
    half = np.array([50.0, 50.0, 50.0])
    spacing = np.array(ct.volume.grid.spacing_mm)
    grid = replace(
        ct.volume.grid,
        shape=tuple(int(n) for n in 2 * half),
        spacing_mm=(1.0, 1.0, 1.0),
        origin_mm=ct.volume.grid.to_world(middle - half / spacing),
    )
    axes = [c - h / s + np.arange(int(2 * h)) / s for c, h, s in zip(middle, half, spacing, strict=True)]
    fine = map_coordinates(ct.volume.array, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")
    stairs = [
        np.rint(c - h / s + (np.floor(np.arange(int(2 * h)) / 2.5) * 2.5 + 1.25) / s)
        for c, h, s in zip(middle, half, spacing, strict=True)
    ]
    drawn = found.labels.volume.array[
        np.ix_(
            *(np.clip(a, 0, n - 1).astype(int) for a, n in zip(stairs, ct.volume.array.shape, strict=True))
        )
    ]
    image = Volume(array=fine.astype(np.float32), grid=grid, unit="HU")
    labels = Labels(
        volume=Volume(array=drawn, grid=grid, unit="label"), scheme="totalsegmentator", ids=found.labels.ids
    )
    result = assess_level(image, labels, build_vertebra(image, labels, "T7"))
    assert result.slice_mm == pytest.approx(2.5, abs=0.3)
    for factor in DAMAGE:
        assert result.finding(factor).state != "present", result.finding(factor)
    for factor in ("schmorl_node", "retropulsion"):
        assert result.finding(factor).state == "not_assessable"


@pytest.mark.parametrize("stairs", [0.0, 2.5])
def test_a_hump_is_absent_only_where_a_large_one_is_excluded(intact, stairs):
    wall = intact.walls["posterior"]
    z = wall.up_mm - np.nanmean(wall.up_mm[wall.seen.any(axis=1)])
    wall = replace(wall, position_mm=0.0 * wall.position_mm)
    seen = set()
    for push in np.linspace(0.0, 7.0, 15):
        hump = push * np.cos(np.pi / 2 * np.clip(z / 5.0, -1, 1)) ** 2
        pushed = replace(wall, position_mm=wall.position_mm + hump[:, None])
        finding = retropulsion_finding(pushed, (), "", stairs)
        low, high = (finding.value + sign * finding.uncertainty for sign in (-1, 1))
        assert (finding.state == "present") == (finding.value >= 2.0 + stairs and low >= 1.0)
        if finding.state == "absent":
            assert finding.value < 2.0
            assert high < 3.0
        seen.add(finding.state)
    assert ("absent" in seen) == (stairs == 0.0)
    assert ("not_assessable" if stairs else "present") in seen


@pytest.mark.parametrize("thick_mm", [5.0, 8.0])
def test_slices_too_thick_widen_heights_and_retropulsion(a_chest, a_t7, thick_mm):
    """One wedge of 38 % with a fragment, on slices nobody should measure: what is told holds the truth."""
    ct, found = a_chest
    spec = FractureSpec(collapse=Collapse(kind="wedge", loss=0.4), retropulsion=Retropulsion(depth_mm=5.0))
    case = make_fracture(ct.volume, found.labels, a_t7, spec, slice_mm=thick_mm)
    read = assess_level(case.ct, case.labels, build_vertebra(case.ct, case.labels, "T7"))
    for site, true in case.truth["height_loss_percent"].items():
        loss = read.loss.percent[site]
        assert abs(loss - true) < read.loss.uncertainty_at(loss), site
    hump = read.finding("retropulsion")
    assert abs(hump.value - case.truth["retropulsion_mm"]) < hump.uncertainty
    assert read.finding("severe_compression").state in ("absent", "not_assessable")
    assert read.finding("intravertebral_cleft").state == "not_assessable"
    assert any("known only roughly" in note for note in read.notes)
