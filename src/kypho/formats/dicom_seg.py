"""Read a DICOM SEG: segment labels and codes become kypho's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kypho.anatomy.labels import LEVELS
from kypho.anatomy.schemes import SCHEMES, group_ids, structure_name
from kypho.errors import LabelsError, UnreadableFileError
from kypho.formats.guard import reading
from kypho.formats.orientation import grid_from_columns
from kypho.space import Volume

__all__ = ["read_seg"]

_OTHER_CODES = {
    "SpinalCord": "spinal_cord",
    "VertebralCanal": "spinal_canal",
    "Aorta": "aorta",
    "Esophagus": "esophagus",
    "Trachea": "trachea",
    "Heart": "heart",
    "Lung": "lung",
    "Sacrum": "sacrum",
}


@cache
def _snomed() -> Mapping[str, str]:
    """SNOMED CT code to structure name, looked up in pydicom's dictionary by keyword."""
    from pydicom.sr.codedict import codes

    keywords = {**{f"{level}Vertebra": level for level in LEVELS}, **_OTHER_CODES}
    known = set(dir(codes.SCT))
    return {str(getattr(codes.SCT, word).value): name for word, name in keywords.items() if word in known}


@cache
def _known_names() -> frozenset[str]:
    return frozenset({*LEVELS, *_OTHER_CODES.values(), "vena_cava", "body"}.union(*SCHEMES.values()))


def _candidates(segment: Any) -> Iterator[str]:
    """Names of a segment: its label, then the codes of its type and region, then their meanings."""
    yield structure_name(str(segment.get("SegmentLabel", "")))
    coded = [
        item
        for name in ("SegmentedPropertyTypeCodeSequence", "AnatomicRegionSequence")
        for item in segment.get(name) or []
    ]
    for item in coded:
        yield _snomed().get(str(item.get("CodeValue", "")), "")
    for item in coded:
        yield structure_name(str(item.get("CodeMeaning", "")))


def _name(segment: Any) -> str:
    names = [name for name in _candidates(segment) if name]
    # A part of a level ("T7_body") is known by its level.
    known = [n for n in names if n in _known_names() or n.split("_", 1)[0] in LEVELS]
    return (known or names or ["unnamed"])[0]


def read_seg(path: Path) -> tuple[Volume, dict[str, tuple[int, ...]], tuple[str, ...]]:
    """The label map of a DICOM SEG on its own grid, structure names to numbers, and notes.

    Raises:
        UnreadableFileError: damaged, or no SEG.
        LabelsError: a probability map, or segments that overlap.
        GeometryError: the frames do not make one volume.
    """
    import highdicom
    from pydicom import dcmread

    with reading(path, "DICOM SEG"):
        modality = dcmread(path, specific_tags=["Modality"]).get("Modality")
        if modality != "SEG":
            raise UnreadableFileError(
                f"{path} is DICOM {modality}, not DICOM SEG; give the labels, not the image"
            )
        segmentation = highdicom.seg.segread(path)
        if str(segmentation.SegmentationType) == "FRACTIONAL":
            raise LabelsError(f"{path} holds probabilities, not labels; export a binary segmentation")
        pairs = [
            (int(item.SegmentNumber), _name(item))
            for item in segmentation.SegmentSequence
            if int(item.SegmentNumber) > 0
        ]
        overlap = str(segmentation.get("SegmentsOverlap", "NO")) == "YES"
        volume = segmentation.get_volume(combine_segments=True, skip_overlap_checks=True)
        frame = str(segmentation.FrameOfReferenceUID)
        affine, array = np.asarray(volume.affine, dtype=float), np.asarray(volume.array)
    grid, notes = grid_from_columns(affine[:3, :3], affine[:3, 3], array.shape, path.name, frame)
    if overlap:
        notes += (f"{path.name}: segments overlap; where they do, the higher segment number is read",)
    return Volume(array=array, grid=grid, unit="label"), group_ids(pairs), notes
