"""A zip of DICOM, opened without trusting it."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kypho.errors import ArchiveError
from kypho.evidence import value
from kypho.formats.guard import brief

__all__ = ["unpacked"]

_MEGABYTE = 1 << 20


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The archive's files in a temporary folder, which is removed in every case.

    Files are written flat under numbers of our own, so no name in the archive decides where.

    Raises:
        ArchiveError: not a zip, damaged, encrypted, climbing out, links inside, or too large.
    """
    with tempfile.TemporaryDirectory(prefix="kypho-zip-", ignore_cleanup_errors=True) as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _checked(path, archive.infolist())
                for n, member in enumerate(members):
                    name = re.sub(r"[^\w.\-]", "_", PurePosixPath(member.filename).name)[-60:]
                    with archive.open(member) as source, (Path(folder) / f"{n:06d}_{name}").open("wb") as to:
                        shutil.copyfileobj(source, to)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
            # RuntimeError covers unknown compression methods too.
            raise ArchiveError(f"{path} cannot be unpacked ({brief(error)}); make the zip again") from error
        yield Path(folder)


def _checked(path: Path, members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The archive's files, after every rule that can be checked without unpacking."""
    files = [m for m in members if not m.is_dir()]
    for member in members:
        # orig_filename, because ZipInfo already cleans what it shows as filename.
        name = member.orig_filename.replace("\\", "/")
        if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
            raise ArchiveError(f"{path} holds a path that leads out of it; unpack it by hand and check it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ArchiveError(f"{path} holds a symbolic link; make the zip again from plain files")
        if member.flag_bits & 1:
            raise ArchiveError(f"{path} is encrypted; unpack it first")
    if not files:
        raise ArchiveError(f"{path} holds no file")
    total, packed = sum(m.file_size for m in files), sum(m.compress_size for m in files)
    if len(files) > value("formats.archive_files") or total > value("formats.archive_bytes"):
        raise ArchiveError(
            f"{path} would unpack to {len(files)} files and {total // _MEGABYTE} MB, past the limit; "
            "unpack it by hand and give the folder"
        )
    bomb = total > value("formats.archive_ratio") * max(packed, 1)
    if bomb and total > value("formats.archive_small_bytes"):
        raise ArchiveError(
            f"{path} would expand {total // max(packed, 1)}-fold, past the limit for images; "
            "unpack it by hand and check it"
        )
    return files
