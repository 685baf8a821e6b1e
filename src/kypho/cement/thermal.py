"""Flow meets heat: the same box on the coarser heat grid, and what passes between the two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kypho.cement.bone import BoneField
from kypho.cement.compartments import CODES
from kypho.cement.cure import Kinetics
from kypho.cement.heat import HeatState, Material, material
from kypho.evidence import value

__all__ = ["ThermalBox"]

SOFT = ("disc_above", "disc_below", "paravertebral", "outside", "needle_track_outside", "venous")
CANAL = ("canal_epidural", "dura", "canal_intradural", "cord", "foramen_left", "foramen_right")


class ThermalBox:
    """A `HeatState` on blocks of flow cells, with restriction to it and repetition back.

    Attributes:
        state: the heat on the coarse grid.
        factor: flow cells per heat cell along each axis.
    """

    def __init__(self, bone: BoneField, law: Kinetics, perfusion: NDArray | None = None) -> None:
        """Put the bone on the heat grid; `perfusion` in W/m3K per flow cell replaces the recorded one."""
        spacing = np.asarray(bone.grid.spacing_mm)
        self.factor = tuple(int(f) for f in np.maximum(np.rint(value("cement.heat_grid_mm") / spacing), 1))
        self._shape = bone.grid.shape
        self._bone = bone
        self._cement = material("cement")
        base_k, base_c, recorded = _tissue(bone)
        self._perfusion = recorded if perfusion is None else perfusion
        self._base_k, self._base_c = self.restrict(base_k), self.restrict(base_c)
        coarse = self._base_k.shape
        body = value("cement.body_c")
        self.state = HeatState(
            spacing_m=tuple(float(s * f * 1e-3) for s, f in zip(spacing, self.factor, strict=True)),  # type: ignore[arg-type]  # three axes
            conductivity=self._base_k.copy(),
            volumetric=self._base_c.copy(),
            cement=np.zeros(coarse),
            perfusion=self.restrict(self._perfusion),
            temperature_c=np.full(coarse, body),
            conversion=np.zeros(coarse),
            peak_c=np.full(coarse, body),
            cem43_min=np.zeros(coarse),
            damage=np.zeros(coarse),
            law=law,
            cement_density=self._cement.density,
            body_c=body,
        )

    def restrict(self, fine: NDArray) -> NDArray[np.float64]:
        """Means over the blocks; the last block repeats the border."""
        pad = [(0, -n % f) for n, f in zip(self._shape, self.factor, strict=True)]
        full = np.pad(fine.astype(np.float64, copy=False), pad, mode="edge")
        a, b, c = self.factor
        k, j, i = (n // f for n, f in zip(full.shape, self.factor, strict=True))
        return full.reshape(k, a, j, b, i, c).mean(axis=(1, 3, 5))

    def repeat(self, coarse: NDArray) -> NDArray[np.float64]:
        """The value of its block for every flow cell."""
        a, b, c = self.factor
        full = coarse.repeat(a, 0).repeat(b, 1).repeat(c, 2)
        k, j, i = self._shape
        return full[:k, :j, :i]

    def receive(
        self, cement: NDArray[np.float64], temperature_c: NDArray[np.float64], conversion: NDArray[np.float64]
    ) -> None:
        """Take over where the cement is now (volume fraction), how warm it came, and how far it has cured.

        Cement that moved into a cell brings its heat; what it displaced leaves with the cell's own. No
        blood runs where cement stands: perfusion falls with the part of the pores that it fills.
        """
        state = self.state
        volume = self.restrict(cement)
        heat = self.restrict(cement * temperature_c)
        cured = self.restrict(cement * conversion)
        filled = volume > 1e-9
        rest = np.maximum(1 - volume, 0) * self._base_c
        own = volume * self._cement.volumetric
        brought = self._cement.volumetric * heat
        state.temperature_c = np.where(
            filled, (rest * state.temperature_c + brought) / (rest + own), state.temperature_c
        )
        state.conversion = np.where(filled, cured / np.where(filled, volume, 1), 0.0)
        state.cement = volume
        state.volumetric = rest + own
        state.conductivity = (1 - volume) * self._base_k + volume * self._cement.conductivity
        pores = np.maximum(self._bone.porosity, 1e-6)
        state.perfusion = self.restrict(self._perfusion * np.clip(1 - cement / pores, 0, 1))


def _tissue(bone: BoneField) -> tuple[NDArray, NDArray, NDArray]:
    """Conductivity, volumetric heat capacity and perfusion of every cell without cement."""
    solid, marrow, soft = material("bone"), material("marrow"), material("soft")
    is_soft = bone.mask(*SOFT, *CANAL)

    def mix(of: NDArray, inside: float, between: float) -> NDArray[np.float32]:
        return np.where(is_soft, of, (1 - bone.porosity) * inside + bone.porosity * between).astype(
            np.float32
        )

    def property_of(what: Material) -> tuple[float, float]:
        return what.conductivity, what.volumetric

    k_soft, c_soft = property_of(soft)
    k_solid, c_solid = property_of(solid)
    k_marrow, c_marrow = property_of(marrow)
    flows = value("cement.perfusion_per_s")
    rate = np.full(bone.grid.shape, flows["bone"], np.float32)
    rate[bone.mask(*SOFT)] = flows["soft"]
    rate[bone.mask(*CANAL)] = flows["canal"]
    rate[bone.region == CODES["cavity"]] = 0.0
    full = np.ones(bone.grid.shape, np.float32)
    return (
        mix(full * k_soft, k_solid, k_marrow),
        mix(full * c_soft, c_solid, c_marrow),
        rate * material("fluid").volumetric,
    )
