"""Seconds and memory of the post-operative check.

    pytest benchmarks/bench_check.py --benchmark-enable
    python benchmarks/bench_check.py CT LABELS LEVEL      # a whole CT, with the peak memory of the check

The second form resamples the CT to 300 slices of 512 x 512 and puts cement into the level.
"""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels, write_nifti
from kypho.leakage import check_leakage
from kypho.phantoms.postop import Leak, PostopRecipe, thin_slices
from kypho.phantoms.postop_site import synthetic_site
from kypho.space import Volume

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
RECIPE = PostopRecipe(seed=4, leaks=(Leak(route="basivertebral", volume_ml=0.2),))


@pytest.fixture(scope="module")
def operated():
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    labels = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels
    site = synthetic_site(ct, labels, "T7", 1.25)
    return site, site.draw(RECIPE)


def test_draw(benchmark, operated):
    site, _ = operated
    benchmark.pedantic(site.draw, (RECIPE,), rounds=3)


def test_check(benchmark, operated):
    site, phantom = operated
    benchmark.pedantic(check_leakage, (phantom.ct, site.labels, site.vertebra), rounds=3, warmup_rounds=1)


def test_threshold(benchmark, operated):
    """What a fixed cut costs on the same voxels: the ratio is the price of bounds."""
    _, phantom = operated
    benchmark(lambda: np.count_nonzero(phantom.ct.array > 1000))


def whole(ct_path: Path, labels_path: Path, level: str, slices: int = 300) -> None:
    """Write a case of `slices` slices, then read and check it in a process of its own."""
    ct = read_ct(ct_path).volume
    labels = read_labels(labels_path, ct=ct).labels
    step = (ct.grid.shape[0] - 1) * ct.grid.spacing_mm[0] / (slices - 1)
    site = synthetic_site(ct, labels, level, step)
    phantom = site.draw(RECIPE)
    full, numbers = thin_slices(ct, step), thin_slices(labels.volume, step)
    array = np.clip(np.rint(full.array), -1024, 3071).astype(np.int16)
    first = round(float(full.grid.to_index(phantom.ct.grid.origin_mm)[0]))
    array[first : first + phantom.ct.grid.shape[0]] = phantom.ct.array
    with TemporaryDirectory() as folder:
        paths = Path(folder) / "ct.nii.gz", Path(folder) / "labels.nii.gz"
        write_nifti(paths[0], Volume(array=array, grid=full.grid, unit="HU"))
        write_nifti(paths[1], numbers)
        subprocess.run([sys.executable, __file__, "--read", *map(str, paths), level], check=True)


def timed(ct_path: Path, labels_path: Path, level: str) -> None:
    """Read a case and check it, once cold and once warm, in a process that did nothing else."""
    image = read_ct(ct_path).volume
    own = read_labels(labels_path, ct=image).labels
    print(f"read: {image.grid.shape}, {peak_gb():.2f} GB")
    for run in ("cold", "warm"):
        start = time.perf_counter()
        vertebra = build_vertebra(image, own, level)
        built = time.perf_counter()
        found = check_leakage(image, own, vertebra)
        done = time.perf_counter()
        print(
            f"{run}: model {built - start:.2f} s, check {done - built:.2f} s, "
            f"canal leak {found.canal.found}, peak of the process {peak_gb():.2f} GB"
        )


def peak_gb() -> float:
    """Peak of this process alone (Linux); ru_maxrss would carry over that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        timed(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        whole(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
