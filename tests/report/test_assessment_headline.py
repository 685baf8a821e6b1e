"""The sentence at the top of an assessment."""

from types import SimpleNamespace

import pytest

from kypho.report.assessment import headline


@pytest.mark.parametrize(("grades", "said"), [((0, 2), True), ((1, 1), False), (None, False)])
def test_a_grade_that_may_be_another_says_so(grades, said):
    genant = SimpleNamespace(type="wedge", grade=1, grade_range=grades)
    sentence = headline(SimpleNamespace(genant=genant, findings=[]))
    assert sentence.startswith("wedge deformity, Genant grade 1")
    assert ("grade 0 to 2 within its uncertainty" in sentence) == said
