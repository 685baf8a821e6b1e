"""`kypho phantom`: a virtual fracture on a real CT, with exact truth. Synthetic."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kypho.cli.options import Scheme, level_name, writable

if TYPE_CHECKING:
    from kypho.phantoms.fractures import FractureSpec

__all__ = ["phantom"]

IntactCt = Annotated[Path, typer.Argument(help="Intact CT.")]
ItsLabels = Annotated[Path, typer.Option("--labels", help="Its labels.")]
LevelToBreak = Annotated[str, typer.Option("--level", help="Level to fracture, T7.", callback=level_name)]
PhantomOut = Annotated[
    Path,
    typer.Option("--out", help="Folder for ct.nii.gz, labels.nii.gz and truth.json.", callback=writable),
]
CollapseText = Annotated[
    str | None, typer.Option("--collapse", help="wedge=40, biconcave=30 or crush=25 (percent).")
]
WallTexts = Annotated[
    list[str] | None,
    typer.Option("--wall", help="WALL=AREA[,ACROSS,UP], e.g. posterior=40,0.2,0.5 (mm2). Repeatable."),
]
RetropulsionMm = Annotated[float, typer.Option("--retropulsion", help="mm into the canal.")]
CleftText = Annotated[str | None, typer.Option("--cleft", help="gas=0.8 or fluid=0.8 (mL).")]
SchmorlText = Annotated[
    str | None, typer.Option("--schmorl", help="superior=DEPTH,AREA or inferior=DEPTH,AREA (mm, mm2).")
]
LesionMm = Annotated[float, typer.Option("--lesion", help="Radius of a lytic ball, mm.")]
BreachSide = Annotated[str | None, typer.Option("--breach", help="Pedicle opened: left or right.")]
DropHu = Annotated[float, typer.Option("--density-drop", help="HU off the cancellous bone.")]
Random = Annotated[bool, typer.Option("--random", help="Draw a combination from the seed.")]
SliceMm = Annotated[float | None, typer.Option("--slice", help="Slice thickness, mm; as the CT.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of texture and of --random.")]


def phantom(
    ct: IntactCt,
    labels: ItsLabels,
    level: LevelToBreak,
    out: PhantomOut,
    scheme: Scheme = "auto",
    collapse: CollapseText = None,
    wall: WallTexts = None,
    retropulsion: RetropulsionMm = 0.0,
    cleft: CleftText = None,
    schmorl: SchmorlText = None,
    lesion: LesionMm = 0.0,
    breach: BreachSide = None,
    density_drop: DropHu = 0.0,
    random: Random = False,
    slice_mm: SliceMm = None,
    seed: Seed = 0,
) -> None:
    """Make a virtual fracture: CT, labels and exact truth. Everything it writes is synthetic."""
    from kypho.anatomy import build_vertebra
    from kypho.case.folder import case_folder, write_json, write_volume
    from kypho.cli.inputs import chosen_level
    from kypho.formats import read_ct, read_labels
    from kypho.phantoms.fractures import make_fracture, require_slice

    damage = {
        "collapse": collapse,
        "wall": wall,
        "retropulsion": retropulsion,
        "cleft": cleft,
        "schmorl": schmorl,
        "lesion": lesion,
        "breach": breach,
        "density-drop": density_drop,
    }
    # Everything that can be refused without the images is refused before they are read.
    spec = _drawn(damage, seed) if random else _spec(damage, seed)
    require_slice(slice_mm)
    image = read_ct(ct)
    found = read_labels(labels, scheme=scheme, ct=image.volume, level=level)
    vertebra = build_vertebra(image.volume, found.labels, chosen_level(found.labels, level))
    made = make_fracture(image.volume, found.labels, vertebra, spec, slice_mm=slice_mm)
    with case_folder(out) as staging:
        write_volume(staging / "ct.nii.gz", made.ct, synthetic=True)
        write_volume(staging / "labels.nii.gz", made.labels.volume, synthetic=True)
        write_json(staging / "labels.json", {name: list(ids) for name, ids in made.labels.ids.items()})
        write_json(staging / "truth.json", made.truth)
    typer.echo(_summary(made.truth, out))


def _summary(truth: dict[str, Any], out: Path) -> str:
    """What was made, in a few lines."""
    loss = " / ".join(f"{percent:.0f}" for percent in truth["height_loss_percent"].values())
    made = [f"{loss} % of the height lost in front, middle, back"]
    made += [f"{d['area_mm2']:.0f} mm2 of the {d['wall']} wall open" for d in truth["wall_defects"]]
    volumes = [("retropulsion", "mm"), ("cleft", "ml"), ("lesion", "ml"), ("schmorl", "ml")]
    made += [
        f"{name} {truth[f'{name}_{unit}']:.1f} {unit}"
        for name, unit in volumes
        if truth[f"{name}_{unit}"] > 0
    ]
    files = [shlex.quote(str(out / name)) for name in ("ct.nii.gz", "labels.nii.gz", "labels.json")]
    return "\n".join(
        [
            f"{truth['synthetic']}.",
            f"{truth['level']}: {'; '.join(made)}. All of it: {out / 'truth.json'}",
            "Next: kypho assess {} --labels {} --scheme {} --level {}".format(*files, truth["level"]),
        ]
    )


def _drawn(damage: dict[str, Any], seed: int) -> FractureSpec:
    """A combination from the seed, which leaves nothing to choose."""
    from kypho.errors import SettingsError
    from kypho.phantoms.fractures import random_spec

    also = [f"--{name}" for name, given in damage.items() if given]
    if also:
        raise SettingsError(f"--random draws the damage and {', '.join(also)} names it; give one of them")
    return random_spec(seed)


def _numbers(text: str, option: str, least: int, most: int) -> list[float]:
    """From `least` to `most` numbers between commas."""
    from kypho.errors import SettingsError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not least <= len(numbers) <= most:
        many = f"{least}" if least == most else f"{least} to {most}"
        raise SettingsError(f"{option} needs {many} number{'s' * (most > 1)}, got {text!r}; correct it")
    return numbers


def _pair(text: str, option: str, least: int = 1, most: int = 1) -> tuple[str, list[float]]:
    """NAME=NUMBER[,NUMBER...] taken apart."""
    name, _, rest = text.partition("=")
    return name, _numbers(rest, option, least, most)


def _spec(damage: dict[str, Any], seed: int) -> FractureSpec:
    """The damage stated on the command line.

    Raises:
        SettingsError: a word or number that no damage has.
    """
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

    parts: dict[str, Any] = {"density_drop_hu": damage["density-drop"], "seed": seed}
    if damage["collapse"]:
        kind, (percent,) = _pair(damage["collapse"], "--collapse")
        parts["collapse"] = Collapse(kind=kind, loss=percent / 100)  # type: ignore[arg-type]  # checked there
    walls = []
    for entry in damage["wall"] or ():
        name, (area, *place) = _pair(entry, "--wall", 1, 3)
        across, up = (*place, 0.0, 0.0)[:2]
        walls.append(WallDefect(wall=name, area_mm2=area, across=across, up=up))  # type: ignore[arg-type]
    parts["walls"] = tuple(walls)
    if damage["retropulsion"]:
        parts["retropulsion"] = Retropulsion(depth_mm=damage["retropulsion"])
    if damage["cleft"]:
        content, (ml,) = _pair(damage["cleft"], "--cleft")
        parts["cleft"] = Cleft(content=content, volume_ml=ml)  # type: ignore[arg-type]
    if damage["schmorl"]:
        plate, (depth, area) = _pair(damage["schmorl"], "--schmorl", 2, 2)
        parts["schmorl"] = SchmorlNode(endplate=plate, depth_mm=depth, area_mm2=area)  # type: ignore[arg-type]
    if damage["lesion"]:
        parts["lesion"] = Lesion(radius_mm=damage["lesion"])
    if damage["breach"]:
        parts["breach"] = PedicleBreach(side=damage["breach"])
    return FractureSpec(**parts)
