"""From loose slices to one stack: every law a volume must obey before anything is computed from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kypho.errors import (
    DuplicateSlicesError,
    GantryTiltError,
    GeometryError,
    MissingSlicesError,
    UnevenSpacingError,
)
from kypho.evidence import value
from kypho.formats.dicom_index import Slice
from kypho.formats.orientation import grid_from_columns
from kypho.space import Grid

__all__ = ["stack"]

SAME_POSITION_MM = 1e-3  # numerics: rounding of decimal strings
"""Closer slices are two of one position: a hundredth of the thinnest slice, above header rounding."""


def stack(slices: list[Slice], what: Path) -> tuple[list[Slice], Grid, tuple[str, ...]]:
    """The slices in order along their normal, their grid, and notes.

    Raises:
        GeometryError: more than one orientation, size, pixel spacing or frame of reference; a single slice.
        DuplicateSlicesError, MissingSlicesError, UnevenSpacingError, GantryTiltError: as they say.
    """
    _alike(slices, what)
    row, column = slices[0].orientation[:3], slices[0].orientation[3:]
    normal = np.cross(row, column)
    ordered = sorted(slices, key=lambda item: float(item.position_mm @ normal))
    positions = np.array([item.position_mm for item in ordered])
    along = positions @ normal
    step_mm = _even_step(along, what)
    _no_tilt(positions - np.outer(along, normal), step_mm, what)
    mean_step = float((along[-1] - along[0]) / (len(along) - 1))
    down, across = slices[0].pixel_mm
    grid, notes = grid_from_columns(
        np.column_stack([normal * mean_step, column * down, row * across]),
        positions[0],
        (len(ordered), *slices[0].shape),
        str(what),
        slices[0].frame_of_reference,
    )
    return ordered, grid, notes


def _alike(slices: list[Slice], what: Path) -> None:
    """Every slice has the first one's orientation, size, pixel spacing and frame of reference."""
    first = slices[0]
    if len(slices) < 2:
        raise GeometryError(f"{what} holds a single slice; a volume is needed")
    frames = {item.frame_of_reference for item in slices}
    if len(frames) > 1:
        raise GeometryError(f"{what} holds slices of {len(frames)} frames of reference; split the series")
    for item in slices:
        if item.shape != first.shape or not np.allclose(item.pixel_mm, first.pixel_mm, rtol=1e-4):
            raise GeometryError(
                f"{item.path} is {item.shape} at {item.pixel_mm} mm, the series starts with {first.shape} at "
                f"{first.pixel_mm} mm; split the series"
            )
        if np.abs(item.orientation - first.orientation).max() > value("formats.orientation_cosine"):
            raise GeometryError(f"{item.path} has another orientation than the series; split the series")
    row, column = first.orientation[:3], first.orientation[3:]
    if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-3):
        raise GeometryError(
            f"{first.path} has an ImageOrientationPatient that is no rotation; export it again"
        )


def _even_step(along: NDArray[np.float64], what: Path) -> float:
    """The step of the stack; every step must equal it."""
    steps = np.diff(along)
    if steps.min() < SAME_POSITION_MM:
        at = float(along[int(np.argmin(steps))])
        n = int(np.count_nonzero(steps < SAME_POSITION_MM))
        raise DuplicateSlicesError(
            f"{what} has {n} slices at a position that is already taken (first at {at:.2f} mm along the "
            "normal); remove the copies, or choose one phase or reconstruction"
        )
    # The lower median, so that one gap among three slices does not count as the usual step.
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    allowed = max(value("ct.slice_step_tolerance") * usual, value("formats.step_rounding_mm"))
    off = np.abs(steps - usual) > allowed
    if not off.any():
        return usual
    multiples = np.rint(steps / usual)
    gaps = off & (multiples >= 2) & (np.abs(steps - multiples * usual) <= allowed * multiples)
    at = float(along[int(np.argmax(off))])
    if gaps.any() and (gaps == off).all():
        missing = int((multiples[gaps] - 1).sum())
        raise MissingSlicesError(
            f"{what} lacks {missing} of {len(along) + missing} slices (first gap after {at:.2f} mm along the "
            "normal); export the whole series"
        )
    raise UnevenSpacingError(
        f"{what} has slice steps from {steps.min():.3f} to {steps.max():.3f} mm (first change after "
        f"{at:.2f} mm); choose an evenly spaced reconstruction"
    )


def _no_tilt(sideways: NDArray[np.float64], step_mm: float, what: Path) -> None:
    """No slice is shifted in its own plane against the first."""
    shift = np.linalg.norm(sideways - sideways[0], axis=1)
    per_slice = float(shift[-1] / (len(shift) - 1))
    if per_slice > value("formats.drift_per_slice_mm") or shift.max() > value("formats.drift_total_mm"):
        tilt = float(np.rad2deg(np.arctan2(shift[-1], step_mm * (len(shift) - 1))))
        raise GantryTiltError(
            f"{what} was taken with a tilted gantry ({tilt:.1f} degrees, slices shifted by up to "
            f"{shift.max():.1f} mm); give a reconstruction without tilt"
        )
