"""Facts of the laboratory: outside the laboratory's range, inflammation raised or rising."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kypho.evidence import value
from kypho.followup.events import Event, Lab
from kypho.followup.facts_base import Fact, fact
from kypho.followup.labs import analyte_words, analytes, convert, flag, unit_words
from kypho.followup.limit_words import limit_words
from kypho.followup.record import Record

__all__ = ["describe", "lab_facts"]

INFECTION_AFTER = "followup.infection_after_d"
INFLAMMATION = ("crp", "hs_crp", "esr")


def lab_facts(record: Record) -> Iterator[Fact]:
    """Facts of every laboratory value after the procedure."""
    start = record.index_procedure
    if start is None:
        return
    late = start.when.start + timedelta(days=value(INFECTION_AFTER))
    values = [(event, lab) for event, lab in record.of(Lab) if record.after_procedure(event)]
    for event, lab in values:
        standing = flag(lab)
        if standing in ("low", "high", "abnormal"):
            yield fact("lab.outside", 1, f"{describe(lab)}, {standing}", event.when, event.id)
        if lab.analyte in INFLAMMATION and event.when.end >= late and standing in ("high", "abnormal"):
            text = f"{describe(lab)}, {limit_words(INFECTION_AFTER)} or more after the procedure"
            yield fact("lab.inflammation_raised", 1, text, event.when, event.id)
    for analyte in INFLAMMATION:
        yield from _rises([pair for pair in values if pair[1].analyte == analyte], late)


def _rises(series: list[tuple[Event, Lab]], late: datetime) -> Iterator[Fact]:
    """Late values that stand above an earlier one and not inside the range."""
    for number, (event, lab) in enumerate(series):
        bounds = _bounds(lab)
        if bounds is None or flag(lab) == "normal" or event.when.end < late:
            continue
        for earlier, other in series[:number]:
            lower = _bounds(other)
            if lower is not None and lower[1] < bounds[0] and earlier.when.before(event.when):
                text = f"{describe(lab)}, up from {describe(other)}"
                yield fact("lab.inflammation_rising", 1, text, event.when, earlier.id, event.id)
                break


def _bounds(lab: Lab) -> tuple[float, float] | None:
    """The least and the most that the value can be, in the analyte's first unit; None in words."""
    unit = analytes()[lab.analyte]["units"][0]
    if lab.value is None or lab.unit is None:
        return None
    least, most = (convert(lab.analyte, end, lab.unit, unit) for end in lab.bounds)
    return least, most


def describe(lab: Lab) -> str:
    """The value in words, with its unit."""
    number = (
        "" if lab.value is None else f"{lab.comparator or ''}{lab.value:g} {unit_words(lab.unit)}".strip()
    )
    return f"{analyte_words(lab.analyte)} {number or lab.text}"
