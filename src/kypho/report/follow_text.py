"""The follow-up in plain text: a status that fits a screen, a timeline, a watch list."""

from __future__ import annotations

import textwrap
from typing import Any

from kypho.followup import Alarm, Event, Record, Slot, Status
from kypho.followup.facts_labs import describe
from kypho.followup.labs import flag

__all__ = ["describe_event", "status_json", "status_lines", "timeline_lines", "watch_lines"]

NOT_A_DEVICE = "Research and education; not a medical device. Rules are a proposal, unconfirmed."
TIER_WORDS = {
    "none": "no alarm (this is not the same as normal)",
    "note": "NOTE",
    "amber": "AMBER",
    "red": "RED",
    "red+": "RED+",
}
WIDTH = 100
ALARMS_SHOWN = 3
SPEAKS_FOR_ITSELF = ("text", "decision", "operation", "diagnosis", "symptom", "treatment", "move", "modality")


def _short(text: str, room: int = WIDTH) -> str:
    return textwrap.shorten(text, room, placeholder=" ...")


def _stamp(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M %z}"


def status_lines(state: Status, *, everything: bool = False) -> list[str]:
    """A case at an instant; at most 24 lines of 100 characters unless `everything`."""
    mark = "  SYNTHETIC" if state.synthetic else ""
    lines = [
        f"{state.case}{mark}  {TIER_WORDS[state.tier]}  at {_stamp(state.now)}  (rules {state.rules_version})"
    ]
    if not state.watching:
        lines.append("  not watched: no procedure is recorded")
    shown = state.alarms if everything else state.alarms[:ALARMS_SHOWN]
    for alarm in shown:
        lines += _alarm(alarm, state, everything)
    if len(state.alarms) > len(shown):
        rest = ", ".join(f"{a.rule.id} {a.rule.tier}" for a in state.alarms[len(shown) :])
        lines.append(
            _short_keeping_indent(f"  and {len(state.alarms) - len(shown)} more: {rest} (--all shows them)")
        )
    for alarm in state.closed if everything else state.closed[:1]:
        lines.append(
            _short_keeping_indent(
                f"  closed {alarm.rule.id} by decision {alarm.closed_by}: {alarm.rule.what}"
            )
        )
    lines += [
        f"  clock {clock.words()}" if everything else _short_keeping_indent(f"  clock {clock.words()}")
        for clock in state.clocks
    ]
    lines += [_short_keeping_indent(line) for line in _plan(state)]
    lines += [_short_keeping_indent(f"  unknown: {'; '.join(state.unknown)}")] if state.unknown else []
    return [*lines, NOT_A_DEVICE]


def _alarm(alarm: Alarm, state: Status, everything: bool) -> list[str]:
    facts = "; ".join(fact.text for fact in alarm.facts)
    late = "act now" if alarm.act_by < state.now else f"by {_stamp(alarm.act_by)}"
    lines = [
        f"  {TIER_WORDS[alarm.rule.tier]} {alarm.rule.id} since {alarm.since.written}: {alarm.rule.what}",
        f"      because {facts} [{', '.join(alarm.events) or 'time'}]",
        f"      do ({late}): {alarm.rule.action}",
    ]
    if everything:
        lines.append(
            f"      clears: {alarm.rule.clears}. Source: {alarm.rule.source}, {alarm.rule.certainty}"
        )
        return lines
    return [_short_keeping_indent(line) for line in lines]


def _short_keeping_indent(line: str) -> str:
    indent = len(line) - len(line.lstrip())
    return " " * indent + _short(line, WIDTH - indent)


def _plan(state: Status) -> list[str]:
    lines = []
    if state.overdue:
        last = state.overdue[-1]
        lines.append(
            f"  overdue: {len(state.overdue)} examinations, last {last.name} {last.why} ({_stamp(last.due)})"
        )
    if state.due:
        lines.append(f"  due now: {state.due[-1].name} {state.due[-1].why}")
    if state.next:
        lines.append(f"  next examination: {state.next.name} {state.next.why}, {_stamp(state.next.due)}")
    return lines


def timeline_lines(record: Record) -> list[str]:
    """Every event by time, one line each, with ids; what was replaced or taken back is marked."""
    standing = {event.id for event in record.events}
    lines = []
    for event in sorted(record.history, key=lambda e: (e.when.start, e.when.end, e.recorded, e.id)):
        mark = " " if event.id in standing else "x"
        points = f" corrects {event.corrects}" if event.corrects else ""
        lines.append(
            f"{mark} {event.when.written:<24} {event.id} {event.kind:<12}{points} {describe_event(event)}"
        )
    return lines


def describe_event(event: Event) -> str:
    """What an event says, in a line."""
    if event.kind == "lab":
        return f"{describe(event.body)} ({flag(event.body)})"  # type: ignore[arg-type]  # the kind says it is a Lab
    said = event.body.model_dump(mode="json", exclude_defaults=True, exclude={"kind", "requested"})
    return "; ".join(_words(name, part) for name, part in said.items())


def _words(name: str, part: Any) -> str:
    if isinstance(part, dict):
        return f"{name} " + ", ".join(_words(key, item) for key, item in part.items())
    if isinstance(part, list):
        return f"{name} " + ", ".join(
            " ".join(str(piece) for piece in item.values()) if isinstance(item, dict) else str(item)
            for item in part
        )
    return str(part) if name in SPEAKS_FOR_ITSELF else f"{name} {part}"


def watch_lines(state: Status) -> list[str]:
    """Due and overdue examinations and the red alarms of one case; empty if there is nothing to do."""
    lines = [f"{state.case}  {TIER_WORDS[a.rule.tier]} {a.rule.id}: {a.rule.what}" for a in state.alarms]
    for word, slots in (("overdue", state.overdue), ("due", state.due)):
        if slots:
            last: Slot = slots[-1]
            count = f" (and {len(slots) - 1} before it)" if len(slots) > 1 else ""
            lines.append(f"{state.case}  {word}: {last.name} {last.why}, {_stamp(last.due)}{count}")
    return lines


def status_json(state: Status) -> dict[str, Any]:
    """A status as JSON, schema ``kypho.followup-status/1``."""
    return {
        "schema": "kypho.followup-status/1",
        "case": state.case,
        "now": state.now.isoformat(),
        "synthetic": state.synthetic,
        "watching": state.watching,
        "tier": state.tier,
        "findings_tier": state.findings_tier,
        "rules_version": state.rules_version,
        "alarms": [_alarm_json(alarm) for alarm in state.alarms],
        "closed": [_alarm_json(alarm) for alarm in state.closed],
        "clocks": [
            {
                "name": clock.name,
                "hours": [clock.low_h, clock.high_h],
                "running": clock.running,
                "window_h": clock.window_h,
                "verdict": clock.verdict,
                "source": clock.source,
                "confirmed": clock.confirmed,
            }
            for clock in state.clocks
        ],
        "examinations": [
            {"name": s.name, "why": s.why, "due": s.due.isoformat(), "state": s.state, "event": s.done_by}
            for s in state.slots
        ],
        "unknown": list(state.unknown),
        "note": NOT_A_DEVICE,
    }


def _alarm_json(alarm: Alarm) -> dict[str, Any]:
    return {
        "rule": alarm.rule.id,
        "tier": alarm.rule.tier,
        "what": alarm.rule.what,
        "since": [alarm.since.start.isoformat(), alarm.since.end.isoformat()],
        "act_by": alarm.act_by.isoformat(),
        "action": alarm.rule.action,
        "clears": alarm.rule.clears,
        "because": [fact.text for fact in alarm.facts],
        "events": list(alarm.events),
        "source": alarm.rule.source,
        "certainty": alarm.rule.certainty,
        "closed_by": alarm.closed_by,
    }
