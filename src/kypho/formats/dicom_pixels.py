"""Stored DICOM pixels to Hounsfield units."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kypho.errors import CompressionError, UnreadableFileError
from kypho.evidence import value
from kypho.formats.dicom_index import Slice
from kypho.formats.guard import reading
from kypho.formats.hounsfield import rescale

__all__ = ["hounsfield_stack"]

GDCM_READS = {
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
}
"""What SimpleITK's DICOM reader decodes without any extra package."""


def hounsfield_stack(ordered: list[Slice]) -> tuple[NDArray, tuple[str, ...]]:
    """The HU of ordered slices ``[k, j, i]`` (int16, or float32 where needed), and notes.

    Each slice is rescaled by its own slope and intercept; padding becomes air before anything can blend it.

    Raises:
        CompressionError: no decoder for the transfer syntax.
        UnreadableFileError: pixels missing, truncated or of the wrong size.
    """
    made: list[NDArray] = []
    notes: dict[str, None] = {}
    for path, group in groupby(ordered, key=lambda item: item.path):
        stored = _stored(path)
        for item in group:
            if item.frame >= len(stored) or stored[item.frame].shape != item.shape:
                raise UnreadableFileError(f"{path} holds other pixels than its header says; export it again")
            hu, note = _in_hu(stored[item.frame], item)
            made.append(hu)
            notes.update(note)
    dtype = np.int16 if all(hu.dtype == np.int16 for hu in made) else np.float32
    return np.stack(made).astype(dtype, copy=False), tuple(notes)


def _in_hu(stored: NDArray, item: Slice) -> tuple[NDArray, dict[str, None]]:
    hu = rescale(stored, item.slope, item.intercept)
    if item.padding is None:
        return hu, {}
    low, high = item.padding
    brightest = high * item.slope + item.intercept
    if brightest > value("formats.hu_dark"):
        return hu, {f"padding value {high:g} means {brightest:g} HU; kept as tissue": None}
    hu[(stored >= low) & (stored <= high)] = value("formats.hu_floor")
    return hu, {"padding set to air": None}


def _stored(path: Path) -> NDArray:
    """Stored pixels of a file, shape (frames, rows, columns)."""
    import pydicom
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID, ImplicitVRLittleEndian

    with reading(path, "DICOM"):
        dataset = pydicom.dcmread(path, force=True)
        syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)))
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = syntax
        if int(dataset.get("SamplesPerPixel", 1)) != 1:
            raise UnreadableFileError(f"{path} is a colour image; give the CT series itself")
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError:
            available = False
        if available:
            array = np.asarray(dataset.pixel_array)
        elif str(syntax) in GDCM_READS:
            array = _by_gdcm(path, dataset)
        else:
            raise CompressionError(
                f"{path} is compressed as {syntax.name}, for which no decoder is installed; "
                "install kypho[codecs], or export the series uncompressed"
            )
    return array if array.ndim == 3 else array[np.newaxis]


def _by_gdcm(path: Path, dataset: Any) -> NDArray:
    """Pixels by SimpleITK, which rescales on its own; the rescale is undone so that all paths are one."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat64)
    array = sitk.GetArrayFromImage(reader.Execute())
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return np.rint((array - intercept) / slope).astype(np.int32)
