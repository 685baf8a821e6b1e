"""NRRD and MetaImage, read by SimpleITK after their headers have been asked for an orientation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kypho.errors import GeometryError, UnreadableFileError
from kypho.formats.guard import reading, require_file
from kypho.formats.nifti import GZIP_RATIO, RawImage
from kypho.formats.orientation import grid_from_columns, require_size

__all__ = ["data_files", "read_itk"]

NRRD_SPACES = {
    *("left-posterior-superior", "lps", "right-anterior-superior", "ras"),
    *("left-anterior-superior", "las"),
}
"""NRRD spaces that fix left and right; ITK turns them all into LPS."""

MET_BYTES = {"MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_FLOAT": 4, "MET_DOUBLE": 8}
_HEADER_BYTES = 65536


def _fields(path: Path, separator: str) -> dict[str, str]:
    """The ``key: value`` lines of a text header, keys in lower case."""
    with path.open("rb") as handle:
        text = handle.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    for line in text.split(b"\n"):
        key, found, content = line.decode("latin-1").strip().partition(separator)
        if not line.strip() and separator == ":":
            break
        if found:
            fields[key.strip().lower()] = content.strip("= ").strip()
            if key.strip().lower() == "elementdatafile":
                break
    return fields


def _require_pixels(path: Path, fields: dict[str, str]) -> None:
    """Raise UnreadableFileError if a MetaImage is cut off; ITK would also chatter on the terminal."""
    if _is_nrrd(path) or fields.get("compresseddata", "").lower() == "true":
        return
    files = data_files(path)
    size = files[-1].stat().st_size
    if len(files) == 1:
        with path.open("rb") as handle:
            start = handle.read(_HEADER_BYTES)
        size -= start.index(b"\n", start.index(b"ElementDataFile")) + 1
    needed = math.prod(_sizes(path, fields)) * MET_BYTES.get(fields.get("elementtype", ""), 1)
    if size < needed:
        raise UnreadableFileError(f"{path} is truncated: {size} of {needed} bytes; export it again")


def _is_nrrd(path: Path) -> bool:
    return path.name.lower().endswith((".nrrd", ".nhdr"))


def _header(path: Path) -> dict[str, str]:
    require_file(path)
    return _fields(path, ":" if _is_nrrd(path) else "=")


def data_files(path: Path) -> list[Path]:
    """The header file and, where pixels are kept apart, their file beside it.

    Raises:
        UnreadableFileError: the data file is missing or not in the header's own folder.
    """
    fields = _header(path)
    name = (
        fields.get("data file", fields.get("datafile", ""))
        if _is_nrrd(path)
        else (fields.get("elementdatafile", "LOCAL"))
    )
    if name in ("", "LOCAL"):
        return [path]
    if Path(name).name != name or name.upper().startswith("LIST") or " " in name:
        raise UnreadableFileError(f"{path} keeps its pixels in {name!r}; put them in one file beside it")
    require_file(path.parent / name)
    return [path, path.parent / name]


def _sizes(path: Path, fields: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(n) for n in fields["sizes" if _is_nrrd(path) else "dimsize"].split())


def _require_orientation(path: Path, fields: dict[str, str]) -> None:
    if _is_nrrd(path):
        known = fields.get("space", "").lower() in NRRD_SPACES and "space directions" in fields
    else:
        known = any(key in fields for key in ("transformmatrix", "rotation", "orientation"))
    if not known:
        raise GeometryError(
            f"{path.name} carries no orientation, so left and right are unknown; export it again with one"
        )


def read_itk(path: Path) -> RawImage:
    """Read one volume from NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd).

    Raises:
        UnreadableFileError: damaged, truncated, or pixels outside the header's folder.
        GeometryError: no orientation, sheared, or not one 3-D volume.
    """
    import SimpleITK as sitk

    kind = "NRRD" if _is_nrrd(path) else "MetaImage"
    size = sum(file.stat().st_size for file in data_files(path))
    with reading(path, kind):
        fields = _header(path)
        shape = _sizes(path, fields)
        require_size(shape, path.name)
        _require_orientation(path, fields)
        if math.prod(shape) > size * GZIP_RATIO:
            raise UnreadableFileError(f"{path} is truncated: its header promises {shape} voxels")
        _require_pixels(path, fields)
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        image = sitk.ReadImage(str(path))
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise GeometryError(f"{path.name} does not hold one 3-D volume; extract one first")
        array = sitk.GetArrayFromImage(image)
    if array.dtype.kind not in "iuf":
        raise UnreadableFileError(f"{path} holds {array.dtype} voxels, not plain numbers")
    columns = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    grid, notes = grid_from_columns(columns[:, ::-1], image.GetOrigin(), array.shape, path.name)
    return RawImage(array=array, slope=1.0, intercept=0.0, grid=grid, names={}, notes=notes)
