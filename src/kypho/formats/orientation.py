"""From a header's direction matrix to a Grid: repair rounding, refuse shear."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho.errors import GeometryError
from kypho.evidence import interval, value
from kypho.space import Grid

__all__ = ["grid_from_columns", "require_size"]

NOT_WORTH_A_NOTE_DEG = 0.001  # numerics: float32 direction cosines are good to about 1e-5 degrees
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def require_size(shape: tuple[int, ...], what: str) -> None:
    """Raise GeometryError unless `shape` is that of one plausible volume."""
    if len(shape) != 3:
        raise GeometryError(f"{what} has {len(shape)} dimensions, not 3; extract one volume first")
    if min(shape) < 2:
        raise GeometryError(f"{what} is a single slice ({shape}); a volume is needed")
    if int(np.prod(np.asarray(shape, dtype=object))) > value("formats.max_voxels"):
        raise GeometryError(f"{what} claims {shape} voxels, too many to be a CT; check the header")


def _nearest_rotation(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthonormal matrix closest to `directions` (3, 3), by the polar decomposition."""
    u, _, vt = np.linalg.svd(directions)
    return np.asarray(u @ vt)


def grid_from_columns(
    columns_mm: ArrayLike,
    origin_mm: ArrayLike,
    shape: tuple[int, ...],
    what: str,
    frame_of_reference: str | None = None,
) -> tuple[Grid, tuple[str, ...]]:
    """The Grid of a header, with notes on what was repaired.

    Args:
        columns_mm: shape (3, 3); LPS steps in mm of one index along ``k, j, i``.
        origin_mm: LPS position of voxel (0, 0, 0).
        shape: voxels along ``k, j, i``.
        what: how messages name the image.
        frame_of_reference: DICOM UID where known.

    Raises:
        GeometryError: singular, implausible, or sheared beyond the records ``formats.shear_*``.
    """
    require_size(shape, what)
    columns, origin = np.asarray(columns_mm, dtype=float), np.asarray(origin_mm, dtype=float)
    if not (np.isfinite(columns).all() and np.isfinite(origin).all()):
        raise GeometryError(f"{what} has an orientation that is not finite; repair its header")
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(columns, axis=0)
    low, high = interval("formats.spacing_mm")
    if not ((spacing >= low) & (spacing <= high)).all():
        raise GeometryError(
            f"{what} has voxels of {np.array2string(spacing, precision=4)} mm, outside {low:g}-{high:g} mm; "
            "check the unit in its header"
        )
    directions = columns / spacing
    rotation = _nearest_rotation(directions)
    cosine = np.clip(np.einsum("rn,rn->n", directions, rotation), -1, 1)
    shear_deg = float(np.rad2deg(np.arccos(cosine)).max())
    # The middle of the image stays in place, so the repair moves the corners least.
    half = (np.asarray(shape) - 1) / 2
    step = columns - rotation * spacing
    shift_mm = float(np.linalg.norm(np.abs(step) @ half))
    if shear_deg > value("formats.shear_deg") or shift_mm > value("formats.shear_mm"):
        raise GeometryError(
            f"{what} has sheared or dependent axes ({shear_deg:.2f} degrees, up to {shift_mm:.1f} mm); "
            "resample it to perpendicular axes first"
        )
    grid = Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin_mm=origin + step @ half,
        axes=rotation,
        frame_of_reference=frame_of_reference,
    )
    if shear_deg <= NOT_WORTH_A_NOTE_DEG:
        return grid, ()
    return grid, (
        f"{what}: axes sheared by {shear_deg:.3f} degrees, snapped ({shift_mm:.3f} mm at a corner)",
    )
