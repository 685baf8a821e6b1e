"""Facts of the laboratory: outside the laboratory's range, inflammation raised or rising."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kypho.evidence import value
from kypho.followup.events import Event, Lab
from kypho.followup.facts_base import Fact, fact
from kypho.followup.labs import analyte_words, analytes, convert, flag, unit_words
from kypho.followup.record import Record

__all__ = ["describe", "lab_facts"]

INFLAMMATION = ("crp", "hs_crp", "esr")


def lab_facts(record: Record) -> Iterator[Fact]:
    """Facts of every laboratory value after the procedure."""
    start = record.index_procedure
    if start is None:
        return
    late = start.when.start + timedelta(days=value("followup.infection_after_d"))
    values = [(event, lab) for event, lab in record.of(Lab) if record.after_procedure(event)]
    for event, lab in values:
        standing = flag(lab)
        if standing in ("low", "high", "abnormal"):
            yield fact("lab.outside", 1, f"{describe(lab)}, {standing}", event.when, event.id)
        if lab.analyte in INFLAMMATION and event.when.end >= late and standing in ("high", "abnormal"):
            yield fact("lab.inflammation_raised", 1, f"{describe(lab)} after day 3", event.when, event.id)
    for analyte in INFLAMMATION:
        yield from _rises([pair for pair in values if pair[1].analyte == analyte], late)


def _rises(series: list[tuple[Event, Lab]], late: datetime) -> Iterator[Fact]:
    """Values after day 3 that stand above an earlier one and not inside the range."""
    for number, (event, lab) in enumerate(series):
        amount = _amount(lab)
        if amount is None or flag(lab) == "normal" or event.when.end < late:
            continue
        for earlier, other in series[:number]:
            lower = _amount(other)
            if lower is not None and lower < amount and earlier.when.before(event.when):
                text = f"{describe(lab)}, up from {describe(other)}"
                yield fact("lab.inflammation_rising", 1, text, event.when, earlier.id, event.id)
                break


def _amount(lab: Lab) -> float | None:
    units = analytes()[lab.analyte]["units"]
    if lab.value is None or lab.unit is None:
        return None
    return convert(lab.analyte, lab.value, lab.unit, units[0])


def describe(lab: Lab) -> str:
    """The value in words, with its unit."""
    amount = lab.text if lab.value is None else f"{lab.value:g} {unit_words(lab.unit)}".strip()
    return f"{analyte_words(lab.analyte)} {amount}"
