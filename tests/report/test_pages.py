"""What holds for every page: tables that print and scroll, verdicts that say no more than is known."""

import re
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest

from kypho.fracture.walls import WALLS, Wall
from kypho.planning import Limits
from kypho.report.assessment_figures import cortex_figure
from kypho.report.html import chance
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
    ("leak_ml", "interval", "wall", "colour"),
    [
        (None, (0.0, 0.019), "absent", "good"),
        (None, (0.0, 0.019), "not_assessable", "open"),
        (None, (0.0, 0.39), "absent", "open"),
        (None, (0.1, 0.5), "absent", "bad"),
        (2.4, (0.0, 0.019), "absent", "bad"),
        (None, None, "absent", "open"),
    ],
)
def test_green_needs_an_interval_below_what_counts_as_safe_and_walls_that_were_seen(
    leak_ml, interval, wall, colour
):
    document = SimpleNamespace(
        first_leak_ml={"canal_epidural": leak_ml, "canal_intradural": None},
        p_leak=interval and {"canal": SimpleNamespace(interval=interval)},
        safe_probability=0.05,
        flow_paths=SimpleNamespace(findings={"cortical_defect": wall}),
    )
    assert standing(document) == colour


def a_wall(name, density_hu):
    axis, sign = WALLS[name]
    position = np.full((8, 6), 10.0)
    return Wall(
        name=name,
        across_mm=np.arange(6.0),
        up_mm=np.arange(8.0),
        position_mm=position,
        density_hu=np.full((8, 6), density_hu),
        thickness_mm=position,
        whole_hu=300.0,
        axis=axis,
        sign=sign,
    )


@pytest.mark.parametrize("unseen", [(), ("left",), tuple(WALLS)])
def test_walls_that_were_not_seen_are_left_blank(unseen):
    """A picture of what is not known is a blank one, not an error."""
    walls = {name: a_wall(name, np.nan if name in unseen else 300.0) for name in WALLS}
    figure = cortex_figure(SimpleNamespace(walls=walls))
    figure.draw_without_rendering()
    facets = sum(
        len(c.get_paths()) for axes in figure.axes for c in axes.collections if "3D" in type(c).__name__
    )
    assert (facets > 0) == (len(unseen) < len(WALLS))


def test_a_chance_that_no_draw_met_is_not_never():
    assert chance(0.0) == chance(0.0004) == "under 0.1"
    assert chance(0.131) == "13.1"
