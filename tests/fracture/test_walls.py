"""Openings of a wall and the foramen among them, on drawn walls whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kypho.evidence import value
from kypho.fracture.damage import wall_findings
from kypho.fracture.foramen import ForamenNorm, at_foramen, foramen_norm, unpaired_mm2
from kypho.fracture.walls import Wall, against_its_like, openings, third_of

PIXEL_MM = 0.5
SOUND = ForamenNorm(usual_mm2=0.0, largest_mm2=10.0, source="T6 and T8")


def disc(x, z, radius):
    return lambda u, v: (u - x) ** 2 + (v - z) ** 2 < radius**2


def a_wall(*holes, name="posterior", blur_mm=0.0, left=0.0):
    """An 18 x 20 mm wall of 300 HU with holes in which `left` of the density is left."""
    across, up = np.arange(-9, 9.1, PIXEL_MM), np.arange(-10, 10.1, PIXEL_MM)
    x, z = np.meshgrid(across, up)
    share = np.ones(x.shape)
    for hole in holes:
        share[hole(x, z)] = left
    if blur_mm:
        share = gaussian_filter(share, blur_mm / PIXEL_MM)
    return Wall(
        name=name,
        across_mm=across,
        up_mm=up,
        position_mm=np.full(x.shape, 12.0),
        density_hu=40 + 260 * share,
        thickness_mm=np.full(x.shape, 1.5),
        whole_hu=300.0,
        axis="y",
        sign=1,
        part="pedicle" if "pedicle" in name else "body",
    )


def walls(posterior):
    sides = {name: a_wall(name=name) for name in ("anterior", "left", "right")}
    return {"posterior": posterior, **sides, "left pedicle, medial": a_wall(name="left pedicle, medial")}


def posterior(wall, norm=SOUND, slice_mm=1.0, blocked=""):
    findings, defects = wall_findings(walls(wall), norm, slice_mm, blocked)
    return next(f for f in findings if f.factor == "posterior_wall_defect"), defects


def test_the_cortex_is_not_whole_where_its_posterior_wall_is_unknown():
    norm = ForamenNorm(usual_mm2=15.0, largest_mm2=60.0, source="T6 and T8")
    findings, _ = wall_findings(walls(a_wall(disc(0, 0, 3))), norm, 1.0, "")
    states = {f.factor: f.state for f in findings}
    assert states["posterior_wall_defect"] == states["cortical_defect"] == "not_assessable"


def test_a_whole_wall_has_no_opening():
    assert openings(a_wall()) == ()


@pytest.mark.parametrize("blur_mm", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("radius", [2.6, 3.5, 4.5])
def test_an_opening_has_its_area_and_place_however_blurred(radius, blur_mm):
    found = openings(a_wall(disc(1, -4, radius), name="anterior", blur_mm=blur_mm))
    assert len(found) == 1
    # The rim is placed to half a pixel; blur moves a curved edge in by its variance over the diameter.
    assert found[0].area_mm2 == pytest.approx(np.pi * radius**2, abs=2 * np.pi * radius * 0.35)
    assert (found[0].across_mm, found[0].up_mm) == pytest.approx((1, -4), abs=0.3)
    assert found[0].third == "lower"


@pytest.mark.parametrize("radius", [8.5, 9.5, 20.0])
def test_a_hole_that_takes_in_most_of_a_wall_is_found_by_walls_like_it(radius):
    """By its own median, which is the hole's, such a wall would be whole."""
    hole = disc(0, 0, radius)
    wall = a_wall(hole, left=0.06)
    wall = replace(wall, whole_hu=float(np.median(wall.density_hu)))
    assert openings(wall) == ()
    (found,) = openings(against_its_like(wall, [a_wall(), a_wall()], "the wall of T6 and T8"))
    gone = hole(*np.meshgrid(wall.across_mm, wall.up_mm)).sum() * wall.pixel_mm2
    # The smoothing moves a rim by less than half a pixel.
    assert found.area_mm2 == pytest.approx(gone, rel=0.1)


@pytest.mark.parametrize("share", [0.6, 1.0, 1.5])
def test_a_wall_that_is_there_is_judged_by_itself(share):
    wall = replace(a_wall(), whole_hu=40 + 260 * share)
    assert against_its_like(wall, [a_wall()], "others") is wall
    assert against_its_like(wall, [], "none") is wall


def test_two_openings_are_two():
    found = openings(a_wall(disc(-5, 0, 2.5), disc(5, 0, 2.5), name="left"))
    assert len(found) == 2


def test_thin_wall_is_no_opening_but_a_hole_in_it_is():
    thin = a_wall(disc(0, 0, 5), left=0.45)
    assert openings(thin) == ()
    share = np.where(disc(0, 0, 2.5)(*np.meshgrid(thin.across_mm, thin.up_mm)), 40.0, thin.density_hu)
    pierced = Wall(**{**vars(thin), "density_hu": share})
    # The wall around is below what counts as whole, so the hole grows by the whole blur allowed for.
    assert openings(pierced)[0].area_mm2 < np.pi * (2.5 + 1.1 + PIXEL_MM) ** 2


def test_the_foramen_is_told_by_its_place():
    middle, corner = a_wall(disc(0, 0, 3)), a_wall(disc(3, 7, 2.4))
    assert len(at_foramen(middle, openings(middle))) == 1
    assert at_foramen(corner, openings(corner)) == ()


def test_the_norm_is_the_neighbours_largest_and_published_without_them():
    small, large = a_wall(disc(0, 0, 2.1)), a_wall(disc(0.5, 0, 2.8))
    own = openings(large)[0].area_mm2
    norm = foramen_norm({"T6": small, "T8": large})
    assert norm.usual_mm2 == own
    assert norm.largest_mm2 > own
    assert norm.source == "T6 and T8"
    alone = foramen_norm({})
    mean = np.pi / 4 * value("fracture.bvf.width_mm") * value("fracture.bvf.height_mm")
    assert alone.usual_mm2 == pytest.approx(mean)
    # One neighbour says less than two: the bound can only be wider.
    assert foramen_norm({"T8": small}).largest_mm2 >= foramen_norm({"T6": small, "T8": small}).largest_mm2


def test_an_opening_without_its_mirror_image_is_unpaired_and_a_pair_is_not():
    single = a_wall(disc(4.5, 0, 2.5))
    pair = a_wall(disc(4.5, 0, 2.5), disc(-4.0, 0.5, 2.3))
    assert unpaired_mm2(single, openings(single)[0]) > 0.9 * openings(single)[0].area_mm2
    assert unpaired_mm2(pair, openings(pair)[0]) == 0.0


def test_a_hole_beside_the_foramens_place_is_present_with_its_area():
    finding, defects = posterior(a_wall(disc(3, 6.0, 3.0)))
    assert finding.state == "present"
    assert "upper" in finding.where
    assert "left" in finding.where
    assert abs(finding.value - np.pi * 9) <= finding.uncertainty
    assert len(defects) == 1


def test_a_foramen_like_the_neighbours_is_absent_and_one_far_larger_is_present():
    like = ForamenNorm(usual_mm2=25.0, largest_mm2=35.0, source="T10 and T12")
    shallow = a_wall(disc(0, 0, 2.6), left=0.2)
    assert posterior(shallow, like)[0].state == "absent"
    assert posterior(a_wall(disc(0, 0, 4.6)), like)[0].state == "present"


def test_between_a_foramen_and_a_defect_it_is_not_assessable():
    like = ForamenNorm(usual_mm2=15.0, largest_mm2=25.0, source="T10 and T12")
    finding, defects = posterior(a_wall(disc(0, 0, 3.2)), like)
    assert finding.state == "not_assessable"
    assert defects == ()


def test_a_hole_a_little_below_the_limit_is_not_called_absent():
    # 10 mm2 are reported as 10 +- some, and the limit of 15 lies within.
    assert posterior(a_wall(disc(2, 6.5, 1.9)))[0].state == "not_assessable"


def test_what_blocks_the_view_blocks_every_wall():
    findings, defects = wall_findings(walls(a_wall(disc(3, 6, 3))), SOUND, 1.0, "cement inside")
    assert {f.state for f in findings[:3]} == {"not_assessable"}
    assert defects == ()


def test_thirds():
    assert [third_of(z, -9, 9) for z in (-8, 0, 8)] == ["lower", "middle", "upper"]


def test_an_empty_foramen_is_as_large_as_a_defect_within_its_uncertainty():
    """Through thick slices a hole reads smaller than it is: an empty one is not called a foramen for that."""
    wall = a_wall(disc(0, 0, 2.1))
    area, limit = openings(wall)[0].area_mm2, value("fracture.wall.threshold_area_mm2")
    assert 0.75 * limit < area < limit
    norm = ForamenNorm(usual_mm2=limit, largest_mm2=60.0, source="T6 and T8")
    assert posterior(wall, norm)[0].state == "not_assessable"
    # Some bone left in it, and no wider than the neighbours': a foramen.
    assert posterior(a_wall(disc(0, 0, 2.1), left=0.3), norm)[0].state == "absent"
