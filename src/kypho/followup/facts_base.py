"""The shape of a fact."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.errors import InternalError
from kypho.followup.times import When

__all__ = ["FACT_NAMES", "Fact", "fact"]

FACT_NAMES = frozenset(
    f"{group}.{name}" if name else group
    for group, names in {
        "strength": ("drop", "grade_new", "fall", "legs_weak", "legs_immobile"),
        "sensation": ("reduced", "bilateral_run", "level"),
        "bladder": ("retention", "incontinence", "difficult", "pvr_ml"),
        "saddle": ("loss",),
        "anal": ("loss",),
        "sacral": ("complete",),
        "ais": ("abc",),
        "vital": ("spo2_percent", "temperature_c"),
        "reported": (
            *("leg_weakness", "numbness", "numbness_both"),
            *("dyspnoea", "chest_pain", "syncope", "fever"),
        ),
        "pain": ("during_injection", "rise", "segmental"),
        "canal": (
            *("cement_cord", "cement_cauda", "intradural", "compression"),
            *("percent_thoracic", "percent_l1", "percent_lumbar"),
        ),
        "imaging": ("no_compression",),
        "lab": ("outside", "inflammation_raised", "inflammation_rising"),
        "examination": ("missing",),
        "deficit": ("",),
    }.items()
    for name in names
)
"""Every fact there can be; rules may ask for these and no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A short true statement about the patient after the procedure.

    Attributes:
        name: the word rules ask for.
        value: a number where the statement has one, else 1.
        text: the statement in words.
        events: ids of the events it rests on; empty only for time itself (an examination that is missing).
        assumed: nothing was on record before the procedure to compare with.
    """

    name: str
    value: float
    text: str
    when: When
    events: tuple[str, ...]
    assumed: bool = False

    @property
    def words(self) -> str:
        """The statement, and what it takes for granted."""
        return self.text + (" (baseline not recorded, counted as new)" if self.assumed else "")

    def __hash__(self) -> int:
        return hash((self.name, self.text, self.events))


def fact(name: str, value: float, text: str, when: When, *events: str, assumed: bool = False) -> Fact:
    """A fact, written shortly."""
    if name not in FACT_NAMES:
        raise InternalError(f"fact {name!r} is in no list; no rule could ask for it")
    return Fact(name=name, value=value, text=text, when=when, events=events, assumed=assumed)
