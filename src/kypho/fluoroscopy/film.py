"""From line integrals to the grey picture on the monitor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from kypho.errors import SettingsError

__all__ = ["Look", "add_noise", "to_film"]

DISPLAYED_PERCENTILES = (1.0, 99.0)
"""Part of the values in the frame's middle that the window spans; the rest is black or white."""
FLATTENED_PART = 0.8
"""Share of the broad brightness differences (lung against mediastinum) that is taken out."""
BROAD_PART_OF_FRAME = 1 / 12
"""Scale of "broad", as a Gaussian's sigma over the frame's shorter edge."""
COARSE_PIXELS = 64
"""Pixels along the shorter edge of the coarse copy that is smoothed: 5 per sigma."""


def add_noise(line_integrals: NDArray[np.float32], photons: float, seed: int) -> NDArray[np.float32]:
    """Line integrals as measured with `photons` per open pixel: counts are Poisson, there is no scatter.

    A pixel that counts no photon reads as if it had counted half a one.

    Raises:
        SettingsError: photons not positive.
    """
    if not photons > 0:
        raise SettingsError(f"photons per pixel must be positive, got {photons!r}")
    counts = np.random.default_rng(seed).poisson(photons * np.exp(-line_integrals))
    return -np.log(np.maximum(counts, 0.5) / photons).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """How a frame is brought to the monitor. One look for all frames of a pose keeps their greys alike.

    Attributes:
        flattening: line integrals taken off each pixel, shape (rows, cols).
        white: flattened line integral shown white.
        black: flattened line integral shown black.
    """

    flattening: NDArray[np.float32]
    white: float
    black: float

    @staticmethod
    def of(line_integrals: NDArray[np.float32]) -> Look:
        """The automatic look for a frame without instruments."""
        broad = _smooth(line_integrals)
        flattening = (FLATTENED_PART * (broad - broad.mean())).astype(np.float32)
        rows, cols = (slice(n // 4, n - n // 4) for n in line_integrals.shape)
        white, black = np.percentile((line_integrals - flattening)[rows, cols], DISPLAYED_PERCENTILES)
        # An empty or even frame has no contrast of its own: one attenuation length either side is grey.
        return Look(
            flattening=flattening,
            white=float(white) - (black <= white),
            black=float(black) + (black <= white),
        )


def _smooth(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """A broad Gaussian of the image, done on a coarse copy."""
    step = max(1, min(image.shape) // COARSE_PIXELS)
    small = gaussian_filter(
        image[::step, ::step].astype(float), BROAD_PART_OF_FRAME * min(image.shape) / step, mode="nearest"
    )
    rows, cols = np.arange(image.shape[0]) / step, np.arange(image.shape[1]) / step
    return map_coordinates(small, np.meshgrid(rows, cols, indexing="ij"), order=1, mode="nearest")


def to_film(
    line_integrals: NDArray[np.float32],
    look: Look | None = None,
    *,
    photons: float | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """The picture as a fluoroscopy monitor shows it, shape as given, 0 black to 1 white.

    Bone, metal and cement are dark and lung is bright, as on a C-arm. Like the machine's own processing it
    shows the logarithm of the dose, with part of the broad differences taken out so that the vertebra
    stays readable beside lung and mediastinum.

    Args:
        line_integrals: from `Projector.trace`, with shadows added.
        look: `Look.of` the patient's frame, where instruments were added; of this frame by default.
        photons: photons per open pixel for Poisson noise; None for none.
        seed: of the noise.
    """
    how = Look.of(line_integrals) if look is None else look
    dose = line_integrals if photons is None else add_noise(line_integrals, photons, seed)
    return np.clip((how.black - dose + how.flattening) / np.float32(how.black - how.white), 0, 1)
