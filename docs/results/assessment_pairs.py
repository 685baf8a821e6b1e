"""A virtual fracture and an earlier CT of the same patient, as two scans with nothing but the patient in common.

A virtual fracture made from a CT carries that CT's own noise; set against the same CT, noise would match
noise. So the CT is smoothed first, and both scans of a pair get noise of their own, other slices, another
position of the patient, and labels drawn on their own voxels. What stays in common is what the labels of the
one CT have wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from kypho.phantoms.fractures import FracturedCase, FractureSpec, make_fracture, random_spec
from kypho.space import Grid, Volume

QUIET_PIXELS = 0.7  # takes the noise of this CT's muscle from 13 to 9 HU, part of which is muscle
NOISE_HU, NOISE_STEP_MM = 13.0, 2.5  # standard deviation in its quiet muscle, and its slice distance
GRAIN_PIXELS = 0.63  # neighbouring pixels of that noise correlate by one half
TURN_DEG = 3.0  # standard deviation about each axis between two scans


def quiet(ct: Volume) -> Volume:
    """The CT with most of its own noise smoothed out."""
    return ct.like(gaussian_filter(ct.array.astype(np.float32), [0, QUIET_PIXELS, QUIET_PIXELS]))


def pair(
    ct: Volume, labels, vertebra, seed: int, slice_mm: float, grid: Grid, thicknesses: tuple[float, ...]
) -> tuple[FracturedCase, FracturedCase]:
    """The fractured scan and the earlier one; `ct` is quiet."""
    random = np.random.default_rng([seed, 1])
    before_mm = thicknesses[random.integers(len(thicknesses))]
    broken = make_fracture(ct, labels, vertebra, random_spec(seed), slice_mm=slice_mm, grid=grid)
    other = _turned(grid, random)
    before = make_fracture(ct, labels, vertebra, FractureSpec(), slice_mm=before_mm, grid=other)
    return _noisy(broken, random), _noisy(before, random)


def _turned(grid: Grid, random: np.random.Generator) -> Grid:
    """The grid about the patient lying otherwise: turned, and moved by a part of a voxel."""
    turn = Rotation.from_euler("xyz", random.normal(0, TURN_DEG, 3), degrees=True).as_matrix()
    axes = turn @ grid.axes
    middle = grid.centre_mm + grid.matrix @ random.uniform(-0.5, 0.5, 3)
    half = (np.asarray(grid.shape) - 1) / 2 * np.asarray(grid.spacing_mm)
    return replace(grid, axes=axes, origin_mm=middle - axes @ half)


def _noisy(case: FracturedCase, random: np.random.Generator) -> FracturedCase:
    """The case with noise of its own; thinner slices have more."""
    grain = gaussian_filter(
        random.standard_normal(case.ct.grid.shape, np.float32), [0, GRAIN_PIXELS, GRAIN_PIXELS]
    )
    sd = NOISE_HU * np.sqrt(NOISE_STEP_MM / case.ct.grid.spacing_mm[0])
    hu = case.ct.array + sd / grain.std() * grain
    return replace(case, ct=case.ct.like(np.rint(hu).astype(np.int16)))
