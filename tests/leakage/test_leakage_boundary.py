"""The boundary fit against shapes whose blurred and clipped image is computed, not scanned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kypho.leakage.blur import Blur, measure_blur
from kypho.leakage.boundary import Density, fit_shapes, likely_density, settle
from kypho.leakage.formation import repeat
from kypho.space import Grid, Volume

PIXEL_MM, FWHM_MM, TOP_HU = 0.7, 1.4, 3071.0
BLUR = Blur(fwhm_mm=FWHM_MM, low_mm=1.26, high_mm=1.54, measured=True)


def blurred_sphere(radius_mm: float, contrast_hu: float, clip: bool = True) -> tuple[Volume, float]:
    """A sphere in 40 HU on 1 mm slices: sub-sampled six times, blurred in the plane, averaged, clipped."""
    n, sub = (17, 27, 27), 6
    axes = [(np.arange(m * sub) + 0.5) / sub - m / 2 for m in n]
    z, y, x = np.meshgrid(axes[0], axes[1] * PIXEL_MM, axes[2] * PIXEL_MM, indexing="ij")
    inside = (x**2 + y**2 + z**2 < radius_mm**2).astype(np.float32)
    volume_ml = float(inside.sum() * (1.0 / sub) * (PIXEL_MM / sub) ** 2 / 1000)
    sigma = FWHM_MM / np.sqrt(8 * np.log(2)) / PIXEL_MM * sub
    soft = gaussian_filter(inside, (0, sigma, sigma))
    hu = 40 + contrast_hu * soft.reshape(n[0], sub, n[1], sub, n[2], sub).mean(axis=(1, 3, 5))
    grid = Grid.axis_aligned(n, (1.0, PIXEL_MM, PIXEL_MM), (0, 0, 0))
    return Volume(array=np.minimum(hu, TOP_HU) if clip else hu, grid=grid, unit="HU"), volume_ml


def fitted_ml(ct: Volume) -> float:
    fits = fit_shapes(ct, ct.array > 900, BLUR, saturation_hu=TOP_HU)
    shape = settle(fits, likely_density([fits]))
    return float(shape.share.sum() * ct.grid.voxel_mm3 / np.prod(shape.factors) / 1000)


@pytest.mark.parametrize("contrast_hu", [3000, 4700, 5700])
def test_volume_does_not_grow_with_density(contrast_hu):
    """Denser cement blooms: at 1000 HU a 3 mm sphere of 5700 HU measures over 30 % too large.

    The fit stays within 12 %: the contrasts tried are 20 % apart, which moves this sphere's edge by 0.1 mm.
    """
    ct, true = blurred_sphere(3.0, contrast_hu)
    assert fitted_ml(ct) == pytest.approx(true, rel=0.12)
    if contrast_hu > 4000:
        assert (ct.array > 1000).sum() * ct.grid.voxel_mm3 / 1000 > 1.25 * true


@pytest.mark.parametrize("radius_mm", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("contrast_hu", [2300, 3700, 5700])
def test_volume_follows_from_the_density(radius_mm, contrast_hu):
    """With the density known, blur and the clipped scale cost no more than 4 %, also in thin cement.

    4 %: the surface of the smallest sphere off by 0.02 mm all round, a twentieth of a fine voxel.
    """
    ct, true = blurred_sphere(radius_mm, contrast_hu)
    fits = fit_shapes(ct, ct.array > 900, BLUR, saturation_hu=TOP_HU)
    fine_ml = ct.grid.voxel_mm3 / np.prod(fits.factors) / 1000
    found = [float(share.sum()) * fine_ml for share in fits.shares]
    at = np.interp(np.log(40 + contrast_hu), np.log(fits.densities_hu), found)
    assert at == pytest.approx(true, rel=0.04)


def test_bone_beside_cement_does_not_make_it_smaller():
    """Cement that touches a wall of 900 HU is measured against the soft tissue it lies in.

    5 %: without the wall the same sphere is off by up to 2 %.
    """
    ct, true = blurred_sphere(2.5, 3700)
    wall = np.zeros(ct.grid.shape, bool)
    wall[:, 18:] = True
    hu = np.where(wall, np.maximum(ct.array, 900), ct.array)
    known = Density(hu=np.array([3740.0]), weight=np.ones(1))
    fits = fit_shapes(ct.like(hu), ct.array > 1200, BLUR, saturation_hu=TOP_HU, bone=wall, known=known)
    share = settle(fits, known).share
    fine_ml = ct.grid.voxel_mm3 / np.prod(fits.factors) / 1000
    off_wall = repeat(~wall, fits.factors)
    assert (share * off_wall).sum() * fine_ml == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("contrast_hu", [3700, 5700])
def test_a_scale_that_does_not_end_shows_the_density(contrast_hu):
    """On a 16-bit scan every density above the true one fits a small sphere's edges; its core tells.

    5 %: they fall short of the density by 2 %, which makes this sphere 2 % too large.
    """
    ct, true = blurred_sphere(2.0, contrast_hu, clip=False)
    fits = fit_shapes(ct, ct.array > 900, BLUR, saturation_hu=8000.0)
    shape = settle(fits, likely_density([fits]))
    fine_ml = ct.grid.voxel_mm3 / np.prod(shape.factors) / 1000
    assert shape.share.sum() * fine_ml == pytest.approx(true, rel=0.05)


def test_a_small_dense_core_does_not_set_the_density_of_a_clipped_part():
    """The largest part decides: a speck of calcium beside it once made all cement half as dense."""
    large, small = blurred_sphere(3.0, 5700)[0], blurred_sphere(3.5, 1800)[0]
    fits = [fit_shapes(ct, ct.array > 900, BLUR, saturation_hu=TOP_HU) for ct in (large, small)]
    assert fits[1].plateau_hu is not None
    assert likely_density(fits).at(0.5) > TOP_HU


def test_larger_spheres_measure_larger():
    sizes = [fitted_ml(blurred_sphere(r, 4700)[0]) for r in (2.0, 2.5, 3.0)]
    assert sizes == sorted(sizes)


def test_contrast_is_found_where_nothing_is_clipped():
    """Unclipped, the core itself tells the contrast: to 5 %, the width given to hardened cores."""
    ct, _ = blurred_sphere(4.0, 2300)
    fits = fit_shapes(ct, ct.array > 900, BLUR, saturation_hu=TOP_HU)
    assert likely_density([fits]).at(0.5) == pytest.approx(2300, rel=0.05)


@pytest.mark.parametrize("slice_mm", [1.0, 2.5])
def test_thick_slices_do_not_make_cement_larger(slice_mm):
    """The same clipped plate on thin and thick slices, its ends on slice borders and not.

    10 %: what is asked of a part. A plate is the worst case, its clipped ends are a third of it; the mean
    over four places along the slices is right even where one is not, since each is as likely. Nor does the
    interval promise to hold at every place: at one of the four it may miss, by 10 % at most.
    """
    found = [plate_ml(slice_mm, shift) for shift in (0.0, 0.25, 0.5, 0.75)]
    assert np.mean([ml for ml, _, _ in found]) == pytest.approx(PLATE_ML, rel=0.10)
    assert sum(low <= PLATE_ML <= high for _, low, high in found) >= 3
    assert all(low <= 1.1 * PLATE_ML and high >= 0.9 * PLATE_ML for _, low, high in found)


PLATE_MM, PLATE_RADIUS_MM = 5.0, 4.0
PLATE_ML = np.pi * PLATE_RADIUS_MM**2 * PLATE_MM / 1000


def plate_ml(slice_mm: float, shift: float) -> tuple[float, float, float]:
    """Fitted volume and bounds of a disc of 6000 HU that begins `shift` slices above a slice's border."""
    n, sub = (int(20 / slice_mm) | 1, 27, 27), 6
    y, x = np.meshgrid(*[((np.arange(m * sub) + 0.5) / sub - m / 2) * PIXEL_MM for m in n[1:]], indexing="ij")
    disc = (np.hypot(x, y) < PLATE_RADIUS_MM).astype(np.float32)
    sigma = FWHM_MM / np.sqrt(8 * np.log(2)) / PIXEL_MM * sub
    flat = gaussian_filter(disc, sigma).reshape(n[1], sub, n[2], sub).mean(axis=(1, 3))
    borders = np.arange(n[0] + 1) * slice_mm
    first = borders[n[0] // 3] + shift * slice_mm
    filled = np.clip(np.minimum(borders[1:], first + PLATE_MM) - np.maximum(borders[:-1], first), 0, None)
    hu = np.minimum(40 + 6000 * (filled / slice_mm)[:, None, None] * flat, TOP_HU)
    ct = Volume(array=hu, grid=Grid.axis_aligned(n, (slice_mm, PIXEL_MM, PIXEL_MM), (0, 0, 0)), unit="HU")
    fits = fit_shapes(ct, ct.array > 900, BLUR, saturation_hu=TOP_HU)
    shape = settle(fits, likely_density([fits]))
    fine_ml = ct.grid.voxel_mm3 / np.prod(shape.factors) / 1000
    return tuple(float(s.sum()) * fine_ml for s in (shape.share, shape.low, shape.high))


def test_blur_is_measured_on_air_edges():
    """A block of water in air blurred with a known width: without noise it is read 6 % too wide."""
    n, sub, fwhm = 96, 6, 1.5
    fine = np.full((n * sub, n * sub), -1000.0, np.float32)
    y, x = np.mgrid[: n * sub, : n * sub]
    fine[np.hypot(x - 281.3, y - 287.9) < 170] = 30
    soft = gaussian_filter(fine, fwhm / np.sqrt(8 * np.log(2)) / PIXEL_MM * sub)
    ct = np.repeat(soft[sub // 2 :: sub, sub // 2 :: sub][None], 12, axis=0)
    grid = Grid.axis_aligned(ct.shape, (1.0, PIXEL_MM, PIXEL_MM), (0, 0, 0))
    blur = measure_blur(Volume(array=ct, grid=grid, unit="HU"))
    assert blur.measured
    assert blur.fwhm_mm == pytest.approx(fwhm, rel=0.07)


def test_blur_is_assumed_without_air():
    grid = Grid.axis_aligned((8, 32, 32), 0.7, (0, 0, 0))
    blur = measure_blur(Volume(array=np.full((8, 32, 32), 40.0), grid=grid, unit="HU"))
    assert not blur.measured
