"""One broken vertebra on three scans: what 1.0, 1.5 and 2.5 mm slices still show of it.

    python examples/02_what_thick_slices_hide.py [FOLDER]

A SYNTHETIC fracture of T7 of the bundled CT (real, LIDC-IDRI-0001; labels automatic): a third of the anterior
height lost, the posterior wall pushed back and open, gas in the body. The same damage is drawn for three slice
thicknesses and assessed without knowledge of the truth. What a scan cannot show must come out "not assessable",
never "absent". The CT underneath has slices of 2.5 mm itself, so the intact bone on the thin ones is
interpolated; only the damage is drawn as finely as they are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from kypho.anatomy import Vertebra, build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.fracture import Assessment, assess_level
from kypho.phantoms.fractures import (
    Cleft,
    Collapse,
    FracturedCase,
    FractureSpec,
    Retropulsion,
    WallDefect,
    make_fracture,
)

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
LEVEL = "T7"
SLICES_MM = (1.0, 1.5, 2.5)
DAMAGE = FractureSpec(
    collapse=Collapse(kind="wedge", loss=0.35),
    walls=(WallDefect(wall="posterior", area_mm2=50.0, across=0.3, up=0.5),),
    retropulsion=Retropulsion(depth_mm=3.5),
    cleft=Cleft(content="gas", volume_ml=0.6),
    seed=7,
)
DAMAGED = ("posterior_wall_defect", "retropulsion", "intravertebral_cleft")


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """The fracture on one scan: what was made, the model built from it, and what was found."""

    slice_mm: float
    case: FracturedCase
    vertebra: Vertebra
    found: Assessment

    def finding(self, factor: str) -> Any:
        """The finding of one factor."""
        return next(f for f in self.found.findings if f.factor == factor)


def see(slices_mm: tuple[float, ...] = SLICES_MM) -> list[Seen]:
    """Break T7 once for each slice thickness and assess it."""
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    labels = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels
    intact = build_vertebra(ct, labels, LEVEL)
    seen = []
    for slice_mm in slices_mm:
        case = make_fracture(ct, labels, intact, DAMAGE, slice_mm=slice_mm)
        vertebra = build_vertebra(case.ct, case.labels, LEVEL)
        found = assess_level(case.ct, case.labels, vertebra)
        seen.append(Seen(slice_mm=slice_mm, case=case, vertebra=vertebra, found=found))
    return seen


def table(seen: list[Seen]) -> str:
    """Truth beside what each scan shows."""
    rows = [["", "set (synthetic)", *(f"{s.slice_mm:g} mm slices" for s in seen)]]
    lost = [s.found.loss.percent["anterior"] for s in seen]
    rows.append(
        ["anterior height lost, %", "35", *("not assessable" if v is None else f"{v:.0f}" for v in lost)]
    )
    sizes = (DAMAGE.walls[0].area_mm2, DAMAGE.retropulsion.depth_mm, DAMAGE.cleft.volume_ml)
    for factor, size in zip(DAMAGED, sizes, strict=True):
        found = [s.finding(factor) for s in seen]
        rows.append([f"{factor.replace('_', ' ')}, {found[0].unit}", f"{size:g}", *map(_cell, found)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(finding: Any) -> str:
    state = finding.state.replace("_", " ")
    if finding.value is None:
        return state
    give = "" if finding.uncertainty is None else f" +- {finding.uncertainty:.2g}"
    return f"{state}: {finding.value:.2g}{give}"


def draw(seen: list[Seen], file: Path) -> None:
    """The body in the mid-sagittal plane and its posterior wall unfolded, one column a scan."""
    figure, axes = plt.subplots(
        2, len(seen), squeeze=False, figsize=(3.6 * len(seen), 6.4), layout="constrained"
    )
    for column, one in zip(axes.T, seen, strict=True):
        z, y, x = one.vertebra.axes_mm
        low, high = one.vertebra.body_box_mm
        middle = one.vertebra.hu.array[:, :, int(np.argmin(np.abs(x)))]
        column[0].imshow(
            middle, origin="lower", extent=(y[0], y[-1], z[0], z[-1]), cmap="gray", vmin=-150, vmax=750
        )
        column[0].set(xlim=(low[1] - 10, high[1] + 24), ylim=(low[2] - 10, high[2] + 12))
        column[0].set_xlabel("front to the left, mm", fontsize=8)
        column[0].set_title(f"{one.slice_mm:g} mm slices, synthetic", fontsize=10)
        wall = one.found.walls["posterior"]
        extent = (wall.across_mm[0], wall.across_mm[-1], wall.up_mm[0], wall.up_mm[-1])
        shown = column[1].imshow(
            np.where(wall.seen, wall.left_of_density, np.nan),
            origin="lower",
            extent=extent,
            cmap="magma",
            vmin=0,
            vmax=1.3,
        )
        rows, columns = wall.seen.any(axis=1), wall.seen.any(axis=0)
        column[1].set_xlim(wall.across_mm[columns][[0, -1]] + [-1, 1])
        column[1].set_ylim(wall.up_mm[rows][[0, -1]] + [-1, 1])
        column[1].set_title(_cell(one.finding("posterior_wall_defect")) + " mm2", fontsize=9)
        column[1].set_xlabel("posterior wall: mm to the patient's left", fontsize=8)
    axes[0, 0].set_ylabel("mid-sagittal: mm up", fontsize=8)
    axes[1, 0].set_ylabel("mm up", fontsize=8)
    figure.colorbar(shown, ax=axes[1], shrink=0.8).set_label("cortex left (1: the wall's median)", fontsize=8)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> None:
    """Print the table and draw the figure."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("thick-slices")
    folder.mkdir(parents=True, exist_ok=True)
    seen = see()
    print(table(seen))
    draw(seen, folder / "thick-slices.png")
    print(f"figure: {folder / 'thick-slices.png'}")


if __name__ == "__main__":
    main()
