"""3D Slicer markups: needles as lines that Slicer opens where they were planned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kypho.errors import GeometryError

__all__ = ["MARKUPS_SCHEMA", "NeedleLine", "slicer_markups"]

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.0.json#"
)
COLOURS = ((0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65))
"""Okabe and Ito's colours, told apart by colour-blind readers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NeedleLine:
    """One needle as a line.

    Attributes:
        name: shown in Slicer, "T7 left, 11G".
        entry_lps_mm: first point, shape (3,).
        tip_lps_mm: second point, shape (3,).
        description: one sentence.
    """

    name: str
    entry_lps_mm: ArrayLike
    tip_lps_mm: ArrayLike
    description: str


def slicer_markups(lines: Iterable[NeedleLine]) -> dict[str, Any]:
    """The content of a ``.mrk.json`` file (schema 1.0.0): one Line per needle, entry first, tip second.

    Numbers are LPS mm and say so; Slicer shows them in RAS, x and y negated.

    Raises:
        GeometryError: a point is not finite.
    """
    return {"@schema": MARKUPS_SCHEMA, "markups": [_line(line, n) for n, line in enumerate(lines)]}


def _line(line: NeedleLine, n: int) -> dict[str, Any]:
    return {
        "type": "Line",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "labelFormat": "%N-%d",
        "name": line.name,
        "description": f"Entry first, tip second. {line.description}".strip(),
        "controlPoints": [
            _point("1", "entry", line.entry_lps_mm),
            _point("2", "tip", line.tip_lps_mm),
        ],
        "display": {
            "visibility": True,
            "color": list(COLOURS[n % len(COLOURS)]),
            "selectedColor": list(COLOURS[n % len(COLOURS)]),
            "pointLabelsVisibility": True,
        },
    }


def _point(identity: str, label: str, lps_mm: ArrayLike) -> dict[str, Any]:
    position = np.asarray(lps_mm, dtype=float).reshape(3)
    if not np.isfinite(position).all():
        raise GeometryError(f"the {label} of a needle is not finite: {position}")
    return {
        "id": identity,
        "label": label,
        "position": [float(x) for x in position],
        "orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined",
    }
