"""Named steps with a progress bar on stderr, and their times for the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["Steps"]


class Steps:
    """A progress bar over named steps. Silent when stderr is no terminal or `quiet` is set.

    Attributes:
        timings_s: step name to seconds, in the order run.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self.timings_s: dict[str, float] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("starting", total=total)

    def __enter__(self) -> Steps:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one named step and advance the bar."""
        self._progress.update(self._task, description=name)
        start = time.perf_counter()
        yield
        self.timings_s[name] = self.timings_s.get(name, 0.0) + round(time.perf_counter() - start, 4)
        self._progress.advance(self._task)
