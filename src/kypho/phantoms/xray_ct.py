"""What a CT scanner makes of an object in a patient: polychromatic projection, filtered backprojection.

Only the change is simulated. Each axial slice is projected twice, without and with the inserts, through a
120 kVp spectrum; both sinograms get the scanner's water correction; their difference is filtered,
back-projected and added to the real CT. Beam hardening, scatter, photon starvation and the streaks they make
therefore come from the physics, while the patient's own image stays as it was acquired.

Attenuation: Hubbell & Seltzer, NIST standard reference database 126 (doi 10.18434/T4D01F), compounds by mass
fraction. The beam is parallel: for one slice a fan holds the same line integrals in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "MATERIALS",
    "Material",
    "Scanner",
    "SliceInsert",
    "cement_material",
    "insert_change_hu",
    "monochromatic_hu",
]

ENERGY_KEV = np.array([40.0, 50.0, 60.0, 80.0, 100.0, 150.0])
"""Energies of the mass attenuation tables below."""

SPECTRUM_KEV = np.array([45.0, 55.0, 65.0, 75.0, 85.0, 95.0, 110.0])
SPECTRUM = np.array([0.10, 0.20, 0.23, 0.17, 0.13, 0.10, 0.07])
"""Share of the detected signal: 120 kVp tungsten behind a body filter, energy-integrating detector."""

REFERENCE_KEV = 70.0
"""Energy at which HU above soft tissue are turned into bone."""

_MU_RHO = {
    "water": [0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505],
    "bone": [0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480],
    "pmma": [0.2350, 0.2074, 0.1924, 0.1751, 0.1641, 0.1456],
    "barium": [24.57, 13.79, 8.511, 3.963, 2.196, 0.7828],
    "sulfur": [0.8096, 0.5000, 0.3600, 0.2585, 0.2020, 0.1506],
    "oxygen": [0.2585, 0.2132, 0.1907, 0.1678, 0.1551, 0.1361],
    "zirconium": [11.38, 6.173, 3.744, 1.721, 0.9658, 0.3790],
    "titanium": [2.214, 1.213, 0.7661, 0.4052, 0.2721, 0.1649],
    "iodine": [22.10, 12.32, 7.579, 3.510, 1.942, 0.6978],
}
"""Mass attenuation in cm2/g at ENERGY_KEV, all above the K edges of the heavy elements."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """A homogeneous material: density in g/cm3 and mass fractions of tabulated components."""

    density_g_cm3: float
    parts: Mapping[str, float]

    def mu_cm(self, energy_kev: NDArray | float) -> NDArray[np.float64]:
        """Linear attenuation in 1/cm, log-log interpolated in energy."""
        log_e = np.log(np.asarray(energy_kev, dtype=float))
        total = sum(
            share * np.exp(np.interp(log_e, np.log(ENERGY_KEV), np.log(_MU_RHO[name])))
            for name, share in self.parts.items()
        )
        return np.asarray(self.density_g_cm3 * total)


def cement_material(radiopacifier: str, weight_percent: float) -> Material:
    """PMMA with barium sulphate ("BaSO4") or zirconia ("ZrO2"), free of pores: volumes add up."""
    density, parts = {
        "BaSO4": (4.5, {"barium": 0.5884, "sulfur": 0.1374, "oxygen": 0.2742}),
        "ZrO2": (5.68, {"zirconium": 0.7403, "oxygen": 0.2597}),
    }[radiopacifier]
    w = weight_percent / 100
    mixed = {"pmma": 1 - w, **{name: w * share for name, share in parts.items()}}
    return Material(density_g_cm3=1 / ((1 - w) / 1.18 + w / density), parts=mixed)


MATERIALS: dict[str, Material] = {
    "water": Material(density_g_cm3=1.0, parts={"water": 1.0}),
    "bone": Material(density_g_cm3=1.92, parts={"bone": 1.0}),
    "titanium": Material(density_g_cm3=4.54, parts={"titanium": 1.0}),
    "calcification": Material(density_g_cm3=1.45, parts={"bone": 0.55, "water": 0.45}),
    "contrast": Material(density_g_cm3=1.01, parts={"water": 0.989, "iodine": 0.011}),
    "cement BaSO4 20%": cement_material("BaSO4", 20),
    "cement BaSO4 30%": cement_material("BaSO4", 30),
    "cement ZrO2 30%": cement_material("ZrO2", 30),
    "cement ZrO2 45%": cement_material("ZrO2", 45),
}
"""Materials by name; every cement's name starts with "cement"."""


def monochromatic_hu(material: Material, energy_kev: float) -> float:
    """HU of the pure material at one energy: 1000 (mu / mu_water - 1)."""
    return float(1000 * (material.mu_cm(energy_kev) / MATERIALS["water"].mu_cm(energy_kev) - 1))


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """Settings of the simulated scanner.

    Attributes:
        fwhm_mm: full width at half maximum of the reconstruction kernel in the slice plane.
        photons: photons per ray and mm of slice without patient.
        scatter: scatter left after correction, as a share of the primary behind the patient.
        views: projections over 180 degrees.
        pitch_mm: detector pitch at the axis.
    """

    fwhm_mm: float = 1.0
    photons: float = 2e6
    scatter: float = 0.02
    views: int = 360
    pitch_mm: float = 0.4


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceInsert:
    """One material in one slice.

    Attributes:
        material: what it is made of.
        share: fraction of each fine pixel that it takes, shape (rows, columns), already averaged over
            the slice thickness.
    """

    material: Material
    share: NDArray[np.float32]


def insert_change_hu(
    base_hu: NDArray,
    pixel_mm: float,
    inserts: list[SliceInsert],
    fine_origin: tuple[float, float],
    fine_mm: float,
    roi: tuple[slice, slice],
    scanner: Scanner,
    *,
    slice_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Change of HU in one slice when inserts take the place of the tissue.

    Args:
        base_hu: the whole slice without inserts, shape (rows, columns).
        pixel_mm: its square pixel.
        inserts: what is put in, all on the same fine pixel grid.
        fine_origin: (row, column) in pixels of the slice of the centre of fine pixel (0, 0).
        fine_mm: size of a fine pixel.
        roi: rows and columns that are reconstructed.
        scanner: its settings.
        slice_mm: slice thickness, for the number of photons.
        rng: source of the noise.

    Returns:
        Array of the shape of `roi`.
    """
    middle = np.array([(roi[0].start + roi[0].stop - 1) / 2, (roi[1].start + roi[1].stop - 1) / 2]) * pixel_mm
    half = 0.5 * np.hypot(roi[0].stop - roi[0].start, roi[1].stop - roi[1].start) * pixel_mm
    count = 2 * int(np.ceil(half / scanner.pitch_mm)) + 1
    first = -(count // 2) * scanner.pitch_mm
    angle = np.arange(scanner.views) * np.pi / scanner.views
    cos, sin = np.cos(angle), np.sin(angle)
    water, bone = _tissue(base_hu)
    change = _insert_sinograms(
        water, bone, inserts, fine_origin, fine_mm, pixel_mm, middle, (cos, sin), first, count, scanner
    )
    hit = np.nonzero(change.any(axis=(0, 1)))[0]
    if not len(hit):
        return np.zeros((roi[0].stop - roi[0].start, roi[1].stop - roi[1].start), np.float32)
    used = slice(int(hit[0]), int(hit[-1]) + 1)
    offsets = first + np.arange(count)[used] * scanner.pitch_mm
    paths = _patient_paths(water, bone, pixel_mm, middle, cos, sin, offsets)
    length = np.zeros((scanner.views, count))
    length[:, used] = _length_change(paths, change[:, :, used], inserts, scanner, slice_mm, rng)
    filtered = _ramp(length, scanner)
    rows = np.arange(roi[0].start, roi[0].stop) * pixel_mm - middle[0]
    columns = np.arange(roi[1].start, roi[1].stop) * pixel_mm - middle[1]
    return 1000 * _backproject(filtered, cos, sin, first, scanner.pitch_mm, rows, columns)


def _tissue(hu: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Densities (g/cm3) of water and of bone material that give these HU at the reference energy."""
    mu_water = MATERIALS["water"].mu_cm(REFERENCE_KEV)
    mu_bone = MATERIALS["bone"].mu_cm(REFERENCE_KEV) / MATERIALS["bone"].density_g_cm3
    soft = np.clip(1 + np.asarray(hu, np.float32) / 1000, 0, 1.1)
    over = np.clip(np.asarray(hu, np.float32) / 1000 - 0.1, 0, None)
    return soft.astype(np.float32), (over * mu_water / mu_bone).astype(np.float32)


def _insert_sinograms(
    water: NDArray,
    bone: NDArray,
    inserts: list[SliceInsert],
    fine_origin: tuple[float, float],
    fine_mm: float,
    pixel_mm: float,
    middle: NDArray,
    directions: tuple[NDArray, NDArray],
    first: float,
    count: int,
    scanner: Scanner,
) -> NDArray[np.float32]:
    """Line integrals (cm, or g/cm2 of displaced tissue): shape (inserts + 2, views, detectors)."""
    total = sum(insert.share for insert in inserts)
    row, column = np.nonzero(np.asarray(total) > 0)
    y_pixel = fine_origin[0] + row * fine_mm / pixel_mm
    x_pixel = fine_origin[1] + column * fine_mm / pixel_mm
    j, i = np.rint(y_pixel).astype(int), np.rint(x_pixel).astype(int)
    taken = np.asarray(total)[row, column]
    weights = np.stack(
        [*(insert.share[row, column] for insert in inserts), taken * water[j, i], taken * bone[j, i]], axis=1
    )
    weights = (weights * fine_mm * fine_mm / scanner.pitch_mm / 10).astype(np.float32)
    return _splat(
        x_pixel * pixel_mm - middle[1],
        y_pixel * pixel_mm - middle[0],
        weights,
        *directions,
        first,
        scanner.pitch_mm,
        count,
    )


def _patient_paths(
    water: NDArray,
    bone: NDArray,
    pixel_mm: float,
    middle: NDArray,
    cos: NDArray,
    sin: NDArray,
    offsets: NDArray,
) -> NDArray[np.float64]:
    """Mass per area (g/cm2) of water and bone along every ray, shape (2, views, detectors)."""
    coarse = np.append(offsets[::4], offsets[-1] + 1e-6)
    rows, columns = (n // 2 * 2 for n in water.shape)
    halved = np.stack(
        [
            image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
            for image in (water, bone)
        ],
        axis=-1,
    )
    rays = _march(halved, 2 * pixel_mm, 0.5 * pixel_mm, middle[1], middle[0], cos, sin, coarse)
    at = np.interp(offsets, coarse, np.arange(len(coarse)))
    low = np.minimum(at.astype(int), len(coarse) - 2)
    part = at - low
    return rays[..., low] * (1 - part) + rays[..., low + 1] * part


def _length_change(
    paths: NDArray,
    change: NDArray,
    inserts: list[SliceInsert],
    scanner: Scanner,
    slice_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Difference of water-equivalent length (mm) with and without inserts, with the extra noise."""
    mu_water = MATERIALS["water"].mu_cm(SPECTRUM_KEV)
    mu_bone = MATERIALS["bone"].mu_cm(SPECTRUM_KEV) / MATERIALS["bone"].density_g_cm3
    mu_insert = [insert.material.mu_cm(SPECTRUM_KEV) for insert in inserts]
    without = np.zeros(paths.shape[1:])
    with_it = np.zeros(paths.shape[1:])
    for n, share in enumerate(SPECTRUM):
        tissue = share * np.exp(-(mu_water[n] * paths[0] + mu_bone[n] * paths[1]))
        extra = sum(mu[n] * change[m] for m, mu in enumerate(mu_insert))
        extra = extra - mu_water[n] * change[-2] - mu_bone[n] * change[-1]
        without += tissue
        with_it += tissue * np.exp(-extra)
    photons = scanner.photons * slice_mm * scanner.pitch_mm
    hit = np.abs(change).sum(axis=0) > 0
    starved = np.sqrt(np.maximum(1 / np.maximum(photons * with_it, 1) - 1 / (photons * without), 0))
    floor = scanner.scatter * float(np.median(without))
    # Scanners smooth rays that hold next to no photons before they take the logarithm.
    noise = np.where(hit, rng.standard_normal(hit.shape) * np.minimum(starved, 0.25), 0.0)
    lengths = np.arange(0, 2000, 2.0) / 10
    table = -np.log(np.exp(-np.outer(lengths, mu_water)) @ SPECTRUM)
    before = np.interp(-np.log(without + floor), table, lengths)
    after = np.interp(-np.log(with_it + floor) + noise, table, lengths)
    return np.asarray(10 * (after - before))


def _ramp(sinogram: NDArray, scanner: Scanner) -> NDArray[np.float64]:
    """Ramp filter with a Gaussian roll-off: the reconstruction kernel."""
    n = 1 << int(np.ceil(np.log2(2 * sinogram.shape[1])))
    # The band-limited ramp is built in space: its zero frequency is then right and no cupping is added.
    m = np.fft.fftfreq(n, 1 / n)
    kernel = np.zeros(n)
    kernel[0] = 0.25
    odd = np.abs(m) % 2 == 1
    kernel[odd] = -1 / (np.pi * m[odd]) ** 2
    ramp = np.fft.rfft(kernel).real / scanner.pitch_mm
    frequency = np.fft.rfftfreq(n, scanner.pitch_mm)
    # Linear weights on the way into the sinogram and out of it blur too; the kernel does the rest.
    sigma = np.sqrt(max(scanner.fwhm_mm**2 / (8 * np.log(2)) - scanner.pitch_mm**2 / 3, 0.01))
    response = ramp * np.exp(-2 * (np.pi * sigma * frequency) ** 2)
    spectrum = np.fft.rfft(sinogram, n, axis=1) * response
    return np.ascontiguousarray(np.fft.irfft(spectrum, n, axis=1)[:, : sinogram.shape[1]])


@njit(cache=True)
def _splat(x, y, weights, cos, sin, first, pitch, count):  # type: ignore[no-untyped-def]
    maps = weights.shape[1]
    out = np.zeros((maps, len(cos), count), np.float32)
    for v in range(len(cos)):
        for n in range(len(x)):
            at = (x[n] * cos[v] + y[n] * sin[v] - first) / pitch
            low = int(np.floor(at))
            part = at - low
            if low >= 0 and low + 1 < count:
                for m in range(maps):
                    out[m, v, low] += weights[n, m] * (1 - part)
                    out[m, v, low + 1] += weights[n, m] * part
    return out


@njit(cache=True)
def _march(image, pixel, shift, x0, y0, cos, sin, offsets):  # type: ignore[no-untyped-def]
    rows, columns = image.shape[0], image.shape[1]
    reach = np.hypot(rows, columns) * pixel
    steps = int(2 * reach / pixel)
    out = np.zeros((2, len(cos), len(offsets)))
    for v in range(len(cos)):
        for s in range(len(offsets)):
            water = 0.0
            bone = 0.0
            for n in range(steps):
                t = -reach + n * pixel
                j = int((y0 - shift + offsets[s] * sin[v] + t * cos[v]) / pixel + 0.5)
                i = int((x0 - shift + offsets[s] * cos[v] - t * sin[v]) / pixel + 0.5)
                if 0 <= j < rows and 0 <= i < columns:
                    water += image[j, i, 0]
                    bone += image[j, i, 1]
            out[0, v, s] = water * pixel / 10
            out[1, v, s] = bone * pixel / 10
    return out


@njit(cache=True)
def _backproject(sinogram, cos, sin, first, pitch, rows, columns):  # type: ignore[no-untyped-def]
    out = np.zeros((len(rows), len(columns)), np.float32)
    count = sinogram.shape[1]
    for v in range(len(cos)):
        for j in range(len(rows)):
            start = (rows[j] * sin[v] - first) / pitch
            for i in range(len(columns)):
                at = start + columns[i] * cos[v] / pitch
                low = int(at)
                if low >= 0 and low + 1 < count:
                    part = at - low
                    out[j, i] += sinogram[v, low] * (1 - part) + sinogram[v, low + 1] * part
    return out * np.float32(np.pi / len(cos))
