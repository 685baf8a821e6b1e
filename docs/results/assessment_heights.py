"""Lines of the assessment's table about heights and grades, with the error split into its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SITES = ("anterior", "middle", "posterior")
Row = dict[str, Any]
Line = tuple[str, Callable[[list[Row]], str]]


def height_lines(before: dict[str, Row]) -> list[Line]:
    """Lines of the table; `before` holds the rows of the intact levels."""
    return [
        (
            "height loss, 95 % error in points, against the level's own intact shape",
            lambda g: within([e["own"] for e in _errors(g, before)], 3),
        ),
        ("the same, against the loss set", lambda g: within([e["set"] for e in _errors(g, before)], 3)),
        (
            "part of it: measuring the body",
            lambda g: within([e["measured"] for e in _errors(g, before)], 3),
        ),
        ("part of it: the expectation", lambda g: within([e["expected"] for e in _errors(g, before)], 3)),
        (
            "loss set, inside the stated interval",
            lambda g: _share([abs(e["set"]) <= e["doubt"] for e in _errors(g, before)]),
        ),
        (
            "Genant grade, kappa, own intact shape",
            lambda g: _kappa(_grades(g, before, "own"), weighted=False),
        ),
        ("the same, quadratic weights", lambda g: _kappa(_grades(g, before, "own"), weighted=True)),
        ("the same, against the loss set", lambda g: _kappa(_grades(g, before, "set"), weighted=True)),
        (
            "grade of the loss set, inside the stated range",
            lambda g: _share([low <= true <= high for true, _, low, high in _grades(g, before, "set")]),
        ),
        (
            "grade named as sure, and of those right",
            lambda g: _share([t == m for t, m, low, high in _grades(g, before, "set") if low == high]),
        ),
    ]


def earlier_lines() -> list[Line]:
    """Lines of the table of fractures with an earlier CT, against which the loss is set."""
    return [
        ("height loss, 95 % error in points", lambda g: within([e for e, _ in _set_errors(g)], 3)),
        ("the same, inside the stated interval", lambda g: _share([abs(e) <= d for e, d in _set_errors(g)])),
        ("Genant grade, kappa", lambda g: _kappa(_grades(g, {}, "set"), weighted=False)),
        ("the same, quadratic weights", lambda g: _kappa(_grades(g, {}, "set"), weighted=True)),
        (
            "grade inside the stated range",
            lambda g: _share([low <= true <= high for true, _, low, high in _grades(g, {}, "set")]),
        ),
    ]


def _set_errors(rows: list[Row]) -> Iterator[tuple[float, float]]:
    """Error of every loss against the one set, in points, and the half width stated."""
    for r in rows:
        for site in SITES:
            if r["loss"][site] is not None:
                yield r["loss"][site] - r["truth"]["height_loss_percent"][site], r["loss_doubt"][site]


def within(errors: list[float], limit: float) -> str:
    """95 % error and the share within a limit."""
    if not errors:
        return "none"
    off = np.abs(errors)
    inside = 100 * np.mean(off <= limit)
    return f"{np.quantile(off, 0.95):.1f} (within {limit:g}: {inside:.0f} %, n {len(off)})"


def _share(hits: list[bool]) -> str:
    return f"{100 * sum(hits) / len(hits):.0f} % ({sum(hits)}/{len(hits)})" if hits else "none"


def _errors(rows: list[Row], before: dict[str, Row]) -> Iterator[dict[str, float]]:
    """Errors of every loss, in points: as a whole and in parts."""
    for r in rows:
        intact = before[r["level"]]
        for site in SITES:
            if r["loss"][site] is None or intact["loss"][site] is None:
                continue
            true = r["truth"]["height_loss_percent"][site]
            left, height = 1 - true / 100, intact["heights"][site]
            yield {
                "set": r["loss"][site] - true,
                "own": r["loss"][site] - 100 * (1 - left * (1 - intact["loss"][site] / 100)),
                "measured": 100 * (left - r["heights"][site] / height),
                "expected": 100 * left * (1 - height / r["expected"][site]),
                "doubt": r["loss_doubt"][site],
            }


def _grades(rows: list[Row], before: dict[str, Row], against: str) -> list[tuple[int, int, int, int]]:
    """True and measured grade, and the range stated."""
    out = []
    for r in rows:
        if r["genant"][1] is None:
            continue
        own = before[r["level"]]["loss"] if against == "own" else dict.fromkeys(SITES)
        true = [
            100 * (1 - (1 - r["truth"]["height_loss_percent"][s] / 100) * (1 - (own[s] or 0.0) / 100))
            for s in SITES
        ]
        out.append((sum(max(true) >= limit for limit in (20, 25, 40)), r["genant"][1], *r["genant"][2]))
    return out


def _kappa(grades: list[tuple[int, int, int, int]], *, weighted: bool) -> str:
    """Cohen's kappa, with quadratic weights if asked."""
    table = np.zeros((4, 4))
    for true, measured, *_ in grades:
        table[true, measured] += 1
    table /= max(table.sum(), 1)
    i, j = np.indices((4, 4))
    cost = ((i - j) ** 2 / 9.0) if weighted else (i != j).astype(float)
    expected = float((cost * np.outer(table.sum(axis=1), table.sum(axis=0))).sum())
    return f"{1 - float((cost * table).sum()) / expected:.2f}" if expected else "none"
