"""Laboratory values: known analytes, UCUM units, conversion, and the flag against the laboratory's range."""

from __future__ import annotations

from functools import cache
from math import inf
from typing import Any, Literal

from kypho.errors import RecordError
from kypho.evidence import value
from kypho.followup.events import Lab

__all__ = ["Flag", "analyte_words", "analytes", "convert", "flag", "loinc", "ucum", "unit_words"]

Flag = Literal["low", "normal", "high", "abnormal", "unknown"]

SPELLINGS = {
    "mmol/l": "mmol/L",
    "umol/l": "umol/L",
    "µmol/l": "umol/L",
    "μmol/l": "umol/L",
    "mg/dl": "mg/dL",
    "mg/l": "mg/L",
    "mm/h": "mm/h",
    "mm/hr": "mm/h",
    "g/l": "g/L",
    "g/dl": "g/dL",
    "10^9/l": "10*9/L",
    "10*9/l": "10*9/L",
    "1": "1",
}

SHORT_NAMES = {"crp": "CRP", "hs_crp": "hs-CRP", "esr": "ESR", "wbc": "white cell count", "inr": "INR"}
UNIT_WORDS = {"umol/L": "µmol/L", "10*9/L": "10⁹/L", "1": ""}
"""Where the code of a unit is not how it is read."""

DECILITRES_PER_LITRE = 10.0


@cache
def analytes() -> dict[str, dict[str, Any]]:
    """Analyte to its units and its verified LOINC codes by unit."""
    return dict(value("lab.analytes"))


def analyte_words(analyte: str) -> str:
    """The name of an analyte as a laboratory prints it."""
    return SHORT_NAMES.get(analyte, analyte.removeprefix("other:").replace("_", " "))


def unit_words(unit: str | None) -> str:
    """The unit as it is read; empty without one."""
    return UNIT_WORDS.get(unit or "", unit or "")


def ucum(unit: str) -> str:
    """The UCUM spelling of a unit as people type it; unknown spellings come back as they are."""
    return SPELLINGS.get(unit.strip().lower(), unit.strip())


def loinc(analyte: str, unit: str | None) -> str | None:
    """The verified LOINC code for this analyte in this unit, or None."""
    code: str | None = analytes().get(analyte, {}).get("loinc", {}).get(unit)
    return code


@cache
def _factors(analyte: str) -> dict[str, float]:
    """Unit to how many of the analyte's first unit one of it is."""
    molar = {
        "triglyceride": ("mmol/L", "lab.triglyceride.mmol_per_mg_dl"),
        "uric_acid": ("umol/L", "lab.uric_acid.umol_per_mg_dl"),
        "creatinine": ("umol/L", "lab.creatinine.umol_per_mg_dl"),
    }
    if analyte in molar:
        unit, record_id = molar[analyte]
        return {unit: 1.0, "mg/dL": float(value(record_id))}
    if analyte in ("crp", "hs_crp"):
        return {"mg/L": 1.0, "mg/dL": DECILITRES_PER_LITRE}
    if analyte == "haemoglobin":
        return {"g/L": 1.0, "g/dL": DECILITRES_PER_LITRE}
    return {}


def convert(analyte: str, amount: float, unit: str, to: str) -> float:
    """Convert an amount between units of one analyte.

    Raises:
        RecordError: no conversion between the two units is known for this analyte.
    """
    unit, to = ucum(unit), ucum(to)
    if unit == to:
        return amount
    factors = _factors(analyte)
    if unit not in factors or to not in factors:
        raise RecordError(
            f"{analyte} cannot be converted from {unit!r} to {to!r}; known: {', '.join(factors) or unit}"
        )
    return amount * factors[unit] / factors[to]


def flag(lab: Lab) -> Flag:
    """Where the value stands in the laboratory's own range; without a range it is unknown, not normal.

    So is a value known only as a bound (``> 100``) that can lie inside or outside.
    """
    if lab.value is None:
        if lab.reference_text is None or lab.text is None:
            return "unknown"
        return "normal" if lab.text.strip().lower() == lab.reference_text.strip().lower() else "abnormal"
    least, most = lab.bounds
    low = -inf if lab.reference_low is None else lab.reference_low
    high = inf if lab.reference_high is None else lab.reference_high
    if most < low or (most == low and lab.comparator == "<"):
        return "low"
    if least > high or (least == high and lab.comparator == ">"):
        return "high"
    inside = low <= least and most <= high
    return "normal" if inside and (low, high) != (-inf, inf) else "unknown"
