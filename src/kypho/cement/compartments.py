"""The spaces that cement can reach, and the routes by which it leaves the bone."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.evidence import value

__all__ = ["CODES", "INSIDE", "LEAK_REGIONS", "Compartment", "compartment", "route_of_code"]

CODES: dict[str, int] = {
    "outside": 0,
    "cancellous": 1,
    "cortex": 2,
    "endplate": 3,
    "cavity": 4,
    "track": 5,
    "breach": 6,
    "basivertebral": 7,
    "posterior_elements": 8,
    "cannula": 9,
    "cleft": 10,
    "channel": 11,
    "canal_epidural": 20,
    "dura": 21,
    "canal_intradural": 22,
    "cord": 23,
    "foramen_left": 24,
    "foramen_right": 25,
    "disc_above": 26,
    "disc_below": 27,
    "paravertebral": 28,
    "venous": 29,
    "needle_track_outside": 30,
    "bone_other": 31,
}
"""Label of each kind of cell in `BoneField.region`."""

INSIDE = ("cancellous", "cavity", "cleft", "track", "channel", "breach", "basivertebral")
"""Regions in which cement is where it should be: the bone's void, given or made."""

LEAK_REGIONS: dict[str, tuple[str, ...]] = {
    "canal_epidural": ("canal_epidural",),
    "canal_intradural": ("dura", "canal_intradural", "cord"),
    "foramen": ("foramen_left", "foramen_right"),
    "disc": ("disc_above", "disc_below"),
    "paravertebral": ("paravertebral", "needle_track_outside", "bone_other", "outside"),
    "venous": ("venous",),
}
"""Leak route to the regions in which cement counts as leaked that way."""


@dataclass(frozen=True, kw_only=True)
class Compartment:
    """A space around the bone.

    Attributes:
        permeability_m2, porosity: for cement.
        pressure_kpa: of the tissue or blood.
        drain_mm: distance to the vessels that take up displaced fluid; 0 for none.
    """

    permeability_m2: float
    porosity: float
    pressure_kpa: float
    drain_mm: float


def compartment(name: str) -> Compartment:
    """The recorded properties of a compartment (record ``cement.compartments``, unconfirmed)."""
    return Compartment(**value("cement.compartments")[name])


def route_of_code() -> dict[int, str]:
    """Region label to leak route, for the labels that are outside the bone."""
    return {CODES[region]: route for route, regions in LEAK_REGIONS.items() for region in regions}
