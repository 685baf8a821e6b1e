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
    """The caption; below it sections and rule in one column, the simulated views of each needle in another."""
    plan = json.loads((case / "plan.json").read_text(encoding="utf-8"))
    columns = [["sections", "rule"], [path.stem for path in sorted((case / "figures").glob("steps_*.png"))]]
    images = [[plt.imread(case / "figures" / f"{name}.png") for name in column] for column in columns]
    # Columns of one height: the steeper its images, the narrower a column.
    steepness = [sum(i.shape[0] / i.shape[1] for i in column) for column in images]
    height = WIDTH / sum(1 / s for s in steepness)
    total = CAPTION + height
    figure = plt.figure(figsize=(WIDTH / DPI, total / DPI), dpi=DPI)
    figure.text(0.5, 1 - CAPTION / 2 / total, caption(plan), ha="center", va="center", fontsize=12)
    left = 0.0
    for column, steep in zip(images, steepness, strict=True):
        top, width = height, height / steep
        for image in column:
            tall = width * image.shape[0] / image.shape[1]
            top -= tall
            axes = figure.add_axes((left / WIDTH, top / total, width / WIDTH, tall / total))
            axes.imshow(image, interpolation="antialiased", aspect="auto")
            axes.axis("off")
        left += width
    figure.savefig(OUT, dpi=DPI, pil_kwargs={"optimize": True})
    print(OUT.name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        compose(plan_sample(Path(folder)))
