"""Seconds and memory of the post-operative check.

    pytest benchmarks/bench_check.py --benchmark-enable
    python benchmarks/bench_check.py CT LABELS LEVEL      # one warm run on a whole CT, with its peak memory

The second form resamples the CT to 300 slices of 512 x 512 and puts cement into the level.
"""

from __future__ import annotations

import resource
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kypho.anatomy import Labels, build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.leakage import check_leakage
from kypho.leakage.synthetic import synthetic_site
from kypho.phantoms.postop import Leak, PostopRecipe, thin_slices
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
    """One warm run on a CT of `slices` slices: model and check, peak memory of the process."""
    ct = read_ct(ct_path).volume
    labels = read_labels(labels_path, ct=ct).labels
    step = (ct.grid.shape[0] - 1) * ct.grid.spacing_mm[0] / (slices - 1)
    site = synthetic_site(ct, labels, level, step)
    phantom = site.draw(RECIPE)
    full, numbers = thin_slices(ct, step), thin_slices(labels.volume, step)
    array = np.clip(np.rint(full.array), -1024, 3071).astype(np.int16)
    first = round(float(full.grid.to_index(phantom.ct.grid.origin_mm)[0]))
    array[first : first + phantom.ct.grid.shape[0]] = phantom.ct.array
    image = Volume(array=array, grid=full.grid, unit="HU")
    own = Labels(volume=numbers, scheme=labels.scheme, ids=labels.ids)
    del full
    for run in ("cold", "warm"):
        start = time.perf_counter()
        vertebra = build_vertebra(image, own, level)
        built = time.perf_counter()
        found = check_leakage(image, own, vertebra)
        done = time.perf_counter()
        print(
            f"{run}: {image.grid.shape}, model {built - start:.2f} s, check {done - built:.2f} s, "
            f"canal leak {found.canal.found}"
        )
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB, "
        "drawing the case included"
    )


if __name__ == "__main__":
    whole(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
