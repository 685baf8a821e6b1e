"""The limits of the rules as people read them, from the records that are computed with."""

from __future__ import annotations

import re
from typing import Any

from kypho.evidence import record
from kypho.followup.times import DAY_H, duration

__all__ = ["limit_words", "with_limits"]

PLACEHOLDER = re.compile(r"\{([\w.]+)\}")
UNIT_WORDS = {"1": "", "mL": " mL", "%": " %", "Cel": " °C"}
HOURS_IN = {"h": 1, "d": DAY_H}


def limit_words(record_id: str) -> str:
    """The value of an evidence record with its unit; of a list its first and last.

    "4 h", "600 mL", "3 days", "1 to 48 h".
    """
    limit = record(record_id)
    amount: Any = limit.value
    ends = [amount[0], amount[-1]] if isinstance(amount, list) else [amount]
    if limit.unit in HOURS_IN:
        return duration(*(end * HOURS_IN[limit.unit] for end in ends))
    return " to ".join(f"{end:g}" for end in ends) + UNIT_WORDS[limit.unit]


def with_limits(text: str) -> str:
    """The text with ``{id of a record}`` replaced by the record's value in words."""
    return PLACEHOLDER.sub(lambda found: limit_words(found[1]), text)
