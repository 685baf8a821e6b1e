"""Turn a planned needle towards the canal: which warns first, the AP/lateral rule or the wall?

    python examples/01_turn_the_needle.py [FOLDER]

The left needle of the plan of T7 of the bundled CT (real; labels automatic) is turned about its bone entry, degree
by degree, towards the midline, and once more away from it. At every degree two things are measured apart: the
AP/lateral rule, as two X-ray views show it, and the distance of the device's surface from the canal.

Here the canal is touched two degrees before the rule breaks: the rule follows the point of the tip on two views, the
device has a radius, and the pedicle's medial border on AP is its outermost line. To keep the rule is needed; it
is not enough.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Vertebra, build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.planning import Needle, PlanSettings, plan_level
from kypho.planning.ap_lateral import check_rule
from kypho.space import sample_at

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
TURNS_DEG = np.arange(-10.0, 21.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Turned:
    """The needle turned by an angle towards the midline (positive) about its bone entry."""

    turn_deg: float
    tip_mm: NDArray[np.float64]
    canal_mm: float
    rule_mm: float


def planned() -> tuple[Vertebra, Needle]:
    """T7 of the bundled CT and the left needle of its first unilateral plan through the pedicle."""
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    labels = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels
    vertebra = build_vertebra(ct, labels, "T7")
    plan = plan_level(vertebra, ct, labels, PlanSettings())
    left = next(a for a in plan.approaches if a.feasible and a.strategy == "unilateral_left")
    return vertebra, left.needles[0]


def turn(vertebra: Vertebra, needle: Needle, turn_deg: float) -> Turned:
    """Turn about the vertebra's superior axis, with the bone entry and the depth kept."""
    local = vertebra.frame.to_local(np.stack([needle.entry_mm, needle.tip_mm]))
    run = local[1] - local[0]
    # Forwards is -posterior; on the left, towards the midline is -left.
    angle = np.radians(turn_deg)
    across = run[0] * np.cos(angle) + run[1] * np.sin(angle)
    along = -run[0] * np.sin(angle) + run[1] * np.cos(angle)
    tip_mm = vertebra.frame.to_world(local[0] + [across, along, run[2]])
    path = np.linspace(needle.entry_mm, tip_mm, 400)
    outside = -sample_at(vertebra.canal_mm, path, outside=-50.0)
    return Turned(
        turn_deg=turn_deg,
        tip_mm=tip_mm,
        canal_mm=float(outside.min()) - needle.device.radius_mm,
        rule_mm=check_rule(vertebra, "left", needle.entry_mm, tip_mm).min_margin_mm,
    )


def warnings(turned: list[Turned]) -> tuple[float, float]:
    """The first turn towards the midline that breaks the rule, and the first that touches the canal."""
    medial = [t for t in turned if t.turn_deg >= 0]
    rule = next((t.turn_deg for t in medial if t.rule_mm < 0), np.inf)
    canal = next((t.turn_deg for t in medial if t.canal_mm < 0), np.inf)
    return rule, canal


def draw(vertebra: Vertebra, needle: Needle, turned: list[Turned], file: Path) -> None:
    """Both distances over the angle, and the needles on the plane of the planned one."""
    rule, canal = warnings(turned)
    figure, (curve, section) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    angles = [t.turn_deg for t in turned]
    curve.axhline(0, color="0.6", lw=0.8)
    curve.plot(angles, [t.canal_mm for t in turned], color="tab:red", label="device to canal")
    curve.plot(angles, [t.rule_mm for t in turned], color="tab:blue", label="AP/lateral rule, margin")
    for angle, colour in ((rule, "tab:blue"), (canal, "tab:red")):
        if np.isfinite(angle):
            curve.axvline(angle, color=colour, lw=0.8, ls=":")
    curve.set(xlabel="turned towards the midline, degrees", ylabel="mm; below 0 broken")
    curve.legend(frameon=False)
    _section(section, vertebra, needle, turned, (0.0, rule, canal))
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _section(axes, vertebra: Vertebra, needle: Needle, turned: list[Turned], shown: tuple) -> None:
    """The plane that holds the needle and the left axis, feet towards the eye: the patient's left on the right."""
    frame = vertebra.frame
    ends = frame.to_local(np.stack([needle.entry_mm, needle.tip_mm]))
    slope = (ends[1, 2] - ends[0, 2]) / (ends[1, 1] - ends[0, 1])
    left, posterior = np.meshgrid(np.linspace(-32, 32, 256), np.linspace(-28, 44, 288))
    height = ends[0, 2] + slope * (posterior - ends[0, 1])
    points = frame.to_world(np.stack([left, posterior, height], axis=-1).reshape(-1, 3))
    image = sample_at(vertebra.hu, points, outside=-200.0).reshape(left.shape)
    canal = sample_at(vertebra.canal_mm, points, outside=-50.0).reshape(left.shape)
    axes.imshow(image, cmap="gray", vmin=-150, vmax=600, extent=(-32, 32, 44, -28))
    axes.contour(left, posterior, canal, [0.0], colors="yellow", linewidths=1)
    styles = {
        0.0: ("planned", "lime"),
        shown[1]: ("breaks the rule", "deepskyblue"),
        shown[2]: ("touches the canal", "red"),
    }
    for one in turned:
        if one.turn_deg in styles:
            name, colour = styles[one.turn_deg]
            line = frame.to_local(np.stack([needle.entry_mm, one.tip_mm]))
            label = name if not one.turn_deg else f"{name}, {one.turn_deg:+.0f} degrees"
            axes.plot(line[:, 0], line[:, 1], color=colour, lw=2, label=label)
    axes.text(-30, 42, "R", color="white", va="bottom")
    axes.text(30, 42, "L", color="white", va="bottom", ha="right")
    axes.set_axis_off()
    axes.legend(loc="upper left", fontsize=8, framealpha=0.8)


def main() -> None:
    """Print the table and draw the figure."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("turned-needle")
    folder.mkdir(parents=True, exist_ok=True)
    vertebra, needle = planned()
    turned = [turn(vertebra, needle, angle) for angle in TURNS_DEG]
    print("turned, degrees | device to canal, mm | AP/lateral rule, mm")
    for one in turned[::2]:
        print(f"{one.turn_deg:+15.0f} | {one.canal_mm:19.2f} | {one.rule_mm:19.2f}")
    rule, canal = warnings(turned)
    print(
        f"towards the midline the rule breaks at {rule:g} degrees, the canal is touched at {canal:g} degrees"
    )
    draw(vertebra, needle, turned, folder / "turned-needle.png")
    print(f"figure: {folder / 'turned-needle.png'}")


if __name__ == "__main__":
    main()
