"""`kypho doctor`: what is installed and found."""

from __future__ import annotations

import typer

from kypho.cli.options import AsJson

__all__ = ["doctor"]


def doctor(
    as_json: AsJson = False,
) -> None:
    """Show versions, threads, the kernel cache and which optional parts are found."""
    found = _findings()
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2))
        return
    for title, entries in found.items():
        typer.echo(title)
        for name, content in entries.items():
            typer.echo(f"  {name:<28}{'not found' if content is None else content}")


def _findings() -> dict[str, dict[str, str | int | None]]:
    import platform
    from importlib.metadata import version

    from kypho.case.manifest import library_versions, thread_count
    from kypho.formats.segmenters import totalsegmentator_command

    codecs = library_versions(("pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-libjpeg", "python-gdcm"))
    others = library_versions(("fhir.resources", "python-docx", "psycopg"))
    return {
        "kypho": {
            "version": version("kypho"),
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "threads": thread_count(),
            "kernel cache": _kernel_cache(),
        },
        "libraries": dict(library_versions()),
        "optional": {"TotalSegmentator": totalsegmentator_command(), **codecs, **others},
    }


def _kernel_cache() -> str:
    """Where compiled kernels are kept between runs, and whether that can be written."""
    import os
    from pathlib import Path

    import numba

    import kypho

    chosen = numba.config.CACHE_DIR
    place = Path(chosen) if chosen else Path(kypho.__file__).parent
    there = next(p for p in (place, *place.parents) if p.exists())
    if os.access(there, os.W_OK):
        return str(place) if chosen else "beside the package"
    return "in the user's cache folder; the package folder is read-only"
