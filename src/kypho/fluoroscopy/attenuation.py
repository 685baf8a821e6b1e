"""From Hounsfield units to how strongly tissue and steel weaken the beam.

The definition of HU gives water's line up to 0 HU. Above it the line to solid cortical bone is steeper
than the CT says, because the fluoroscopy beam is softer than the CT's. Coefficients are the tables of
NIST at one effective energy (evidence records "fluoroscopy.*").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho import evidence

__all__ = ["IDENTITY", "Attenuation", "attenuate", "beam", "hu_to_mu", "steel_per_mm"]

PER_CM_TO_PER_MM = 0.1  # numerics: ten millimetres in a centimetre
AIR_HU = -1000.0  # numerics: the definition of HU


@dataclass(frozen=True, kw_only=True)
class Attenuation:
    """Linear attenuation as two straight lines over the voxel's value, and nothing below a floor.

    Attributes:
        floor: values below count as empty.
        knee: value where the two lines meet.
        at_knee: attenuation there, 1/mm.
        below: slope below the knee, 1/mm per unit of value.
        above: slope above the knee.
    """

    floor: float
    knee: float
    at_knee: float
    below: float
    above: float

    @property
    def coefficients(self) -> tuple[np.float32, ...]:
        """The five numbers in the order of the fields, for compiled code."""
        return tuple(np.float32(x) for x in (self.floor, self.knee, self.at_knee, self.below, self.above))


IDENTITY = Attenuation(floor=0.0, knee=0.0, at_knee=0.0, below=0.0, above=1.0)
"""For volumes that hold attenuation already, unit "1/mm"."""


@cache
def beam() -> Attenuation:
    """HU to linear attenuation in 1/mm for the effective energy of record "fluoroscopy.beam_kev"."""
    water = evidence.value("fluoroscopy.water_cm2_g") * PER_CM_TO_PER_MM  # of density 1 g/cm3
    bone = evidence.value("fluoroscopy.bone_cm2_g") * evidence.value("fluoroscopy.bone_g_cm3")
    rise = (bone * PER_CM_TO_PER_MM - water) / evidence.value("fluoroscopy.bone_hu")
    return Attenuation(
        floor=evidence.value("fluoroscopy.air_hu"), knee=0.0, at_knee=water, below=-water / AIR_HU, above=rise
    )


@cache
def steel_per_mm() -> float:
    """Linear attenuation in 1/mm of a steel needle at the same energy."""
    return (
        float(evidence.value("fluoroscopy.iron_cm2_g") * evidence.value("fluoroscopy.iron_g_cm3"))
        * PER_CM_TO_PER_MM
    )


@numba.njit(cache=True)
def attenuate(value, floor, knee, at_knee, below, above):  # type: ignore[no-untyped-def]  # numba
    """One voxel's value to 1/mm; what follows it are `Attenuation.coefficients`."""
    x = np.float32(value)
    mu = at_knee + (below if x < knee else above) * (x - knee)
    # Written so that the processor selects instead of branching; NaN compares false and is empty.
    return mu if (x >= floor) & (mu > 0) else np.float32(0)


def hu_to_mu(hu: ArrayLike) -> NDArray[np.float64]:
    """HU of any shape to linear attenuation in 1/mm at the effective energy of the beam."""
    lines, x = beam(), np.asarray(hu, dtype=float)
    mu = lines.at_knee + np.where(x < lines.knee, lines.below, lines.above) * (x - lines.knee)
    return np.where(x >= lines.floor, np.maximum(mu, 0.0), 0.0)
