"""Speed and memory of the cement: pressure solve, injection, ensemble, growth with cells, other solvers.

    python -m pytest benchmarks/bench_cement.py --benchmark-enable --benchmark-only

Ratios are taken in one run on one system at one residual. PyAMG is not a dependency of kypho: without it
(`pip install pyamg`) its rows are skipped.
"""

import subprocess
import sys
import time
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from kypho.anatomy import build_vertebra
from kypho.cement import Needle, Schedule, Settings, cement, inject, multigrid
from kypho.cement.ensemble import run_ensemble
from kypho.cement.pressure import assemble
from kypho.cement.room import medium_of
from kypho.cement.vertebra import vertebra_field
from kypho.formats import read_ct, read_labels

RESIDUAL = 1e-6


@cache
def vertebra():
    sample = files("kypho.formats").joinpath("sample")
    ct = read_ct(Path(str(sample.joinpath("t5-t9_ct.nii.gz"))))
    labels = read_labels(Path(str(sample.joinpath("t5-t9_labels.nii.gz"))), ct=ct.volume)
    return build_vertebra(ct.volume, labels.labels, "T7")


@cache
def scene(grid_mm):
    field = vertebra_field(vertebra(), grid_mm=grid_mm)
    tip = vertebra().frame.to_world([1.0, -4.0, 0.0])
    return field, (Needle(tip_mm=tip),)


@cache
def system(grid_mm):
    """The pressure system of T7 with 2 mL of cement in it."""
    field, needles = scene(grid_mm)
    plan = Schedule.simple(volume_ml=2.0, rate_ml_min=3.0, start_min=4.0)
    result = inject(field, needles, cement("low"), plan, Settings(heat=False, frames=0))
    saturation = np.asarray(result.cement.array, dtype=float) / np.maximum(field.porosity, 1e-6)
    flow = assemble(medium_of(field), saturation * 20.0 + (1 - saturation) * 0.08, 1 - saturation, 0.08)
    rhs = np.zeros(field.grid.shape)
    rhs[needles[0].cell(field)] = 5e-8
    return flow.faces, flow.sink, rhs


@cache
def matrix(grid_mm):
    faces, sink, rhs = system(grid_mm)
    index = np.arange(sink.size).reshape(sink.shape)
    rows, cols, data = [index.ravel()], [index.ravel()], [sink.ravel().astype(float)]
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        a, b = index[tuple(low)].ravel(), index[tuple(high)].ravel()
        t = faces[(axis, *low)].ravel().astype(float)
        rows += [a, b, a, b]
        cols += [a, b, b, a]
        data += [t, t, -t, -t]
    full = coo_matrix((np.concatenate(data), (np.concatenate(rows), np.concatenate(cols)))).tocsr()
    wet = np.asarray(full.diagonal() > 0)
    scale = full.diagonal()[wet].max()
    return full[wet][:, wet] / scale, rhs.ravel()[wet] / scale


def ours(grid_mm):
    faces, sink, rhs = system(grid_mm)
    return multigrid.solve(
        multigrid.allocate(rhs.shape), faces, sink, rhs, tolerance=RESIDUAL, max_iterations=500
    )


def timed(act):
    act()
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def test_pressure_solve(benchmark):
    solved = benchmark(ours, 0.75)
    benchmark.extra_info["cells"] = int(solved.x.size)
    benchmark.extra_info["iterations"] = solved.iterations
    assert solved.residual <= RESIDUAL


def test_against_sparse_direct(benchmark):
    """Assembled sparse direct (SuperLU) over ours; the target is 20."""
    a, b = matrix(1.0)
    direct = benchmark.pedantic(lambda: splu(a.tocsc()).solve(b), rounds=1, iterations=1)
    assert np.linalg.norm(a @ direct - b) <= RESIDUAL * np.linalg.norm(b)
    benchmark.extra_info["direct_over_ours"] = benchmark.stats["mean"] / timed(lambda: ours(1.0))


def test_against_algebraic_multigrid(benchmark):
    """PyAMG (the faster of Ruge-Stueben and smoothed aggregation, with CG) over ours; the target is 5."""
    pyamg = pytest.importorskip("pyamg")
    a, b = matrix(0.75)

    def solve(build):
        levels = build(a)
        x = levels.solve(b, tol=RESIDUAL, accel="cg", maxiter=500)
        assert np.linalg.norm(a @ x - b) <= 2 * RESIDUAL * np.linalg.norm(b)

    seconds = [
        timed(lambda build=build: solve(build))
        for build in (pyamg.ruge_stuben_solver, pyamg.smoothed_aggregation_solver)
    ]
    benchmark.extra_info["amg_over_ours"] = min(seconds) / timed(lambda: ours(0.75))
    benchmark(ours, 0.75)


def test_three_ml_into_t7_with_heat(benchmark):
    """The target is 2 s on two free cores."""
    field, needles = scene(0.75)
    plan = Schedule.simple(volume_ml=3.0, rate_ml_min=3.0, start_min=4.0)
    result = benchmark(lambda: inject(field, needles, cement("medium"), plan))
    assert result.mass_balance_error < 1e-6
    benchmark.extra_info["cells"] = int(field.region.size)
    benchmark.extra_info["pressure_solves"] = len(result.injected_ml)
    benchmark.extra_info["seconds_at_0.75_mm"] = round(benchmark.stats["median"], 3)
    benchmark.extra_info["of_these"] = {name: round(s, 3) for name, s in result.timings_s.items()}


def test_memory_at_half_a_millimetre(benchmark):
    """Peak of a process of its own that reads the CT and injects 3 mL with heat; the target is 2 GB.

    Linux's own high-water mark: what getrusage gives also holds the process that started this one.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    program = (
        "import re, sys; sys.path.insert(0, sys.argv[1]); import bench_cement as b\n"
        "status = lambda: open('/proc/self/status').read()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status()).group(1)) / 2**20\n"
        "b.vertebra(); model = peak(); field, needles = b.scene(0.5)\n"
        "plan = b.Schedule.simple(volume_ml=3.0, rate_ml_min=3.0, start_min=4.0)\n"
        "b.inject(field, needles, b.cement('medium'), plan)\n"
        "print(model, peak(), field.region.size)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, text=True, check=True), rounds=1
    )
    model, peak, cells = map(float, done.stdout.split())
    benchmark.extra_info |= {"cells": int(cells), "peak_gib": round(peak, 2), "before_gib": round(model, 2)}


def test_ensemble(benchmark):
    """Forty members at 1 mm; the target for 200 is 4 min."""
    field, needles = scene(1.0)
    plan = Schedule.simple(volume_ml=3.0, rate_ml_min=3.0, start_min=4.0)
    act = lambda: run_ensemble(field, needles, cement("medium"), plan, members=40)  # noqa: E731
    benchmark.pedantic(act, rounds=1, iterations=1, warmup_rounds=1)
    benchmark.extra_info["seconds_for_200"] = 5 * benchmark.stats["mean"]


GROWTH_MM = (1.1, 0.62, 0.35)
"""Grids of about 57 000, 300 000 and 1.6 million cells."""


def growth(benchmark, seconds, cells, **more):
    """Exponent of time in cells, and what a cell costs on each grid; linear is an exponent of 1."""
    benchmark.extra_info |= {
        "cells": cells,
        "seconds": [round(s, 3) for s in seconds],
        "microseconds_per_cell": [round(1e6 * s / n, 2) for s, n in zip(seconds, cells, strict=True)],
        "exponent": round(float(np.polyfit(np.log(cells), np.log(seconds), 1)[0]), 2),
        **more,
    }
    benchmark.pedantic(lambda: None, rounds=1)


def test_growth_of_a_pressure_solve(benchmark):
    """One solve from nothing to one residual; the number of iterations is what multigrid must hold."""
    seconds, cells, iterations = [], [], []
    for grid_mm in GROWTH_MM:
        cells.append(int(system(grid_mm)[1].size))
        seconds.append(timed(lambda mm=grid_mm: ours(mm)))
        iterations.append(ours(grid_mm).iterations)
        system.cache_clear()
    growth(benchmark, seconds, cells, iterations=iterations)


def test_growth_of_an_injection(benchmark):
    """3 mL in the same number of steps, without heat: that runs on a grid of its own, whatever the cells."""
    plan = Schedule.simple(volume_ml=3.0, rate_ml_min=3.0, start_min=4.0)
    seconds, cells, steps = [], [], []
    system(GROWTH_MM[0])  # loads the compiled kernels
    for grid_mm in GROWTH_MM:
        field, needles = scene(grid_mm)
        start = time.perf_counter()
        result = inject(field, needles, cement("medium"), plan, Settings(heat=False, frames=0))
        seconds.append(time.perf_counter() - start)
        cells.append(int(field.region.size))
        steps.append(len(result.injected_ml))
        scene.cache_clear()
    assert len(set(steps)) == 1
    growth(benchmark, seconds, cells, steps=steps[0])
