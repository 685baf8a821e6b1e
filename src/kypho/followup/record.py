"""A case as it stands: its events in order of time, corrections applied, duplicates gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from kypho.followup.events import (
    ANSWERABLE,
    Encounter,
    Enrolment,
    Event,
    Examination,
    Imaging,
    Operation,
    Procedure,
)

__all__ = ["Record", "fold", "on_clocks"]

B = TypeVar("B")


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What stands of a case.

    Attributes:
        case: pseudonym.
        events: standing events by time, then id, on the clocks of the case.
        history: every event ever recorded, as it was written, by recording time, then id.
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
    def zone(self) -> ZoneInfo:
        """The time zone of the case; every output is in it."""
        return ZoneInfo(self.enrolment.zone)

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

    @cached_property
    def watched(self) -> Record:
        """What counts for alarms: all that stands, and what nobody who answers for it has taken back.

        A correction or retraction by another than a surgeon or physician adds what it says and takes nothing
        away, until a surgeon or physician corrects or retracts the same entry, or corrects the correction.
        """
        pointers = _pointers(self.history)
        pointing = _by_target(pointers)
        answered = [event for event in pointers if _answered(event, pointing)]
        if len(answered) == len(pointers):
            return self
        kept = _stand(self.history, answered)
        answers = {event.corrects: event.recorded for event in answered}
        more = [
            event
            for event in kept.events
            if event.id not in self.first_recorded
            and event.kind != "retraction"
            and answers.get(event.corrects, event.recorded) <= event.recorded
        ]
        return replace(
            self,
            events=tuple(sorted((*self.events, *more), key=_time_order)),
            # A correction that nobody answers for stands for itself: it is as old as its own entry.
            first_recorded={**self.first_recorded, **kept.first_recorded},
        )

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
    return _stand(history, _pointers(history))


def _pointers(history: tuple[Event, ...]) -> list[Event]:
    """Corrections and retractions of events that are there."""
    known = {event.id for event in history}
    return [event for event in history if event.corrects in known]


def _by_target(pointers: list[Event]) -> dict[str, list[Event]]:
    pointing: dict[str, list[Event]] = {}
    for event in pointers:
        pointing.setdefault(str(event.corrects), []).append(event)
    return pointing


def _stand(history: tuple[Event, ...], pointers: list[Event]) -> Record:
    """What stands if these corrections and retractions count; others stand for themselves."""
    pointing = _by_target(pointers)
    pointer_ids = {event.id for event in pointers}
    standing: list[Event] = []
    first: dict[str, datetime] = {}
    for event in history:
        if event.id in pointer_ids or (event.id in pointing and _taken_back(event, pointing)):
            continue
        last = _last_correction(event, pointing)
        standing.append(last)
        first[last.id] = event.recorded
    order = sorted(_in_zone_of_case(standing), key=_time_order)
    return Record(case=history[0].case, events=tuple(order), history=history, first_recorded=first)


def _in_zone_of_case(events: list[Event]) -> list[Event]:
    """The events on the clocks of the case, whatever offset they were written with."""
    zone = next((ZoneInfo(event.body.zone) for event in events if isinstance(event.body, Enrolment)), None)
    return events if zone is None else [on_clocks(event, zone) for event in events]


def on_clocks(event: Event, zone: ZoneInfo) -> Event:
    """The event with its times on the clocks of this zone."""
    when, body = event.when.in_zone(zone), event.body
    if isinstance(body, Imaging) and body.requested is not None:
        body = body.model_copy(update={"requested": body.requested.in_zone(zone)})
    if when is event.when and body is event.body:
        return event
    return event.model_copy(update={"when": when, "body": body})


def _answered(event: Event, pointing: dict[str, list[Event]]) -> bool:
    """True if a surgeon or physician wrote this, or corrected it and so took it on."""
    later = (one for one in pointing.get(event.id, ()) if one.kind != "retraction")
    return event.role in ANSWERABLE or any(
        _answered(one, pointing) and not _taken_back(one, pointing) for one in later
    )


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
