"""What the cement displaces: marrow in the bone's pores, blood in its holes.

Extracted marrow is a thin fluid, marrow in place a soft solid: it holds still until the stress on it passes
its yield stress, from the measured modulus and an assumed yield strain, and is weaker once it flows. Runny
cement presses less than that and runs along whatever holds blood instead (veins, clefts, cracks, the needle's
track); thick cement presses harder than any marrow resists and fills evenly. This is how viscosity comes to
decide how much leaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField
from kypho.cement.rheology import yield_viscosity
from kypho.evidence import value

__all__ = ["Displaced", "displaced", "marrow_yield_pa"]

SOLID_MARROW = ("cancellous", "posterior_elements")
"""Regions whose pores hold marrow in place."""

BLOOD = ("cavity", "cleft", "track", "channel", "breach", "basivertebral", "venous")
"""Regions that hold blood: vessels, and what the operation or the fracture opened."""


def marrow_yield_pa(modulus_kpa: float | None = None) -> float:
    """Yield stress of flowing marrow, from Young's modulus (the recorded one).

    A third of it is the shear modulus; times the yield strain, the stress at which marrow gives way; times
    the part of that which it keeps once it has.
    """
    modulus = value("cement.marrow_modulus_kpa") if modulus_kpa is None else modulus_kpa
    still = modulus * 1e3 / 3 * value("cement.marrow_yield_strain")
    return float(still * value("cement.marrow_flowing_fraction"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Displaced:
    """The fluids that cement displaces, cell by cell: viscosity in Pa s and yield stress in Pa."""

    viscosity_pa_s: NDArray[np.float64]
    yield_pa: NDArray[np.float64]

    def apparent_pa_s(
        self, speed_m_s: NDArray, permeability_m2: NDArray, porosity: NDArray
    ) -> NDArray[np.float64]:
        """Viscosity at a Darcy speed."""
        return self.viscosity_pa_s + yield_viscosity(self.yield_pa, speed_m_s, permeability_m2, porosity)


def displaced(bone: BoneField, *, marrow_pa_s: float, yield_pa: float) -> Displaced:
    """Marrow and blood where they stand before the injection."""
    blood = min(value("cement.blood_viscosity_pa_s"), marrow_pa_s)
    return Displaced(
        viscosity_pa_s=np.where(bone.mask(*BLOOD), blood, marrow_pa_s),
        yield_pa=np.where(bone.mask(*SOLID_MARROW), yield_pa, 0.0),
    )
