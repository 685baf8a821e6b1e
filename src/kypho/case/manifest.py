"""The manifest: what made the files of a case folder, so that they can be made again."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kypho.case.document import USE
from kypho.formats.guard import sha256_of

__all__ = ["MANIFEST_SCHEMA", "library_versions", "manifest", "thread_count"]

MANIFEST_SCHEMA = "kypho.manifest/1"
LIBRARIES = (
    *("numpy", "scipy", "numba", "SimpleITK", "pydicom", "highdicom", "nibabel", "edt"),
    *("connected-components-3d", "pydantic", "matplotlib", "jinja2", "sqlalchemy"),
)


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str | None]:
    """Installed version of each distribution; None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def thread_count() -> int:
    """How many threads the kernels may use."""
    return int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)


def manifest(
    *,
    command: str,
    inputs: Mapping[str, str],
    settings: Mapping[str, Any],
    timings_s: Mapping[str, float],
    folder: Path,
    notes: Iterable[str] = (),
) -> dict[str, Any]:
    """Everything needed to repeat the run; no paths beyond names, nothing that identifies the patient.

    Args:
        command: the subcommand, "plan".
        inputs: role ("ct", "labels") to SHA-256. File names often hold patient names, so none is kept.
        settings: the settings used, as plain JSON values.
        timings_s: step name to seconds.
        folder: the (staging) case folder; every file in it is listed.
        notes: what the readers repaired or chose.
    """
    return {
        "schema": MANIFEST_SCHEMA,
        "command": command,
        "kypho": version("kypho"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": thread_count(),
        "libraries": library_versions(),
        "inputs": {role: {"sha256": digest} for role, digest in inputs.items()},
        "settings": dict(settings),
        "notes": list(notes),
        "timings_s": dict(timings_s),
        "outputs": {
            path.relative_to(folder).as_posix(): {"sha256": sha256_of([path]), "bytes": path.stat().st_size}
            for path in sorted(p for p in folder.rglob("*") if p.is_file())
        },
        "use": USE,
    }
