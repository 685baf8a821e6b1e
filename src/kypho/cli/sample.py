"""`kypho sample`: copy the bundled example."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kypho.cli.options import writable

__all__ = ["sample"]


def sample(
    out: Annotated[
        Path, typer.Option("--out", help="Folder to copy the example into.", callback=writable)
    ] = Path("kypho-sample"),
) -> None:
    """Copy the bundled example, a real chest CT (T5-T9) with automatic labels, and its attribution."""
    from importlib.resources import files

    from kypho.case.folder import case_folder

    source = files("kypho.formats").joinpath("sample")
    with case_folder(out) as staging:
        for name in ("t5-t9_ct.nii.gz", "t5-t9_labels.nii.gz", "README.md"):
            (staging / name).write_bytes(source.joinpath(name).read_bytes())
    ct, labels = out / "t5-t9_ct.nii.gz", out / "t5-t9_labels.nii.gz"
    typer.echo(f"{ct}\n{labels}")
    typer.echo("Real, de-identified CT (LIDC-IDRI-0001, CC BY 3.0); see README.md beside it for attribution.")
    typer.echo(f"Next: kypho plan {shlex.quote(str(ct))} --labels {shlex.quote(str(labels))} --level T7")
