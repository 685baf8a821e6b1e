"""The body's map: dermatomes, key muscles, vertebral levels, and where pain at a site comes from."""

from __future__ import annotations

from functools import cache

from kypho.evidence import value

__all__ = [
    "DERMATOMES",
    "KEY_MUSCLES",
    "LEG_MUSCLES",
    "SIDES",
    "VERTEBRAE",
    "pain_sites",
    "segment_index",
    "site_dermatomes",
]

SIDES = ("right", "left")

DERMATOMES: tuple[str, ...] = (
    *(f"C{n}" for n in range(2, 9)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
    *(f"S{n}" for n in range(1, 4)),
    "S4-5",
)
"""The 28 dermatomes of the international standard, from head to tail."""

KEY_MUSCLES: dict[str, str] = {
    "C5": "elbow flexors",
    "C6": "wrist extensors",
    "C7": "elbow extensors",
    "C8": "finger flexors",
    "T1": "little finger abductors",
    "L2": "hip flexors",
    "L3": "knee extensors",
    "L4": "ankle dorsiflexors",
    "L5": "long toe extensors",
    "S1": "ankle plantar flexors",
}
LEG_MUSCLES = ("L2", "L3", "L4", "L5", "S1")

VERTEBRAE: tuple[str, ...] = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
)
"""Vertebral levels a procedure can name, from head to tail."""

_ORDER = {name: place for place, name in enumerate(("C1", *DERMATOMES))}


def segment_index(name: str) -> int:
    """Place of a segment or vertebral level from head to tail; C1 is 0."""
    return _ORDER[name]


@cache
def pain_sites() -> dict[str, tuple[str, str]]:
    """Body site to the first and last dermatome it can stand for (unconfirmed textbook map)."""
    return {site: (first, last) for site, (first, last) in value("followup.pain_sites").items()}


def site_dermatomes(site: str) -> tuple[str, str]:
    """First and last dermatome of a pain site; a dermatome's own name stands for itself."""
    if site in _ORDER:
        return site, site
    return pain_sites()[site]
