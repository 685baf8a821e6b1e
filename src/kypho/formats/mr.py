"""Read an MR and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kypho.anatomy.labels import Labels
from kypho.anatomy.schemes import MR_SCHEMES, SCHEMES
from kypho.errors import FrameOfReferenceError, LabelsError, ModalityError, NotFiniteError, SettingsError
from kypho.evidence import value
from kypho.formats.archive import unpacked
from kypho.formats.dicom_index import choose_series, index_file, index_folder, is_dicom
from kypho.formats.dicom_pixels import hounsfield_stack
from kypho.formats.dicom_stack import stack
from kypho.formats.guard import nameless, require_file, sha256_of
from kypho.formats.hounsfield import rescale
from kypho.formats.itk_image import data_files
from kypho.formats.labels import LabelsInput, asked_names, read_map
from kypho.formats.raw import image_kind, read_image
from kypho.formats.scheme_detect import detect_scheme
from kypho.space import Grid, Volume

__all__ = ["MrInput", "read_mr", "read_mr_labels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MrInput:
    """An MR and where it came from.

    Attributes:
        volume: signal, unit "1": its numbers mean nothing by themselves.
        sha256: of the content read.
        notes: what was left out or chosen, one sentence each.
    """

    volume: Volume
    sha256: str
    notes: tuple[str, ...]


def read_mr(path: Path, *, series: str | None = None) -> MrInput:
    """Read an MR from NIfTI, NRRD, MetaImage, a DICOM folder or file, or a zip of DICOM.

    Args:
        path: the file or folder.
        series: SeriesInstanceUID, needed where DICOM holds several MR series.

    Raises:
        ModalityError: it is a CT, a label map, or empty of contrast.
        ChoiceNeededError, UnreadableFileError, GeometryError, ArchiveError, ...: as for a CT.
    """
    path = Path(path)
    if path.is_dir():
        return _from_dicom(path, path, series)
    require_file(path)
    kind = image_kind(path)
    if kind is not None:
        if series is not None:
            raise SettingsError(
                f"--mri-series chooses within DICOM, but {path} is one {kind} image; leave it out"
            )
        raw = read_image(path)
        signal = _signal(rescale(raw.array, raw.slope, raw.intercept), path.name)
        files = [path] if kind == "nifti" else data_files(path)
        return MrInput(
            volume=Volume(array=signal, grid=raw.grid, unit="1"),
            sha256=sha256_of(files),
            notes=nameless(raw.notes, path, "the MR"),
        )
    if path.suffix.lower() == ".zip":
        with unpacked(path) as folder:
            return _from_dicom(folder, path, series)
    return _from_dicom(path, path, series)


def _from_dicom(place: Path, what: Path, series: str | None) -> MrInput:
    """The MR series of a folder, or of the file's own series."""
    if place.is_dir():
        slices, left_out = index_folder(place, "MR")
    else:
        if not is_dicom(place):
            raise ModalityError(
                f"{place} is in no known format; give an MR as NIfTI, NRRD, MetaImage or DICOM"
            )
        slices, own = index_file(place, "MR")
        series, left_out = series or own, ()
    ordered, grid, repairs = stack(choose_series(slices, series, what, "MR"), what)
    stored, _ = hounsfield_stack(ordered)
    return MrInput(
        volume=Volume(array=_signal(stored, what.name), grid=grid, unit="1"),
        sha256=sha256_of(dict.fromkeys(item.path for item in ordered)),
        notes=left_out + repairs,
    )


def _signal(array: NDArray, what: str) -> NDArray:
    """The array, if it can be the signal of an MR.

    Raises:
        NotFiniteError, ModalityError: it cannot.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NotFiniteError(f"{what} holds NaN or infinity; export the MR again")
    below = float(np.mean(array <= value("formats.hu_dark")))
    if below > value("mri.dark_share"):
        raise ModalityError(
            f"{what} looks like a CT, not an MR: {100 * below:.0f} % of it lies at or below "
            f"{value('formats.hu_dark'):g}; give the MR with --mri"
        )
    few = int(value("mri.fewest_values"))
    if len(np.unique(array.ravel()[:: max(1, array.size // 200_000)])) < few:
        raise ModalityError(
            f"{what} holds fewer than {few} different values, as a label map does; give the MR itself"
        )
    return array


def read_mr_labels(path: Path, *, scheme: str = "auto", mr: Volume) -> LabelsInput:
    """Read the labels of an MR, on the grid they were made on.

    Args:
        path: label image, DICOM SEG, or a folder of masks.
        scheme: "auto", a name of `MR_SCHEMES` or `SCHEMES`, or a JSON file of names, in which "body" is
            the vertebral body.
        mr: the MR they belong to.

    Raises:
        LabelsError: empty, of no known scheme, or without cord and canal.
        FrameOfReferenceError: they belong to another scan.
    """
    path = Path(path)
    names = asked_names(scheme, {**MR_SCHEMES, **SCHEMES})
    read = read_map(path)
    notes = read.notes
    present = Labels(volume=read.volume, scheme=read.scheme, ids={}).present_ids
    if names is not None:
        chosen, ids = names
    elif read.ids is not None:
        chosen, ids = read.scheme, read.ids
        notes += (f"{path.name}: names taken from the file ({chosen})",)
    else:
        chosen, ids, why = _detected(read.volume, present, path.name)
        notes += (why,)
    if "vertebral_body" not in ids and "body" in ids:
        ids = {**ids, "vertebral_body": ids["body"]}
    labels = Labels(volume=read.volume, scheme=chosen, ids=ids)
    if not (labels.has("spinal_cord") or labels.has("spinal_canal")):
        found = ", ".join(name for name in ids if labels.has(name)) or "nothing it knows"
        raise LabelsError(
            f"{path.name} holds neither spinal cord nor canal in scheme {chosen} (found: {found}); "
            "check --mri-scheme"
        )
    _require_same_scan(labels, mr.grid, path.name)
    return LabelsInput(
        labels=labels, sha256=sha256_of(read.files), notes=nameless(notes, path, "the labels of the MR")
    )


def _detected(
    volume: Volume, present: frozenset[int], what: str
) -> tuple[str, Mapping[str, tuple[int, ...]], str]:
    """Scheme, its names, and why: maps without levels by their numbers, others by the row of their levels."""
    for scheme in ("plain", "spineps"):
        ids = MR_SCHEMES[scheme]
        known = {n for numbers in ids.values() for n in numbers}
        body, canal = set(ids["vertebral_body"]), {*ids["spinal_cord"], *ids["spinal_canal"]}
        if body <= present and present & canal and (scheme == "spineps" or present <= known):
            return scheme, ids, f"{what}: read as scheme {scheme}, which names no levels"
    try:
        chosen, why = detect_scheme(volume, present, what)
    except LabelsError as error:
        shown = ", ".join(str(n) for n in sorted(present)[:20])
        raise LabelsError(
            f"{what}: its numbers ({shown}) do not tell one scheme; name it with --mri-scheme "
            f"({', '.join({**MR_SCHEMES, **SCHEMES})}, or a JSON file of names)"
        ) from error
    return chosen, SCHEMES[chosen], why


def _require_same_scan(labels: Labels, grid: Grid, what: str) -> None:
    """Raise unless the labels lie inside the MR.

    Raises:
        FrameOfReferenceError: another frame of reference, or mostly outside.
    """
    ours, theirs = grid.frame_of_reference, labels.volume.grid.frame_of_reference
    if ours and theirs and ours != theirs:
        raise FrameOfReferenceError(
            f"{what} was made in another frame of reference than the MR; give its own labels"
        )
    where = labels.volume.grid.to_world(np.argwhere(labels.volume.array))
    index = grid.to_index(where)
    inside = np.all((index > -1) & (index < np.asarray(grid.shape)), axis=1).mean()
    if inside < value("mri.labels_inside_share"):
        raise FrameOfReferenceError(
            f"{what} lies outside the MR ({100 * inside:.0f} % inside); give its own labels"
        )
