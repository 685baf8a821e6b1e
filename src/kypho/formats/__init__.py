"""Images and labels in, files out. Formats that count in RAS or in another unit are turned here."""

from kypho.formats.ct import CtInput, read_ct
from kypho.formats.dicom_out import ReportGroup, ReportNumber, SegmentMask, level_code, write_seg, write_sr
from kypho.formats.dicom_source import with_dicom_series
from kypho.formats.labels import LabelsInput, read_labels
from kypho.formats.markups import NeedleLine, slicer_markups
from kypho.formats.nifti import write_nifti

__all__ = [
    "CtInput",
    "LabelsInput",
    "NeedleLine",
    "ReportGroup",
    "ReportNumber",
    "SegmentMask",
    "level_code",
    "read_ct",
    "read_labels",
    "slicer_markups",
    "with_dicom_series",
    "write_nifti",
    "write_seg",
    "write_sr",
]
