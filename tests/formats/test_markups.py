"""3D Slicer markups: valid by Slicer's rules, and the points are the planned points."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest

from kypho.errors import GeometryError
from kypho.formats import NeedleLine, slicer_markups

# The parts of Slicer's markups schema 1.0.0 that a Line uses, with its required fields and allowed words.
POINT = {
    "type": "object",
    "required": ["position", "positionStatus"],
    "properties": {
        "id": {"type": "string"},
        "position": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
        "orientation": {"type": "array", "items": {"type": "number"}, "minItems": 9, "maxItems": 9},
        "positionStatus": {"enum": ["undefined", "preview", "defined"]},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {
            "const": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
            "Resources/Schema/markups-schema-v1.0.0.json#"
        },
        "markups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "coordinateSystem", "controlPoints"],
                "properties": {
                    "type": {"enum": ["Fiducial", "Line", "Angle", "Curve", "ClosedCurve", "Plane", "ROI"]},
                    "coordinateSystem": {"enum": ["LPS"]},
                    "coordinateUnits": {"const": "mm"},
                    "controlPoints": {"type": "array", "items": POINT, "minItems": 2, "maxItems": 2},
                },
            },
        },
    },
}


def test_lines_are_valid_and_in_place() -> None:
    lines = [
        NeedleLine(
            name=f"T7 {side}",
            entry_lps_mm=np.array([x, 40.5, -110.25]),
            tip_lps_mm=[0, 0, -115],
            description="11G",
        )
        for side, x in (("left", 20.0), ("right", -20.0))
    ]
    content = json.loads(json.dumps(slicer_markups(lines), allow_nan=False))
    jsonschema.validate(content, SCHEMA)
    assert [m["name"] for m in content["markups"]] == ["T7 left", "T7 right"]
    for line, markup in zip(lines, content["markups"], strict=True):
        entry, tip = (point["position"] for point in markup["controlPoints"])
        assert entry == list(map(float, line.entry_lps_mm))
        assert tip == list(map(float, line.tip_lps_mm))
        assert {point["positionStatus"] for point in markup["controlPoints"]} == {"defined"}
        assert "Entry first" in markup["description"]
    assert content["markups"][0]["display"]["color"] != content["markups"][1]["display"]["color"]


def test_points_that_are_no_points() -> None:
    with pytest.raises(GeometryError, match="tip"):
        slicer_markups(
            [NeedleLine(name="x", entry_lps_mm=[0, 0, 0], tip_lps_mm=[0, np.nan, 0], description="")]
        )
