"""When to examine: what is due, what is overdue, what was missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from kypho.evidence import value
from kypho.followup.events import Event
from kypho.followup.facts_base import Fact, fact
from kypho.followup.facts_neuro import legs_tested
from kypho.followup.record import Record
from kypho.followup.times import When, clock_time, duration, later

__all__ = ["Slot", "missing_facts", "schedule"]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One planned examination.

    Attributes:
        due, overdue: the instant it is due, and the instant from which it counts as overdue.
        timed: False where these are counted from a date without a clock time.
        why: what asks for it.
        state: "done", "due", "overdue", "missed" (a later one stands in its place) or "ahead".
        done_by: id of the examination that serves it.
    """

    name: str
    why: str
    due: datetime
    overdue: datetime
    state: str
    done_by: str | None = None
    timed: bool = True

    @property
    def due_words(self) -> str:
        """When it is due, without minutes that nobody recorded."""
        return _said(self.due, self.timed)


def schedule(record: Record, now: datetime) -> tuple[Slot, ...]:
    """Every planned examination of the case, in order of time.

    An examination serves a slot if it may fall into the time from half the previous gap before the slot to
    half the next gap after it, and leg strength could be tested in it.
    """
    watched = record.watched
    start = watched.index_procedure
    if start is None:
        return ()
    slots = _series(record, now, start, "after the procedure", value("followup.schedule_h"))
    for event, body in watched.imagings:
        if body.canal_cement == "yes" and watched.after_procedure(event):
            why = f"cement in the canal on {body.modality}"
            slots += _series(record, now, event, why, value("followup.schedule_canal_h"))
    return tuple(sorted(slots, key=lambda slot: (slot.due, slot.why)))


def _origin(event: Event) -> datetime:
    """The latest instant at which it can have happened: a vague time ends where it was entered."""
    return min(event.when.end, event.recorded)


def _said(moment: datetime, timed: bool) -> str:
    return clock_time(moment) if timed else f"{moment:%Y-%m-%d}"


def _series(record: Record, now: datetime, event: Event, why: str, hours: list[float]) -> list[Slot]:
    """The examinations that an event asks for, so many hours after it."""
    origin = _origin(event).astimezone(record.zone)
    timed = event.when.timed or origin < event.when.end
    grace = float(value("followup.schedule_grace"))
    exams = [
        (event.when, event.id)
        for event, exam in record.examinations
        if record.watched.after_procedure(event) and legs_tested(exam)
    ]
    last = max((when.key[1] for when, _ in exams), default=None)
    edges = [0.0, *(a + (b - a) * grace for a, b in pairwise(hours)), hours[-1] * (1 + grace)]
    made: list[Slot] = []
    for number, hour in enumerate(hours):
        opens, closes = (later(origin, edge) for edge in edges[number : number + 2])
        first, end = opens.timestamp(), closes.timestamp()
        passed = last is not None and last >= first
        serving = (name for when, name in exams if when.key[1] >= first and when.key[0] <= end)
        served = next(serving, None) if passed else None
        due = later(origin, hour)
        state = _state(now, due, closes, served is not None, passed)
        made.append(
            Slot(
                name=duration(hour),
                why=why,
                due=due,
                overdue=closes,
                state=state,
                done_by=served,
                timed=timed,
            )
        )
    return made


def _state(now: datetime, due: datetime, overdue: datetime, served: bool, passed: bool) -> str:
    if served:
        return "done"
    if now < due:
        return "ahead"
    if now <= overdue:
        return "due"
    return "missed" if passed else "overdue"


def missing_facts(slots: tuple[Slot, ...]) -> tuple[Fact, ...]:
    """One fact if the latest examination that should have been made was not."""
    overdue = [slot for slot in slots if slot.state == "overdue"]
    if not overdue:
        return ()
    last = overdue[-1]
    first = overdue[0]
    when = When(start=first.overdue, end=first.overdue, written=_said(first.overdue, first.timed))
    many = f"{len(overdue)} examination{'s' if len(overdue) > 1 else ''}"
    text = f"{many} due and not made, the last {last.name} {last.why}"
    return (fact("examination.missing", len(overdue), text, when),)
