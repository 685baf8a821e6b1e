"""Pieces of FHIR R5 as plain dictionaries, and the validation of a document Bundle.

Codes come from LOINC, UCUM and SNOMED CT only where they were verified; everything else carries a code of the
private scheme 99PKP and its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from kypho.errors import MissingPartError, RecordError

__all__ = [
    "LOINC",
    "PRIVATE",
    "SNOMED",
    "UCUM",
    "concept",
    "document_bundle",
    "identifier",
    "moment",
    "quantity",
    "reference",
    "span",
    "validate_bundle",
    "vertebra",
]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
PRIVATE = "urn:kypho:99PKP"

VERTEBRA_CODES = {
    "T1": "64864005",
    "T2": "53733008",
    "T3": "1626008",
    "T4": "73071006",
    "T5": "56401006",
    "T6": "45296009",
    "T7": "62487009",
    "T8": "11068009",
    "T9": "82687006",
    "T10": "7610001",
    "T11": "12989004",
    "T12": "23215003",
    "L1": "66794005",
    "L2": "14293000",
    "L3": "36470004",
    "L4": "11994002",
    "L5": "49668003",
}
"""SNOMED CT codes of vertebrae on which two independent tables agree."""


def identifier(name: str) -> str:
    """A name as a FHIR id, which may not hold an underscore."""
    return name.replace("_", "-")


def concept(code: str, text: str, *, system: str = PRIVATE) -> dict[str, Any]:
    """A CodeableConcept of one code and its words."""
    return {"coding": [{"system": system, "code": code}], "text": text}


def vertebra(level: str) -> dict[str, Any]:
    """A vertebral level; coded where the code is verified, else in words."""
    if level in VERTEBRA_CODES:
        return concept(VERTEBRA_CODES[level], f"{level} vertebra", system=SNOMED)
    return {"text": f"{level} vertebra"}


def quantity(amount: float, unit: str) -> dict[str, Any]:
    """A Quantity in UCUM; digits that binary floats add are rounded away."""
    return {"value": float(f"{amount:.10g}"), "unit": unit, "system": UCUM, "code": unit}


def moment(at: datetime) -> str:
    """A dateTime with its zone, to the second."""
    return at.isoformat(timespec="seconds")


def span(name: str, start: datetime, end: datetime) -> dict[str, Any]:
    """``nameDateTime`` for an instant, else ``namePeriod``; a FHIR period holds its last second."""
    if end <= start:
        return {f"{name}DateTime": moment(start)}
    return {f"{name}Period": {"start": moment(start), "end": moment(end - timedelta(seconds=1))}}


def reference(resource: dict[str, Any]) -> dict[str, str]:
    """A reference to a resource of the same Bundle."""
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def document_bundle(
    resources: Sequence[dict[str, Any]], *, case: str, timestamp: datetime, tags: Sequence[str] = ()
) -> dict[str, Any]:
    """A document Bundle; the first resource must be the Composition."""
    base = f"urn:kypho:{case}"
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:kypho:case", "value": case},
        "timestamp": moment(timestamp),
        "entry": [
            {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources
        ],
    }
    if tags:
        bundle["meta"] = {"tag": [{"system": PRIVATE, "code": tag} for tag in tags]}
    return bundle


def validate_bundle(bundle: dict[str, Any]) -> None:
    """Check a Bundle against the R5 models, and that references inside it lead somewhere.

    Raises:
        MissingPartError: fhir.resources is not installed.
        RecordError: the Bundle is not valid.
    """
    try:
        from fhir.resources.bundle import Bundle
    except ImportError:
        raise MissingPartError("FHIR needs fhir.resources; pip install 'kypho[records]'") from None
    try:
        Bundle.model_validate(bundle)
    except ValueError as problem:
        why = " ".join(str(problem).split())[:200]
        raise RecordError(f"the FHIR Bundle is not valid R5 ({why}); write it again with kypho") from None
    resources = [entry.get("resource", {}) for entry in bundle.get("entry", ())]
    if not all("resourceType" in one and "id" in one for one in resources):
        raise RecordError("the FHIR Bundle has a resource without type or id; write it again with kypho")
    known = {f"{one['resourceType']}/{one['id']}" for one in resources}
    lost = sorted(name for name in _references(bundle) if name not in known)
    if lost:
        raise RecordError(
            f"the FHIR Bundle refers to {lost[0]}, which is not in it; write it again with kypho"
        )


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["reference"]} if isinstance(part.get("reference"), str) else set()
        return own.union(*(_references(item) for item in part.values()))
    if isinstance(part, list):
        return set().union(*(_references(item) for item in part))
    return set()
