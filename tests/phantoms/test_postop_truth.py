"""Synthetic operations keep the book they write: volumes, routes, sides, encroachment."""

from __future__ import annotations

import numpy as np
import pytest

from kypho.errors import SettingsError
from kypho.phantoms.postop import HU_TOP, Leak, PostopRecipe, _lattice, make_postop
from kypho.phantoms.postop_lattice import Site
from kypho.phantoms.postop_shapes import ROUTES, make_shape
from kypho.phantoms.xray_ct import Scanner
from kypho.space import Frame, Grid, Volume, sample_at

SCANNER = Scanner(views=120)


class Endplate:
    def __init__(self, height):
        self.height_mm = height

    def z_mm(self, xy):
        return self.height_mm + 0 * np.asarray(xy)[..., 0]


class Pedicle:
    def __init__(self, sign):
        self.isthmus_mm = np.array([sign * 11.0, 18.0, 3.0])
        self.axis = np.array([-0.2 * sign, -1.0, 0.0]) / np.hypot(0.2, 1.0)
        self.width_mm, self.height_mm = 7.0, 12.0


class Block:
    """A vertebra of boxes: body, ring with two pedicles, canal. Distances are exact for each box."""

    def __init__(self):
        self.frame = Frame(origin_mm=np.zeros(3), rotation=np.eye(3))
        grid = Grid.axis_aligned((61, 121, 101), 0.8, (-40, -28, -24))
        z, y, x = (grid.origin_mm[n] + 0.8 * np.arange(s) for n, s in zip((2, 1, 0), grid.shape, strict=True))
        z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]

        def box(cx, cy, cz, hx, hy, hz):
            return np.minimum(np.minimum(hx - np.abs(x - cx), hy - np.abs(y - cy)), hz - np.abs(z - cz))

        canal = box(0, 20, 0, 8, 8, 15)
        ring = np.minimum(box(0, 22, 3, 14, 13, 6), -canal)
        bone = np.maximum(box(0, 0, 0, 15, 12, 10), ring)
        self.bone_mm = Volume(array=bone.astype(np.float32), grid=grid, unit="mm")
        self.canal_mm = Volume(array=np.minimum(canal, -bone).astype(np.float32), grid=grid, unit="mm")
        self.wall = type("Wall", (), {"y_mm": staticmethod(lambda z: 12.0 + 0 * np.asarray(z, float))})()
        self.inferior, self.superior = Endplate(-10.0), Endplate(10.0)
        self.pedicles = {"left": Pedicle(1), "right": Pedicle(-1)}
        self.body_box_mm = (np.array([-15.0, -12.0, -10.0]), np.array([15.0, 12.0, 10.0]))


@pytest.fixture(scope="module")
def scanned():
    anatomy = Block()
    grid = Grid.axis_aligned((50, 170, 170), (1.0, 0.7, 0.7), (-60, -55, -25))
    points = grid.to_world(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1))
    hu = np.where(np.hypot(points[..., 0], points[..., 1]) < 52, 40.0, -1000.0).astype(np.float32)
    ct = Volume(array=hu, grid=grid, unit="HU")
    return anatomy, ct, Volume(array=np.zeros(grid.shape, np.uint8), grid=grid, unit="label")


def draw(scanned, *leaks, **more):
    anatomy, ct, other = scanned
    return make_postop(
        ct, other, anatomy, PostopRecipe(seed=3, leaks=leaks, fill_ml=1.0, scanner=SCANNER, **more)
    )


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_drawn_at_its_volume_outside_the_bone(scanned, route):
    """The lattice's voxel is 0.014 mm3: 60 mm3 are met to 2 %.

    Basivertebral cement is drawn as two lobes; where they do not meet, only the larger one is kept.
    """
    anatomy, ct, other = scanned
    site = Site(anatomy=anatomy, other_bone=other, lattice=_lattice(ct.grid))
    shape = make_shape(site, route, "left", 60.0, np.random.default_rng(5))[0]
    drawn = shape.mask.sum() * site.lattice.voxel_mm3
    assert drawn == pytest.approx(60.0, rel=0.02) or (route == "basivertebral" and 30 < drawn < 60)
    where = site.lattice.to_world(np.argwhere(shape.mask) + shape.start)
    assert sample_at(anatomy.bone_mm, where, outside=-20).max() < 0.05
    in_canal = sample_at(anatomy.canal_mm, where, outside=-20) > 0
    assert (
        in_canal.mean() > 0.99
        if route in ("basivertebral", "cortical_canal", "intradural")
        else not in_canal.any()
    )


def test_cement_share_holds_the_truths_volume(scanned):
    """The share per voxel is the lattice counted: both sums are the same cement to rounding."""
    phantom = draw(scanned, Leak(route="paraspinal", side="right", volume_ml=0.1))
    total = phantom.cement.array.sum() * phantom.cement.grid.voxel_mm3 / 1000
    assert total == pytest.approx(phantom.truth["cement_ml"], rel=1e-4)
    assert phantom.truth["parts"][0]["side"] == "right"
    assert phantom.truth["parts"][0]["canal_ml"] == 0


def test_encroachment_is_area_over_area(scanned):
    """Per slice: cement's share of the canal's 16 mm square, from the share map itself, within a point."""
    phantom = draw(scanned, Leak(route="intradural", side="left", volume_ml=0.2))
    truth = phantom.truth["canal"]
    assert truth["state"] == "intradural"
    assert truth["side"] == "left"
    k = truth["at_slice"]
    grid = phantom.cement.grid
    points = grid.to_world(
        np.stack(np.meshgrid([k], *[np.arange(n) for n in grid.shape[1:]], indexing="ij"), -1)
    )
    inside = (np.abs(points[0, ..., 0]) < 8) & (np.abs(points[0, ..., 1] - 20) < 8)
    area = phantom.cement.array[k][inside].sum() * 0.49
    assert truth["max_percent"] == pytest.approx(100 * area / 256, abs=1.0)


def test_same_seed_same_ct_and_nothing_beyond_twelve_bits(scanned):
    first, second = (draw(scanned, Leak(route="disc", volume_ml=0.1)) for _ in range(2))
    assert np.array_equal(first.ct.array, second.ct.array)
    assert first.ct.array.max() == HU_TOP
    assert first.truth["synthetic"] is True


def test_nothing_drawn_nothing_changed(scanned):
    anatomy, ct, other = scanned
    phantom = make_postop(ct, other, anatomy, PostopRecipe(seed=1, fill_ml=0.0))
    assert np.array_equal(phantom.ct.array, ct.array.astype(np.int16))
    assert phantom.truth["cement_ml"] == 0


def test_unknown_names_are_refused(scanned):
    with pytest.raises(SettingsError, match="unknown route"):
        draw(scanned, Leak(route="nowhere"))
    with pytest.raises(SettingsError, match="unknown confuser"):
        draw(scanned, confusers=("tooth",))
