"""Damaged files of every format: whatever the bytes, a reader gives a sound volume or raises a KyphoError."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from dicom_builder import IDENTITY, ct_slices, enhanced, save
from hypothesis import given, settings
from hypothesis import strategies as st
from spine_builder import numbered, spine

from kypho.errors import KyphoError
from kypho.formats import read_ct, read_labels, write_nifti

# derandomize: the same examples on every machine and day.
FUZZ = settings(max_examples=120, deadline=None, derandomize=True, database=None)

edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "cut", "insert", "end"]),
        st.integers(0, 1 << 20),
        st.one_of(st.sampled_from([0, 1, 0x20, 0x2D, 0x30, 0x5C, 0x7F, 0x80, 0xFF]), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=12,
)


def damaged(whole: bytes, changes: list[tuple[str, int, int]], header: int) -> bytes:
    """The bytes after edits within the first `header` of them."""
    data = bytearray(whole)
    for kind, place, byte in changes:
        at = place % min(header, len(data))
        if kind == "set":
            data[at] = byte
        elif kind == "cut":
            del data[at : at + byte % 16 + 1]
        elif kind == "insert":
            data[at:at] = bytes([byte]) * (byte % 8 + 1)
        else:
            del data[at + 1 :]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def sound(read: Callable[[], object]) -> None:
    """Run a reader; let only KyphoError pass, check its message, and check a volume that came out."""
    result, message = None, ""
    try:
        result = read()
    except KyphoError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 1000
    assert not any(text in message for text in IDENTITY.values())
    if result is None:
        assert message
        return
    volume = result.volume if hasattr(result, "volume") else result.labels.volume
    assert volume.array.ndim == 3
    assert np.isfinite(volume.array).all()
    assert volume.array.min() >= -1024
    assert all(0 < spacing < 100 for spacing in volume.grid.spacing_mm)


@cache
def originals() -> dict[str, bytes]:
    """One good file of each format."""
    ct, which = spine(2)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_nifti(folder / "ct.nii", ct)
        write_nifti(folder / "labels.nii", ct.like(numbered(which, ["L1", "L2"], "verse"), "label"))
        image = sitk.GetImageFromArray(ct.array)
        for ending in ("nrrd", "mha"):
            sitk.WriteImage(image, str(folder / f"ct.{ending}"))
        save(folder / "enhanced", [enhanced()])
        files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        return {**files, "enhanced.dcm": (folder / "enhanced" / "IM0000.dcm").read_bytes()}


@FUZZ
@given(changes=edits)
def test_nifti(changes: list) -> None:
    data = damaged(originals()["ct.nii"], changes, 352)
    with TemporaryDirectory() as folder:
        for name, content in (("ct.nii", data), ("ct.nii.gz", gzip.compress(data, 1))):
            (Path(folder) / name).write_bytes(content)
            sound(lambda name=name: read_ct(Path(folder) / name))


@FUZZ
@given(changes=edits)
def test_labels(changes: list) -> None:
    ct, _ = spine(2)
    with TemporaryDirectory() as folder:
        (Path(folder) / "labels.nii").write_bytes(damaged(originals()["labels.nii"], changes, 352))
        sound(lambda: read_labels(Path(folder) / "labels.nii", ct=ct))


@FUZZ
@given(changes=edits, ending=st.sampled_from(["nrrd", "mha"]))
def test_itk_images(changes: list, ending: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"ct.{ending}"
        path.write_bytes(damaged(originals()[path.name], changes, 400))
        sound(lambda: read_ct(path))


@FUZZ
@given(changes=edits)
def test_enhanced_dicom(changes: list) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "ct.dcm").write_bytes(damaged(originals()["enhanced.dcm"], changes, 4000))
        sound(lambda: read_ct(Path(folder)))


@FUZZ
@given(changes=edits, which=st.integers(0, 7))
def test_one_bad_slice_in_a_series(changes: list, which: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for n, content in enumerate(_series()):
            whole = damaged(content, changes, 1600) if n == which else content
            (folder / f"IM{n:04d}.dcm").write_bytes(whole)
        sound(lambda: read_ct(folder))


@cache
def _series() -> list[bytes]:
    with TemporaryDirectory() as name:
        return [path.read_bytes() for path in sorted(save(Path(name), ct_slices()).iterdir())]


@cache
def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for n, content in enumerate(_series()):
            out.writestr(f"IM{n:04d}.dcm", content)
    return buffer.getvalue()


@FUZZ
@given(changes=edits)
def test_zip(changes: list) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "x.zip"
        path.write_bytes(damaged(_zipped(), changes, 1 << 20))
        sound(lambda: read_ct(path))


@FUZZ
@given(
    content=st.binary(max_size=400),
    ending=st.sampled_from(["nii", "nii.gz", "nrrd", "mha", "zip", "dcm", ""]),
)
def test_any_bytes_under_any_name(content: bytes, ending: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"ct.{ending}"
        path.write_bytes(content)
        sound(lambda: read_ct(path))
