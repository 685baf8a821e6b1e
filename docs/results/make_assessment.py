"""Validate the assessment: intact levels, virtual fractures at three slice thicknesses, alone and with an earlier CT.

    python docs/results/make_assessment.py CT LABELS [--fractures N] [--first-seed N] [--workers N] [--cache FILE] [--out FILE]

Seeds no limit was tuned on are had by `--first-seed`.
Every result is appended to the cache as it comes, so an interrupted run goes on where it stopped. The
fractures are synthetic: made from the CT given, with exact truth.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from assessment_pairs import pair, quiet

from kypho.anatomy import build_vertebra
from kypho.errors import KyphoError
from kypho.formats import read_ct, read_labels
from kypho.fracture import Assessment, assess_level
from kypho.fracture.earlier import measure_earlier
from kypho.phantoms.fractures import make_fracture, random_spec

SLICES_MM = (1.0, 1.5, 2.5)
BOX_MM = np.array([[-46.0, -34.0, -54.0], [46.0, 70.0, 54.0]])
SITES = ("anterior", "middle", "posterior")


@cache
def scan(ct_path: str, labels_path: str):
    ct = read_ct(Path(ct_path)).volume
    return ct, read_labels(Path(labels_path), ct=ct).labels


@cache
def quiet_scan(ct_path: str, labels_path: str):
    return quiet(scan(ct_path, labels_path)[0])


@cache
def intact(ct_path: str, labels_path: str, level: str):
    return build_vertebra(*scan(ct_path, labels_path), level)


def summary(result: Assessment) -> dict[str, Any]:
    return {
        "findings": {f.factor: [f.state, f.value, f.where, f.uncertainty] for f in result.findings},
        "loss": result.loss.percent,
        "loss_doubt": {
            s: result.loss.uncertainty_at(p) for s, p in result.loss.percent.items() if p is not None
        },
        "heights": {s: getattr(result.heights, f"{s}_mm") for s in SITES},
        "expected": {s: getattr(result.loss.expected, f"{s}_mm") for s in SITES}
        if result.loss.expected
        else None,
        "genant": [result.genant.type, result.genant.grade, result.genant.grade_range],
        "hu": result.bone.mean_hu if result.bone else None,
        "hu_sd": result.bone.sd_hu if result.bone else None,
        "kyphosis": result.kyphosis_deg,
        "ml": result.body_ml,
    }


Job = tuple[str, str, str, int | None, bool]
"""CT, labels, level, seed of a fracture (None: as it is), and whether there is an earlier CT."""


def one(job: Job) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    ct_path, labels_path, level, seed, paired = job
    ct, labels = scan(ct_path, labels_path)
    row: dict[str, Any] = {"level": level, "seed": seed, "paired": paired}
    before = None
    try:
        vertebra = intact(ct_path, labels_path, level)
        if seed is not None:
            # The division makes every level meet every thickness, however many levels there are.
            thickness = SLICES_MM[(seed + seed // 42) % len(SLICES_MM)]
            grid = about(ct, vertebra)
            if paired:
                source = quiet_scan(ct_path, labels_path)
                case, earlier = pair(source, labels, vertebra, seed, thickness, grid, SLICES_MM)
                row["earlier_mm"] = earlier.ct.grid.spacing_mm[0]
                before = measure_earlier(earlier.ct, earlier.labels, level)
            else:
                case = make_fracture(ct, labels, vertebra, random_spec(seed), slice_mm=thickness, grid=grid)
            ct, labels = case.ct, case.labels
            row |= {"slice_mm": thickness, "truth": case.truth}
            vertebra = build_vertebra(ct, labels, level)
        begin = time.perf_counter()
        row |= summary(assess_level(ct, labels, vertebra, earlier=before))
        row["seconds"] = time.perf_counter() - begin
    except KyphoError as error:
        row["refused"] = f"{type(error).__name__}: {error}"
    return row


def about(ct, vertebra):
    """The part of the CT's grid about a vertebra."""
    corners = np.array(np.meshgrid(*BOX_MM.T)).reshape(3, -1).T
    index = ct.grid.to_index(vertebra.frame.to_world(corners))
    start = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    return ct.grid.crop(start, np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, ct.grid.shape))


def run(ct: str, labels: str, seeds: range, workers: int, cache_file: Path) -> list[dict[str, Any]]:
    done = [json.loads(line) for line in cache_file.read_text().splitlines()] if cache_file.exists() else []
    have = {(row["level"], row["seed"], row["paired"]) for row in done}
    levels = scan(ct, labels)[1].levels()
    jobs = [(ct, labels, level, None, False) for level in levels]
    # Several workers with a linear algebra library that spins in as many threads each starve one another.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with pool, cache_file.open("a") as out:

        def work(wanted):
            for row in pool.map(one, [j for j in wanted if j[2:] not in have]):
                out.write(json.dumps(row) + "\n")
                out.flush()
                done.append(row)

        work(jobs)
        whole = [r["level"] for r in done if r["seed"] is None and "refused" not in r]
        for paired in (False, True):
            work([(ct, labels, whole[seed % len(whole)], seed, paired) for seed in seeds])
    return [row for row in done if row["seed"] is None or row["seed"] in seeds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("labels")
    parser.add_argument("--fractures", type=int, default=216)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("assessment-runs.jsonl"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("assessment.md"))
    a = parser.parse_args()
    seeds = range(a.first_seed, a.first_seed + a.fractures)
    rows = run(a.ct, a.labels, seeds, a.workers, a.cache)
    from assessment_tables import page

    a.out.write_text(page(rows, version("kypho"), seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
