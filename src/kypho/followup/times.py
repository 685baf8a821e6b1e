"""When something happened: an instant, or an interval where the record is vague.

"The following week" is an interval, never an invented instant. Every `When` is half open,
``[start, end)``, and an instant has ``start == end``. Both ends know their zone.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict

from kypho.errors import RecordError

__all__ = ["When", "clock_time", "duration", "later", "parse_when", "parse_zone", "utc_now"]

MONTH = re.compile(r"^(\d{4})-(\d{2})$")
YEAR = re.compile(r"^\d{4}$")
DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
ONE_DAY = timedelta(days=1)
HOUR_H, DAY_H, WEEK_H, YEAR_H = 1, 24, 168, 8760  # numerics: hours in each
UNITS = (
    ("min", HOUR_H / 60, HOUR_H),
    ("h", HOUR_H, 2 * DAY_H + HOUR_H),
    ("days", DAY_H, 60 * DAY_H),
    ("months", YEAR_H / 12, 2 * YEAR_H),
    ("years", YEAR_H, float("inf")),
)
"""Name of a unit, its length, and the duration below which it is used; all in hours."""
FORMS = "write 2023-09-04, 2023-09-04T10:30+08:00, 2023-07, or FIRST..LAST"


class When(BaseModel):
    """An instant or a half-open interval ``[start, end)``, and the words it was written in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime
    end: AwareDatetime
    written: str

    @cached_property
    def key(self) -> tuple[float, float]:
        """Start and end in seconds since 1970: for sorting and comparing."""
        return self.start.timestamp(), self.end.timestamp()

    @property
    def vague(self) -> bool:
        """True unless this is an instant."""
        return self.end > self.start

    @property
    def timed(self) -> bool:
        """True if its end is a clock time; a day, month or year has no minutes."""
        return not _is_date(self.written.rpartition("..")[2].strip())

    @property
    def words(self) -> str:
        """The time for reading, without the zone: "2024-02-01 12:00", "2024-02-01 to 2024-02-03"."""
        first, dots, last = (part.strip() for part in self.written.partition(".."))
        begin = first if _is_date(first) else clock_time(self.start)
        return f"{begin} to {last if _is_date(last) else clock_time(self.end)}" if dots else begin

    def in_zone(self, zone: ZoneInfo) -> When:
        """The same time on the clocks of this zone."""
        start, end = self.start.astimezone(zone), self.end.astimezone(zone)
        if (start.utcoffset(), end.utcoffset()) == (self.start.utcoffset(), self.end.utcoffset()):
            return self
        return self.model_copy(update={"start": start, "end": end})

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last calendar day touched, on the clocks of its zone."""
        last = self.end - timedelta(microseconds=1) if self.vague else self.end
        return self.start.date(), last.date()

    def before(self, other: When) -> bool:
        """True if certainly earlier than `other`; two vague times that overlap are in no order."""
        start, end = self.key
        after = other.key[0]
        return end < after or (end == after and start < end)

    def overlaps(self, other: When) -> bool:
        """True if neither is certainly before the other."""
        return not self.before(other) and not other.before(self)


def _is_date(text: str) -> bool:
    return any(form.match(text) for form in (DAY, MONTH, YEAR))


def clock_time(moment: datetime) -> str:
    """An instant for reading, without its zone."""
    return f"{moment:%Y-%m-%d %H:%M}"


def later(moment: datetime, hours: float) -> datetime:
    """So many hours later, on the clock of the same zone, whatever the clock did in between."""
    return (moment.astimezone(UTC) + timedelta(hours=hours)).astimezone(moment.tzinfo)


def duration(low_h: float, high_h: float | None = None) -> str:
    """Hours in the units people count in; with two ends an interval in one unit.

    Args:
        low_h: hours, or the least hours of an interval.
        high_h: the most hours of it.
    """
    ends = [low_h] if high_h is None or high_h == low_h else [low_h, high_h]
    top = ends[-1]
    if len(ends) == 1 and top >= 2 * WEEK_H and top % WEEK_H == 0:
        return f"{top / WEEK_H:g} weeks"
    name, size = next((unit, size) for unit, size, below in UNITS if top < below)
    numbers = dict.fromkeys(_number(end / size) for end in ends)
    return f"{' to '.join(numbers)} {name[:-1] if list(numbers) == ['1'] and name[-1] == 's' else name}"


def _number(amount: float) -> str:
    """Two digits are enough of a duration; whole numbers stay whole."""
    return f"{amount:.0f}" if amount >= 10 else f"{round(amount, 1):g}"


def utc_now() -> datetime:
    """The present instant, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def parse_zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name.

    Raises:
        RecordError: no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise RecordError(f"zone {name!r} is no IANA time zone; write one such as Asia/Shanghai") from None


def parse_when(text: Any, zone: ZoneInfo) -> When:
    """Read a time as people write it.

    Args:
        text: a day, month, year, a clock time, or two of these joined by ``..``. A `date` or `datetime`,
            as YAML gives them, is read the same way.
        zone: the zone of the place, for everything written without an offset.

    Raises:
        RecordError: no date, a clock time that does not exist or exists twice in the zone, or an interval
            that ends before it starts.
    """
    if isinstance(text, date):  # a datetime is one too
        text = text.isoformat()
    written = str(text).strip()
    first, dots, last = written.partition("..")
    start, end = _span(first.strip(), zone)
    if dots:
        end = _span(last.strip(), zone)[1]
    if end < start:
        raise RecordError(f"time {written!r} ends before it starts; write the earlier end first")
    return When(start=_whole_minutes(start), end=_whole_minutes(end), written=written)


def _span(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end of one written time."""
    try:
        if YEAR.match(text):
            year = int(text)
            return _midnight(date(year, 1, 1), zone), _midnight(date(year + 1, 1, 1), zone)
        if month := MONTH.match(text):
            year, number = int(month[1]), int(month[2])
            first = date(year, number, 1)
            after = date(year + number // 12, number % 12 + 1, 1)
            return _midnight(first, zone), _midnight(after, zone)
        if DAY.match(text):
            day = date.fromisoformat(text)
            return _midnight(day, zone), _midnight(day + ONE_DAY, zone)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as problem:
        raise RecordError(f"time {text!r} is no date ({problem}); {FORMS}") from None
    moment = moment if moment.tzinfo else _local(moment, zone)
    return moment, moment


def _whole_minutes(moment: datetime) -> datetime:
    """The same instant with an offset that JSON can hold; local mean times of old have seconds."""
    offset = moment.utcoffset() or timedelta()
    minutes = -(-offset // timedelta(minutes=1)) * timedelta(minutes=1)
    return moment if minutes == offset else moment.astimezone(timezone(minutes))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """Give a clock time its zone, refusing hours that the clock skipped or showed twice."""
    early = moment.replace(tzinfo=zone, fold=0)
    late = moment.replace(tzinfo=zone, fold=1)
    if early.utcoffset() == late.utcoffset():
        return early
    exists = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
    why = "came twice that day" if exists else "was skipped by the clock that day"
    raise RecordError(
        f"time {moment.isoformat()!r} {why} in {zone.key}; add the offset, as in 2023-09-04T10:30+08:00"
    )
