"""An in-silico trial: balloon or none, thin or thick cement, little or much, on virtual fractures.

    python examples/05_in_silico_trial.py [--cases 100] [--jobs 2] [--state trial.jsonl] [--page-only]

Every case is a seeded virtual fracture of a level of the bundled CT (SYNTHETIC) with its own random bone and
a planned needle that the hand misses by a random amount; the wall defects and clefts that the assessment
finds are open to the cement. Eight arms share each case: PVP or PKP, low or high viscosity, 1.8-3 mL or
3.5-6 mL. Finished cases are appended to the state file, so that an interrupted trial resumes where it
stopped. Ratios stand beside the literature's, untuned, for two detection rules: any cement a thin CT
would show, and only what fluoroscopy would. As the arms of a case share its bone and needle, intervals come
from a bootstrap over cases.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kypho import __version__
from kypho.anatomy import Side, Vertebra, build_vertebra
from kypho.case.rehearsal.members import inputs_hash
from kypho.case.rehearsal.run import prepared
from kypho.case.rehearsal.settings import NeedleLineMm, Scenario
from kypho.cement import Settings, cement, inject
from kypho.cement.compartments import LEAK_REGIONS
from kypho.errors import KyphoError
from kypho.evidence import value
from kypho.formats import CtInput, LabelsInput, read_ct, read_labels
from kypho.fracture import assess_level
from kypho.fracture.regions import DamageRegions, damage_regions
from kypho.phantoms.fractures import make_fracture, random_spec

HERE = Path(__file__).parent
LEVELS = ("T6", "T7", "T8")
SIZES_ML = {"small": (1.8, 3.0), "large": (3.5, 6.0)}
DETECTION_ML = {"CT": 0.02, "fluoroscopy": 0.2}
GRID_MM = 1.2
RESAMPLES = 4000
COMPARISONS = {
    "high over low viscosity": ("high", "low", "RR", (0.29, 0.51), "0.38 (0.29-0.51)"),
    "PKP over PVP": ("pkp", "pvp", "RR", (0.47, 0.80), "0.62 (0.47-0.80)"),
    "volume, per mL": ("large", "small", "OR", (1.119, 1.973), "1.486 (1.119-1.973)"),
}
"""Name to first and second arms, what is compared, and the literature's interval and text."""

Row = dict[str, Any]


@cache
def spine() -> tuple[CtInput, LabelsInput]:
    """The bundled CT and its labels."""
    sample = files("kypho.formats").joinpath("sample")
    ct = read_ct(Path(str(sample.joinpath("t5-t9_ct.nii.gz"))))
    return ct, read_labels(Path(str(sample.joinpath("t5-t9_labels.nii.gz"))), ct=ct.volume)


@cache
def intact(level: str) -> Vertebra:
    """A level before its virtual fracture."""
    ct, labels = spine()
    return build_vertebra(ct.volume, labels.labels, level)


def one_case(number: int) -> Row:
    """All arms of one virtual patient: leaked volume by route at the arm's volume; or why it is left out."""
    random = np.random.default_rng([2024, number])
    ct, labels = spine()
    level = LEVELS[number % len(LEVELS)]
    row: Row = {"case": number, "level": level, "key": trial_key()}
    try:
        made = make_fracture(ct.volume, labels.labels, intact(level), random_spec(number))
        vertebra = build_vertebra(made.ct, made.labels, level)
        found = assess_level(made.ct, made.labels, vertebra)
        line = needle(vertebra, random)
        volumes = {size: float(random.uniform(*bounds)) for size, bounds in SIZES_ML.items()}
        factors = {
            name: 10 ** random.normal(0, sd)
            for name, sd in (("k", 0.3), ("veins", 0.4), ("cortex", 0.5), ("thick", 0.15))
        }
        arms = _arms(vertebra, line, damage_regions(vertebra, found), volumes, factors)
    except KyphoError as error:
        return row | {"left_out": str(error)}
    present = [f.factor for f in found.findings if f.state == "present"]
    return row | {"present": present, "arms": arms}


def _arms(
    vertebra: Vertebra,
    line: NeedleLineMm,
    damage: DamageRegions,
    volumes: dict[str, float],
    factors: dict[str, float],
) -> Row:
    """The eight arms. Without a balloon the small volume is the beginning of the large one."""
    arms: Row = {}
    for procedure, viscosity in product(("pvp", "pkp"), ("low", "high")):
        runs = (("small", "large"),) if procedure == "pvp" else (("small",), ("large",))
        for sizes in runs:
            plan = Scenario(
                procedure=procedure,  # type: ignore[arg-type]  # one of the two
                cement=viscosity,
                volume_ml=volumes[sizes[-1]],
                rate_ml_min=3.0,
                start_min=4.0,
            )
            field, _, needles = prepared(vertebra, (line,), plan, GRID_MM, damage)
            k = field.permeability_m2.copy()
            for name, regions in {
                "k": ("cancellous", "posterior_elements"),
                "cortex": ("cortex", "endplate"),
                "veins": ("basivertebral", "venous", "breach", "track", "channel"),
            }.items():
                k[:, field.mask(*regions)] *= np.float32(factors[name])
            # A collapsed thoracic body may hold less than the arm's volume: nobody fills it to the brim.
            most = 0.9 * field.void_ml
            plan = replace(plan, volume_ml=min(plan.volume_ml, most))
            result = inject(
                replace(field, permeability_m2=k),
                needles,
                cement(viscosity).scaled(factors["thick"]),
                plan.schedule(1),
                Settings(heat=False, frames=0),
            )
            for size in sizes:
                given = min(volumes[size], most)
                leaked = {
                    r: float(np.interp(given, result.injected_ml, result.leaked_ml[r])) for r in LEAK_REGIONS
                }
                arms[f"{procedure}/{viscosity}/{size}"] = {"volume_ml": given, "leaked_ml": leaked}
    return arms


def needle(vertebra: Vertebra, random: np.random.Generator) -> NeedleLineMm:
    """Through the left or right pedicle to the front third, missed by the hand's usual amount."""
    side: Side = "left" if random.random() < 0.5 else "right"
    isthmus = vertebra.pedicles[side].isthmus_mm
    low, high = vertebra.body_box_mm
    aim = np.array([0.0, low[1] + 0.35 * (high[1] - low[1]), 0.5 * (low[2] + high[2])])
    tip = vertebra.frame.to_world(aim + random.normal(0, 1.5, 3))
    way = (tip - isthmus) / np.linalg.norm(tip - isthmus)
    bore = value("cement.cannula.bore_mm")["11"]
    return NeedleLineMm(entry_mm=isthmus - 14 * way, tip_mm=tip, outer_mm=bore + 0.6, bore_mm=bore)


@cache
def trial_key() -> str:
    """What decides a case besides its number; rows of another key are not mixed in."""
    return inputs_hash({"trial": 3, "grid_mm": GRID_MM, "sizes": SIZES_ML})[:16]


def hits(
    rows: list[Row], arm: str, threshold_ml: float, routes: Iterable[str] = LEAK_REGIONS
) -> NDArray[np.int64]:
    """Per case: arms of the group that leak by one of the routes, and arms of the group; shape (cases, 2)."""
    counts = []
    for row in rows:
        leaked = [a["leaked_ml"] for key, a in row["arms"].items() if arm in key.split("/")]
        counts.append((sum(any(ml[r] >= threshold_ml for r in routes) for ml in leaked), len(leaked)))
    return np.array(counts)


def ratio(
    first: NDArray[np.int64], second: NDArray[np.int64], *, odds: bool = False, per: float = 1.0
) -> tuple[float, float, float]:
    """Risk or odds ratio of two groups of arms with its 95 % interval, resampling whole cases.

    Args:
        first, second: leaks and arms per case, shape (cases, 2).
        odds: the odds ratio instead of the risk ratio.
        per: the ratio is taken to this power's root, for an effect per mL.
    """
    draws = np.random.default_rng(0).integers(0, len(first), (RESAMPLES, len(first)))

    def of(sums: NDArray, others: NDArray) -> NDArray:
        # Half an arm added to every cell, where a resample has an empty one, keeps the ratio finite.
        empty = (sums[..., 0] * others[..., 0] == 0) | (
            odds & ((sums[..., 1] == sums[..., 0]) | (others[..., 1] == others[..., 0]))
        )
        a, n = sums[..., 0] + 0.5 * empty, sums[..., 1] + 1.0 * empty
        b, m = others[..., 0] + 0.5 * empty, others[..., 1] + 1.0 * empty
        return np.asarray((a / (n - a)) / (b / (m - b)) if odds else (a / n) / (b / m)) ** (1 / per)

    middle = float(of(first.sum(axis=0), second.sum(axis=0)))
    low, high = np.quantile(of(first[draws].sum(axis=1), second[draws].sum(axis=1)), [0.025, 0.975])
    return middle, float(low), float(high)


def _span_ml(rows: list[Row]) -> float:
    """Mean difference of the volumes of the large and the small arms."""
    means = {
        size: np.mean([a["volume_ml"] for r in rows for key, a in r["arms"].items() if size in key])
        for size in SIZES_ML
    }
    return float(means["large"] - means["small"])


def page(rows: list[Row], asked: int = 100) -> str:
    """The page in docs/results."""
    ran = [row for row in rows if "arms" in row]
    lost = [row for row in rows if "left_out" in row]
    span = _span_ml(ran)
    lines = [
        "# In-silico trial",
        "",
        f"Made by `examples/05_in_silico_trial.py`, kypho {__version__}: {len(ran)} SYNTHETIC fractures, eight arms",
        f"each, {GRID_MM} mm cells. An arm never injects more than 90 % of the body's void.",
        "Untuned: the model saw none of the literature's numbers. Research and education; not a medical device.",
        "",
        "| comparison | detection | leaks in the first arm | in the second | ratio (95 %) | literature | agreement |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (first, second, kind, band, text) in COMPARISONS.items():
        for rule, threshold in DETECTION_ML.items():
            pair = [hits(ran, arm, threshold) for arm in (first, second)]
            middle, low, high = ratio(*pair, odds=kind == "OR", per=span if kind == "OR" else 1.0)
            agree = "overlaps" if low <= band[1] and high >= band[0] else "no"
            (a, n), (b, m) = (counts.sum(axis=0) for counts in pair)
            lines.append(
                f"| {name} | {rule} (from {threshold:g} mL) | {a}/{n} | {b}/{m} "
                f"| {kind} {middle:.2f} ({low:.2f}-{high:.2f}) | {kind} {text} | {agree} |"
            )
    lines += ["", *_routes(ran), ""]
    lines += [f"Left out: {len(lost)} cases.", *(f"- case {r['case']}: {r['left_out']}" for r in lost), ""]
    if len(rows) < asked:
        lines += [f"Only {len(rows)} of {asked} cases have run: run it again with the same state file.", ""]
    lines += [
        "Intervals: 95 %, bootstrap over cases, since the arms of a case share its bone and needle. The odds per",
        f"mL are the root of the odds ratio between arms that lie {span:.2f} mL apart on average.",
        "",
    ]
    return "\n".join(lines)


def _routes(rows: list[Row]) -> list[str]:
    """Risk ratios by route on CT; where the second arms never leak there is none to tell."""
    lines = ["| route, CT | PVP leaks | high over low viscosity | PKP over PVP |", "|---|---|---|---|"]
    threshold = DETECTION_ML["CT"]
    for route in LEAK_REGIONS:
        cells = []
        for name in ("high over low viscosity", "PKP over PVP"):
            first, second = (hits(rows, arm, threshold, (route,)) for arm in COMPARISONS[name][:2])
            known = first[:, 0].sum() + second[:, 0].sum() >= 5
            cells.append("{:.2f} ({:.2f}-{:.2f})".format(*ratio(first, second)) if known else "too few")
        plain = hits(rows, "pvp", threshold, (route,)).sum(axis=0)
        lines.append(f"| {route.replace('_', ' ')} | {plain[0]}/{plain[1]} | {' | '.join(cells)} |")
    return lines


def read_state(path: Path) -> list[Row]:
    """Finished cases of this trial; a torn last line and rows of another trial are passed over."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row.get("key") == trial_key():
            rows.append(row)
    return rows


def run(numbers: list[int], state: Path, jobs: int) -> None:
    """Run cases and append each to the state file as it ends."""
    columns = (
        TextColumn("cases"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns) as bar,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool,
        state.open("a", encoding="utf-8") as file,
    ):
        task = bar.add_task("cases", total=len(numbers))
        waiting = [pool.submit(one_case, number) for number in numbers]
        try:
            for done in as_completed(waiting):
                # A line of its own, also behind one that a kill has torn.
                file.write("\n" + json.dumps(done.result()) + "\n")
                file.flush()
                bar.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    import numba

    numba.set_num_threads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--state", type=Path, default=Path("kypho-trial.jsonl"))
    parser.add_argument(
        "--page-only", action="store_true", help="write the page from the state file as it is"
    )
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "results")
    asked = parser.parse_args()
    done = {row["case"] for row in read_state(asked.state)}
    left = [number for number in range(asked.cases) if number not in done]
    if left and not asked.page_only:
        run(left, asked.state, asked.jobs)
    rows = sorted(read_state(asked.state), key=lambda row: row["case"])
    asked.out.mkdir(parents=True, exist_ok=True)
    text = page(rows, asked.cases)
    (asked.out / "cement-trial.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
