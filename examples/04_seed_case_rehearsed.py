"""The founding case, rehearsed: a planned needle, and one that opens the left pedicle and the posterior wall.

    python examples/04_seed_case_rehearsed.py [FOLDER]

T7 of the bundled CT with a virtual pathological fracture (SYNTHETIC). The same cement through (a) a needle
as `kypho plan` places it and (b) a needle that ran 5.5 mm too far to the middle: through the medial wall of
the left pedicle, along the left of the canal, and through the posterior cortex into the body. Writes the
table and figure to docs/results/seed-case-rehearsed.*. The model's inputs are mostly unconfirmed: what the
example shows is which way the needle decides, not a volume for a patient.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kypho import __version__
from kypho.anatomy import Vertebra, build_vertebra
from kypho.cement import BoneField, Needle, Rehearsal, Schedule, Settings, cannula, cement, inject
from kypho.cement.compartments import CODES, ROUTES
from kypho.cement.ensemble import CANAL_ROUTES
from kypho.cement.outcome import first_crossing
from kypho.cement.vertebra import Track, vertebra_field
from kypho.evidence import value
from kypho.formats import read_ct, read_labels
from kypho.phantoms.fractures import Collapse, FractureSpec, Lesion, make_fracture
from kypho.planning import PlanSettings, plan_level

HERE = Path(__file__).parent
VOLUMES_ML = (2.0, 3.0, 4.5, 6.0)
CEMENT = "low"
TOO_FAR_MM = 5.5
FRACTURE = FractureSpec(
    collapse=Collapse(kind="wedge", loss=0.2),
    lesion=Lesion(radius_mm=8.0, across=0.15, along=0.25),
    density_drop_hu=60.0,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """One needle's injection to the largest volume."""

    name: str
    bone: BoneField
    track: Track
    result: Rehearsal
    left_part: float

    def canal_ml(self, volume_ml: float) -> float:
        """Cement in the canal when this much is injected."""
        leaked = sum(self.result.leaked_ml[route] for route in CANAL_ROUTES)
        return float(np.interp(volume_ml, np.append(0, self.result.injected_ml), np.append(0, leaked)))

    @property
    def first_ml(self) -> float | None:
        """Injected volume at which the canal leak passes the threshold."""
        leaked = sum(self.result.leaked_ml[route] for route in CANAL_ROUTES)
        return first_crossing(self.result.injected_ml, leaked, value("cement.leak_threshold_ml"))


@cache
def fractured_vertebra() -> tuple[Vertebra, tuple[NDArray, NDArray]]:
    """T7 with its virtual fracture, and the planned needle's entry and tip."""
    sample = files("kypho.formats").joinpath("sample")
    ct = read_ct(Path(str(sample.joinpath("t5-t9_ct.nii.gz"))))
    labels = read_labels(Path(str(sample.joinpath("t5-t9_labels.nii.gz"))), ct=ct.volume)
    intact = build_vertebra(ct.volume, labels.labels, "T7")
    case = make_fracture(ct.volume, labels.labels, intact, FRACTURE)
    vertebra = build_vertebra(case.ct, case.labels, "T7")
    plan = plan_level(vertebra, case.ct, case.labels, PlanSettings(strategy="unilateral"))
    left = [a for a in plan.approaches if a.strategy == "unilateral_left"]
    needle = (left or list(plan.approaches))[0].needles[0]
    return vertebra, (needle.entry_mm, needle.tip_mm)


def needles() -> dict[str, Track]:
    """Both needles; the second aims at the same place from too far to the middle."""
    vertebra, (entry, tip) = fractured_vertebra()
    radius = value("cement.cannula.bore_mm")["11"] / 2 + 0.3
    frame, isthmus = vertebra.frame, vertebra.pedicles["left"].isthmus_mm
    wrong = frame.to_world(frame.to_local(isthmus) - np.array([TOO_FAR_MM, 0.0, 0.0]))
    # It stops where a needle felt as too shallow is left: a third of the body in front of the posterior wall.
    low, high = vertebra.body_box_mm
    stop = frame.to_world([frame.to_local(tip)[0], high[1] - (high[1] - low[1]) / 3, frame.to_local(tip)[2]])
    way = (stop - wrong) / np.linalg.norm(stop - wrong)
    return {
        "a planned": Track(entry_mm=entry, tip_mm=tip, radius_mm=radius),
        "b breaching": Track(entry_mm=wrong - 15 * way, tip_mm=stop, radius_mm=radius),
    }


def rehearse(name: str, grid_mm: float = 0.75) -> Outcome:
    """One needle, the largest volume; smaller volumes are its beginning."""
    vertebra, _ = fractured_vertebra()
    track = needles()[name]
    bone = vertebra_field(vertebra, grid_mm=grid_mm, tracks=(track,))
    plan = Schedule.simple(volume_ml=max(VOLUMES_ML), rate_ml_min=3.0, start_min=4.0)
    needle = Needle(tip_mm=track.tip_mm, cannula=cannula(11))
    result = inject(bone, (needle,), cement(CEMENT), plan, Settings(heat=False, frames=12, steps=32))
    canal = np.isin(bone.region, [CODES[r] for route in CANAL_ROUTES for r in ROUTES[route]])
    amount = np.where(canal, np.asarray(result.cement.array), 0.0)
    where = vertebra.frame.to_local(bone.grid.to_world(np.argwhere(amount > 0)))
    weight = amount[amount > 0]
    left = float(weight[where[:, 0] > 0].sum() / weight.sum()) if weight.sum() > 0 else float("nan")
    return Outcome(name=name, bone=bone, track=track, result=result, left_part=left)


def draw(outcomes: list[Outcome]) -> Figure:
    """Axial and sagittal cement of both needles, and the canal leak against the volume."""
    vertebra, _ = fractured_vertebra()
    figure = Figure(figsize=(11.5, 6.4), layout="constrained")
    axes = figure.subplots(2, 3, width_ratios=[1, 1, 1.2])
    for row, outcome in zip(axes, outcomes, strict=True):
        grid, amount = outcome.bone.grid, np.asarray(outcome.result.cement.array)
        canal = np.isin(outcome.bone.region, [CODES[r] for route in CANAL_ROUTES for r in ROUTES[route]])
        hottest = (amount * canal).sum(axis=(1, 2))
        k = (
            int(np.argmax(hottest))
            if hottest.max() > 0.01
            else int(np.rint(grid.to_index(outcome.track.tip_mm))[0])
        )
        i = int(np.clip(np.rint(grid.to_index(outcome.track.tip_mm))[2] + 2, 0, grid.shape[2] - 1))
        for ax, part in ((row[0], np.s_[k]), (row[1], np.s_[::-1, :, i])):
            bone = np.isin(outcome.bone.region, [CODES["cortex"], CODES["endplate"], CODES["breach"]])
            ax.imshow(np.where(canal, 0.45, np.where(bone, 0.85, 0.15))[part], cmap="gray", vmin=0, vmax=1)
            ax.imshow(np.ma.masked_less(amount[part], 0.05), cmap="autumn_r", vmin=0, vmax=1, alpha=0.85)
            ax.set_axis_off()
        row[0].set_title(f"({outcome.name[0]}){outcome.name[1:]}, 6 mL, axial", fontsize=9)
        row[1].set_title("sagittal beside the tip", fontsize=9)
        for route, curve in outcome.result.leaked_ml.items():
            if curve[-1] > 1e-3:
                row[2].plot(outcome.result.injected_ml, curve, label=route.replace("_", " "))
        row[2].set(xlabel="injected, mL", ylabel="leaked, mL")
        row[2].set_ylim(0, max(0.1, 1.05 * max(c[-1] for o in outcomes for c in o.result.leaked_ml.values())))
        if row[2].lines:
            row[2].legend(fontsize=8, frameon=False)
        row[2].spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"SYNTHETIC fracture of {vertebra.level}: the same cement, two needles (patient's left is right)",
        fontsize=11,
    )
    return figure


def table(outcomes: list[Outcome]) -> str:
    """The page in docs/results."""
    lines = [
        "# The founding case, rehearsed",
        "",
        f"Made by `examples/04_seed_case_rehearsed.py`, kypho {__version__}. Synthetic fracture on the bundled CT",
        f"(T7); {CEMENT}-viscosity cement, 3 mL/min from 4 min after mixing, 0.75 mm cells. Most inputs are",
        "unconfirmed; research and education, not a medical device.",
        "",
        "| needle | "
        + " | ".join(f"canal at {v:g} mL, mL" for v in VOLUMES_ML)
        + " | canal leak from, mL | left |",
        "|---|" + "---|" * (len(VOLUMES_ML) + 2),
    ]
    for o in outcomes:
        first = "none up to 6 mL" if o.first_ml is None else f"{o.first_ml:.1f}"
        left = "-" if np.isnan(o.left_part) else f"{100 * o.left_part:.0f} %"
        cells = " | ".join(f"{o.canal_ml(v):.3f}" for v in VOLUMES_ML)
        lines.append(f"| {o.name} | {cells} | {first} | {left} |")
    lines += ["", "![cement of both needles](seed-case-rehearsed.png)", ""]
    return "\n".join(lines)


def main(folder: Path) -> None:
    outcomes = [rehearse(name) for name in needles()]
    folder.mkdir(parents=True, exist_ok=True)
    draw(outcomes).savefig(folder / "seed-case-rehearsed.png", dpi=100, facecolor="white")
    (folder / "seed-case-rehearsed.md").write_text(table(outcomes), encoding="utf-8")
    print(table(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "results")
