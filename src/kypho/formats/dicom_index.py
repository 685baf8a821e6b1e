"""Find the slices of a CT, or of an MR, in a DICOM folder and choose one series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kypho.errors import ChoiceNeededError, GeometryError, ModalityError, UnreadableFileError
from kypho.formats.guard import reading

__all__ = ["Modality", "Slice", "choose_series", "index_file", "index_folder", "is_dicom", "read_header"]

Modality = Literal["CT", "MR"]
CLASSES: dict[Modality, set[str]] = {
    "CT": {
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # legacy converted enhanced CT
    },
    "MR": {
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # legacy converted enhanced MR
    },
}
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
LISTED = 12
_ARTICLE = {"CT": "a", "MR": "an"}
_OPTION = {"CT": "--series", "MR": "--mri-series"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """One slice: a file, or one frame of an enhanced file.

    Attributes:
        path: the file.
        header: its dataset without pixels.
        frame: index of the frame in the file.
        position_mm: ImagePositionPatient, LPS, shape (3,).
        orientation: ImageOrientationPatient, row then column direction, shape (6,).
        pixel_mm: distance of rows, distance of columns.
        shape: rows, columns.
        slope: rescale slope.
        intercept: rescale intercept.
        padding: lowest and highest stored number that mean "nothing was measured here".
        series_uid: SeriesInstanceUID.
        frame_of_reference: FrameOfReferenceUID, or None.
    """

    path: Path
    header: Any
    frame: int
    position_mm: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_mm: tuple[float, float]
    shape: tuple[int, int]
    slope: float
    intercept: float
    padding: tuple[float, float] | None
    series_uid: str
    frame_of_reference: str | None


def is_dicom(path: Path) -> bool:
    """True if the file starts like DICOM: the preamble, or a bare little-endian group 2 or 8."""
    try:
        with path.open("rb") as handle:
            start = handle.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or (start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00")


def read_header(path: Path) -> Any:
    """The dataset of a DICOM file, without pixels."""
    import pydicom

    with reading(path, "DICOM"):
        return pydicom.dcmread(path, stop_before_pixels=True, force=is_dicom(path))


def _text(dataset: Any, name: str) -> str:
    item = getattr(dataset, name, None)
    return "" if item is None else str(item).strip()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def index_file(path: Path, modality: Modality = "CT") -> tuple[list[Slice], str]:
    """The slices of a DICOM file and of the files beside it, and the file's own SeriesInstanceUID.

    Raises:
        ModalityError: the file is DICOM, but no slice of the modality.
    """
    header = read_header(path)
    with reading(path, "DICOM"):
        reason = _not_a_slice(path, header, modality)
    if reason is not None:
        raise ModalityError(
            f"{path} is no {modality} image ({reason}); give {_ARTICLE[modality]} {modality} series"
        )
    beside = [other for other in sorted(path.parent.iterdir()) if other.is_file() and is_dicom(other)]
    slices, _ = _index(beside, path, modality)
    return slices, _text(header, "SeriesInstanceUID")


def index_folder(folder: Path, modality: Modality = "CT") -> tuple[list[Slice], tuple[str, ...]]:
    """Every slice of a modality below a folder, localizers left out, with notes on what was left out.

    Raises:
        UnreadableFileError: no DICOM at all, or a DICOM file that cannot be parsed.
        ModalityError: DICOM, but not of the modality.
    """
    return _index(_files(folder), folder, modality)


def _index(paths: Iterable[Path], what: Path, modality: Modality) -> tuple[list[Slice], tuple[str, ...]]:
    slices: list[Slice] = []
    left_out: Counter[str] = Counter()
    others: set[str] = set()
    for path in paths:
        if not is_dicom(path):
            if path.suffix.lower() in (".dcm", ".ima"):
                raise UnreadableFileError(
                    f"{path} is named like DICOM but is not; remove it or export it again"
                )
            left_out["files that are not DICOM"] += 1
            continue
        header = read_header(path)
        with reading(path, "DICOM"):
            reason = _not_a_slice(path, header, modality)
            if reason is None:
                slices += _slices(path, header, modality)
            else:
                left_out[reason] += 1
                others.add(_text(header, "Modality") or "unknown")
    if not slices:
        if others:
            raise ModalityError(
                f"{what} holds {', '.join(sorted(others))} but no {modality} slices; "
                f"give {_ARTICLE[modality]} {modality}"
            )
        raise UnreadableFileError(f"{what} holds no DICOM file; give the folder of the {modality} series")
    return slices, tuple(f"left out: {n} {what}" for what, n in left_out.items())


def _not_a_slice(path: Path, header: Any, modality: Modality) -> str | None:
    """Why a dataset is no slice of the modality, or None."""
    if _text(getattr(header, "file_meta", None), "MediaStorageSOPClassUID") == DIRECTORY_CLASS:
        return "directory files"
    if not _text(header, "SOPClassUID"):
        raise UnreadableFileError(f"{path} is cut off before it says what it holds; export it again")
    if _text(header, "Modality") != modality:
        return f"objects of modality {_text(header, 'Modality') or 'unknown'}"
    if _text(header, "SOPClassUID") not in CLASSES[modality]:
        return f"objects that are no {modality} images"
    if "LOCALIZER" in [str(part).upper() for part in (getattr(header, "ImageType", None) or [])]:
        return "localizers"
    return None


def _slices(path: Path, header: Any, modality: Modality) -> list[Slice]:
    """The slices of one file: one, or one per frame."""
    shared = (getattr(header, "SharedFunctionalGroupsSequence", None) or [None])[0]
    frames = getattr(header, "PerFrameFunctionalGroupsSequence", None)
    if not frames:
        return [_slice(path, header, 0, [header], modality)]
    made = []
    for n, own in enumerate(frames):
        groups = [item for item in (own, shared) if item is not None]
        made.append(_slice(path, header, n, [*_opened(groups), header], modality))
    return made


def _opened(groups: list[Any]) -> list[Any]:
    """The first items of the sequences in the functional groups, own before shared."""
    return [element.value[0] for group in groups for element in group if element.VR == "SQ" and element.value]


def _slice(path: Path, header: Any, frame: int, places: Sequence[Any], modality: Modality) -> Slice:
    """One slice, each attribute taken from the first of `places` that has it."""

    def find(name: str, count: int) -> list[float]:
        for place in places:
            found = getattr(place, name, None)
            if found is not None and found != "":
                numbers = [float(x) for x in (found if count > 1 else [found])]
                if len(numbers) == count and np.isfinite(numbers).all():
                    return numbers
        raise GeometryError(f"{path} lacks a usable {name}; export the series again with its full header")

    # The numbers of an MR mean nothing by themselves, so neither their rescale nor their padding counts.
    is_ct = modality == "CT"
    slope, intercept = _rescale_of(path, places, find) if is_ct else (1.0, 0.0)
    return Slice(
        path=path,
        header=header,
        frame=frame,
        position_mm=np.array(find("ImagePositionPatient", 3)),
        orientation=np.array(find("ImageOrientationPatient", 6)),
        pixel_mm=(find("PixelSpacing", 2)[0], find("PixelSpacing", 2)[1]),
        shape=(int(header.Rows), int(header.Columns)),
        slope=slope,
        intercept=intercept,
        padding=_padding(header) if is_ct else None,
        series_uid=_text(header, "SeriesInstanceUID"),
        frame_of_reference=_text(header, "FrameOfReferenceUID") or None,
    )


def _rescale_of(path: Path, places: Sequence[Any], find: Any) -> tuple[float, float]:
    """Slope and intercept, both required and in HU."""
    for place in places:
        kind = _text(place, "RescaleType").upper()
        if kind and kind not in ("HU", "US"):
            raise ModalityError(
                f"{path} holds {kind[:16]!r} values, not Hounsfield units; give the HU series"
            )
    try:
        slope, intercept = find("RescaleSlope", 1)[0], find("RescaleIntercept", 1)[0]
    except GeometryError as error:
        raise ModalityError(
            f"{path} has no rescale slope and intercept, so its values are not Hounsfield units"
        ) from error
    if slope == 0:
        raise ModalityError(f"{path} has a rescale slope of 0, so its values are not Hounsfield units")
    return slope, intercept


def _padding(header: Any) -> tuple[float, float] | None:
    """The stored numbers that mean padding, read with the sign of the pixels."""
    first = getattr(header, "PixelPaddingValue", None)
    if first is None:
        return None
    last = getattr(header, "PixelPaddingRangeLimit", None)
    bits = int(getattr(header, "BitsAllocated", 16))
    signed = int(getattr(header, "PixelRepresentation", 0)) == 1

    def as_stored(number: Any) -> float:
        wrapped = int(number) % (1 << bits)
        return float(wrapped - (1 << bits) if signed and wrapped >= 1 << (bits - 1) else wrapped)

    ends = sorted((as_stored(first), as_stored(first if last is None else last)))
    return ends[0], ends[1]


def choose_series(
    slices: list[Slice], series: str | None, what: Path, modality: Modality = "CT"
) -> list[Slice]:
    """The slices of the wanted series, or of the only one.

    Raises:
        ChoiceNeededError: several series and none chosen, or the chosen one is not there.
    """
    groups: dict[str, list[Slice]] = {}
    for item in slices:
        groups.setdefault(item.series_uid, []).append(item)
    if series is None and len(groups) == 1:
        return slices
    if series in groups:
        return groups[series]
    listed = "; ".join(_facts(uid, groups[uid]) for uid in sorted(groups)[:LISTED])
    more = f"; and {len(groups) - LISTED} more" if len(groups) > LISTED else ""
    start = (
        f"{what} holds {len(groups)} {modality} series"
        if series is None
        else f"{what} has no {modality} series {series}"
    )
    raise ChoiceNeededError(f"{start}: {listed}{more}. Choose one with {_OPTION[modality]} UID")


def _facts(uid: str, slices: list[Slice]) -> str:
    """One line on a series, without its description: people write names into descriptions."""
    first = slices[0]
    thickness, kernel = _text(first.header, "SliceThickness"), _text(first.header, "ConvolutionKernel")
    parts = [
        f"{len(slices)} slices of {first.shape[0]} x {first.shape[1]}",
        f"{first.pixel_mm[0]:.3g} mm pixels",
        f"{thickness} mm thick" if thickness else "",
        f"kernel {kernel}" if kernel else "",
    ]
    return f"{uid} ({', '.join(part for part in parts if part)})"
