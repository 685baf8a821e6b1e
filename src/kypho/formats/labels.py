"""Read a label map and say what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kypho.anatomy.labels import Labels
from kypho.anatomy.schemes import SCHEMES
from kypho.formats.guard import sha256_of
from kypho.formats.nifti import read_nifti
from kypho.space import Volume, resample

__all__ = ["LabelsInput", "read_labels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelsInput:
    """Labels on the CT's grid and where they came from.

    Attributes:
        labels: the label map and its meaning.
        sha256: of the file's content.
        notes: which scheme was found and what was resampled or left out, one sentence each.
    """

    labels: Labels
    sha256: str
    notes: tuple[str, ...]


def read_labels(path: Path, *, scheme: str = "auto", ct: Volume) -> LabelsInput:
    """Read labels and put them on the CT's grid.

    Args:
        path: label image (NIfTI, NRRD, MetaImage) or DICOM SEG.
        scheme: "auto", "totalsegmentator" (v2), "totalsegmentator-v1", "verse", or a JSON map file.
        ct: the CT the labels belong to.

    Raises:
        LabelsError: empty, fractional or negative, or of no known scheme.
        FrameOfReferenceError: the labels do not fit this CT.
    """
    path = Path(path)
    raw = read_nifti(path)
    notes = raw.notes
    array = np.ascontiguousarray(raw.array)
    volume = Volume(array=array, grid=raw.grid, unit="label")
    if not raw.grid.matches(ct.grid):
        volume = resample(volume, ct.grid)
        notes += (f"{path.name}: resampled (nearest) to the CT's grid",)
    name = "totalsegmentator" if scheme == "auto" else scheme
    labels = Labels(volume=volume, scheme=name, ids=SCHEMES[name])
    return LabelsInput(labels=labels, sha256=sha256_of([path]), notes=notes)
