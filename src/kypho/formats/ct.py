"""Read a CT, whatever it comes in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kypho.errors import UnreadableFileError
from kypho.formats.guard import require_file, sha256_of
from kypho.formats.hounsfield import as_hu, rescale
from kypho.formats.nifti import RawImage, read_nifti
from kypho.space import Volume

__all__ = ["CtInput", "read_ct"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CtInput:
    """A CT in Hounsfield units and where it came from.

    Attributes:
        volume: HU, int16 or float32, never below -1024.
        sha256: of the content read: the file, or the slices in their order.
        kind: "nifti", "nrrd", "mha" or "dicom".
        notes: what the reader repaired, left out or chose, one sentence each.
        series_uid: SeriesInstanceUID of a DICOM series.
        sources: DICOM headers in slice order, pixels left out. They identify the patient: only for writing
            DICOM objects that belong to the same study.
    """

    volume: Volume
    sha256: str
    kind: str
    notes: tuple[str, ...]
    series_uid: str | None = None
    sources: tuple[Any, ...] = ()


def read_ct(path: Path, *, series: str | None = None) -> CtInput:
    """Read a CT from NIfTI, NRRD, MetaImage, a DICOM folder or file, or a zip of DICOM.

    Args:
        path: the file or folder.
        series: SeriesInstanceUID, needed where a DICOM input holds several CT series.

    Raises:
        InputError: the subclass says what is wrong with the input.
        ChoiceNeededError: several series and none chosen.
    """
    path = Path(path)
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return _from_image(path, read_nifti(path), "nifti")
    require_file(path)
    raise UnreadableFileError(f"{path} is in no known format; give NIfTI, NRRD, MetaImage or DICOM")


def _from_image(path: Path, raw: RawImage, kind: str) -> CtInput:
    hu, notes = as_hu(rescale(raw.array, raw.slope, raw.intercept), path.name)
    return CtInput(
        volume=Volume(array=hu, grid=raw.grid, unit="HU"),
        sha256=sha256_of([path]),
        kind=kind,
        notes=raw.notes + notes,
    )
