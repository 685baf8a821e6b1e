"""A laboratory value as people type it on a command line, read into fields.

crp=14.3 mg/L [<=5]         a decimal comma reads the same; the range may repeat the unit
hs_crp=>100 mg/L [0-5]      beyond what the assay measures: at least 100
urine_protein=1+ [negative] a value and a range in words
"""

from __future__ import annotations

import re
from typing import Any

from kypho.errors import RecordError
from kypho.followup.labs import ucum

__all__ = ["read_lab"]

AMOUNT = r"\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?"
END = r"(?![\d.,+:])"
"""A number ends here; "1+", "1:80" and "1,234,567" are none."""
TO = r"(?:[-\u2013\u2014\u2212]|\.\.|to)"
"""What stands between two ends: a hyphen, the dashes, a minus."""
LAB = re.compile(r"^\s*([^=]+?)\s*=\s*([^\[]*[^\[\s])\s*(?:\[(.*)\])?\s*$")
VALUE = re.compile(rf"^(<=?|>=?|≤|≥)?\s*([+-]?{AMOUNT}){END}\s*(.*)$")
SPAN = re.compile(rf"^({AMOUNT})\s*{TO}\s*({AMOUNT}){END}\s*(.*)$")
BOUND = re.compile(rf"^(<=?|>=?|≤|≥|up to)\s*({AMOUNT}){END}\s*(.*)$", re.I)
THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}")
"""A comma before three digits: a decimal in one country, a thousand in another."""
NOT_A_NUMBER = ("nan", "inf", "infinity")
COMPARATORS = {"≤": "<=", "≥": ">="}


def read_lab(text: str) -> dict[str, Any]:
    """A laboratory value typed as ``name=value unit [range]``; a value in words has no unit.

    Raises:
        RecordError: it cannot be read that way.
    """
    found = LAB.match(text)
    if not found:
        raise RecordError(f"lab {text!r} is not NAME=VALUE UNIT [RANGE]; write 'crp=14.3 mg/L [<=5]'")
    name, amount, reference = found.groups()
    lab: dict[str, Any] = {"analyte": name.strip().lower()}
    if number := VALUE.match(amount):
        lab["comparator"] = COMPARATORS.get(number[1], number[1])
        lab["value"] = _number(number[2], text)
        lab["unit"] = number[3].strip() or None
    elif amount.split()[0].lower().lstrip("+-<>=") in NOT_A_NUMBER:
        raise RecordError(f"lab {text!r}: {amount!r} is no number; write the value, or words such as 'trace'")
    else:
        lab["text"] = amount
    if reference is not None:
        lab.update(_reference(reference.strip(), lab.get("unit"), text))
    return lab


def _reference(text: str, unit: str | None, whole: str) -> dict[str, Any]:
    """The range in numbers; what is not in numbers stays words, which only a value in words can have."""
    limits: dict[str, Any]
    if span := SPAN.match(text):
        limits = {"reference_low": _number(span[1], whole), "reference_high": _number(span[2], whole)}
        own_unit = span[3]
    elif bound := BOUND.match(text):
        name = "reference_low" if bound[1][0] in ">≥" else "reference_high"
        limits, own_unit = {name: _number(bound[2], whole)}, bound[3]
    else:
        return {"reference_text": text}
    if own_unit and ucum(own_unit) != ucum(unit or ""):
        raise RecordError(f"lab {whole!r}: value in {unit!r}, range in {own_unit!r}; write both in one unit")
    return limits


def _number(text: str, whole: str) -> float:
    if THOUSANDS.fullmatch(text):
        raise RecordError(
            f"lab {whole!r}: {text!r} may be a thousand or a decimal; write it without the comma"
        )
    return float(text.replace(",", "."))
