"""Write small DICOM series for tests. Names in them must never come out again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

IDENTITY = {
    "PatientName": "Secret^Patient",
    "PatientID": "SECRET-4711",
    "PatientBirthDate": "19660101",
    "InstitutionName": "Secret Hospital",
    "ReferringPhysicianName": "Secret^Doctor",
    "StudyDescription": "Secret study",
    "SeriesDescription": "Secret series",
}


def phantom(shape: tuple[int, int, int] = (8, 20, 16)) -> np.ndarray:
    """HU of an asymmetric body in air: no flip or swap of axes maps it onto itself."""
    hu = np.full(shape, -1000, dtype=np.int16)
    hu[:, 3:-3, 2:-2] = 40
    hu[2:5, 5:9, 6:13] = 700
    hu[0, 4, 3] = 1200
    return hu


@dataclass
class SeriesSpec:
    """What to write; every field of the stack can be bent."""

    hu: np.ndarray = field(default_factory=phantom)
    origin: tuple[float, float, float] = (-30.0, 40.0, 100.0)
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    step: float = 1.5
    pixel: tuple[float, float] = (0.8, 0.6)
    slope: float = 1.0
    intercept: float = -1024.0
    signed: bool = False
    study: str = field(default_factory=generate_uid)
    series: str = field(default_factory=generate_uid)
    frame_of_reference: str = field(default_factory=generate_uid)
    tags: dict[str, Any] = field(default_factory=dict)

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)

    def position(self, k: int) -> np.ndarray:
        return np.asarray(self.origin) + k * self.step * self.normal


def new_dataset(spec: SeriesSpec, sop_class: str = CTImageStorage) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.Modality = "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyInstanceUID, ds.SeriesInstanceUID = spec.study, spec.series
    ds.FrameOfReferenceUID = spec.frame_of_reference
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20240102", "101112", "1", "A1"
    ds.PatientSex, ds.SeriesNumber, ds.Manufacturer = "M", 4, "kypho tests"
    for name, text in IDENTITY.items():
        setattr(ds, name, text)
    return ds


def set_pixels(ds: Dataset, stored: np.ndarray, signed: bool) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, int(signed)
    ds.PixelData = np.ascontiguousarray(stored, dtype=np.int16 if signed else np.uint16).tobytes()


def ct_slice(spec: SeriesSpec, k: int) -> Dataset:
    ds = new_dataset(spec)
    ds.ImagePositionPatient = [float(x) for x in spec.position(k)]
    ds.ImageOrientationPatient = [float(x) for x in (*spec.row, *spec.column)]
    ds.PixelSpacing = list(spec.pixel)
    ds.SliceThickness, ds.ConvolutionKernel = spec.step, "B30f"
    ds.InstanceNumber = k + 1
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = spec.slope, spec.intercept, "HU"
    set_pixels(ds, np.rint((spec.hu[k] - spec.intercept) / spec.slope), spec.signed)
    for name, content in spec.tags.items():
        setattr(ds, name, content)
    return ds


def ct_slices(spec: SeriesSpec | None = None) -> list[Dataset]:
    spec = spec or SeriesSpec()
    return [ct_slice(spec, k) for k in range(len(spec.hu))]


def save(folder: Path, datasets: list[Dataset], order: list[int] | None = None) -> Path:
    """Write the datasets; `order` gives the file numbers, so that names need not follow positions."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, ds in enumerate(datasets):
        number = n if order is None else order[n]
        pydicom.dcmwrite(folder / f"IM{number:04d}.dcm", ds, enforce_file_format=True)
    return folder


def enhanced(spec: SeriesSpec | None = None) -> Dataset:
    """One enhanced multi-frame CT; its frames are stored from top to bottom."""
    spec = spec or SeriesSpec()
    ds = new_dataset(spec, EnhancedCTImageStorage)
    count = len(spec.hu)
    shared = Dataset()
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [*spec.row, *spec.column]
    measures.PixelSpacing, measures.SliceThickness = list(spec.pixel), spec.step
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in reversed(range(count)):
        group, plane, rescale = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [float(x) for x in spec.position(k)]
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1.0, -1024.0 - k, "HU"
        group.PlanePositionSequence = Sequence([plane])
        group.PixelValueTransformationSequence = Sequence([rescale])
        frames.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.NumberOfFrames = count
    # An own intercept per frame: a reader that takes the first one is caught.
    stored = np.stack([spec.hu[k] + 1024 + k for k in reversed(range(count))])
    set_pixels(ds, stored, signed=False)
    return ds
