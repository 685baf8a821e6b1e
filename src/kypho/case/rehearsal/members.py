"""Finished ensemble members on disk, so that an interrupted rehearsal goes on where it stopped.

One line per member, its SHA-256 and its JSON with its number, after a line that names the inputs by their
hash. A line torn by a kill is dropped when the file is read, and so is what follows a gap or a double, as two
runs into one folder can leave it, or a line that is not as it was written; members of other inputs are never
used.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from kypho import __version__
from kypho.cement.ensemble import Member
from kypho.errors import DiskFullError, OutputError
from kypho.evidence import all_records

__all__ = ["MemberFile", "inputs_hash"]

MEMBERS_SCHEMA = "kypho.rehearsal-members/3"


def inputs_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides a member: the inputs, the evidence records, the program, what it keeps."""
    numbers = {key: item.value for key, item in sorted(all_records().items())}
    parts = [part.name for part in fields(Member)]
    text = json.dumps([__version__, parts, dict(inputs), numbers], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class MemberFile:
    """The members of one ensemble in `folder`, which is made when the first one is kept.

    Args:
        folder: the case folder.
        inputs: hash of what decides the members (`inputs_hash`); their number is not part of it.

    Attributes:
        damaged: a line of the file that was read last is not as it was written.
    """

    def __init__(self, folder: Path, inputs: str) -> None:
        self.path = Path(folder) / ".rehearsal-members.jsonl"
        self._head = json.dumps({"schema": MEMBERS_SCHEMA, "inputs": inputs})
        self.damaged = False
        self._whole: list[str] = []
        self._count = 0

    def read(self) -> list[Member]:
        """The members kept for these inputs, in order; none where the file belongs to others.

        `damaged` then says whether they end where a line is not as it was written.
        """
        self._whole, self._count, self.damaged = [self._head], 0, False
        try:
            head, *lines, _ = self.path.read_bytes().decode("utf-8", "replace").split("\n")
        except (OSError, ValueError):
            return []
        if head != self._head:
            return []
        members: list[Member] = []
        for line in lines:
            digest, _, text = line.partition(" ")
            if digest != self._digest(text):
                self.damaged = True
                break
            row = json.loads(text)
            if row.pop("n") != len(members):
                break
            members.append(_member(row))
            self._whole.append(line)
        self._count = len(members)
        return members

    def append(self, member: Member) -> None:
        """Keep one more.

        Raises:
            DiskFullError: no space left.
            OutputError: the folder cannot be written.
        """
        text = json.dumps({"n": self._count} | asdict(member), default=lambda array: array.tolist())
        try:
            if self._whole:
                self._begin()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{self._digest(text)} {text}\n")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise DiskFullError(
                    f"no space left for the ensemble's members in {self.path.parent}; free space and run the "
                    "same command again, or choose another --out"
                ) from error
            raise OutputError(
                f"{self.path} cannot be written ({error.strerror}); choose another --out"
            ) from error
        self._count += 1

    def _digest(self, text: str) -> str:
        return hashlib.sha256((self._head + text).encode()).hexdigest()

    def _begin(self) -> None:
        """Before the first: what was read, without a torn end and without another run's members."""
        fresh = self.path.with_suffix(".new")
        missing = [folder for folder in (fresh.parent, *fresh.parent.parents) if not folder.exists()]
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text("\n".join([*self._whole, ""]), encoding="utf-8")
            fresh.replace(self.path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()
            raise
        self._whole = []

    def remove(self) -> None:
        """Forget them: the result is written."""
        self.path.unlink(missing_ok=True)


def _member(row: dict[str, Any]) -> Member:
    leaked = {route: np.array(curve, dtype=float) for route, curve in row.pop("leaked_ml").items()}
    injected = np.array(row.pop("injected_ml"), dtype=float)
    return Member(injected_ml=injected, leaked_ml=leaked, **row)
