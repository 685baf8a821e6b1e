"""One door for image files that are not DICOM."""

from __future__ import annotations

from pathlib import Path

from kypho.errors import UnreadableFileError
from kypho.formats.itk_image import read_itk
from kypho.formats.nifti import RawImage, read_nifti

__all__ = ["image_kind", "read_image"]

_KINDS = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "mha",
    ".mhd": "mha",
}


def image_kind(path: Path) -> str | None:
    """ "nifti", "nrrd" or "mha" by the name's ending, else None."""
    name = path.name.lower()
    return next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), None)


def read_image(path: Path) -> RawImage:
    """Read a NIfTI, NRRD or MetaImage file as stored.

    Raises:
        UnreadableFileError, GeometryError: see `read_nifti` and `read_itk`.
    """
    kind = image_kind(path)
    if kind is None:
        raise UnreadableFileError(f"{path} is in no known format; give NIfTI, NRRD or MetaImage")
    return read_nifti(path) if kind == "nifti" else read_itk(path)
