"""The CT series that DICOM results refer to, with or without the patient's identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kypho.formats.ct import CtInput
from kypho.space import Grid, Volume

__all__ = ["private_headers", "stable_uid", "with_dicom_series"]

IDENTIFYING = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
KEPT = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("PositionReferenceIndicator", "Modality", "Rows", "Columns", "PixelSpacing", "SliceThickness"),
    *("ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "SeriesNumber", "ImageType"),
    *("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PhotometricInterpretation"),
    "PixelRepresentation",
)


def stable_uid(*parts: str) -> str:
    """A UID made of these words alone, so that the same run gives the same UIDs."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=list(parts)))


def private_headers(ct: CtInput, *, keep_identity: bool) -> list[Any]:
    """Headers of the CT's instances for results to refer to, each instance once, in slice order.

    Without `keep_identity` the patient and study attributes are empty: such results carry the study's UIDs,
    but an archive files them under a patient without a name. With it they join the patient's own study.
    """
    from pydicom.dataset import Dataset

    made: dict[str, Any] = {}
    for source in ct.sources:
        header = Dataset()
        header.file_meta = getattr(source, "file_meta", None)
        for name in KEPT:
            if name in source:
                header[name] = source[name]
        for name in IDENTIFYING:
            setattr(header, name, source.get(name, "") if keep_identity else "")
        if "PerFrameFunctionalGroupsSequence" in header:
            # highdicom describes the images of a report by their geometry, and looks for it at the top only.
            header.PixelSpacing = list(ct.volume.grid.spacing_mm[1:])
            directions = (*ct.volume.grid.axes[:, 2], *ct.volume.grid.axes[:, 1])
            header.ImageOrientationPatient = [float(x) for x in directions]
            header.ImagePositionPatient = [float(x) for x in ct.volume.grid.origin_mm]
        if header.get("SliceThickness") is None:
            # highdicom insists on a number; the distance of the slices is the best there is.
            header.SliceThickness = ct.volume.grid.spacing_mm[0]
        made.setdefault(str(source.SOPInstanceUID), header)
    return list(made.values())


def with_dicom_series(ct: CtInput, folder: Path) -> CtInput:
    """The CT itself if it came as DICOM; else the CT with a DICOM series of it, written to `folder`.

    A SEG or SR must refer to instances that exist, and a CT read from NIfTI has none. The series is
    anonymous, one file per slice, ``ct-0001.dcm`` and so on, and its UIDs follow from the CT's digest.
    """
    if ct.sources:
        return ct
    folder.mkdir(parents=True, exist_ok=True)
    volume = _right_handed(ct.volume)
    frame = stable_uid(ct.sha256, "frame of reference")
    headers = []
    for k in range(volume.grid.shape[0]):
        dataset = _slice_dataset(ct.sha256, volume, k, frame)
        dataset.save_as(folder / f"ct-{k + 1:04d}.dcm", enforce_file_format=True)
        del dataset.PixelData
        headers.append(dataset)
    grid = replace(volume.grid, frame_of_reference=frame)
    return replace(
        ct,
        volume=Volume(array=volume.array, grid=grid, unit="HU"),
        series_uid=str(headers[0].SeriesInstanceUID),
        sources=tuple(headers),
        notes=(*ct.notes, "an anonymous DICOM series of the CT was written for the results to refer to"),
    )


def _right_handed(volume: Volume) -> Volume:
    """The same voxels with k along the normal of rows and columns, as DICOM counts slices."""
    grid = volume.grid
    if np.cross(grid.axes[:, 2], grid.axes[:, 1]) @ grid.axes[:, 0] > 0:
        return volume
    flipped = Grid(
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.to_world((grid.shape[0] - 1, 0, 0)),
        axes=grid.axes * [-1, 1, 1],
        frame_of_reference=grid.frame_of_reference,
    )
    return Volume(array=volume.array[::-1], grid=flipped, unit=volume.unit)


def _slice_dataset(digest: str, volume: Volume, k: int, frame: str) -> Any:
    """One CT Image Storage object without any identity."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
    from pydicom.valuerep import DSfloat

    grid = volume.grid
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = stable_uid(digest, "slice", str(k))
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = stable_uid(digest, "study"), stable_uid(digest, "series")
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = frame, ""
    for name in IDENTIFYING:
        setattr(ds, name, "")
    ds.PatientIdentityRemoved, ds.DeidentificationMethod = (
        "YES",
        "made by kypho from an image without identity",
    )
    ds.Modality, ds.ImageType = "CT", ["DERIVED", "SECONDARY", "AXIAL"]
    ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = "kypho", 1, k + 1, None
    ds.KVP, ds.PatientPosition, ds.BodyPartExamined = None, None, "SPINE"
    position, row, column = grid.to_world((k, 0, 0)), grid.axes[:, 2], grid.axes[:, 1]
    ds.ImagePositionPatient = [DSfloat(float(x), auto_format=True) for x in position]
    ds.ImageOrientationPatient = [DSfloat(float(x), auto_format=True) for x in (*row, *column)]
    ds.PixelSpacing = [DSfloat(s, auto_format=True) for s in grid.spacing_mm[1:]]
    ds.SliceThickness = DSfloat(grid.spacing_mm[0], auto_format=True)
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, "HU"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = grid.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    stored = np.clip(np.rint(volume.array[k]), -(1 << 15), (1 << 15) - 1).astype("<i2")
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
    return ds
