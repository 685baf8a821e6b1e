from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from kypho.anatomy import build_vertebra
from kypho.formats import read_ct, read_labels
from kypho.fracture import assess_level
from kypho.phantoms.fractures import Cleft, Collapse, FractureSpec, WallDefect, make_fracture

SAMPLE = files("kypho.formats") / "sample"


@pytest.fixture(scope="session")
def a_chest():
    """The bundled CT and labels, T5 to T9."""
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz")
    return ct, read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct.volume)


@pytest.fixture(scope="session")
def a_t7(a_chest):
    """Model of the intact T7."""
    ct, found = a_chest
    return build_vertebra(ct.volume, found.labels, "T7")


@pytest.fixture(scope="session")
def intact(a_chest, a_t7):
    """Assessment of the intact T7."""
    ct, found = a_chest
    return assess_level(ct.volume, found.labels, a_t7)


@pytest.fixture(scope="session")
def fracture(a_chest, a_t7):
    """Makes the fractured case, its model and its assessment of a spec."""
    ct, found = a_chest

    def make(spec, **settings):
        case = make_fracture(ct.volume, found.labels, a_t7, spec, grid=_box(ct.volume.grid, a_t7), **settings)
        vertebra = build_vertebra(case.ct, case.labels, "T7")
        return case, vertebra, assess_level(case.ct, case.labels, vertebra)

    return make


@pytest.fixture(scope="session")
def broken(fracture):
    """A wedge with a gas cleft and a hole in the posterior wall, upper third, left."""
    spec = FractureSpec(
        collapse=Collapse(kind="wedge", loss=0.4),
        cleft=Cleft(content="gas", volume_ml=1.2),
        walls=(WallDefect(wall="posterior", area_mm2=50, across=0.25, up=0.55),),
    )
    return fracture(spec)


@pytest.fixture(scope="session")
def pierced(fracture):
    """An upright body on 1.5 mm slices with a hole in front and a small gas cleft."""
    spec = FractureSpec(
        cleft=Cleft(content="gas", volume_ml=0.6), walls=(WallDefect(wall="anterior", area_mm2=60, up=-0.2),)
    )
    return fracture(spec, slice_mm=1.5)


def _box(grid, vertebra):
    corners = np.array(np.meshgrid([-46.0, 46.0], [-34.0, 72.0], [-54.0, 54.0])).reshape(3, -1).T
    index = grid.to_index(vertebra.frame.to_world(corners))
    start = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    stop = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, grid.shape)
    return grid.crop(start, stop)


@pytest.fixture
def with_hu():
    """A vertebra whose density is replaced where a mask says so."""

    def change(vertebra, mask, hu):
        array = np.where(mask, np.float32(hu), vertebra.hu.array)
        return replace(vertebra, hu=vertebra.hu.like(array))

    return change
