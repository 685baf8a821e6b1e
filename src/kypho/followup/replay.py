"""Feed a record day by day and see when each tier would first have been reached.

Vague events are fed twice: as early as they can have happened, and as late. The first day a tier is
reached is then an interval, and so are the days gained against an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kypho.followup.events import Event
from kypho.followup.record import Record, fold
from kypho.followup.rules import TIERS, Tier
from kypho.followup.status import status

__all__ = ["FirstAlarm", "days_gained", "replay"]

ONE_DAY = timedelta(days=1)

Reached = dict[Tier, tuple[date, tuple[str, ...], tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class FirstAlarm:
    """The first day on which a tier was reached.

    Attributes:
        earliest, latest: the day, if vague events happened as early, and as late, as they can have.
        rules: the rules of that tier or above on the latest day.
        because: what made them fire.
    """

    tier: Tier
    earliest: date
    latest: date
    rules: tuple[str, ...]
    because: tuple[str, ...]


def replay(record: Record) -> tuple[FirstAlarm, ...]:
    """The first alarm of each tier from findings alone; missing examinations raise none here.

    The knowledge of a day is every event of that day and before, judged at its last minute.
    """
    zone = record.zone
    early: Reached = {}
    late: Reached = {}
    days = [event.when.days for event in record.events]
    day, last = min(first for first, _ in days), max(end for _, end in days)
    while day <= last:
        for found, at in ((early, 0), (late, 1)):
            known = [event for event in record.events if event.when.days[at] <= day]
            if known:
                _reached(found, known, day, zone)
        day += ONE_DAY
    return tuple(
        FirstAlarm(
            tier=tier,
            earliest=early[tier][0],
            latest=late[tier][0],
            rules=late[tier][1],
            because=late[tier][2],
        )
        for tier in TIERS[1:]
        if tier in late
    )


def _reached(found: Reached, known: list[Event], day: date, zone: ZoneInfo) -> None:
    state = status(fold(known), datetime.combine(day + ONE_DAY, time(), zone) - timedelta(minutes=1))
    for tier in TIERS[1:]:
        if tier not in found and TIERS.index(state.findings_tier) >= TIERS.index(tier):
            alarms = [
                a for a in state.alarms if TIERS.index(a.rule.tier) >= TIERS.index(tier) and a.facts[0].events
            ]
            because = tuple(dict.fromkeys(fact.text for alarm in alarms for fact in alarm.facts))
            found[tier] = (day, tuple(alarm.rule.id for alarm in alarms), because)


def days_gained(alarm: FirstAlarm, image: Event) -> tuple[int, int]:
    """The least and the most calendar days by which the alarm came before the image."""
    first, last = image.when.days
    return (first - alarm.latest).days, (last - alarm.earliest).days
