"""Benchmark 3: displacement with an exact answer, sharp fronts and Corey flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kypho.cement.bone import homogeneous_field
from kypho.cement.cannula import Cannula
from kypho.cement.inject import inject
from kypho.cement.schedule import Needle, Schedule
from kypho.cement.validation.check import Check, near, order_of_convergence, within
from kypho.cement.validation.rig import FLOW, ball_field, directions, front_radii, newtonian, run_from_ball
from kypho.phantoms.exact_flow import BuckleyLeverett, Cylinder, PowerLawSphere, Sphere
from kypho.space import Grid, sample_at

__all__ = ["buckley_leverett", "cylinder", "power_law", "sphere"]


def sphere(spacing_mm: tuple[float, ...] = (1.5, 1.0), volume_ml: float = 2.0) -> list[Check]:
    """3: two Newtonian fluids from a ball, front and pressure, with the order of convergence."""
    case = Sphere()
    # The solver's cement also fills the ball of the bore, which the formula leaves out.
    ball = 4 / 3 * np.pi * case.inner_mm**3 * case.porosity * 1e-3
    checks, pressure_errors, radius_errors = [], [], []
    for h in spacing_mm:
        field = ball_field(case, h)
        result = run_from_ball(field, case, volume_ml + ball, newtonian(case.cement_pa_s), FLOW)
        expected = case.front_mm(volume_ml)
        radii = front_radii(
            np.asarray(result.cement.array), case.porosity, field.grid, np.zeros(3), directions(400), 14.0
        )
        rms = float(np.sqrt(np.mean((radii - expected) ** 2)))
        at_ml = float(result.injected_ml[-2]) - ball
        error = result.tip_kpa[-1] / case.pressure_kpa(at_ml) - 1
        radius_errors.append(rms)
        pressure_errors.append(error)
        allowed = max(0.5 * h, 0.01 * expected)
        checks += [
            near(3, f"sphere, front radius, rms over directions, mm (h {h:g})", 0.0, rms, absolute=allowed),
            near(3, f"sphere, mean front radius, mm (h {h:g})", expected, radii.mean(), absolute=allowed),
            near(3, f"sphere, pressure over exact (h {h:g})", 1.0, 1 + error, relative=0.02),
            within(3, f"sphere, mass error (h {h:g})", -np.inf, 1e-6, result.mass_balance_error),
        ]
    checks.append(
        within(
            3,
            "sphere, order of convergence of the front",
            1.0,
            np.inf,
            order_of_convergence(list(spacing_mm), radius_errors),
        )
    )
    checks.append(
        within(
            3,
            "sphere, order of convergence of the pressure",
            1.0,
            np.inf,
            order_of_convergence(list(spacing_mm), pressure_errors),
        )
    )
    return checks


def cylinder(spacing_mm: tuple[float, ...] = (1.0, 0.5), volume_ml: float = 2.0) -> list[Check]:
    """3: two fluids between plates; pressure from a ring of cells against the logarithm."""
    case = Cylinder()
    checks, errors = [], []
    for h in spacing_mm:
        half = int(np.ceil(case.outer_mm / h)) + 1
        n = 2 * half + 1
        grid = Grid.axis_aligned((1, n, n), (case.height_mm, h, h), (-half * h, -half * h, 0.0))
        axis = (np.arange(n) - half) * h
        radius = np.sqrt(axis[:, None] ** 2 + axis**2)[None]
        field = homogeneous_field(
            grid,
            permeability_m2=case.permeability_m2,
            porosity=case.porosity,
            held=radius > case.outer_mm,
            open_faces=(False,) * 6,
        )
        core = np.pi * case.inner_mm**2 * case.height_mm * case.porosity * 1e-3
        like = Sphere(flow_ml_s=case.flow_ml_s, inner_mm=case.inner_mm)
        result = run_from_ball(
            field, like, volume_ml + core, newtonian(case.cement_pa_s), replace(FLOW, steps=32)
        )
        angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
        ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(200)])
        radii = front_radii(np.asarray(result.cement.array), case.porosity, grid, np.zeros(3), ring, 14.0)
        expected = case.front_mm(volume_ml)
        inner = replace(case, inner_mm=3.0)  # numerics: clear of the source's own cells
        at_ml = float(result.injected_ml[-2]) - core
        front = case.front_mm(at_ml)
        shells = case.cement_pa_s * np.log(front / inner.inner_mm) + case.marrow_pa_s * np.log(
            case.outer_mm / front
        )
        exact = (
            case.flow_ml_s * 1e-6 / (2 * np.pi * case.permeability_m2 * case.height_mm * 1e-3) * shells * 1e-3
        )
        measured = float(sample_at(result.pressure, 3.0 * ring).mean())
        errors.append(float(np.sqrt(np.mean((radii - expected) ** 2))))
        checks += [
            near(
                3,
                f"cylinder, front radius, rms, mm (h {h:g})",
                0.0,
                errors[-1],
                absolute=max(h / 2, 0.01 * expected),
            ),
            near(3, f"cylinder, pressure at 3 mm over exact (h {h:g})", 1.0, measured / exact, relative=0.02),
        ]
    checks.append(
        within(
            3,
            "cylinder, order of convergence of the front",
            1.0,
            np.inf,
            order_of_convergence(list(spacing_mm), errors),
        )
    )
    return checks


def power_law(spacing_mm: float = 0.75) -> list[Check]:
    """3: shear-thinning cement from a point: the pressure between 4 mm and the front."""
    checks = []
    for index, consistency in ((0.6, 300.0), (0.8, 150.0)):
        law = PowerLawSphere(consistency=consistency, index=index)
        case = Sphere(marrow_pa_s=1e-4)  # numerics: marrow that takes no part
        field = ball_field(case, spacing_mm)
        result = run_from_ball(field, case, 4.0, newtonian(consistency, index=index), FLOW)
        at_ml = float(result.injected_ml[-2]) - 4 / 3 * np.pi * 4.0**3 * case.porosity * 1e-3
        exact = replace(law, inner_mm=4.0).pressure_kpa(at_ml)  # numerics: clear of the source's own cells
        measured = float(sample_at(result.pressure, 4.0 * directions(200)).mean())
        checks.append(
            near(3, f"power law n {index}, pressure at 4 mm over exact", 1.0, measured / exact, relative=0.02)
        )
    return checks


def buckley_leverett(cells: tuple[int, ...] = (50, 100, 200)) -> list[Check]:
    """3: Corey flow in a tube: shock speed and profile at four viscosity ratios."""
    checks = []
    for ratio in (0.1, 1.0, 10.0):
        exact, errors, shocks = BuckleyLeverett(ratio=ratio), [], []
        for n in cells:
            h = 40.0 / n
            grid = Grid.axis_aligned((1, 1, n), (10.0, 10.0, h), (0.0, 0.0, 0.0))
            field = homogeneous_field(
                grid, permeability_m2=4e-8, porosity=0.9, open_faces=(False, False, False, False, False, True)
            )
            marrow = 0.1
            needle = Needle(tip_mm=np.zeros(3), cannula=Cannula(bore_mm=3.0, length_mm=1.0))
            travelled = 25.0 / exact.shock_speed
            volume = travelled * 100.0 * 0.9 * 1e-3
            result = inject(
                field,
                (needle,),
                newtonian(ratio * marrow),
                Schedule.simple(volume_ml=volume, rate_ml_min=3.0, start_min=0),
                replace(FLOW, corey=2.0, marrow_pa_s=marrow, steps=4 * n),
            )
            s = np.asarray(result.cement.array)[0, 0] / 0.9
            x = (np.arange(n) + 0.5) * h
            errors.append(float(np.abs(s - exact.profile(x / travelled)).sum() * h / 40.0))
            level = exact.shock_saturation / 2
            last = int(np.nonzero(s >= level)[0][-1])
            shocks.append(float(x[last] + h * (s[last] - level) / (s[last] - s[last + 1])))
        order = order_of_convergence([1 / n for n in cells], errors)
        h = 40.0 / cells[-1]
        checks += [
            near(
                3,
                f"Buckley-Leverett a {ratio:g}, shock position, mm",
                25.0,
                shocks[-1],
                absolute=max(h, 0.25),
            ),
            within(3, f"Buckley-Leverett a {ratio:g}, mean saturation error", -np.inf, 0.02, errors[-1]),
            within(
                3,
                f"Buckley-Leverett a {ratio:g}, order in the mean",
                0.9,
                np.inf,
                order,
                note="order one, less what the shock's place within its cell adds to so few grids",
            ),
        ]
    return checks
