"""Bone as a porous medium: CT number to bone volume fraction, porosity and permeability.

``BV/TV = (HU - HU_marrow) / (HU_bone - HU_marrow)``, porosity ``1 - BV/TV``, and permeability by
Kozeny-Carman, ``k ~ porosity^3 / BV^2``, anchored on the cores of Baroud 2004 (whose fluid matched PMMA).
Data sets differ by two orders of magnitude, so a factor on k belongs to every ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.cement.compartments import CODES, INSIDE, Compartment
from kypho.errors import GridMismatchError, NotFiniteError, SettingsError
from kypho.evidence import value
from kypho.space import Grid

__all__ = ["BoneField", "bone_volume_fraction", "drain_of", "homogeneous_field", "permeability"]

ALL_OPEN = (True, True, True, True, True, True)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoneField:
    """A region of the body as the cement sees it.

    Attributes:
        grid: the cells.
        permeability_m2: ``(3, nk, nj, ni)`` along k, j, i; zero where nothing flows.
        porosity: ``(nk, nj, ni)`` part of a cell that cement can fill.
        region: ``(nk, nj, ni)`` labels of `kypho.cement.compartments.CODES`.
        drain: ``(nk, nj, ni)`` uptake of displaced fluid by vessels, permeability over squared distance
            to them (dimensionless); zero for none.
        far_kpa: ``(nk, nj, ni)`` pressure of the tissue or blood.
        open_faces: which box faces (low and high of k, j, i) lead on to the far pressure.
        sites: name to boolean mask, where temperature is watched.
    """

    grid: Grid
    permeability_m2: NDArray[np.float32]
    porosity: NDArray[np.float32]
    region: NDArray[np.uint8]
    drain: NDArray[np.float32]
    far_kpa: NDArray[np.float32]
    open_faces: tuple[bool, bool, bool, bool, bool, bool] = ALL_OPEN
    sites: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.grid.shape
        for name in ("porosity", "region", "drain", "far_kpa"):
            if getattr(self, name).shape != shape:
                raise GridMismatchError(
                    f"bone field: {name} does not fit the grid {shape}; resample it first"
                )
        if self.permeability_m2.shape != (3, *shape):
            raise GridMismatchError(f"bone field: permeability must be (3, *{shape}); give one per axis")
        for name in ("permeability_m2", "porosity", "drain", "far_kpa"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise NotFiniteError(f"bone field: {name} holds NaN or infinity; repair the CT first")
        if self.permeability_m2.min() < 0 or self.porosity.min() < 0 or self.porosity.max() > 1:
            raise SettingsError("bone field: permeability below 0 or porosity outside 0 to 1; correct it")

    def mask(self, *regions: str) -> NDArray[np.bool_]:
        """Cells of the named regions."""
        return np.isin(self.region, [CODES[name] for name in regions])

    @property
    def pore_ml(self) -> NDArray[np.floating]:
        """Volume that cement can fill, per cell."""
        return self.porosity * (self.grid.voxel_mm3 * 1e-3)

    @property
    def void_ml(self) -> float:
        """Volume that cement can fill inside the bone."""
        return float(self.pore_ml[self.mask(*INSIDE)].sum())


def bone_volume_fraction(hu: ArrayLike) -> NDArray[np.floating]:
    """Bone volume fraction from CT numbers, two phases.

    Raises:
        NotFiniteError: NaN or infinity in the CT.
    """
    numbers = np.asarray(hu, dtype=np.float32)
    if not np.all(np.isfinite(numbers)):
        raise NotFiniteError("the CT holds NaN or infinity; convert it again from the original")
    marrow, bone = value("cement.hu_marrow"), value("cement.hu_bone")
    low, high = value("cement.bvtv_limits")
    return np.clip((numbers - marrow) / (bone - marrow), low, high)


def permeability(bvtv: ArrayLike, *, factor: float = 1.0) -> NDArray[np.float32]:
    """Superior-inferior permeability in m2 of cancellous bone, times an ensemble factor."""
    volume = np.asarray(bvtv, dtype=np.float64)
    reference = value("cement.permeability_reference_bvtv")
    low, high = value("cement.permeability_limits_m2")
    kozeny = ((1 - volume) / (1 - reference)) ** 3 * (reference / volume) ** 2
    return np.clip(value("cement.permeability_si_m2") * kozeny * factor, low, high).astype(np.float32)


def homogeneous_field(
    grid: Grid,
    *,
    permeability_m2: tuple[float, float, float] | float,
    porosity: float,
    held: NDArray[np.bool_] | None = None,
    open_faces: tuple[bool, bool, bool, bool, bool, bool] = ALL_OPEN,
) -> BoneField:
    """One material in a box, for phantoms and exact solutions.

    Args:
        grid: the cells.
        permeability_m2: along k, j, i, or one for all.
        porosity: part that cement can fill.
        held: cells kept at pressure zero.
        open_faces: which box faces lead to pressure zero.
    """
    k = np.broadcast_to(np.asarray(permeability_m2, dtype=np.float32), 3)
    zero = np.zeros(grid.shape, np.float32)
    drain = zero.copy()
    if held is not None:
        spacing = float(min(grid.spacing_mm)) * 1e-3
        drain[held] = 1e3 * k.max() / spacing**2
    return BoneField(
        grid=grid,
        permeability_m2=np.ascontiguousarray(
            np.broadcast_to(k[:, None, None, None], (3, *grid.shape)), dtype=np.float32
        ),
        porosity=zero + np.float32(porosity),
        region=np.full(grid.shape, CODES["cancellous"], np.uint8),
        drain=drain,
        far_kpa=zero,
        open_faces=open_faces,
    )


def drain_of(space: Compartment) -> float:
    """Uptake of displaced fluid by a compartment's vessels: permeability over squared distance."""
    return space.permeability_m2 / (space.drain_mm * 1e-3) ** 2 if space.drain_mm > 0 else 0.0
