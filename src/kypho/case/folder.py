"""The case folder: plain files that appear all at once or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel

from kypho.errors import DiskFullError, OutputError, ReadOnlyError, UnreadableFileError
from kypho.formats.nifti import write_nifti
from kypho.space import Volume

__all__ = ["case_folder", "read_json", "require_writable", "write_document", "write_json", "write_volume"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
_PATH = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
}
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def case_folder(out: Path, mine: Sequence[str] = ()) -> Iterator[Path]:
    """A staging folder whose files move into `out` when the block ends well, and vanish when it does not.

    Files of the same name in `out` are replaced; those that match a pattern of `mine`, left by an earlier run
    of the same stage and not written again, go; other files there stay. If moving itself fails, what was
    replaced is put back. Nothing half-written is ever in `out`. A signal that would end the process (a job
    that is cancelled, a terminal that is closed) ends it after this cleaning up.

    Raises:
        DiskFullError: no space left.
        ReadOnlyError: `out` may not be written.
        OutputError: `out` cannot be a folder.
    """
    out = Path(out)
    with _ended_tidily():
        missing = _missing_folders(out)
        staging: Path | None = None
        try:
            with _disk(out):
                out.mkdir(parents=True, exist_ok=True)
                staging = Path(tempfile.mkdtemp(prefix=".kypho-", dir=out))
            with _disk(out):
                yield staging
            with _disk(out):
                _publish(staging, out, mine)
        except BaseException:
            _remove(staging)
            for folder in missing:
                _remove_if_empty(folder)
            raise
        _remove(staging)


class _Ended(BaseException):
    """A signal asked the process to end."""


@contextmanager
def _ended_tidily() -> Iterator[None]:
    """Let a signal that would end the process at once unwind the block first; then it ends as it would have.

    Python runs handlers in the main thread only; where somebody else handles the signal, theirs stays.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def unwind(number: int, frame: FrameType | None) -> None:
        # Only the first: a second one must not interrupt the cleaning up.
        if not asked:
            asked.append(number)
            raise _Ended

    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        for number in asked:
            os.kill(os.getpid(), number)


def require_writable(out: Path) -> None:
    """Find out before the work whether a case folder can stand here; nothing is left behind.

    Raises:
        DiskFullError, ReadOnlyError, OutputError: as `case_folder`.
    """
    missing = _missing_folders(out)
    with case_folder(out):
        pass
    for folder in missing:
        _remove_if_empty(folder)


def _missing_folders(out: Path) -> list[Path]:
    """The folders that do not exist yet, deepest first."""
    missing = []
    for folder in (out, *out.parents):
        if os.path.lexists(folder):
            break
        missing.append(folder)
    return missing


def _remove(staging: Path | None) -> None:
    if staging is not None:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _publish(staging: Path, out: Path, mine: Sequence[str]) -> None:
    """Move every file of `staging` to its place in `out`, what is out of date away; undo on any failure."""
    kept = Path(tempfile.mkdtemp(prefix=".replaced-", dir=staging))
    files = sorted(p for p in staging.rglob("*") if p.is_file() and kept not in p.parents)
    moved: list[tuple[Path, Path | None]] = []
    made: list[Path] = []
    written = {out / source.relative_to(staging) for source in files}
    _require_no_folders(written)
    stale = [p for pattern in mine for p in sorted(out.glob(pattern)) if p.is_file() and p not in written]
    try:
        for n, target in enumerate(stale, start=len(files)):
            moved.append((target, kept / str(n)))
            target.replace(kept / str(n))
        for n, source in enumerate(files):
            target = out / source.relative_to(staging)
            made += _missing_folders(target.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            before = kept / str(n) if os.path.lexists(target) else None
            # Noted before the move: an interrupt between the two must still be undone.
            moved.append((target, before))
            if before is not None:
                target.replace(before)
            source.replace(target)
    except BaseException:
        for target, before in reversed(moved):
            if before is None:
                target.unlink(missing_ok=True)
            elif before.exists():
                before.replace(target)
        for folder in made:
            _remove_if_empty(folder)
        raise


def _require_no_folders(targets: Iterable[Path]) -> None:
    """Raise where a folder has the name of a file: it is somebody's, and would go with all that is in it."""
    for target in sorted(targets):
        if target.is_dir():
            raise OutputError(f"{target} is a folder where a file must go; move it or choose another --out")


@contextmanager
def _disk(out: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write under `out` into OutputError and its kinds."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        place, there = out.absolute(), Path(str(error.filename or out)).absolute()
        ours = there.is_relative_to(place) or place.is_relative_to(there)
        if error.errno in _FULL:
            raise DiskFullError(
                f"no space left while writing {out}; no part of the result was kept. Free space or choose "
                "another --out"
            ) from error
        if error.errno in _READ_ONLY and ours:
            raise ReadOnlyError(
                f"{out} may not be written ({error.strerror}); choose another --out"
            ) from error
        if error.errno in _PATH and ours:
            raise OutputError(f"{out} cannot be a folder ({error.strerror}); choose another --out") from error
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON with two-space indents and a final newline, keys in their given order.

    Raises:
        ValueError: NaN or infinity, which JSON cannot hold.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, otherwise: str) -> dict[str, Any]:
    """The JSON object in a file; `otherwise` is the next step where there is none.

    Raises:
        UnreadableFileError: no such file, not JSON, or no object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path} cannot be read ({type(error).__name__}); {otherwise}") from None
    if not isinstance(found, dict):
        raise UnreadableFileError(f"{path} is no JSON object; {otherwise}")
    return found


def write_document(path: Path, document: BaseModel) -> None:
    """Write a document as its schema names its parts."""
    write_json(path, document.model_dump(mode="json", by_alias=True))


def write_volume(path: Path, volume: Volume, *, synthetic: bool = False) -> None:
    """Write a volume as NIfTI (.nii.gz) on its own grid, qform and sform set; see `write_nifti`."""
    write_nifti(Path(path), volume, synthetic=synthetic)
