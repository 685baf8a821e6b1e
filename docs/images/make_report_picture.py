"""docs/images/report.png: what `kypho plan` shows for T7 of the bundled CT.

Runs the program as a user does and sets its own figures on one sheet.
Run: python docs/images/make_report_picture.py
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path(__file__).with_name("report.png")
KYPHO = Path(sys.executable).with_name("kypho")
WIDTH, CAPTION, DPI = 1400, 64, 100
"""Pixels of the sheet, pixels of its caption, pixels per inch."""


def plan_sample(folder: Path) -> Path:
    """Plan T7 of the bundled CT below `folder`; the case folder."""
    subprocess.run([KYPHO, "sample", "--out", folder / "in"], check=True)
    files = [folder / "in/t5-t9_ct.nii.gz", "--labels", folder / "in/t5-t9_labels.nii.gz"]
    subprocess.run([KYPHO, "plan", *files, "--level", "T7", "--out", folder / "T7"], check=True)
    return folder / "T7"


def caption(plan: dict) -> str:
    """The result in one line, from plan.json."""
    best = plan["approaches"][plan["recommended"]]
    needles = "; ".join(
        f"{n['side']} {n['device']}: canal margin {n['margins_mm']['canal']:.1f} mm, grade "
        f"{n['gertzbein_robbins']}, proven within {n['certificate']['gap_mm']:.2f} mm of the best"
        for n in best["needles"]
    )
    strategy = best["strategy"].replace("_", " ")
    return (
        f"{plan['level']}, {strategy}, {best['route']}. {needles}.\n"
        "Research and education; not a medical device."
    )


def compose(case: Path) -> None:
    """The caption, then one row of sections and rule, then a row of simulated views for each needle."""
    plan = json.loads((case / "plan.json").read_text(encoding="utf-8"))
    rows = [["sections", "rule"], *([path.stem] for path in sorted((case / "figures").glob("steps_*.png")))]
    images = [[plt.imread(case / "figures" / f"{name}.png") for name in row] for row in rows]
    heights = [WIDTH / sum(i.shape[1] / i.shape[0] for i in row) for row in images]
    total = CAPTION + sum(heights)
    figure = plt.figure(figsize=(WIDTH / DPI, total / DPI), dpi=DPI)
    figure.text(0.5, 1 - CAPTION / 2 / total, caption(plan), ha="center", va="center", fontsize=12)
    top = total - CAPTION
    for row, height in zip(images, heights, strict=True):
        top -= height
        left = 0.0
        for image in row:
            width = height * image.shape[1] / image.shape[0]
            axes = figure.add_axes((left / WIDTH, top / total, width / WIDTH, height / total))
            axes.imshow(image, interpolation="antialiased", aspect="auto")
            axes.axis("off")
            left += width
    figure.savefig(OUT, dpi=DPI, pil_kwargs={"optimize": True})
    print(OUT.name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        compose(plan_sample(Path(folder)))
