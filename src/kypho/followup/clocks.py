"""The clocks of a new deficit: onset to image, door to image, image to decompression.

A clock is an interval where its ends are. One that has run past its window says so and asks to act now: late
decompression has helped, so no clock ever ends the case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kypho.evidence import record as evidence_record
from kypho.evidence import value
from kypho.followup.facts import Fact, onset
from kypho.followup.record import Record
from kypho.followup.times import When, duration

__all__ = ["Clock", "clocks"]


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Hours between two events.

    Attributes:
        low_h, high_h: the least and the most it can be; of a running clock, until now.
        running: the second event has not happened.
        window_h: the window from `source`; `confirmed` says whether its number was read in a source.
        verdict: "within", "beyond", "unknown" (the interval spans the window).
    """

    name: str
    low_h: float
    high_h: float
    running: bool
    window_h: float
    confirmed: bool
    source: str
    verdict: str

    def words(self, *, source: bool = True) -> str:
        """The clock in a line, with or without where its window comes from."""
        state = ", still running" if self.running else ""
        mark = "" if self.confirmed else "unconfirmed"
        named = ", ".join(part for part in (self.source if source else "", mark) if part)
        verdicts = {
            "within": "within it",
            "beyond": "beyond it",
            "unknown": "within or beyond, the times are too vague",
        }
        act = " ACT NOW: late is still of use." if self.running and self.verdict != "within" else ""
        window = f"window {duration(self.window_h)}{f' ({named})' if named else ''}"
        span = duration(self.low_h, self.high_h)
        return f"{self.name}: {span}{state}; {window}: {verdicts[self.verdict]}.{act}"


def clocks(record: Record, facts: tuple[Fact, ...], now: datetime) -> tuple[Clock, ...]:
    """The clocks that a deficit has started; none without one."""
    began = onset(facts)
    if began is None:
        return ()
    images = [
        e.when for e, body in record.imagings if body.modality in ("CT", "MRI") and not e.when.before(began)
    ]
    doors = [
        e.when
        for e, body in record.encounters
        if body.move in ("admitted", "transferred", "visit") and not e.when.before(began)
    ]
    cuts = [e.when for e, _ in record.decompressions if not e.when.before(began)]
    image, cut = min(images, key=_key, default=None), min(cuts, key=_key, default=None)
    found = [_clock("onset to image", began, image, "followup.ct_within_h", now)]
    if doors:
        found.append(_clock("door to image", min(doors, key=_key), image, "followup.mri_within_h", now))
    if image is not None:
        found.append(_clock("image to decompression", image, cut, "followup.decompression_goal_h", now))
    found.append(_clock("onset to decompression", began, cut, "followup.decompression_latest_h", now))
    return tuple(found)


def _clock(name: str, start: When, stop: When | None, record_id: str, now: datetime) -> Clock:
    window = evidence_record(record_id)
    low = _hours((stop.start if stop else now) - start.end)
    high = _hours((stop.end if stop else now) - start.start)
    limit = float(value(record_id))
    verdict = "within" if high <= limit else "beyond" if low > limit else "unknown"
    return Clock(
        name=name,
        low_h=low,
        high_h=high,
        running=stop is None,
        window_h=limit,
        confirmed=window.confirmed,
        source=window.sources[0].cite.split(",")[0].replace("kypho", "a choice of this project"),
        verdict=verdict,
    )


def _hours(span: timedelta) -> float:
    """Hours; overlapping intervals begin at zero."""
    return round(max(0.0, span.total_seconds()) / timedelta(hours=1).total_seconds(), 2)


def _key(when: When) -> tuple[float, float]:
    return when.key
