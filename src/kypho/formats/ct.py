"""Read a CT, whatever it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kypho.errors import KyphoError, SettingsError, UnreadableFileError
from kypho.formats.archive import unpacked
from kypho.formats.dicom_index import Slice, choose_series, index_file, index_folder, is_dicom
from kypho.formats.dicom_pixels import hounsfield_stack
from kypho.formats.dicom_stack import stack
from kypho.formats.guard import nameless, require_file, sha256_of
from kypho.formats.hounsfield import as_hu, rescale
from kypho.formats.itk_image import data_files
from kypho.formats.raw import image_kind, read_image
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

    @property
    def synthetic(self) -> bool:
        """True if the file says that a program made it."""
        return any("synthetic" in note.lower() for note in self.notes)


def read_ct(path: Path, *, series: str | None = None) -> CtInput:
    """Read a CT from NIfTI, NRRD, MetaImage, a DICOM folder or file, or a zip of DICOM.

    Args:
        path: the file or folder. A DICOM folder may be nested; of a DICOM file, its whole series beside it
            is read.
        series: SeriesInstanceUID, needed where a DICOM input holds several CT series.

    Raises:
        ChoiceNeededError: several series and none chosen.
        UnreadableFileError, ArchiveError, CompressionError: the content cannot be had.
        ModalityError, NotFiniteError: the content is not CT in Hounsfield units.
        GeometryError, MissingSlicesError, DuplicateSlicesError, UnevenSpacingError, GantryTiltError: the
            slices do not make one volume.
    """
    path = Path(path)
    if path.is_dir():
        return _from_slices(*index_folder(path), series, path)
    require_file(path)
    kind = image_kind(path)
    if kind is not None:
        if series is not None:
            raise SettingsError(
                f"--series chooses within DICOM, but {path} is one {kind} image; leave it out"
            )
        return _from_image(path, kind)
    if path.suffix.lower() == ".zip" or _starts(path, b"PK\x03\x04"):
        with unpacked(path) as folder, _named(folder, path):
            return _from_slices(*index_folder(folder), series, folder)
    if is_dicom(path):
        slices, own_series = index_file(path)
        return _from_slices(slices, (), series or own_series, path)
    raise UnreadableFileError(f"{path} is in no known format; give NIfTI, NRRD, MetaImage or DICOM")


def _starts(path: Path, magic: bytes) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(magic)) == magic


@contextmanager
def _named(folder: Path, archive: Path) -> Iterator[None]:
    """Let errors name the archive, not the temporary folder it was unpacked to."""
    try:
        yield
    except KyphoError as error:
        raise type(error)(str(error).replace(str(folder), str(archive))) from error


def _from_image(path: Path, kind: str) -> CtInput:
    raw = read_image(path)
    hu, notes = as_hu(rescale(raw.array, raw.slope, raw.intercept), path.name)
    files = [path] if kind == "nifti" else data_files(path)
    return CtInput(
        volume=Volume(array=hu, grid=raw.grid, unit="HU"),
        sha256=sha256_of(files),
        kind=kind,
        notes=nameless(raw.notes + notes, path, "the CT"),
    )


def _from_slices(slices: list[Slice], left_out: tuple[str, ...], series: str | None, what: Path) -> CtInput:
    ordered, grid, repairs = stack(choose_series(slices, series, what), what)
    stored_hu, padding = hounsfield_stack(ordered)
    hu, notes = as_hu(stored_hu, "the CT")
    return CtInput(
        volume=Volume(array=hu, grid=grid, unit="HU"),
        sha256=sha256_of(dict.fromkeys(item.path for item in ordered)),
        kind="dicom",
        notes=left_out + repairs + padding + notes,
        series_uid=ordered[0].series_uid,
        sources=tuple(item.header for item in ordered),
    )
