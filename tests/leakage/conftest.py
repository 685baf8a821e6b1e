"""One level of the bundled CT and a few synthetic operations on it, drawn once for all tests."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from kypho.anatomy import Labels
from kypho.formats import read_ct, read_labels
from kypho.leakage import Leakage, check_leakage
from kypho.phantoms.postop import Leak, PostopPhantom, PostopRecipe
from kypho.phantoms.postop_site import SyntheticSite, synthetic_site
from kypho.phantoms.xray_ct import Scanner
from kypho.space import Volume

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))


@pytest.fixture(scope="session")
def chest() -> tuple[Volume, Labels]:
    """The bundled CT and its labels."""
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    return ct, read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels


@pytest.fixture(scope="session")
def site(chest) -> SyntheticSite:
    return synthetic_site(*chest, "T7", None)


@pytest.fixture(scope="session")
def operated(site):
    """Route, side, confusers -> phantom and findings."""

    @cache
    def draw(route: str | None, side: str = "left", *confusers: str) -> tuple[PostopPhantom, Leakage]:
        leaks = () if route is None else (Leak(route=route, side=side, volume_ml=0.25),)
        recipe = PostopRecipe(
            seed=11,
            leaks=leaks,
            fill_side=side,
            confusers=confusers,
            scanner=Scanner(fwhm_mm=1.4, views=240),
            native_fwhm_mm=1.25,
        )
        phantom = site.draw(recipe)
        return phantom, check_leakage(phantom.ct, site.labels, site.vertebra)

    return draw
