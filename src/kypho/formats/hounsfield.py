"""Stored numbers to Hounsfield units, and the doubt whether they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kypho.errors import ModalityError, NotFiniteError
from kypho.evidence import value

__all__ = ["as_hu", "rescale"]

_INT16 = np.iinfo(np.int16)


def _fits_int16(array: NDArray) -> bool:
    return array.dtype.kind in "iub" and _INT16.min <= int(array.min()) and int(array.max()) <= _INT16.max


def rescale(stored: NDArray, slope: float, intercept: float) -> NDArray:
    """``stored * slope + intercept``; int16 where that is exact, else float32."""
    if slope == 1 and float(intercept).is_integer() and stored.dtype.kind in "iub":
        whole = stored if intercept == 0 else stored.astype(np.int64) + int(intercept)
        if _fits_int16(whole):
            return whole.astype(np.int16)
    if slope == 1 and intercept == 0:
        with np.errstate(over="ignore", invalid="ignore"):
            return stored.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        # float64 inside: a float32 product loses whole HU for large stored numbers.
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def as_hu(array: NDArray, what: str) -> tuple[NDArray, tuple[str, ...]]:
    """The CT numbers with scanner padding set to air, and notes on it.

    Args:
        array: HU, int16 or float32.
        what: how messages name the image.

    Raises:
        NotFiniteError: NaN or infinity.
        ModalityError: nothing in the image is as dark as fat.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise NotFiniteError(f"{what} holds {bad} values that are NaN or infinite; export it again")
    lowest, limit, floor = float(array.min()), value("formats.hu_dark"), value("formats.hu_floor")
    if lowest > limit:
        raise ModalityError(
            f"{what} does not look like CT in Hounsfield units: no value at or below {limit} (lowest "
            f"{lowest:g}); give a CT, not its labels, or export it with its rescale slope "
            "and intercept applied"
        )
    if lowest >= floor:
        return array, ()
    outside = int(np.count_nonzero(array < floor))
    note = f"{what}: {outside} voxels below {floor} HU (scanner padding) set to {floor} HU"
    return np.maximum(array, np.asarray(floor, dtype=array.dtype)), (note,)
