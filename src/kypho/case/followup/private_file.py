"""Files that only their owner may read, whole or not there."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from kypho.errors import DiskFullError, OutputError, ReadOnlyError

__all__ = ["refusal", "write_private"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


def refusal(name: str, problem: OSError, option: str) -> OutputError:
    """What the operating system refused, as an error of the tree with the next step."""
    if problem.errno in FULL:
        return DiskFullError(f"no space left for {name}; free some and repeat")
    if problem.errno in READ_ONLY:
        return ReadOnlyError(f"{name} may not be written ({problem.strerror}); choose another {option}")
    return OutputError(f"{name} cannot be written ({problem.strerror}); choose another {option}")


def write_private(out: Path, content: bytes) -> None:
    """Write a file of mode 0600 in one step; one that cannot be finished is not left behind.

    Raises:
        ReadOnlyError, DiskFullError, OutputError: it cannot be written.
    """
    part: str | None = None
    try:
        handle, part = tempfile.mkstemp(prefix=f".{out.name[:20]}-", dir=out.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(part).replace(out)
    except OSError as problem:
        if part is not None:
            Path(part).unlink(missing_ok=True)
        raise refusal(str(out), problem, "--out") from None
