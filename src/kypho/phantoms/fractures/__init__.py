"""Virtual fractures: a real CT and its labels made into a fractured one with exact truth. Synthetic."""

from kypho.phantoms.fractures.make import FracturedCase, make_fracture
from kypho.phantoms.fractures.spec import (
    Cleft,
    Collapse,
    FractureSpec,
    Lesion,
    PedicleBreach,
    Retropulsion,
    SchmorlNode,
    WallDefect,
    random_spec,
    require_slice,
)

__all__ = [
    "Cleft",
    "Collapse",
    "FractureSpec",
    "FracturedCase",
    "Lesion",
    "PedicleBreach",
    "Retropulsion",
    "SchmorlNode",
    "WallDefect",
    "make_fracture",
    "random_spec",
    "require_slice",
]
