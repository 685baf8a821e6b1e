"""The arguments and options that several commands share, each with one name, one help and one meaning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "PROCEDURE",
    "AsJson",
    "Ct",
    "Earlier",
    "EarlierLabels",
    "LabelFile",
    "Level",
    "Mri",
    "MriLabels",
    "MriScheme",
    "MriSeries",
    "Out",
    "Procedure",
    "RequireMri",
    "Scheme",
    "Series",
    "level_name",
    "writable",
]


def level_name(level: str | None) -> str | None:
    """A level as the labels name it: Th7 and D7, as German and French reports have it, are T7."""
    return None if level is None else re.sub(r"^(TH|D)(?=\d)", "T", level.strip().upper())


def writable(context: typer.Context, out: Path | None) -> Path | None:
    """The --out that was given, or a refusal before the work and not after it. Without one: this folder.

    Raises:
        OutputError: no case folder can be written there, or something stands in a file's place.
    """
    from kypho.case.folder import require_writable
    from kypho.case.layout import require_places

    require_writable(out or Path())
    if out is not None:
        require_places(out, context.info_name or "")
    return out


Ct = Annotated[Path, typer.Argument(help="CT: DICOM folder, zip of DICOM, NIfTI, NRRD or MHA.")]
Series = Annotated[str | None, typer.Option("--series", help="SeriesInstanceUID to use.")]
LabelFile = Annotated[
    Path | None, typer.Option("--labels", help="Labels: NIfTI, NRRD, DICOM SEG or a folder of masks.")
]
Scheme = Annotated[
    str,
    typer.Option("--scheme", help="auto, totalsegmentator, verse, totalspineseg, or a JSON map of names."),
]
Level = Annotated[
    str | None, typer.Option("--level", help="Such as T7. Without it: list them.", callback=level_name)
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Case folder; kypho-LEVEL by default.", callback=writable)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of a summary.")]
Earlier = Annotated[
    Path | None,
    typer.Option("--earlier", help="Earlier CT of the same body, which it is then compared with."),
]
EarlierLabels = Annotated[Path | None, typer.Option("--earlier-labels", help="Labels on the earlier CT.")]
Procedure = Annotated[str, typer.Option("--procedure", help="pkp (with a balloon) or pvp (without).")]
PROCEDURE = "pkp"
"""What every command takes unless told otherwise; the stages' own defaults are the same."""
Mri = Annotated[
    Path | None, typer.Option("--mri", help="T2 or STIR MR: DICOM folder, zip of DICOM, NIfTI, NRRD or MHA.")
]
MriLabels = Annotated[
    Path | None, typer.Option("--mri-labels", help="Labels on that MR: vertebrae or bodies, cord, canal.")
]
MriScheme = Annotated[
    str,
    typer.Option(
        "--mri-scheme",
        help="auto, vertebrae-mr, total-mr, totalspineseg, spineps, plain, or a JSON map of names.",
    ),
]
MriSeries = Annotated[str | None, typer.Option("--mri-series", help="SeriesInstanceUID of the MR.")]
RequireMri = Annotated[
    bool, typer.Option("--require-mri", help="Fail if the MR does not fit the CT, instead of saying so.")
]
