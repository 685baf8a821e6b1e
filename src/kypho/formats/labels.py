"""Read a label map and say what its numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.labels import LEVELS, Labels
from kypho.anatomy.schemes import SCHEMES, group_ids
from kypho.errors import (
    ChoiceNeededError,
    FrameOfReferenceError,
    LabelsError,
    SettingsError,
    UnreadableFileError,
)
from kypho.evidence import value
from kypho.formats.dicom_index import is_dicom
from kypho.formats.dicom_seg import read_seg
from kypho.formats.guard import nameless, require_file, sha256_of
from kypho.formats.itk_image import data_files
from kypho.formats.label_names import read_names
from kypho.formats.raw import image_kind, read_image
from kypho.formats.scheme_detect import bone_contrast_hu, detect_scheme
from kypho.space import Grid, Volume, resample

__all__ = ["LabelMap", "LabelsInput", "asked_names", "read_labels", "read_map"]

PLAIN_MASK = (frozenset({1}), frozenset({255}))
"""The numbers of a mask that names nothing."""
MARGIN = 3
"""Voxels kept around the vertebrae, one more than `bone_contrast_hu` grows a mask."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelsInput:
    """Labels on the CT's grid and where they came from.

    Attributes:
        labels: the label map and its meaning.
        sha256: of the content read.
        notes: which scheme was found and what was resampled or left out, one sentence each.
    """

    labels: Labels
    sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap:
    """A label map before it meets its image. `ids` is None while only the scheme can tell them."""

    volume: Volume
    ids: Mapping[str, tuple[int, ...]] | None
    scheme: str
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def read_labels(path: Path, *, scheme: str = "auto", ct: Volume, level: str | None = None) -> LabelsInput:
    """Read labels and put them on the CT's grid.

    Args:
        path: label image (NIfTI, NRRD, MetaImage), DICOM SEG, or a folder of one mask per structure as
            TotalSegmentator writes it.
        scheme: "auto", a name in `SCHEMES`, or the path of a JSON file of names (see `read_names`).
        ct: the CT the labels belong to.
        level: what a plain mask of one vertebra shows; of no use where the numbers have a meaning.

    Raises:
        ChoiceNeededError: a plain mask, and no level given.
        LabelsError: empty, fractional or negative, of no known scheme or of several.
        FrameOfReferenceError: the labels belong to another patient or scan than the CT.
        UnreadableFileError, GeometryError: the file cannot be used.
    """
    path = Path(path)
    names = asked_names(scheme)
    read = read_map(path)
    notes = read.notes
    present = Labels(volume=read.volume, scheme=read.scheme, ids={}).present_ids
    if names is not None:
        chosen, ids = names
    elif read.ids is not None:
        chosen, ids = read.scheme, read.ids
        notes += (f"{path.name}: names taken from the file ({chosen})",)
    elif present in PLAIN_MASK:
        chosen, ids, why = _plain_mask(min(present), level, path.name)
        notes += (why,)
    else:
        chosen, why = detect_scheme(read.volume, present, path.name)
        ids, notes = SCHEMES[chosen], (*notes, why)
    unknown = sorted(present - {n for numbers in ids.values() for n in numbers})
    if unknown:
        shown = ", ".join(map(str, unknown[:10]))
        notes += (f"{path.name}: numbers without a meaning in scheme {chosen} are left out ({shown})",)
    volume, moved = _on_grid(read.volume, ct.grid, path.name)
    labels = Labels(volume=volume, scheme=chosen, ids=ids)
    _require_same_patient(labels, ct, path.name)
    return LabelsInput(
        labels=labels, sha256=sha256_of(read.files), notes=nameless(notes + moved, path, "the labels")
    )


def _plain_mask(number: int, level: str | None, what: str) -> tuple[str, Mapping[str, tuple[int, ...]], str]:
    """Scheme, names and a note for a mask of one structure: it is the level that was asked for."""
    asked = (level or "").upper()
    if asked not in LEVELS:
        raise ChoiceNeededError(
            f"{what} is a mask of one structure without a name; say which vertebra it is with --level"
        )
    return "mask", {asked: (number,)}, f"{what}: a mask of one structure, taken to be {asked} as asked"


def asked_names(
    scheme: str, known: Mapping[str, Mapping[str, tuple[int, ...]]] = SCHEMES
) -> tuple[str, Mapping[str, tuple[int, ...]]] | None:
    """What the caller says the numbers mean, among known schemes; None for "auto"."""
    if scheme == "auto":
        return None
    if scheme in known:
        return scheme, known[scheme]
    if scheme.lower().endswith(".json"):
        return read_names(Path(scheme))
    raise SettingsError(
        f"scheme {scheme!r} is unknown; use auto, {', '.join(known)}, or a JSON file of names"
    )


def read_map(path: Path) -> LabelMap:
    """A label map as it is stored, in any of the formats of `read_labels`."""
    if path.is_dir():
        return _read_masks(path)
    require_file(path)
    kind = image_kind(path)
    if kind is not None:
        raw = read_image(path)
        array = _whole_numbers(raw.array, raw.slope, raw.intercept, path.name)
        named = group_ids(raw.names.items()) if raw.names else None
        return LabelMap(
            volume=Volume(array=array, grid=raw.grid, unit="label"),
            ids=named,
            scheme="names in the file" if named else "auto",
            notes=raw.notes,
            files=(path,) if kind == "nifti" else tuple(data_files(path)),
        )
    if is_dicom(path):
        volume, ids, notes = read_seg(path)
        return LabelMap(volume=volume, ids=ids, scheme="dicom-seg", notes=notes, files=(path,))
    raise UnreadableFileError(f"{path} is in no known format; give NIfTI, NRRD, MetaImage or DICOM SEG")


def _read_masks(folder: Path) -> LabelMap:
    """One binary mask per structure, the file name telling which."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and image_kind(p) == "nifti")
    if not files:
        # Viewers save a SEG as the only file of a folder.
        seg = [p for p in sorted(folder.iterdir()) if p.is_file() and is_dicom(p)]
        if len(seg) == 1:
            return read_map(seg[0])
        raise UnreadableFileError(
            f"{folder} holds no NIfTI masks and no single DICOM SEG; give the label file"
        )
    array: NDArray | None = None
    grid: Grid | None = None
    for n, file in enumerate(files, start=1):
        raw = read_image(file)
        mask = _whole_numbers(raw.array, raw.slope, raw.intercept, file.name) > 0
        if array is None or grid is None:
            array, grid = np.zeros(mask.shape, dtype=np.uint16), raw.grid
        raw.grid.require_match(grid, str(file))
        array[mask] = n
    if array is None or grid is None:
        raise UnreadableFileError(f"{folder} holds no NIfTI masks; give the label file")
    names = [(n, file.name.split(".")[0]) for n, file in enumerate(files, start=1)]
    return LabelMap(
        volume=Volume(array=array, grid=grid, unit="label"),
        ids=group_ids(names),
        scheme="masks",
        notes=(),
        files=tuple(files),
    )


def _whole_numbers(stored: NDArray, slope: float, intercept: float, what: str) -> NDArray:
    """Labels as uint8 or uint16.

    Raises:
        LabelsError: NaN, fractions, negative numbers, or numbers above 65535.
    """
    values = stored if slope == 1 and intercept == 0 else stored.astype(np.float64) * slope + intercept
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
                raise LabelsError(f"{what} holds fractions; labels are whole numbers, threshold it first")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise LabelsError(
            f"{what} holds labels from {low:g} to {high:g}; they must lie in 0 to 65535; "
            "give the label map, not the CT"
        )
    return np.ascontiguousarray(values, dtype=np.uint8 if high < 256 else np.uint16)


def _on_grid(labels: Volume, grid: Grid, what: str) -> tuple[Volume, tuple[str, ...]]:
    """The labels on the CT's grid, and a note if they had to move.

    Raises:
        FrameOfReferenceError: another frame of reference, or no label inside the CT.
    """
    ours, theirs = grid.frame_of_reference, labels.grid.frame_of_reference
    if ours and theirs and ours != theirs:
        raise FrameOfReferenceError(
            f"{what} was made in another frame of reference than the CT; give the labels of this scan"
        )
    if labels.grid.matches(grid):
        return Volume(array=labels.array, grid=grid, unit="label"), ()
    moved = resample(labels, grid)
    if not moved.array.any():
        raise FrameOfReferenceError(f"{what} lies outside the CT; give the labels of this scan")
    note = (
        f"{what}: on another grid ({' x '.join(map(str, labels.grid.shape))} at "
        f"{' x '.join(f'{s:.3g}' for s in labels.grid.spacing_mm)} mm), resampled (nearest) to the CT's"
    )
    return moved, (note,)


def _require_same_patient(labels: Labels, ct: Volume, what: str) -> None:
    """Raise unless there are levels and they sit on bone of this CT."""
    levels = labels.levels()
    if not levels:
        found = ", ".join(name for name in labels.ids if labels.has(name)) or "nothing it knows"
        raise LabelsError(
            f"{what} holds no vertebra in scheme {labels.scheme} (found: {found}); check --scheme"
        )
    spine = np.isin(labels.volume.array, [n for level in levels for n in labels.ids[level]])
    box = tuple(
        slice(max(part.start - MARGIN, 0), part.stop + MARGIN)
        for part in ndimage.find_objects(spine.view(np.uint8))[0]
    )
    needed = value("formats.bone_contrast_hu")
    contrast = bone_contrast_hu(ct.array[box], spine[box], needed)
    if contrast < needed:
        raise FrameOfReferenceError(
            f"{what} does not sit on the bone of this CT (mean step at the vertebrae's surface "
            f"{contrast:.0f} HU); give the labels of this scan, or check --scheme ({labels.scheme})"
        )
