"""C-arm poses: where the X-ray focus and the detector stand, and where a point lands on the image.

One picture convention holds for every view: **the image is shown as seen from the tube, along the
beam, with the head up**. The patient lies prone with the tube under the table and the detector above
the back, so in a true AP view the tube looks from the front: the patient's left is on the image's
right. In a true lateral view seen from the left, anterior is on the image's left.

Angles are those of the textbook (and of DICOM's positioner angles), read on the end of the central
ray that the tube stands on. LAO: the tube's end leans from anterior to the patient's left; RAO
(negative): to the right; 90 degrees is lateral. CRA: the tube's end leans to the head; CAU (negative):
to the feet. The same line seen from the prone patient's back has the detector leaning to the other
side and the other end: RAO 20 is a detector tilted 20 degrees to the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kypho import evidence
from kypho.errors import GeometryError
from kypho.space import Frame, unit

__all__ = [
    "CArm",
    "angles_of",
    "angles_text",
    "direction_of",
    "en_face",
    "true_ap",
    "true_lateral",
]

SUPERIOR = (0.0, 0.0, 1.0)
ANTERIOR = (0.0, -1.0, 0.0)
PARALLEL = 1e-6
"""Sine below which `up` counts as parallel to the beam: twice float32's rounding, far below any dial."""


def direction_of(lao_deg: float, cranial_deg: float) -> NDArray[np.float64]:
    """The central ray from tube to detector, unit LPS vector (3,), for the dialled angles.

    Args:
        lao_deg: LAO positive, RAO negative.
        cranial_deg: CRA positive, CAU negative.
    """
    lao, cranial = np.deg2rad([lao_deg, cranial_deg])
    tube_end = np.array([np.sin(lao) * np.cos(cranial), -np.cos(lao) * np.cos(cranial), np.sin(cranial)])
    return -tube_end


def angles_of(direction: ArrayLike) -> tuple[float, float]:
    """The dialled angles (LAO, CRA) in degrees for a central ray from tube to detector in LPS.

    LAO lies in (-180, 180], CRA in [-90, 90]; along the body's axis LAO is undefined and given as 0.
    """
    left, posterior, superior = -unit(direction)
    lao = np.rad2deg(np.arctan2(left, -posterior)) if np.hypot(left, posterior) > PARALLEL else 0.0
    # Adding zero turns a negative zero into a plain one.
    return float(lao) + 0.0, float(np.rad2deg(np.arcsin(np.clip(superior, -1, 1)))) + 0.0


def angles_text(lao_deg: float, cranial_deg: float) -> str:
    """The angles as dialled, for example "RAO 20.0°, CAU 4.5°"."""
    side = "LAO" if lao_deg >= 0 else "RAO"
    tilt = "CRA" if cranial_deg >= 0 else "CAU"
    return f"{side} {abs(lao_deg):.1f}°, {tilt} {abs(cranial_deg):.1f}°"


def _number(record_id: str) -> float:
    return float(evidence.value(f"fluoroscopy.{record_id}"))


def _square() -> tuple[int, int]:
    pixels = int(_number("detector_pixels"))
    return pixels, pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class CArm:
    """A flat detector and an X-ray focus in the LPS world.

    Attributes:
        isocentre_mm: LPS point (3,) that the central ray passes and that lands on the image's middle.
        rotation: shape (3, 3), right-handed; its columns are the LPS directions of growing image column,
            of growing image row, and of the central ray from tube to detector.
        source_isocentre_mm: distance of focus and isocentre.
        source_detector_mm: distance of focus and detector.
        shape: detector pixels (rows, cols); pixel centres sit at integer (row, col).
        pixel_mm: edge of a square detector pixel.

    Raises:
        GeometryError: distances or pixels not positive, the isocentre behind the detector, a cone wider
            than evidence record "fluoroscopy.widest_cone", or axes not orthonormal and right-handed.
    """

    isocentre_mm: NDArray[np.float64]
    rotation: NDArray[np.float64]
    source_isocentre_mm: float = field(default_factory=lambda: _number("source_isocentre_mm"))
    source_detector_mm: float = field(default_factory=lambda: _number("source_detector_mm"))
    shape: tuple[int, int] = field(default_factory=_square)
    pixel_mm: float = field(default_factory=lambda: _number("pixel_mm"))

    def __post_init__(self) -> None:
        isocentre = np.array(self.isocentre_mm, dtype=float).reshape(3)
        rotation = Frame(origin_mm=isocentre, rotation=self.rotation).rotation
        rows, cols = (int(n) for n in self.shape)
        if not np.all(np.isfinite(isocentre)):
            raise GeometryError(f"isocentre_mm must be a finite LPS point, got {self.isocentre_mm!r}")
        if not 0 < self.source_isocentre_mm < self.source_detector_mm:
            raise GeometryError(
                "the isocentre must lie between focus and detector: source_isocentre_mm "
                f"{self.source_isocentre_mm!r}, source_detector_mm {self.source_detector_mm!r}"
            )
        if min(rows, cols) < 1 or not self.pixel_mm > 0:
            raise GeometryError(f"detector of {self.shape!r} pixels of {self.pixel_mm!r} mm has no area")
        cone = float(np.hypot(rows, cols)) * self.pixel_mm / 2 / self.source_detector_mm
        if cone > _number("widest_cone"):
            raise GeometryError(
                f"detector of {rows} x {cols} pixels of {self.pixel_mm:g} mm is too wide for "
                f"{self.source_detector_mm:g} mm distance; take smaller or fewer pixels"
            )
        isocentre.setflags(write=False)
        for name, value in (("isocentre_mm", isocentre), ("rotation", rotation), ("shape", (rows, cols))):
            object.__setattr__(self, name, value)

    @staticmethod
    def looking_along(
        isocentre_mm: ArrayLike, direction: ArrayLike, up: ArrayLike = SUPERIOR, **machine: Any
    ) -> CArm:
        """A C-arm whose central ray runs along `direction` (tube to detector) with `up` up in the image.

        Args:
            isocentre_mm: LPS point (3,).
            direction: LPS vector (3,) from tube to detector, any length.
            up: LPS vector (3,) that points up in the image; only its part across the beam counts.
            machine: further fields of `CArm`.

        Raises:
            GeometryError: `up` is parallel to the beam, or a direction is zero.
        """
        beam = unit(direction)
        right = np.cross(beam, unit(up))
        if np.linalg.norm(right) < PARALLEL:
            raise GeometryError("the image's up direction is parallel to the beam; give another `up`")
        right = unit(right)
        rotation = np.column_stack([right, np.cross(beam, right), beam])
        return CArm(isocentre_mm=np.asarray(isocentre_mm, dtype=float), rotation=rotation, **machine)

    @staticmethod
    def from_angles(isocentre_mm: ArrayLike, lao_deg: float, cranial_deg: float, **machine: Any) -> CArm:
        """A C-arm at dialled angles in the patient's LPS: LAO and CRA positive, RAO and CAU negative.

        The head is up; looking along the body's axis (CRA or CAU 90) the front is up.
        """
        direction = direction_of(lao_deg, cranial_deg)
        axial = np.linalg.norm(np.cross(direction, SUPERIOR)) < PARALLEL
        return CArm.looking_along(isocentre_mm, direction, ANTERIOR if axial else SUPERIOR, **machine)

    @property
    def right(self) -> NDArray[np.float64]:
        """Unit LPS vector of growing image column."""
        return self.rotation[:, 0]

    @property
    def down(self) -> NDArray[np.float64]:
        """Unit LPS vector of growing image row."""
        return self.rotation[:, 1]

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit LPS vector of the central ray, from tube to detector."""
        return self.rotation[:, 2]

    @cached_property
    def source_mm(self) -> NDArray[np.float64]:
        """LPS position of the X-ray focus, shape (3,)."""
        return self.isocentre_mm - self.source_isocentre_mm * self.direction

    @property
    def angles_deg(self) -> tuple[float, float]:
        """The angles (LAO, CRA) a radiographer dials; RAO and CAU are negative."""
        return angles_of(self.direction)

    @property
    def magnification(self) -> float:
        """Size on the detector over size in the plane of the isocentre."""
        return self.source_detector_mm / self.source_isocentre_mm

    @property
    def middle(self) -> tuple[float, float]:
        """Pixel (row, col) where the central ray meets the detector."""
        return (self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2

    def with_field(self, field_mm: float) -> CArm:
        """The same pose collimated to a square of `field_mm` at the isocentre, with as many pixels."""
        return replace(self, pixel_mm=field_mm * self.magnification / max(self.shape))

    def project(self, points_lps: ArrayLike) -> NDArray[np.float64]:
        """Pixels ``(..., 2)`` as (row, col) where LPS points ``(..., 3)`` land.

        A point at or behind the focus has no image: NaN.
        """
        seen = (np.asarray(points_lps, dtype=float) - self.source_mm) @ self.rotation
        depth = np.where(seen[..., 2] > 0, seen[..., 2], np.nan)
        on_detector = seen[..., 1::-1] / depth[..., None] * (self.source_detector_mm / self.pixel_mm)
        return on_detector + np.asarray(self.middle)

    def pixel_centre_mm(self, pixel: ArrayLike) -> NDArray[np.float64]:
        """LPS positions ``(..., 3)`` on the detector of pixels ``(..., 2)`` as (row, col)."""
        offset = (np.asarray(pixel, dtype=float) - np.asarray(self.middle)) * self.pixel_mm
        centre = self.source_mm + self.source_detector_mm * self.direction
        return centre + offset[..., :1] * self.down + offset[..., 1:] * self.right

    def backproject(self, pixel: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The ray behind a pixel: the focus, LPS (3,), and unit LPS directions ``(..., 3)``."""
        return self.source_mm, unit(self.pixel_centre_mm(pixel) - self.source_mm)


def _collimated(carm: CArm, field_mm: float | None) -> CArm:
    return carm.with_field(_number("field_mm") if field_mm is None else field_mm)


def true_ap(frame: Frame, *, field_mm: float | None = None, **machine: Any) -> CArm:
    """The true AP view of a vertebra: along its own antero-posterior axis, endplates edge on.

    Args:
        frame: the vertebra's frame; its origin becomes the isocentre.
        field_mm: collimated square at the isocentre; evidence record "fluoroscopy.field_mm" by default.
        machine: further fields of `CArm`.
    """
    carm = CArm.looking_along(frame.origin_mm, frame.posterior, frame.superior, **machine)
    return _collimated(carm, field_mm)


def true_lateral(
    frame: Frame,
    *,
    side: Literal["left", "right"] = "left",
    field_mm: float | None = None,
    **machine: Any,
) -> CArm:
    """The true lateral view of a vertebra: along its own left-right axis, endplates edge on.

    Args:
        frame: the vertebra's frame; its origin becomes the isocentre.
        side: the side it is seen from; from the left, anterior is on the image's left.
        field_mm: collimated square at the isocentre.
        machine: further fields of `CArm`.
    """
    direction = -frame.left if side == "left" else frame.left
    return _collimated(CArm.looking_along(frame.origin_mm, direction, frame.superior, **machine), field_mm)


def en_face(
    frame: Frame,
    entry_mm: ArrayLike,
    tip_mm: ArrayLike,
    *,
    field_mm: float | None = None,
    **machine: Any,
) -> CArm:
    """The bull's-eye view down a needle: entry and tip fall on one point, the middle of the image.

    Args:
        frame: the vertebra's frame; its superior axis is up in the image.
        entry_mm: LPS point where the needle enters bone.
        tip_mm: LPS point of its tip; the central ray runs from here to the entry and on to the detector.
        field_mm: collimated square at the isocentre.
        machine: further fields of `CArm`.

    Raises:
        GeometryError: entry and tip are one point.
    """
    entry, tip = np.asarray(entry_mm, dtype=float), np.asarray(tip_mm, dtype=float)
    carm = CArm.looking_along((entry + tip) / 2, entry - tip, frame.superior, **machine)
    return _collimated(carm, field_mm)
