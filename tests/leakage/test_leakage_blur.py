"""The scan's sharpness is read from edges that a scanner made."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from kypho.leakage.blur import measure_blur
from kypho.space import Grid, Volume


def disc_ct(fwhm_mm, *, masked=False, pixel_mm=0.5):
    """A soft disc in air, blurred; optionally cut smaller, as table removal does."""
    shape, pixel = (24, 240, 240), pixel_mm
    y, x = np.ogrid[: shape[1], : shape[2]]
    radius = np.hypot(y - 120, x - 120) * pixel
    sigma = fwhm_mm / np.sqrt(8 * np.log(2))
    image = -1000 + 1040 * ndtr((50 - radius) / sigma)
    if masked:
        image = np.where(radius < 40, image, -1000)
    array = np.repeat(image[None], shape[0], axis=0).astype(np.float32)
    return Volume(array=array, grid=Grid.axis_aligned(shape, (1.0, pixel, pixel), (0, 0, 0)), unit="HU")


@pytest.mark.parametrize("noise_hu", [0.0, 20.0])
@pytest.mark.parametrize("fwhm_mm", [0.8, 1.2, 1.6])
def test_a_gaussian_edge_gives_its_width(fwhm_mm, noise_hu):
    """The reading allows for the usual noise, 6 %, and is that much too wide without any."""
    ct = disc_ct(fwhm_mm)
    noise = gaussian_filter(np.random.default_rng(1).standard_normal(ct.grid.shape), (0, 0.6, 0.6))
    blur = measure_blur(ct.like(ct.array + (noise_hu / noise.std() * noise).astype(np.float32)))
    assert blur.measured
    assert blur.fwhm_mm == pytest.approx(fwhm_mm, rel=0.07 if noise_hu == 0 else 0.04)


@pytest.mark.parametrize(("pixel_mm", "fwhm_mm"), [(0.98, 0.9), (0.98, 1.0), (0.78, 0.8), (0.78, 0.7)])
def test_pixels_as_wide_as_the_blur_leave_it_open(pixel_mm, fwhm_mm):
    """A kernel as narrow as a pixel is read as too wide; its interval holds the truth."""
    ct = disc_ct(fwhm_mm, pixel_mm=pixel_mm)
    noise = gaussian_filter(np.random.default_rng(2).standard_normal(ct.grid.shape), (0, 0.6, 0.6))
    blur = measure_blur(ct.like(ct.array + (15 / noise.std() * noise).astype(np.float32)))
    assert blur.low_mm <= fwhm_mm <= blur.high_mm


def test_a_further_blur_of_a_real_scan_adds_its_variance(chest):
    """Blurred once more by 0.9 and by 1.2 mm, a scan tells the same width of its own, to 5 %.

    Its own kernel is no Gaussian, so that the scan as it is would read a few per cent wider.
    """
    ct = chest[0]
    own = []
    for further_mm in (0.9, 1.2):
        sigma = further_mm / np.sqrt(8 * np.log(2)) / ct.grid.spacing_mm[1]
        blurred = gaussian_filter(ct.array.astype(np.float32), (0, sigma, sigma))
        fwhm = measure_blur(ct.like(blurred)).fwhm_mm
        own.append(np.sqrt(fwhm**2 - further_mm**2))
    assert own[0] == pytest.approx(own[1], rel=0.05)
    assert own[0] == pytest.approx(measure_blur(ct).fwhm_mm, rel=0.1)


def test_a_masked_image_has_no_edge_to_measure():
    """Cut edges are steps within one pixel: no scanner makes them, and their width would be zero or NaN."""
    blur = measure_blur(disc_ct(1.0, masked=True))
    assert not blur.measured
    assert 0 < blur.low_mm < blur.fwhm_mm < blur.high_mm
