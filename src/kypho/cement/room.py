"""Before an injection: the bone as a medium for flow, and whether there is room and a way out."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from kypho.cement.bone import BoneField
from kypho.cement.pressure import Medium
from kypho.errors import SettingsError

__all__ = ["medium_of", "require_room"]


def medium_of(bone: BoneField) -> Medium:
    """The bone field in SI units, as the pressure equation sees it."""
    spacing = tuple(float(s) * 1e-3 for s in bone.grid.spacing_mm)
    volume = bone.grid.voxel_mm3 * 1e-9
    return Medium(
        spacing_m=spacing,  # type: ignore[arg-type]  # three axes
        permeability_m2=bone.permeability_m2,
        pore_m3=(bone.porosity * volume).astype(np.float32),
        drain_m3=(bone.drain * volume).astype(np.float32),
        far_pa=(bone.far_kpa * 1e3).astype(np.float32),
        open_faces=bone.open_faces,
    )


def require_room(
    bone: BoneField, medium: Medium, cells: list[tuple[int, int, int]], volume_ml: float
) -> None:
    """Every needle must have a way out for the marrow, and the bone must be able to hold the cement.

    Raises:
        SettingsError: a needle without a way out; more cement than void.
    """
    wet = bone.permeability_m2.min(axis=0) > 0
    parts, _ = label(wet)
    outlet = np.zeros(bone.grid.shape, bool)
    outlet |= medium.drain_m3 > 0
    for axis in range(3):
        for side, end in enumerate((0, -1)):
            if bone.open_faces[2 * axis + side]:
                at: list[slice | int] = [slice(None)] * 3
                at[axis] = end
                outlet[tuple(at)] = True
    for cell in cells:
        if not outlet[parts == parts[cell]].any():
            raise SettingsError(
                "no way out for the marrow that the cement displaces; open a route or a box face"
            )
    if volume_ml > bone.void_ml:
        raise SettingsError(
            f"{volume_ml:g} mL of cement exceed the {bone.void_ml:.1f} mL that the bone can hold; inject less"
        )
