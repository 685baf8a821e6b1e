"""Fixtures of the follow-up tests."""

import pytest
from follow_case import SURGERY, Case, legs


@pytest.fixture
def bare():
    case = Case()
    case.add("enrolment", "2024-01-20", birth_year=1950, zone="UTC", sex="female")
    return case


@pytest.fixture
def case(bare):
    bare.exam("2024-01-31T09:00", motor=legs(5), bladder={"voiding": "normal", "pvr_ml": 20})
    bare.add("procedure", SURGERY, level="T7", volume_ml=3.0)
    return bare
