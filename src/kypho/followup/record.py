"""A case as it stands: its events in order of time, corrections applied, duplicates gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from kypho.followup.events import Encounter, Enrolment, Event, Examination, Imaging, Operation, Procedure

__all__ = ["Record", "fold"]

B = TypeVar("B")


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What stands of a case.

    Attributes:
        case: pseudonym.
        events: standing events by time, then id.
        history: every event ever recorded, by recording time, then id.
        first_recorded: standing event id to the recording time of the first event it goes back to.
    """

    case: str
    events: tuple[Event, ...]
    history: tuple[Event, ...]
    first_recorded: dict[str, datetime]

    @cached_property
    def _by_type(self) -> dict[type, list[Any]]:
        found: dict[type, list[Any]] = {}
        for event in self.events:
            found.setdefault(type(event.body), []).append((event, event.body))
        return found

    def of(self, kind: type[B]) -> list[tuple[Event, B]]:
        """Standing events whose body is of this type, with the body, in order of time."""
        return self._by_type.get(kind, [])

    @cached_property
    def enrolment(self) -> Enrolment:
        """Who is followed; an empty enrolment where none is recorded."""
        found = self.of(Enrolment)
        return found[0][1] if found else Enrolment()

    @cached_property
    def procedures(self) -> list[tuple[Event, Procedure]]:
        """The augmentations, in order of time."""
        return self.of(Procedure)

    @cached_property
    def index_procedure(self) -> Event | None:
        """The first augmentation; the follow-up counts from it."""
        return self.procedures[0][0] if self.procedures else None

    @cached_property
    def examinations(self) -> list[tuple[Event, Examination]]:
        """All examinations, in order of time."""
        return self.of(Examination)

    @cached_property
    def imagings(self) -> list[tuple[Event, Imaging]]:
        """All imaging results, in order of time."""
        return self.of(Imaging)

    @cached_property
    def decompressions(self) -> list[tuple[Event, Operation]]:
        """Operations that took pressure off the cord."""
        return [(event, body) for event, body in self.of(Operation) if body.decompression]

    @cached_property
    def encounters(self) -> list[tuple[Event, Encounter]]:
        """Doors passed, in order of time."""
        return self.of(Encounter)

    def after_procedure(self, event: Event) -> bool:
        """True unless the event is certainly before the first augmentation, or there is none."""
        start = self.index_procedure
        return start is not None and not event.when.before(start.when)


def fold(events: Iterable[Event]) -> Record:
    """Apply corrections and drop duplicates; the order in which events arrive does not matter.

    Of several corrections of one event the one recorded last stands (ties: the larger id). A retraction takes
    back the event it points at; of a correction, so that what was corrected stands again.
    """
    unique: dict[str, Event] = {}
    for event in events:
        if event.id not in unique or event.recorded < unique[event.id].recorded:
            unique[event.id] = event
    history = tuple(sorted(unique.values(), key=lambda e: (e.recorded.timestamp(), e.id)))
    if not history:
        raise ValueError("a record needs at least one event")
    pointing: dict[str, list[Event]] = {}
    for event in history:
        if event.corrects in unique:
            pointing.setdefault(str(event.corrects), []).append(event)
    standing: list[Event] = []
    first: dict[str, datetime] = {}
    for event in history:
        if event.corrects in unique or (event.id in pointing and _taken_back(event, pointing)):
            continue
        last = _last_correction(event, pointing)
        standing.append(last)
        first[last.id] = event.recorded
    order = sorted(standing, key=_time_order)
    return Record(case=history[0].case, events=tuple(order), history=history, first_recorded=first)


def _taken_back(event: Event, pointing: dict[str, list[Event]]) -> bool:
    """True if a retraction that itself stands points at the event."""
    found = pointing.get(event.id, ())
    return any(one.kind == "retraction" and not _taken_back(one, pointing) for one in found)


def _last_correction(event: Event, pointing: dict[str, list[Event]]) -> Event:
    """Follow the corrections that stand; one that was taken back gives way to what it replaced."""
    while True:
        found = [
            one
            for one in pointing.get(event.id, ())
            if one.kind != "retraction" and not _taken_back(one, pointing)
        ]
        if not found:
            return event
        event = found[-1]


def _time_order(event: Event) -> tuple[object, ...]:
    return (event.when.key, event.id)
