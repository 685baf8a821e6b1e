"""Do the printed numbers of a study agree with each other?

Two questions a printed ratio can be asked without its data: does the interval sit around the estimate on
the log scale, and do the interval and the printed P agree about significance?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kypho.evidence import all_records, value
from kypho.evidence.records import Record
from kypho.risk.logodds import beta_se, implied_p

__all__ = ["Defect", "defect_of", "printed_defects", "printed_ratios"]


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A printed ratio that cannot be right as printed."""

    record_id: str
    reason: str


def defect_of(
    ratio: float, low: float, high: float, printed_p: float | None = None, printed_decimals: int = 3
) -> str | None:
    """Why a printed ratio is defective, or None.

    Args:
        ratio: the printed odds or risk ratio.
        low: lower end of its printed 95 % interval.
        high: upper end.
        printed_p: the printed P; for "< .001" give .001.
        printed_decimals: decimals printed, so that rounding alone never counts as a defect.
    """
    beta, se = beta_se(ratio, low, high)
    if not low < ratio < high:
        return "the interval does not contain the estimate"
    middle = (np.log(low) + np.log(high)) / 2
    half_unit = 0.5 * 10.0**-printed_decimals
    # Rounding moves each logarithm by at most half a unit of the last digit over the number itself.
    rounding = half_unit * (1 / ratio + 0.5 / low + 0.5 / high)
    if abs(beta - middle) - rounding > value("risk.audit.asymmetry_se") * se:
        return f"the interval is lopsided on the log scale (middle {np.exp(middle):.2f})"
    if printed_p is not None:
        implied = implied_p(ratio, low, high)
        limit = value("risk.audit.significance")
        if (printed_p < limit) != (implied < limit):
            return f"printed P {printed_p:g} and the interval (P {implied:.2g}) disagree about significance"
    return None


def _printed_p(item: Record) -> float | None:
    head, _, tail = (item.note or "").partition("; P ")
    return float(tail.split(";")[0].lstrip("<")) if head and tail else None


def printed_ratios() -> tuple[Record, ...]:
    """Every published ratio with an interval, as printed."""
    return tuple(
        item
        for item in all_records().values()
        if item.id.startswith("risk.row.")
        and item.unit in ("odds ratio", "risk ratio")
        and item.low is not None
        and (item.note or "").startswith("printed")
    )


def printed_defects() -> tuple[Defect, ...]:
    """The published ratios that are defective as printed, in the order of the records."""
    found = []
    for item in printed_ratios():
        decimals = max(len(f"{x:g}".partition(".")[2]) for x in (item.value, item.low, item.high))
        reason = defect_of(float(value(item.id)), item.low or 0, item.high or 0, _printed_p(item), decimals)
        if reason:
            found.append(Defect(record_id=item.id, reason=reason))
    return tuple(found)
