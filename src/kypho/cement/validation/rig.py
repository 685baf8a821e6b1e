"""What the exact problems are run on: a fluid that does not age, a ball of bone, a ruler for the front."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField, homogeneous_field
from kypho.cement.cannula import Cannula
from kypho.cement.inject import inject
from kypho.cement.outcome import Rehearsal
from kypho.cement.rheology import Cement
from kypho.cement.schedule import Needle, Schedule, Settings
from kypho.phantoms.exact_flow import Sphere
from kypho.space import Grid, Volume, sample_at

__all__ = ["FLOW", "ball_field", "directions", "front_radii", "newtonian", "run_from_ball"]

FLOW = Settings(heat=False, shear=True, frames=0, tolerance=1e-7, marrow_yield_pa=0.0)


def newtonian(viscosity_pa_s: float, *, index: float = 1.0) -> Cement:
    """A fluid that does not age."""
    return Cement(
        name="fluid",
        viscosity_pa_s=viscosity_pa_s,
        growth_per_min=0.0,
        set_min=1e9,  # numerics: never sets
        set_viscosity_pa_s=1e6 * viscosity_pa_s,
        flow_index=index,
    )


def front_radii(
    cement: NDArray, porosity: float, grid: Grid, centre_mm: NDArray, directions: NDArray, reach_mm: float
) -> NDArray[np.float64]:
    """Distance of the front from the centre along each direction, mm: the cement met along the ray."""
    step = min(grid.spacing_mm) / 4
    along = (np.arange(int(reach_mm / step)) + 0.5) * step
    points = centre_mm + directions[:, None, :] * along[None, :, None]
    values = sample_at(Volume(array=cement, grid=grid, unit="1"), points)
    return np.asarray(values.sum(axis=1) * step / porosity)


def directions(count: int) -> NDArray[np.float64]:
    """Points spread evenly over the sphere (Fibonacci lattice)."""
    n = np.arange(count) + 0.5
    z, angle = 1 - 2 * n / count, np.pi * (1 + sqrt(5)) * n
    return np.column_stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z])


def ball_field(case: Sphere, spacing_mm: float) -> BoneField:
    """A cube whose cells beyond the outer radius are held at pressure zero."""
    half = int(np.ceil(case.outer_mm / spacing_mm)) + 1
    n = 2 * half + 1
    grid = Grid.axis_aligned((n, n, n), spacing_mm, np.full(3, -half * spacing_mm))
    axis = (np.arange(n) - half) * spacing_mm
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2)
    return homogeneous_field(
        grid,
        permeability_m2=case.permeability_m2,
        porosity=case.porosity,
        held=radius > case.outer_mm,
        open_faces=(False,) * 6,
    )


def run_from_ball(
    field: BoneField,
    case: Sphere,
    volume_ml: float,
    cement: Cement,
    settings: Settings,
    bore_mm: float | None = None,
) -> Rehearsal:
    """Inject from a ball at the origin into bone whose marrow is a plain fluid."""
    needle = Needle(
        tip_mm=np.zeros(3), cannula=Cannula(bore_mm=2 * (bore_mm or case.inner_mm), length_mm=1.0)
    )
    schedule = Schedule.simple(volume_ml=volume_ml, rate_ml_min=case.flow_ml_s * 60, start_min=0)
    limit = replace(settings, marrow_pa_s=case.marrow_pa_s, pressure_limit_kpa=1e9)  # numerics: no limit
    return inject(field, (needle,), cement, schedule, limit)
