"""The shape of a fact."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.followup.times import When

__all__ = ["Fact", "fact"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A short true statement about the patient after the procedure.

    Attributes:
        name: the word rules ask for.
        value: a number where the statement has one, else 1.
        text: the statement in words.
        events: ids of the events it rests on; empty only for time itself (an examination that is missing).
    """

    name: str
    value: float
    text: str
    when: When
    events: tuple[str, ...]

    def __hash__(self) -> int:
        return hash((self.name, self.text, self.events))


def fact(name: str, value: float, text: str, when: When, *events: str) -> Fact:
    """A fact, written shortly."""
    return Fact(name=name, value=value, text=text, when=when, events=events)
