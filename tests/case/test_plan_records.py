"""A plan names the numbers that it rests on, and no others."""

from kypho.case.plan.run import _unchanged
from kypho.evidence import value
from kypho.planning import Limits, PlanSettings


def test_a_limit_that_was_changed_no_longer_rests_on_its_record():
    usual = _unchanged(PlanSettings())
    canal_mm = value("plan.limit.canal_mm") + 0.5
    changed = _unchanged(PlanSettings(limits=Limits(canal_mm=canal_mm), entry_sigma_mm=0.0))
    assert usual - changed == {"plan.limit.canal_mm", "plan.error.entry_sigma_mm"}


def test_a_record_behind_two_limits_stands_while_one_of_them_does():
    """Both endplates have one limit in the ledger."""
    one = Limits(endplate_superior_mm=3.0)
    both = Limits(endplate_superior_mm=3.0, endplate_inferior_mm=3.0)
    assert "plan.limit.endplate_mm" in _unchanged(PlanSettings(limits=one))
    assert "plan.limit.endplate_mm" not in _unchanged(PlanSettings(limits=both))
