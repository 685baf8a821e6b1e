"""Tables in several packages that name the same things name all of them."""

from dataclasses import fields

from kypho.case.rehearsal.settings import Scenario
from kypho.cement import cement, cement_names
from kypho.cement.compartments import CODES, INSIDE, LEAK_REGIONS
from kypho.cement.cure import kinetics
from kypho.cement.thermal import CANAL, SOFT
from kypho.cli.options import PROCEDURE
from kypho.fracture.advice import IF_PRESENT, IF_UNKNOWN
from kypho.fracture.findings import FACTORS
from kypho.fracture.mri import MRI_FACTORS
from kypho.leakage import ROUTES as FOUND_ROUTES
from kypho.leakage.agreement import REHEARSED_ROUTES
from kypho.phantoms.postop_shapes import ROUTES as DRAWN_ROUTES
from kypho.planning import Limits
from kypho.planning.walls import OBSTACLES, WALLS
from kypho.report.rehearsal_film import COLOURS
from kypho.risk import RiskInputs

NOT_TOLD = {"undetermined", "indeterminate"}
"""Routes of the check that say only that it could not tell."""


def test_every_route_of_the_check_can_be_drawn_and_compared():
    told = set(FOUND_ROUTES) - NOT_TOLD
    assert set(REHEARSED_ROUTES) == told
    assert set(DRAWN_ROUTES) == told | {"intradural"}, "drawn as a place in the canal, not told as a route"


def test_every_region_of_the_rehearsal_is_inside_or_a_leak_or_solid():
    leaked = [region for regions in LEAK_REGIONS.values() for region in regions]
    assert len(leaked) == len(set(leaked)), "cement in a region leaks by one route"
    solid = {"cortex", "endplate", "posterior_elements", "cannula"}
    assert set(CODES) == set(INSIDE) | set(leaked) | solid
    assert len(set(CODES.values())) == len(CODES)
    assert set(SOFT) | set(CANAL) == set(leaked) - {"bone_other"}, "blood cools every space but other bone"
    assert set(COLOURS) == set(LEAK_REGIONS)


def test_every_factor_has_its_advice_and_no_advice_lacks_its_factor():
    assert set(FACTORS) <= set(IF_PRESENT)
    known = {*FACTORS, *MRI_FACTORS}
    assert set(IF_PRESENT) <= known
    assert set(IF_UNKNOWN) <= known


def test_every_wall_and_obstacle_has_its_limit():
    names = {field.name.removesuffix("_mm") for field in fields(Limits)}
    assert names - {"rule"} == {*WALLS, *OBSTACLES}


def test_every_cement_can_be_made_and_cures_by_a_known_set():
    for name in cement_names():
        assert kinetics(cement(name).kinetics).heat_j_kg > 0, name


def test_every_stage_takes_the_same_procedure_by_default():
    assert PROCEDURE == Scenario().procedure == RiskInputs().procedure
