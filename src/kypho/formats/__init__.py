"""Images and labels in, files out. Formats that count in RAS or in another unit are turned here."""

from kypho.formats.ct import CtInput, read_ct
from kypho.formats.labels import LabelsInput, read_labels
from kypho.formats.markups import NeedleLine, slicer_markups
from kypho.formats.nifti import write_nifti

__all__ = ["CtInput", "LabelsInput", "NeedleLine", "read_ct", "read_labels", "slicer_markups", "write_nifti"]
