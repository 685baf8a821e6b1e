"""Turn the cases of make_check.py into docs/results/check.md and its figure."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from kypho import __version__
from kypho.leakage import ROUTES as PROGRAM_ROUTES

METHODS = ("kypho", "threshold")
NAMES = {"kypho": "kypho", "threshold": "1000 HU"}
ROUTES = tuple(name for name in PROGRAM_ROUTES if name not in ("undetermined", "indeterminate"))
NEAR_MM = 12.0
FOUND_ML = 0.05


def load(work: Path) -> list[dict]:
    """Every case that was run, by number."""
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted(work.glob("case_*.json"))]


def match(truth: dict, found: dict) -> list[tuple[dict, dict | None]]:
    """Pair every true part with the nearest found part; a found part is used once."""
    free = list(found["parts"])
    pairs: list[tuple[dict, dict | None]] = []
    for part in sorted(truth["parts"], key=lambda p: -p["ml"]):
        centre = np.array(part["centre_lps_mm"])
        gaps = [float(np.linalg.norm(np.array(f["centre"]) - centre)) for f in free]
        best = int(np.argmin(gaps)) if gaps else -1
        pairs.append((part, free.pop(best) if gaps and gaps[best] < NEAR_MM else None))
    return pairs


def canal_detection(cases: list[dict], method: str) -> dict[str, float]:
    """Sensitivity at 0.05 mL or more, specificity where the canal is free."""
    true = [c[method]["canal"]["found"] for c in cases if c["truth"]["canal"]["ml"] >= FOUND_ML]
    free = [not c[method]["canal"]["found"] for c in cases if c["truth"]["canal"]["ml"] == 0]
    return {"sensitivity": mean(true), "leaks": len(true), "specificity": mean(free), "free": len(free)}


def mean(values: list) -> float:
    """Mean, not a number for nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def volumes(cases: list[dict], method: str, least_ml: float = 0.1) -> dict[str, float]:
    """Errors of the volume of parts of at least `least_ml`."""
    errors, inside, widths = [], [], []
    for case in cases:
        for part, found in match(case["truth"], case[method]):
            if part["ml"] < least_ml:
                continue
            value, low, high = found["ml"] if found else (0.0, 0.0, 0.0)
            errors.append(value / part["ml"] - 1)
            inside.append(low <= part["ml"] <= high)
            widths.append((high - low) / part["ml"])
    e = np.array(errors)
    return {
        "n": len(e),
        "median": float(np.median(np.abs(e))),
        "bias": float(np.mean(e)),
        "within": mean(np.abs(e) <= 0.10),
        "within20": mean(np.abs(e) <= 0.20),
        "cover": mean(inside),
        "width": float(np.median(widths)) if widths else float("nan"),
    }


def routes(cases: list[dict], method: str, key: str = "route") -> tuple[float, dict[str, float]]:
    """Macro-F1 over the routes, and F1 of each; a missed part counts as "none"."""
    pairs = []
    for case in cases:
        for part, found in match(case["truth"], case[method]):
            pairs.append((part["route"], found[key] if found else "none"))
    scores = {}
    for name in ROUTES:
        hit = sum(t == p == name for t, p in pairs)
        said = sum(p == name for _, p in pairs)
        true = sum(t == name for t, _ in pairs)
        scores[name] = 2 * hit / (said + true) if said + true else float("nan")
    return float(np.nanmean(list(scores.values()))), scores


def encroachment(cases: list[dict], method: str) -> dict[str, float]:
    """Errors of the largest encroachment in points, over the true canal leaks that were found."""
    errors, cover = [], []
    for case in cases:
        true, found = case["truth"]["canal"], case[method]["canal"]
        if true["ml"] < FOUND_ML or not found["found"]:
            continue
        errors.append(found["percent"][0] - true["max_percent"])
        cover.append(found["percent"][1] <= true["max_percent"] <= found["percent"][2])
    e = np.array(errors)
    return {
        "n": len(e),
        "within": mean(np.abs(e) <= 3),
        "median": float(np.median(np.abs(e))),
        "worst": float(np.abs(e).max()),
        "cover": mean(cover),
    }


def sides(cases: list[dict], method: str) -> tuple[int, int]:
    """Right and all sides of canal leaks whose true side is left or right."""
    right = total = 0
    for case in cases:
        true, found = case["truth"]["canal"], case[method]["canal"]
        if true["ml"] < FOUND_ML or true["side"] not in ("left", "right"):
            continue
        total += 1
        right += found["side"] == true["side"]
    return right, total


def states(cases: list[dict]) -> dict[str, dict[str, int]]:
    """True state of the canal cement against the one found."""
    table: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for case in cases:
        if case["truth"]["canal"]["ml"] >= FOUND_ML:
            table[case["truth"]["canal"]["state"]][case["kypho"]["canal"]["state"]] += 1
    return {k: dict(v) for k, v in table.items()}


def detection_curve(cases: list[dict], method: str) -> list[tuple[str, float, int]]:
    """Share of canal leaks found by their true volume."""
    edges = [0.005, 0.015, 0.03, 0.05, 0.1, 0.2, 0.6]
    rows = []
    for low, high in pairwise(edges):
        hits = [c[method]["canal"]["found"] for c in cases if low <= c["truth"]["canal"]["ml"] < high]
        rows.append((f"{low:g} to {high:g}", mean(hits), len(hits)))
    return rows


def summary_row(label: str, cases: list[dict], method: str) -> str:
    """One line of the main table."""
    d, v, e = canal_detection(cases, method), volumes(cases, method), encroachment(cases, method)
    f1, _ = routes(cases, method)
    right, total = sides(cases, method)
    return (
        f"| {label} | {NAMES[method]} | {len(cases)} | {d['sensitivity']:.3f} ({d['leaks']}) | "
        f"{d['specificity']:.3f} ({d['free']}) | {v['median'] * 100:.1f} | {v['bias'] * 100:+.1f} | "
        f"{v['within'] * 100:.0f} | {v['cover'] * 100:.0f} | {v['width'] * 100:.0f} | {f1:.3f} | {e['within'] * 100:.0f} | "
        f"{e['worst']:.1f} | {right}/{total} |"
    )


HEADER = (
    "| group | method | CTs | canal leak >= 0.05 mL: sensitivity (n) | specificity (n) | part volume: median error, % "
    "| bias, % | within 10 %, % | inside interval, % | its width, % | route macro-F1 | encroachment within 3 points, % "
    "| worst, points | side right |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def groups(cases: list[dict]) -> list[tuple[str, list[dict]]]:
    """The groups of the main table."""
    rows = [("all", cases)]
    for thickness in sorted({c["slice_mm"] for c in cases}):
        rows.append((f"{thickness:g} mm slices", [c for c in cases if c["slice_mm"] == thickness]))
    limits = (0, 250, 400, 1e9)
    for low, high, name in zip(
        limits[:-1], limits[1:], ("few streaks", "some streaks", "strong streaks"), strict=True
    ):
        rows.append((name, [c for c in cases if low <= c["streak_hu"] < high]))
    for name in ("screw", "contrast", "calcification"):
        rows.append((f"with {name}", [c for c in cases if name in c["truth"]["confusers"]]))
    rows.append(("no confuser", [c for c in cases if not c["truth"]["confusers"]]))
    return [(name, part) for name, part in rows if part]


def write_page(work: Path, out: Path, source: str, *, stale: bool = False) -> None:
    """Write check.md and check.png from the cases in `work`; `stale` if the code has changed since they ran."""
    cases = load(work)
    seeds = [c["truth"]["recipe"]["seed"] for c in cases]
    kernels = [c["truth"]["recipe"]["scanner"]["fwhm_mm"] for c in cases]
    lines = [
        "# Post-operative check on synthetic CTs",
        "",
        f"Written by `docs/results/make_check.py`, kypho {__version__}. Base image: `{source}` (LIDC-IDRI-0001, "
        f"CC BY 3.0; labels: TotalSegmentator). Seeds {min(seeds)} to {max(seeds)}, code version {work.name}"
        + ("; **the code has changed since these cases ran, run them again**" if stale else "")
        + ". **All cement, metal and confusers are synthetic**; so is every "
        "truth below. Nothing here says how the check does on CTs of real operations.",
        "",
        f"{len(cases)} CTs at {len({c['level'] for c in cases})} levels "
        f"({', '.join(sorted({c['level'] for c in cases}, key=level_key))}; the other labelled levels are cut by the "
        "border of the scan). The same labels define the canal of the truth and of the check: their error is "
        "not part of these figures. A slice at either end of a level, which holds part of its canal, counts with "
        "the area of the canal's middle. The baseline takes every voxel above 1000 HU near the vertebra, counts "
        "voxels, and goes through the same route rules. Patient and cement are seen through one kernel, "
        f"{min(kernels):.2f} to {max(kernels):.2f} mm wide. The settings that move volumes and their intervals "
        "(density of the cement and how it leans, clipped end slices, background, how well a density and a kernel can "
        "be known, how sharp the sharpest edges seem, leak.canal_found_ml) were chosen on "
        "other synthetic CTs of the same base image and generator. These cases have seeds of their own; they were run "
        "twice before, and since the first time only what keeps a canal from being called free, the urgency of "
        "actions, the dura of cement beyond the level and the vertebra's sagittal plane have been changed.",
        "",
        HEADER,
    ]
    for name, part in groups(cases):
        lines += [summary_row(name, part, method) for method in METHODS]
    lines += [
        "",
        "Streaks: spread of HU (5th to 95th percentile) in the canal away from cement, worst slice: "
        "below 250, 250 to 400, above 400 HU.",
        "",
    ]
    lines += route_lines(cases) + curve_lines(cases) + state_lines(cases) + plain_lines(work)
    seconds = [c["seconds"]["check"] for c in cases]
    lines += [
        "",
        f"Time of the check alone, vertebra model given, on a shared two-core machine: median {np.median(seconds):.1f} s.",
        "",
        "![volumes, encroachment and detection](check.png)",
    ]
    (out / "check.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(cases, out / "check.png")


def level_key(name: str) -> tuple[int, int]:
    """Head to tail."""
    return "CTL".index(name[0]), int(name[1:])


def route_lines(cases: list[dict]) -> list[str]:
    """F1 of every route."""
    columns = [("kypho", "route"), ("kypho", "likely"), ("threshold", "route")]
    scored = [routes(cases, method, key) for method, key in columns]
    lines = [
        "## Routes",
        "",
        'F1 per route. "likely" ignores the margin below which a route is called undetermined.',
        "",
        "| route | kypho | kypho, likely | 1000 HU |",
        "|---|---|---|---|",
    ]
    for name in ROUTES:
        lines.append(f"| {name} | " + " | ".join(f"{s[1][name]:.2f}" for s in scored) + " |")
    lines.append("| **macro** | " + " | ".join(f"**{s[0]:.3f}**" for s in scored) + " |")
    return [*lines, ""]


def curve_lines(cases: list[dict]) -> list[str]:
    """Detection by volume."""
    lines = [
        "## Detection limit",
        "",
        "| cement in the canal, mL | kypho | 1000 HU | CTs |",
        "|---|---|---|---|",
    ]
    pairs = zip(detection_curve(cases, "kypho"), detection_curve(cases, "threshold"), strict=True)
    for (name, a, n), (_, b, _) in pairs:
        if n:
            lines.append(f"| {name} | {a:.2f} | {b:.2f} | {n} |")
    return [*lines, ""]


def state_lines(cases: list[dict]) -> list[str]:
    """Epidural or intradural."""
    table = states(cases)
    found = sorted({k for row in table.values() for k in row})
    lines = [
        "## Dura",
        "",
        "Canal leaks of 0.05 mL or more, true state in rows.",
        "",
        "| | " + " | ".join(found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    for true, row in sorted(table.items()):
        lines.append(f"| {true} | " + " | ".join(str(row.get(k, 0)) for k in found) + " |")
    return [*lines, ""]


def plain_lines(work: Path) -> list[str]:
    """Levels without cement, and with metal only."""
    lines = [
        "## Without cement, and with a screw only",
        "",
        "| level | cement, mL | parts | canal | with a screw: metal, mL | cement, mL | canal |",
        "|---|---|---|---|---|---|---|",
    ]
    names = sorted((p.stem.removeprefix("plain_") for p in work.glob("plain_*.json")), key=level_key)
    for name in names:
        plain = json.loads((work / f"plain_{name}.json").read_text(encoding="utf-8"))
        path = work / f"screw_{name}.json"
        screw = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        second = (
            f"{screw['metal_ml']:.2f} | {screw['cement_ml']:.2f} | {'leak' if screw['canal'] else 'none'}"
            if screw
            else "not run | not run | not run"
        )
        lines.append(
            f"| {name} | {plain['cement_ml']:.2f} | {plain['parts']} | {'leak' if plain['canal'] else 'none'} | {second} |"
        )
    return lines


def draw(cases: list[dict], path: Path) -> None:
    """Volumes, encroachment and detection side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    for method, colour, marker in (("threshold", "#c98a3b", "x"), ("kypho", "#1f6fb2", "o")):
        pairs = [(p["ml"], f["ml"][0]) for c in cases for p, f in match(c["truth"], c[method]) if f]
        first.scatter(*np.array(pairs).T, s=14, c=colour, marker=marker, label=NAMES[method], alpha=0.8)
        both = [
            (c["truth"]["canal"]["max_percent"], c[method]["canal"]["percent"][0])
            for c in cases
            if c["truth"]["canal"]["ml"] > 0
        ]
        second.scatter(*np.array(both).T, s=14, c=colour, marker=marker, label=NAMES[method], alpha=0.8)
        rows = [r for r in detection_curve(cases, method) if r[2]]
        third.plot(
            [r[0] for r in rows], [r[1] for r in rows], color=colour, marker=marker, label=NAMES[method]
        )
    first.plot([0.005, 0.5], [0.005, 0.5], color="0.5", lw=1)
    first.set(xscale="log", yscale="log", xlabel="true part volume, mL", ylabel="measured, mL")
    top = max(c["truth"]["canal"]["max_percent"] for c in cases) * 1.1
    second.plot([0, top], [0, top], color="0.5", lw=1)
    second.set(xlabel="true largest encroachment, %", ylabel="measured, %")
    third.set(xlabel="cement in the canal, mL", ylabel="share found", ylim=(-0.05, 1.05))
    third.tick_params(axis="x", rotation=30)
    for axis in (first, second, third):
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)
    figure.suptitle("Synthetic post-operative CTs", fontsize=11)
    figure.savefig(path, dpi=110)
