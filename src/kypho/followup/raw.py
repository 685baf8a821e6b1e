"""Back from events to what was typed, so that a record can be written out and entered again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kypho.followup.events import Event
from kypho.followup.record import Record

__all__ = ["entry_order", "raw_of"]


def raw_of(event: Event) -> dict[str, Any]:
    """The fields from which `make_event` makes this event again, id included."""
    raw: dict[str, Any] = {
        "kind": event.kind,
        "at": event.when.written,
        "role": event.role,
        "source": event.source,
    }
    raw["recorded"] = event.recorded.isoformat()
    if event.corrects:
        raw["corrects"] = event.corrects
    body = event.body.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    if "requested" in body:
        body["requested"] = body["requested"]["written"]
    return {**raw, **body}


def entry_order(record: Record) -> list[Event]:
    """The whole history in an order in which it can be entered: every correction after its target."""
    known = {event.id: event for event in record.history}

    def place(event: Event) -> tuple[bool, int, datetime, str]:
        depth, at = 0, event
        while at.corrects in known:
            depth, at = depth + 1, known[str(at.corrects)]
        return at.kind != "enrolment", depth, event.recorded, event.id

    return sorted(record.history, key=place)
