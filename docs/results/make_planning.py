"""Plan every level of a scan and write docs/results/planning.md.

    python docs/results/make_planning.py CT LABELS

The table of the repository was made on the whole of LIDC-IDRI-0001 (see NOTICE), of which the bundled
sample is a part; the labels are automatic, so the figures are self-consistent, not accuracy.
"""

import argparse
import platform
import time
from pathlib import Path

import numpy as np

from kypho import __version__
from kypho.anatomy import build_vertebra
from kypho.errors import LevelIncompleteError
from kypho.formats import read_ct, read_labels
from kypho.planning import Limits, PlanSettings, plan_level

HERE = Path(__file__).parent
HEAD = (
    "| level | approach | side | device | canal | medial | lateral | inferior | anterior | rule (least margin) "
    "| GR | gap | P(canal) | P(breach 2 mm) | seconds |"
)


def rows_of(level, vertebra, plan, seconds):
    best = plan.approaches[0]
    verdict = f"{best.strategy.replace('_', ' ')}, {best.route}"
    if not best.feasible:
        verdict = f"**refused**, nearest: {verdict}"
    for needle in best.needles:
        m = needle.margins_mm
        gap = max(
            (c.gap_mm for k, c in needle.certificates.items() if not k.startswith("no_")), default=np.nan
        )
        rule = "kept" if needle.rule.compliant else "**broken**"
        yield (
            f"| {level} | {verdict} | {needle.task.side} | {needle.device.name} | {m['canal']:.2f} | {m['medial']:.2f} "
            f"| {m['lateral']:.2f} | {m['inferior']:.2f} | {m['anterior']:.2f} | {rule} ({needle.rule.min_margin_mm:.2f}) "
            f"| {needle.gertzbein_robbins} | {gap:.3f} | {needle.robustness.p_canal:.3f} "
            f"| {needle.robustness.p_breach_2mm:.3f} | {seconds:.2f} |"
        )


def pedicle_rows(level, vertebra, plan):
    """Transpedicular verdict of each pedicle, bilateral aim: refusals count."""
    approach = next(a for a in plan.approaches if a.strategy == "bilateral" and a.route == "transpedicular")
    for needle in approach.needles:
        side = needle.task.side
        missed = [r for r in approach.reasons if r.what.startswith(side)]
        pedicle = vertebra.pedicles[side]
        why = "; ".join(
            f"{r.what.split(': ')[1].replace('_', ' ')} {r.value:.2f} against {r.limit:.2f}" for r in missed
        )
        verdict = "refused" if missed else needle.device.name
        gap = max(
            (c.gap_mm for k, c in needle.certificates.items() if not k.startswith("no_")), default=np.nan
        )
        yield (
            (
                f"| {level} {side} | {pedicle.width_mm:.1f} | {pedicle.transverse_angle_deg:.0f} | {verdict} "
                f"| {needle.margins_mm['canal']:.2f} | {'kept' if needle.rule.compliant else '**broken**'} "
                f"| {needle.gertzbein_robbins} | {gap:.3f} | {needle.robustness.p_canal:.3f} | {why or 'none'} |"
            ),
            not missed,
            needle,
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ct", type=Path)
    parser.add_argument("labels", type=Path)
    arguments = parser.parse_args()
    ct = read_ct(arguments.ct).volume
    labels = read_labels(arguments.labels, ct=ct).labels
    settings = PlanSettings()
    table, pedicles, skipped, accepted, seconds = [], [], [], [], []
    for level in labels.levels():
        try:
            vertebra = build_vertebra(ct, labels, level)
        except LevelIncompleteError as error:
            skipped.append(f"- {level}: {error}")
            continue
        start = time.perf_counter()
        plan = plan_level(vertebra, ct, labels, settings)
        seconds.append(time.perf_counter() - start)
        table += rows_of(level, vertebra, plan, seconds[-1])
        for row, taken, needle in pedicle_rows(level, vertebra, plan):
            pedicles.append(row)
            accepted += [needle] if taken else []
        print(
            level,
            f"{seconds[-1]:.2f} s",
            plan.approaches[0].strategy,
            plan.approaches[0].route,
            plan.recommended,
        )
    limits = ", ".join(f"{k.removesuffix('_mm')} {v:g}" for k, v in vars(Limits()).items())
    n, total = len(accepted), len(pedicles)
    text = f"""# Planning a whole chest CT

Made by `docs/results/make_planning.py` with kypho {__version__}, Python {platform.python_version()}, on
LIDC-IDRI-0001 (voxels {" x ".join(f"{s:.2f}" for s in ct.grid.spacing_mm)} mm, one patient, labels by TotalSegmentator).

**What this shows and what it does not.** Needles are graded on the same automatic labels they were planned
on, so a breach of zero is true by construction; it is a check of the planner, not its accuracy. With
{total} pedicles and no failure, the true rate could still be as high as {100 * (1 - 0.05 ** (1 / total)):.1f} % (one-sided 95 %).
Limits in mm (all unconfirmed, see the evidence ledger): {limits}.

## Each pedicle, transpedicular, paramedian target

{n} of {total} pedicles take a needle; refusals count. Of the accepted: AP/lateral rule kept by
{sum(p.rule.compliant for p in accepted)} of {n}, canal touched by {sum(p.margins_mm["canal"] < 0 for p in accepted)},
Gertzbein-Robbins A in {sum(p.gertzbein_robbins == "A" for p in accepted)}, largest certificate gap
{max((c.gap_mm for p in accepted for k, c in p.certificates.items() if not k.startswith("no_")), default=np.nan):.3f} mm.

| pedicle | isthmus width | transverse angle | device | canal margin | rule | GR | gap | P(canal) | why refused |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(pedicles)}

## Each level, the recommended approach

{HEAD}
|{"---|" * (HEAD.count("|") - 1)}
{chr(10).join(table)}

Seconds: both sides and all strategies of a level, vertebra model not included; median
{np.median(seconds):.2f} s, largest {max(seconds):.2f} s, on a shared two-core machine.

## Levels that were not planned

{chr(10).join(skipped) or "none"}
"""
    (HERE / "planning.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
