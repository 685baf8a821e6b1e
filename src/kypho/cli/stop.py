"""What ends the program from outside: a signal to stop, a full disk or closed pipe behind standard output."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

__all__ = ["Stopped", "discard_output", "open_streams", "stoppable"]


class Stopped(BaseException):
    """SIGTERM: a batch system or a shutdown asks the program to end."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM unwind the block as `Stopped`, so that what is half done is cleaned up and said.

    Python runs handlers in the main thread only; where somebody else handles the signal, theirs stays.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        # Only the first: a second one must not interrupt the cleaning up.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def open_streams() -> None:
    """Give a program that was started with a standard stream closed (2>&-) one that leads nowhere.

    Otherwise the next file that is opened takes the stream's number, and messages go into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for the whole run


def discard_output() -> None:
    """Lead standard output nowhere: what could not be written would be tried again at the end, and fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        os.close(nowhere)
