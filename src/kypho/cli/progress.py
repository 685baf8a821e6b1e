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
        self._counted: tuple[str, int, float] | None = None
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

    def count(self, name: str, done: int, total: int) -> None:
        """Say how far the running step is, and about how long it will take yet."""
        now = time.perf_counter()
        if self._counted is None or self._counted[0] != name:
            self._counted = (name, done, now)
        _, first, since = self._counted
        left = (now - since) / (done - first) * (total - done) if done > first else None
        about = "" if left is None else f", about {left / 60:.1f} min left"
        self._progress.update(self._task, description=f"{name} {done} of {total}{about}")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one named step and advance the bar."""
        self._progress.update(self._task, description=name)
        start = time.perf_counter()
        yield
        self.timings_s[name] = self.timings_s.get(name, 0.0) + round(time.perf_counter() - start, 4)
        self._progress.advance(self._task)
