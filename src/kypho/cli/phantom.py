"""`kypho phantom`: a virtual fracture on a real CT, with exact truth. Synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kypho.cli.options import Scheme, writable

__all__ = ["phantom"]


def phantom(
    ct: Annotated[Path, typer.Argument(help="Intact CT.")],
    labels: Annotated[Path, typer.Option("--labels", help="Its labels.")],
    level: Annotated[str, typer.Option("--level", help="Level to fracture, T7.")],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for ct.nii.gz, labels.nii.gz and truth.json.", callback=writable),
    ],
    scheme: Scheme = "auto",
    collapse: Annotated[
        str | None, typer.Option("--collapse", help="wedge=40, biconcave=30 or crush=25 (percent).")
    ] = None,
    wall: Annotated[
        list[str] | None,
        typer.Option("--wall", help="WALL=AREA[,ACROSS,UP], e.g. posterior=40,0.2,0.5 (mm2). Repeatable."),
    ] = None,
    retropulsion: Annotated[float, typer.Option("--retropulsion", help="mm into the canal.")] = 0.0,
    cleft: Annotated[str | None, typer.Option("--cleft", help="gas=0.8 or fluid=0.8 (mL).")] = None,
    schmorl: Annotated[
        str | None, typer.Option("--schmorl", help="superior=DEPTH,AREA or inferior=DEPTH,AREA (mm, mm2).")
    ] = None,
    lesion: Annotated[float, typer.Option("--lesion", help="Radius of a lytic ball, mm.")] = 0.0,
    breach: Annotated[str | None, typer.Option("--breach", help="Pedicle opened: left or right.")] = None,
    density_drop: Annotated[float, typer.Option("--density-drop", help="HU off the cancellous bone.")] = 0.0,
    random: Annotated[bool, typer.Option("--random", help="Draw a combination from the seed.")] = False,
    slice_mm: Annotated[float | None, typer.Option("--slice", help="Slice thickness, mm; as the CT.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of texture and of --random.")] = 0,
) -> None:
    """Make a virtual fracture: CT, labels and exact truth. Everything it writes is synthetic."""
    import json

    from kypho.anatomy import build_vertebra
    from kypho.case.folder import case_folder, write_json, write_volume
    from kypho.formats import read_ct, read_labels
    from kypho.phantoms.fractures import make_fracture, random_spec

    spec = (
        random_spec(seed)
        if random
        else _spec(collapse, wall or [], retropulsion, cleft, schmorl, lesion, breach, density_drop, seed)
    )
    image = read_ct(ct)
    found = read_labels(labels, scheme=scheme, ct=image.volume, level=level)
    vertebra = build_vertebra(image.volume, found.labels, level.upper())
    made = make_fracture(image.volume, found.labels, vertebra, spec, slice_mm=slice_mm)
    with case_folder(out) as staging:
        write_volume(staging / "ct.nii.gz", made.ct, synthetic=True)
        write_volume(staging / "labels.nii.gz", made.labels.volume, synthetic=True)
        write_json(staging / "labels.json", {name: list(ids) for name, ids in made.labels.ids.items()})
        write_json(staging / "truth.json", json.loads(json.dumps(made.truth)))
    typer.echo(f"{made.truth['synthetic']}. Written: {out}")


def _numbers(text: str, option: str) -> list[float]:
    from kypho.errors import SettingsError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"{option} needs numbers, got {text!r}") from None


def _pair(text: str, option: str) -> tuple[str, list[float]]:
    name, _, rest = text.partition("=")
    return name, _numbers(rest, option)


def _spec(collapse, wall, retropulsion, cleft, schmorl, lesion, breach, density_drop, seed):  # type: ignore[no-untyped-def]
    """The damage stated on the command line."""
    from kypho.errors import SettingsError
    from kypho.phantoms.fractures import (
        Cleft,
        Collapse,
        FractureSpec,
        Lesion,
        PedicleBreach,
        Retropulsion,
        SchmorlNode,
        WallDefect,
    )

    parts: dict = {"density_drop_hu": density_drop, "seed": seed}
    if collapse:
        kind, (percent, *_) = _pair(collapse, "--collapse")
        parts["collapse"] = Collapse(kind=kind, loss=percent / 100)
    walls = []
    for entry in wall:
        name, (area, *place) = _pair(entry, "--wall")
        across, up = (*place, 0.0, 0.0)[:2]
        walls.append(WallDefect(wall=name, area_mm2=area, across=across, up=up))
    parts["walls"] = tuple(walls)
    if retropulsion:
        parts["retropulsion"] = Retropulsion(depth_mm=retropulsion)
    if cleft:
        content, (ml, *_) = _pair(cleft, "--cleft")
        parts["cleft"] = Cleft(content=content, volume_ml=ml)
    if schmorl:
        plate, sizes = _pair(schmorl, "--schmorl")
        if len(sizes) != 2:
            raise SettingsError(f"--schmorl needs DEPTH,AREA, got {schmorl!r}")
        parts["schmorl"] = SchmorlNode(endplate=plate, depth_mm=sizes[0], area_mm2=sizes[1])
    if lesion:
        parts["lesion"] = Lesion(radius_mm=lesion)
    if breach:
        parts["breach"] = PedicleBreach(side=breach)
    return FractureSpec(**parts)
