"""Benchmarks 7, 8 and 11: the shape that cement takes in anisotropic, in rough and in even bone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import homogeneous_field, permeability
from kypho.cement.validation.check import Check, near, within
from kypho.cement.validation.rig import FLOW, ball_field, directions, front_radii, newtonian, run_from_ball
from kypho.evidence import value
from kypho.phantoms.exact_flow import Sphere, ellipsoid_axis_ratio
from kypho.space import Grid

__all__ = ["anisotropy", "marrow_criterion", "spreading"]


def anisotropy(spacing_mm: float = 1.0) -> list[Check]:
    """7: plume of a point source in anisotropic bone, and the permeability law against the cores."""
    checks = []
    nauman = value("cement.permeability_anisotropy")
    for name, ratio in (
        ("Nauman", nauman),
        ("Baroud", value("cement.permeability_ap_m2") / value("cement.permeability_si_m2")),
    ):
        half = int(18 / spacing_mm)
        grid = Grid.axis_aligned((2 * half + 1,) * 3, spacing_mm, np.full(3, -half * spacing_mm))
        field = homogeneous_field(grid, permeability_m2=(4e-8, 4e-8 * ratio, 4e-8), porosity=0.9)
        result = run_from_ball(field, Sphere(), 4.0, newtonian(100.0), FLOW)
        posterior, superior = front_radii(
            np.asarray(result.cement.array),
            0.9,
            grid,
            np.zeros(3),
            np.array([[0.0, 1, 0], [0.0, 0, 1]]),
            17.0,
        )
        checks.append(
            near(
                7,
                f"plume axis ratio, {name} anisotropy {ratio:.3g}",
                ellipsoid_axis_ratio(ratio),
                posterior / superior,
                absolute=0.1,
            )
        )
    bvtv = np.linspace(0.07, 0.13, 25)
    middle = float(np.log10(permeability(bvtv)).mean() - np.log10(value("cement.permeability_si_m2")))
    checks.append(
        near(
            7, "mean log10 k at BV/TV 7-13 % over Baroud's SI cores", 0.0, middle, absolute=0.3, kind="bench"
        )
    )
    return checks


def marrow_criterion(spacing_mm: float = 0.75) -> list[Check]:
    """8: the injection pressure rises if and only if the cement is the thicker fluid; fingers below one."""
    checks, roundness = [], {}
    for ratio in (0.05, 0.2, 1.0, 5.0, 20.0):
        case = replace(Sphere(), cement_pa_s=10.0 * ratio, marrow_pa_s=10.0, outer_mm=12.0)
        half = int(np.ceil(case.outer_mm / spacing_mm)) + 1
        n = 2 * half + 1
        grid = Grid.axis_aligned(
            (1, n, n), (10.0, spacing_mm, spacing_mm), (-half * spacing_mm,) * 2 + (0.0,)
        )
        axis = (np.arange(n) - half) * spacing_mm
        radius = np.sqrt(axis[:, None] ** 2 + axis**2)[None]
        field = homogeneous_field(
            grid, permeability_m2=4e-8, porosity=0.9, held=radius > case.outer_mm, open_faces=(False,) * 6
        )
        rough = np.random.default_rng(1).normal(0, 0.05, grid.shape)
        field = replace(field, permeability_m2=(field.permeability_m2 * np.exp(rough)).astype(np.float32))
        result = run_from_ball(field, case, 1.0, newtonian(case.cement_pa_s), replace(FLOW, steps=40))
        late = result.injected_ml > 0.3
        slope = np.polyfit(result.injected_ml[late], result.tip_kpa[late], 1)[0]
        if ratio != 1.0:
            checks.append(
                within(
                    8,
                    f"sign of d(dp)/dV at viscosity ratio {ratio:g}",
                    *((0.0, np.inf) if ratio > 1 else (-np.inf, 0.0)),
                    slope,
                )
            )
        roundness[ratio] = _circularity(np.asarray(result.cement.array)[0] / 0.9, spacing_mm)
    checks += [
        within(8, "circularity of the front at ratio 20", 0.95, np.inf, roundness[20.0]),
        within(8, "circularity at 0.2 below that at 20", -np.inf, roundness[20.0], roundness[0.2]),
        within(8, "circularity at 0.05 below that at 0.2", -np.inf, roundness[0.2], roundness[0.05]),
    ]
    return checks


def _circularity(saturation: NDArray, spacing_mm: float) -> float:
    """Perimeter of the circle of equal area over the length of the front's half-way line."""
    import contourpy

    lines = [np.asarray(line) for line in contourpy.contour_generator(z=saturation).lines(0.5)]
    length = sum(float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in lines) * spacing_mm
    area = saturation.sum() * spacing_mm**2
    return float(2 * np.sqrt(np.pi * area) / length)


def spreading(spacing_mm: float = 1.0) -> list[Check]:
    """11: in foam the spreading distance grows with the cube root of the volume."""
    case = Sphere()
    field = ball_field(case, spacing_mm)
    result = run_from_ball(field, case, 4.0, newtonian(case.cement_pa_s), replace(FLOW, frames=8))
    volumes = np.array([frame.injected_ml for frame in result.frames])
    reach = []
    for frame in result.frames:
        part = frame.saturation.astype(np.float32) / 255 * case.porosity
        reach.append(front_radii(part, case.porosity, field.grid, np.zeros(3), directions(100), 14.0).max())
    r = np.corrcoef(np.cbrt(volumes), reach)[0, 1]
    at = result.injected_ml > 0.1
    exact = [case.pressure_kpa(v) for v in result.injected_ml[at]]
    p = np.corrcoef(exact, result.tip_kpa[at])[0, 1]
    note = "the foam's own curves are not at hand: the trend is checked, not the experiment"
    return [
        within(
            11,
            "R2 of spreading distance on the cube root of volume",
            0.86,
            np.inf,
            r * r,
            kind="own",
            note=note,
        ),
        within(11, "R2 of pressure on the exact law", 0.90, np.inf, p * p, kind="own", note=note),
    ]
