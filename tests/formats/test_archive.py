"""Zips of DICOM are read; zips that would do harm are refused, and nothing stays behind either way."""

from __future__ import annotations

import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicom_builder import ct_slices, save

from kypho import errors
from kypho.formats import archive, read_ct


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, to see what is left in it."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.rglob("*")):
            out.write(file, f"study/série ü/{file.name}")
    return path


def test_a_zip_reads_like_its_folder(tmp_path: Path, temp: Path) -> None:
    folder = save(tmp_path / "series", ct_slices())
    one, two = read_ct(folder), read_ct(zipped(tmp_path / "series.zip", folder))
    np.testing.assert_array_equal(one.volume.array, two.volume.array)
    assert one.volume.grid.matches(two.volume.grid)
    assert one.sha256 == two.sha256
    assert list(temp.iterdir()) == []


def test_a_fault_inside_names_the_zip(tmp_path: Path, temp: Path) -> None:
    folder = save(tmp_path / "series", ct_slices()[:3] + ct_slices()[4:])
    with pytest.raises(errors.KyphoError) as caught:
        read_ct(zipped(tmp_path / "series.zip", folder))
    assert str(tmp_path / "series.zip") in str(caught.value)
    assert str(temp) not in str(caught.value)
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:\\evil", "..\\evil", "a\\..\\evil"]
)
def test_paths_that_climb_out(tmp_path: Path, temp: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr(name, b"x")
    with pytest.raises(errors.ArchiveError, match="leads out"):
        read_ct(tmp_path / "x.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["temp", "x.zip"]
    assert list(temp.iterdir()) == []


def test_links(tmp_path: Path, temp: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr(link, "/etc/passwd")
    with pytest.raises(errors.ArchiveError, match="symbolic link"):
        read_ct(tmp_path / "x.zip")


def test_a_bomb_by_ratio(tmp_path: Path, temp: Path) -> None:
    """80 MB of zeros in 80 kB; refused from the directory alone, nothing is unpacked."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        out.writestr("zeros", bytes(80 << 20))
    with pytest.raises(errors.ArchiveError, match="fold"):
        read_ct(tmp_path / "x.zip")
    assert list(temp.iterdir()) == []


def test_limits_on_size_and_count(tmp_path: Path, temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"formats.archive_files": 2, "formats.archive_bytes": 100}
    monkeypatch.setattr(archive, "value", lambda name: limits.get(name, 10**9))
    for contents in ([b"x"] * 3, [b"x" * 101]):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
            for n, content in enumerate(contents):
                out.writestr(f"f{n}", content)
        with pytest.raises(errors.ArchiveError, match="past the limit"):
            read_ct(tmp_path / "x.zip")


def test_a_directory_that_lies_about_sizes(tmp_path: Path, temp: Path) -> None:
    """The sizes in the central directory are cut to 10 bytes; unpacking must not go on past them."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("zeros", bytes(1 << 20))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(errors.ArchiveError, match="cannot be unpacked"):
        read_ct(path)
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 but nothing else", b"no zip at all", b"PK\x05\x06" + bytes(18)]
)
def test_unreadable_zips(tmp_path: Path, temp: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(errors.ArchiveError, match=r"x\.zip"):
        read_ct(tmp_path / "x.zip")


def test_a_truncated_and_an_encrypted_zip(tmp_path: Path, temp: Path) -> None:
    path = zipped(tmp_path / "x.zip", save(tmp_path / "series", ct_slices()))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.ArchiveError):
        read_ct(path)
    flagged = bytearray(whole)
    at = flagged.index(b"PK\x01\x02")
    flagged[at + 8] |= 1
    path.write_bytes(flagged)
    with pytest.raises(errors.ArchiveError, match="encrypted"):
        read_ct(path)
    assert list(temp.iterdir()) == []


def test_a_zip_without_dicom(tmp_path: Path, temp: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("readme.txt", b"x")
    with pytest.raises(errors.UnreadableFileError, match="no DICOM"):
        read_ct(tmp_path / "x.zip")
    assert list(temp.iterdir()) == []
