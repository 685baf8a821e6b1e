"""What the structured report says of a canal that could not be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kypho.case.leakage.dicom import _inside


def words(group):
    return {concept[0]: said[2] for concept, said in group.statements}


def numbers(group):
    return {number.code[0] for number in group.numbers}


@pytest.fixture(scope="module")
def leaked(operated):
    return operated("basivertebral")[1]


def test_a_canal_that_cannot_be_read_is_not_free(leaked):
    """Unknown is never shown as normal: no state "none", no encroachment of 0 %."""
    hidden = replace(leaked.canal, found=False, readable=False)
    group = _inside(replace(leaked, canal=hidden))
    assert words(group)["CANAL_STATE"] == "not readable"
    assert "ENCROACHMENT" not in numbers(group)


def test_a_leak_is_told_however_hard_the_rest_is_to_read(leaked):
    seen = replace(leaked.canal, found=True, readable=False)
    group = _inside(replace(leaked, canal=seen))
    assert words(group)["CANAL_STATE"] == leaked.canal.dura.state
    assert "ENCROACHMENT" in numbers(group)
