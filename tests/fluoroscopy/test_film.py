"""From line integrals to the picture, and the attenuation they are made of."""

import numpy as np
import pytest

from kypho import evidence
from kypho.errors import SettingsError
from kypho.fluoroscopy import Look, add_noise, hu_to_mu, steel_per_mm, to_film


def patient():
    rows, cols = np.indices((96, 80))
    return (2 + 0.02 * cols + 0.3 * np.sin(rows / 5)).astype(np.float32)


def test_anchors_of_attenuation_are_the_tabulated_materials():
    water = evidence.value("fluoroscopy.water_cm2_g") / 10
    bone = evidence.value("fluoroscopy.bone_cm2_g") * evidence.value("fluoroscopy.bone_g_cm3") / 10
    assert hu_to_mu([-1000, 0, 1559]) == pytest.approx([0, water, bone])
    assert steel_per_mm() == pytest.approx(1.205 * 7.874 / 10)


def test_below_water_attenuation_is_the_definition_of_hu():
    hu = np.arange(-940, 1, 20)
    assert hu_to_mu(hu) == pytest.approx(hu_to_mu(0) * (1 + hu / 1000))


def test_attenuation_never_falls_with_hu_and_padding_is_empty():
    mu = hu_to_mu(np.arange(-3024, 3072))
    assert np.all(np.diff(mu) >= 0)
    assert not hu_to_mu([-3024, -2048, -1000]).any()
    assert hu_to_mu(np.nan) == 0


def test_more_attenuation_is_darker():
    look = Look.of(patient())
    film, denser = to_film(patient(), look), to_film(patient() + np.float32(0.2), look)
    assert np.all(denser <= film)
    assert np.mean(film - denser) > 0.05
    assert film.min() >= 0
    assert film.max() <= 1


def test_film_uses_the_whole_grey_scale_where_the_vertebra_is():
    middle = to_film(patient())[24:72, 20:60]
    # By the window's definition 1 % of the frame's middle is black and 1 % white; ties add a little.
    assert 0.005 < np.mean(middle == 0) < 0.03
    assert 0.005 < np.mean(middle == 1) < 0.03


def test_one_look_keeps_the_rest_of_the_picture_when_a_needle_comes_in():
    look, needle = Look.of(patient()), np.zeros((96, 80), dtype=np.float32)
    needle[40:44, 10:60] = 3.5
    before, after = to_film(patient(), look), to_film(patient() + needle, look)
    assert np.array_equal(before[needle == 0], after[needle == 0])
    assert np.all(after[needle > 0] == 0)


def test_broad_differences_shrink_and_fine_ones_stay():
    image = patient()
    image[:, 40:] += 3
    flat = image - Look.of(image).flattening
    assert abs(flat[:, 70].mean() - flat[:, 10].mean()) < 0.5 * abs(image[:, 70].mean() - image[:, 10].mean())
    step = image[48, 41] - image[48, 38]
    # Between neighbours three pixels apart the broad picture (sigma 7) changes by 0.8 * 3 / 17 at most.
    assert flat[48, 41] - flat[48, 38] > 0.8 * step


def test_an_even_frame_is_even_grey():
    film = to_film(np.full((32, 32), 1.7, dtype=np.float32))
    assert film == pytest.approx(0.5)


def test_noise_is_poisson_of_the_dose():
    level, photons = 2.0, 5000.0
    noisy = add_noise(np.full((300, 300), level, dtype=np.float32), photons, seed=3)
    counts = photons * np.exp(-level)
    # 90,000 pixels: the mean's standard error is 1.3e-4, the variance's 0.5 %. -log adds 1/(2 N) of bias.
    assert noisy.mean() == pytest.approx(level + 0.5 / counts, abs=6e-4)
    assert noisy.var() == pytest.approx(1 / counts, rel=0.03)


def test_noise_is_repeatable_and_finite_behind_metal():
    image = np.full((40, 40), 30.0, dtype=np.float32)
    assert np.isfinite(add_noise(image, 100.0, seed=0)).all()
    noisy = [to_film(patient(), photons=1e4, seed=seed) for seed in (1, 1, 2)]
    assert np.array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])
    with pytest.raises(SettingsError, match="photons"):
        add_noise(image, 0.0, seed=0)
