"""Run the installed program as a user does: a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

START = (sys.executable, "-c", "from kypho.cli.main import run; run()")


def kypho(*arguments, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    """The finished process with its text. No terminal, nothing to read from, debug off."""
    environment = {k: v for k, v in os.environ.items() if k != "KYPHO_DEBUG"} | {"COLUMNS": "100"}
    return subprocess.run(
        [*START, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The single line of an error, after checking that it is one: no traceback, nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("kypho: ")
    return lines[0]
