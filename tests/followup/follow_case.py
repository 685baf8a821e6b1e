"""A case to hang events on."""

from datetime import UTC, datetime, timedelta

from kypho.followup import fold, make_event, status

NOW = datetime(2024, 3, 1, tzinfo=UTC)
SURGERY = "2024-02-01T10:00+00:00"


class Case:
    """Adds checked events one minute apart in recording time, all before NOW."""

    def __init__(self):
        self.events = []
        self.clock = NOW - timedelta(hours=1)

    def add(self, kind, at, *, role="physician", **fields):
        self.clock += timedelta(seconds=1)
        record = fold(self.events) if self.events else None
        raw = {"kind": kind, "at": at, "role": role, **fields}
        event = make_event("case-a", raw, record=record, now=self.clock)
        self.events.append(event)
        return event

    def exam(self, at="2024-02-02T10:00", **fields):
        return self.add("examination", at, **fields)

    @property
    def record(self):
        return fold(self.events)

    def status(self, now=NOW):
        return status(self.record, now)

    def fired(self, now=NOW):
        return {alarm.rule.id for alarm in self.status(now).alarms}


def legs(grade, **other):
    """All ten leg muscles at one grade, single ones named as right_L2=3."""
    table = {
        side: {level: str(grade) for level in ("L2", "L3", "L4", "L5", "S1")} for side in ("right", "left")
    }
    for name, value in other.items():
        side, level = name.split("_")
        table[side][level] = str(value)
    return table
