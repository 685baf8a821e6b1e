"""The door: whatever a damaged file makes a library raise leaves as one of kypho's errors."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kypho.errors import KyphoError, UnreadableFileError

__all__ = ["brief", "nameless", "reading", "require_file", "sha256_of"]


CHATTY = ("nibabel.global", "pydicom", "highdicom")
"""Loggers of the reading libraries."""


def nameless(notes: Iterable[str], path: Path, role: str) -> tuple[str, ...]:
    """Notes that speak of the file by its role: results keep them, and files are named after patients."""
    return tuple(
        role + note.removeprefix(path.name) if note.startswith(path.name) else note for note in notes
    )


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn any failure of a reading library into UnreadableFileError naming the file.

    Readers meet headers that lie in every field, and answer with almost any exception class; all of them
    mean the same to the user. Their warnings are about what kypho checks itself, so they are silenced.
    """
    try:
        with warnings.catch_warnings(), _silent_loggers():
            warnings.simplefilter("ignore")
            yield
    except KyphoError:
        raise
    except Exception as error:
        raise UnreadableFileError(
            f"{path} cannot be read as {kind} ({type(error).__name__}: {brief(error)}); "
            "it may be truncated or damaged, export it again"
        ) from error


def brief(error: Exception) -> str:
    """A library's message on one line of bounded length."""
    return " ".join(str(error).split())[:160] or "no reason given"


@contextmanager
def _silent_loggers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def require_file(path: Path) -> None:
    """Raise UnreadableFileError unless the path is a file that holds something."""
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be opened ({error.strerror}); check the path") from error
    if empty:
        raise UnreadableFileError(f"{path} is empty (0 bytes); export it again")


def sha256_of(paths: Iterable[Path]) -> str:
    """SHA-256 of the content of one file, or of the digests of several in their order."""
    digests = []
    for path in paths:
        with reading(path, "a file"), path.open("rb") as handle:
            digests.append(hashlib.file_digest(handle, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
