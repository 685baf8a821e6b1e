"""What holds for every page: tables that print and scroll, verdicts that say no more than is known."""

import re
from importlib.resources import files
from types import SimpleNamespace

import pytest

from kypho.planning import Limits
from kypho.report.plan import changed_limits
from kypho.report.rehearsal import standing

TEMPLATES = [
    page
    for page in files("kypho.report").joinpath("templates").iterdir()
    # The page of the follow-up has a style of its own.
    if page.name not in ("page.html", "follow.html")
]


@pytest.mark.parametrize("page", TEMPLATES, ids=lambda page: page.name)
def test_every_table_has_a_head_that_repeats_in_print_and_scrolls_in_its_box(page):
    text = page.read_text(encoding="utf-8")
    tables = re.findall(r"(.{20})<table[^>]*>\s*(<\w+>)", text, re.DOTALL)
    assert len(tables) == text.count("<table")
    for before, first in tables:
        assert before.endswith('<div class="scroll">')
        assert first == "<thead>"
    assert text.count("<thead>") == text.count("<tbody>") == text.count("</tbody></table></div>")


def test_changed_limits_stand_beside_their_defaults():
    assert changed_limits(Limits()) == []
    (canal,) = changed_limits(Limits(canal_mm=4.0))
    assert (canal["name"], canal["mm"], canal["usual_mm"]) == ("canal", 4.0, Limits().canal_mm)
    for name in vars(Limits()):
        (change,) = changed_limits(Limits(**{name: 9.0}))
        assert change["record"].value == change["usual_mm"], name


@pytest.mark.parametrize(
    ("leak_ml", "interval", "colour"),
    [
        (None, (0.0, 0.019), "good"),
        (None, (0.0, 0.39), "open"),
        (None, (0.1, 0.5), "bad"),
        (2.4, (0.0, 0.019), "bad"),
        (None, None, "open"),
    ],
)
def test_green_needs_an_interval_below_what_counts_as_safe(leak_ml, interval, colour):
    document = SimpleNamespace(
        first_leak_ml={"canal_epidural": leak_ml, "canal_intradural": None},
        p_leak=interval and {"canal": SimpleNamespace(interval=interval)},
        safe_probability=0.05,
    )
    assert standing(document) == colour
