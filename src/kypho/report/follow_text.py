"""The follow-up in plain text: a status that fits a screen, a timeline, a watch list."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from kypho.followup import Alarm, Record, Slot, Status
from kypho.followup.record import on_clocks
from kypho.followup.times import clock_time, duration
from kypho.report.follow_words import describe_event

__all__ = [
    "action_words",
    "answer_lines",
    "status_json",
    "status_lines",
    "timeline_lines",
    "watch_lines",
]

NOT_A_DEVICE = "Research and education; not a medical device. Rules are a proposal, unconfirmed."
TIER_WORDS = {
    "none": "no alarm (this is not the same as normal)",
    "note": "NOTE",
    "amber": "AMBER",
    "red": "RED",
    "red+": "RED+",
}
WIDTH = 100
SCREEN = 24
REST_LINES = 2
"""Lines kept for the names of the alarms that have no room."""
BECAUSE_LINES = 2
LEAST_TEXT = 40
UNIT = re.compile(r"(?<=\d) (?=(?:h|min|mL|days|months|years|%)(?!\w))")


def _wrap(text: str, indent: int, hang: int = 4) -> list[str]:
    """Lines of at most WIDTH characters; nothing of the text is left out."""
    lines = textwrap.wrap(
        UNIT.sub("\u00a0", text),  # a number keeps its unit
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]


def status_lines(state: Status, *, everything: bool = False) -> list[str]:
    """A case at an instant; lines of at most 100 characters.

    Unless `everything`, at most 24 lines: as many alarms as have room, the gravest first and each of them
    whole, and the others by name.
    """
    mark = "  SYNTHETIC" if state.synthetic else ""
    at = f"at {clock_time(state.now)} {state.zone.key}"
    head = [f"{state.case}{mark}  {TIER_WORDS[state.tier]}  {at}  (rules {state.rules_version})"]
    if not state.watching:
        head.append("  not watched: no procedure is recorded")
    tail = [line for alarm in state.closed for line in _wrap(_closed(alarm), 2)] if everything else []
    if state.closed and not everything:
        tail = _wrap(
            f"closed by a decision: {', '.join(a.rule.id for a in state.closed)} (--all says more)", 2
        )
    tail += [line for clock in state.clocks for line in _wrap(f"clock {clock.words(source=everything)}", 2)]
    tail += [line for text in _plan(state) for line in _wrap(text, 2)]
    tail += _wrap(f"unknown: {'; '.join(state.unknown)}", 2) if state.unknown else []
    tail.append(NOT_A_DEVICE)
    blocks = [_alarm(alarm, state, everything) for alarm in state.alarms]
    shown = len(blocks) if everything else _room(blocks, SCREEN - len(head) - len(tail) - REST_LINES)
    rest = ", ".join(f"{a.rule.id} {a.rule.tier}" for a in state.alarms[shown:])
    named = f"and {len(blocks) - shown} more: {rest} (--all shows them)"
    more = _wrap(named, 2) if rest else []
    return [*head, *(line for block in blocks[:shown] for line in block), *more, *tail]


def _room(blocks: list[list[str]], lines: int) -> int:
    """How many blocks fit into these lines; one always does."""
    count = 0
    for block in blocks:
        lines -= len(block)
        if lines < 0 and count:
            break
        count += 1
    return count


def _closed(alarm: Alarm) -> str:
    return f"closed {alarm.rule.id} by decision {alarm.closed_by}: {alarm.rule.what}"


def _alarm(alarm: Alarm, state: Status, everything: bool) -> list[str]:
    reasons = list(alarm.reasons)
    named = f" [{', '.join(alarm.events) or 'time'}]" if everything else ""
    while not everything and len(reasons) > 1 and len(_because(reasons, alarm, named)) > BECAUSE_LINES:
        reasons.pop()
    title = f"{TIER_WORDS[alarm.rule.tier]} {alarm.rule.id} since {alarm.since.words}: {alarm.rule.what}"
    lines = [
        *_wrap(title, 2),
        *_because(reasons, alarm, named),
        *_wrap(action_words(alarm, state), 6),
    ]
    if everything:
        lines += _wrap(f"clears: {alarm.rule.clears}. Source: {alarm.rule.source}, {alarm.rule.certainty}", 6)
    return lines


def action_words(alarm: Alarm, state: Status) -> str:
    """What to do and by when; of a cord that was decompressed since, what was due then."""
    if alarm.treated is not None:
        done = f"decompression recorded on {alarm.treated.words}; no decision yet"
        return f"was due then: {alarm.rule.action} ({done})"
    words = f"do ({'act now' if alarm.act_by < state.now else _deadline(alarm)}): {alarm.rule.action}"
    if alarm.said_treated is not None:
        words += f" (decompression recorded on {alarm.said_treated.words}, not by a surgeon or physician)"
    return words


def _deadline(alarm: Alarm) -> str:
    """The time to act by; a date without a clock time has no minutes to count from."""
    if alarm.since.timed:
        return f"by {clock_time(alarm.act_by)}"
    return f"within {duration(alarm.rule.within_h)} of {alarm.since.words}"


def _because(reasons: list[str], alarm: Alarm, named: str) -> list[str]:
    left = len(alarm.reasons) - len(reasons)
    return _wrap(f"because {'; '.join(reasons)}{f'; and {left} more' if left else ''}{named}", 6)


def _plan(state: Status) -> list[str]:
    lines = []
    if state.overdue:
        last = state.overdue[-1]
        lines.append(
            f"overdue: {len(state.overdue)} examination{'s' if len(state.overdue) > 1 else ''}, the last "
            f"{last.name} {last.why} ({last.due_words})"
        )
    if state.due:
        lines.append(f"due now: {state.due[-1].name} {state.due[-1].why}")
    if state.next:
        lines.append(f"next examination: {state.next.name} {state.next.why}, {state.next.due_words}")
    return lines


def timeline_lines(record: Record, width: int) -> list[str]:
    """Every event by time with its id, wrapped to a width; what was replaced or taken back is marked."""
    standing = {event.id for event in record.events}
    lines = [f"{record.case}  times in {record.zone.key}; x: replaced or taken back"]
    history = [on_clocks(event, record.zone) for event in record.history]
    for event in sorted(history, key=lambda e: (e.when.start, e.when.end, e.recorded, e.id)):
        mark = " " if event.id in standing else "x"
        points = f" corrects {event.corrects}" if event.corrects else ""
        start = f"{mark} {event.when.words:<24} {event.id} {event.kind:<12}"
        text = f"{points} {describe_event(event)}".strip()
        lines += textwrap.wrap(
            text, max(width, len(start) + LEAST_TEXT), initial_indent=f"{start} ", subsequent_indent=" " * 29
        )
    return lines


def watch_lines(state: Status) -> list[str]:
    """Due and overdue examinations and the red alarms of one case; empty if there is nothing to do."""
    lines = [f"{state.case}  {TIER_WORDS[a.rule.tier]} {a.rule.id}: {a.rule.what}" for a in state.alarms]
    for word, slots in (("overdue", state.overdue), ("due", state.due)):
        if slots:
            last: Slot = slots[-1]
            count = f" (and {len(slots) - 1} before it)" if len(slots) > 1 else ""
            due = f"{last.due_words} {state.zone.key}"
            lines.append(f"{state.case}  {word}: {last.name} {last.why}, {due}{count}")
    return lines


def answer_lines(state: Status, *, every: bool) -> list[str]:
    """The tier that a new event leaves a case at, and why: the gravest alarm or every one, a line each."""
    shown = state.alarms if every else state.alarms[:1]
    lines = [f"{state.case}: {TIER_WORDS[state.tier]}", *(f"  {_in_a_line(alarm)}" for alarm in shown)]
    if left := [f"{alarm.rule.id} {alarm.rule.tier}" for alarm in state.alarms[len(shown) :]]:
        lines.append(f"  and {len(left)} more: {', '.join(left)} (kypho follow status {state.case})")
    if every and state.closed:
        lines.append(f"  closed by a decision: {', '.join(alarm.rule.id for alarm in state.closed)}")
    return lines


def _in_a_line(alarm: Alarm) -> str:
    first, *others = alarm.reasons
    more = f"; and {len(others)} more" if others else ""
    return f"{TIER_WORDS[alarm.rule.tier]} {alarm.rule.id}: {alarm.rule.what}, because {first}{more}"


def status_json(state: Status) -> dict[str, Any]:
    """A status as JSON, schema ``kypho.followup-status/1``."""
    return {
        "schema": "kypho.followup-status/1",
        "case": state.case,
        "now": state.now.isoformat(),
        "zone": state.zone.key,
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
        "because": [fact.words for fact in alarm.facts],
        "decompressed": None if alarm.treated is None else alarm.treated.words,
        "events": list(alarm.events),
        "source": alarm.rule.source,
        "certainty": alarm.rule.certainty,
        "closed_by": alarm.closed_by,
    }
