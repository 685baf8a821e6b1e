"""NIfTI in and out. Files count in RAS; this module is where x and y change sign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kypho.errors import GeometryError, UnreadableFileError
from kypho.formats.guard import reading, require_file
from kypho.formats.orientation import RAS_TO_LPS, grid_from_columns, require_size
from kypho.space import Grid, Volume

__all__ = ["RawImage", "read_nifti", "write_nifti"]

SYNTHETIC = b"SYNTHETIC: no patient"
"""Stands in the header's description of what a program made."""

GZIP_RATIO = 1032
"""Deflate cannot expand further; a header that asks for more lies."""

SAME_DIRECTION = 1e-3
"""Largest difference of the cosines of qform and sform that counts as rounding."""

_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


@dataclass(frozen=True, kw_only=True, eq=False)
class RawImage:
    """An image file as stored: numbers before HU or labels are made of them.

    Attributes:
        array: stored numbers ``[k, j, i]``.
        slope: factor to real values.
        intercept: offset to real values.
        grid: where the voxels are.
        names: label number to structure name, where the file carries such a table.
        notes: what was repaired or chosen.
    """

    array: NDArray
    slope: float
    intercept: float
    grid: Grid
    names: dict[int, str]
    notes: tuple[str, ...]


def _affine(header: Any, what: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The RAS affine in mm that the header means, and notes."""
    q_code, s_code = int(header["qform_code"]), int(header["sform_code"])
    if q_code <= 0 and s_code <= 0:
        raise GeometryError(
            f"{what} carries no orientation (qform and sform codes are 0), so left and right are unknown; "
            "export it again with its orientation"
        )
    scale = _UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    chosen = header.get_sform() if s_code > 0 else header.get_qform()
    notes: tuple[str, ...] = (
        () if scale == 1 else (f"{what}: header in another unit, scaled by {scale:g} to mm",)
    )
    if q_code > 0 and s_code > 0:
        other = header.get_qform()
        sizes = np.linalg.norm(chosen[:3, :3], axis=0), np.linalg.norm(other[:3, :3], axis=0)
        with np.errstate(all="ignore"):
            turned = np.abs(chosen[:3, :3] / sizes[0] - other[:3, :3] / sizes[1]).max()
            scaled = np.abs(sizes[0] / sizes[1] - 1).max()
        # "not <=" so that a singular matrix (NaN) is refused too.
        if not (turned <= 5 * SAME_DIRECTION and scaled <= SAME_DIRECTION):
            raise GeometryError(
                f"{what} has two orientations that disagree (qform and sform); make them agree first"
            )
        apart_mm = float(np.linalg.norm(chosen[:3, 3] - other[:3, 3]) * scale)
        if apart_mm > 0.1:  # numerics: rounding of headers
            notes += (f"{what}: qform and sform origins are {apart_mm:.1f} mm apart; the sform is used",)
    return chosen * np.array([[scale]] * 3 + [[1.0]]), notes


def _label_table(header: Any) -> dict[int, str]:
    """The label table that TotalSegmentator and Connectome Workbench write into the header extension."""
    import xml.etree.ElementTree as ElementTree

    for extension in header.extensions:
        content = extension.get_content()
        text = content if isinstance(content, bytes) else str(content).encode()
        # An entity declaration in a label table is never needed and can blow up.
        if b"<LabelTable" not in text or b"<!ENTITY" in text:
            continue
        try:
            root = ElementTree.fromstring(text.strip(b"\x00 \n\r\t"))
            return {int(item.get("Key", "0")): (item.text or "").strip() for item in root.iter("Label")}
        except (ElementTree.ParseError, ValueError):
            continue
    return {}


def read_nifti(path: Path) -> RawImage:
    """Read one volume (.nii, .nii.gz).

    Raises:
        UnreadableFileError: not NIfTI, truncated or damaged.
        GeometryError: no orientation, two that disagree, sheared, or not one 3-D volume.
    """
    import nibabel

    require_file(path)
    what = path.name
    with reading(path, "NIfTI"):
        image = (
            nibabel.Nifti1Image.from_filename(path)
            if not _is_nifti2(path)
            else (nibabel.Nifti2Image.from_filename(path))
        )
        header = image.header
        shape = tuple(int(n) for n in image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        require_size(shape, what)
        if header.get_data_dtype().kind not in "iuf":
            raise UnreadableFileError(f"{path} holds {header.get_data_dtype()} voxels, not plain numbers")
        needed = int(np.prod(shape, dtype=np.int64)) * header.get_data_dtype().itemsize
        if needed > path.stat().st_size * GZIP_RATIO:
            raise UnreadableFileError(
                f"{path} is truncated: its header promises {needed} bytes; export it again"
            )
        affine, notes = _affine(header, what)
        proxy: Any = image.dataobj
        stored = np.asarray(proxy.get_unscaled()).reshape(shape, order="F").T
        names = _label_table(header)
        if b"synthetic" in bytes(header["descrip"].item()).lower():
            notes = (*notes, f"{what} says that it is synthetic")
    columns = (RAS_TO_LPS @ affine[:3, :3])[:, ::-1]
    grid, repairs = grid_from_columns(columns, RAS_TO_LPS @ affine[:3, 3], shape[::-1], what)
    return RawImage(
        array=stored,
        slope=float(proxy.slope),
        intercept=float(proxy.inter),
        grid=grid,
        names=names,
        notes=notes + repairs,
    )


def _is_nifti2(path: Path) -> bool:
    import gzip

    with path.open("rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if zipped else path.open("rb") as handle:
        return handle.read(4) in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")


def write_nifti(path: Path, volume: Volume, *, synthetic: bool = False) -> None:
    """Write a volume (.nii or .nii.gz) with qform and sform set and equal, code 1 (scanner).

    Labels become uint8 or uint16, other integers int16, everything else float32. What is `synthetic` says
    so in its header, and `read_nifti` passes it on.

    Raises:
        OSError: the disk says no; `kypho.case.folder` turns it into OutputError.
    """
    import nibabel

    grid, array = volume.grid, volume.array
    if volume.unit == "label" or array.dtype == bool:
        dtype: type = np.uint8 if array.size == 0 or int(array.max()) < 256 else np.uint16
    else:
        dtype = np.int16 if array.dtype == np.int16 else np.float32
    affine = np.eye(4)
    affine[:3, :3] = RAS_TO_LPS @ grid.matrix[:, ::-1]
    affine[:3, 3] = RAS_TO_LPS @ grid.origin_mm
    image = nibabel.Nifti1Image(np.ascontiguousarray(array, dtype=dtype).T, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    if synthetic:
        image.header["descrip"] = SYNTHETIC
    nibabel.save(image, path)
