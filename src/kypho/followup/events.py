"""The events a follow-up record is made of. They are only ever added; a correction is a new event."""

from __future__ import annotations

import hashlib
import json
from math import inf
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from kypho.followup.findings import Examination, Frozen, Known, Pain, Side
from kypho.followup.times import When

__all__ = [
    "ANSWERABLE",
    "Body",
    "Consent",
    "Decision",
    "Diagnosis",
    "Encounter",
    "Enrolment",
    "Event",
    "Examination",
    "Imaging",
    "Lab",
    "Note",
    "Operation",
    "Perspective",
    "Procedure",
    "Retraction",
    "Role",
    "Symptom",
    "Treatment",
    "event_id",
]

Role = Literal[
    "surgeon", "physician", "radiologist", "nurse", "therapist", "patient", "relative", "researcher"
]

ANSWERABLE: tuple[Role, ...] = ("surgeon", "physician")
"""Who can answer for an alarm: close it, or take back what raised it."""


class Enrolment(Frozen):
    """Who is followed, under a pseudonym. The first event of a case."""

    kind: Literal["enrolment"] = "enrolment"
    birth_year: int | None = None
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    zone: str = "UTC"
    synthetic: bool = False


class Procedure(Frozen):
    """The augmentation itself. `When` is the end of the injection, as well as it is known."""

    kind: Literal["procedure"] = "procedure"
    procedure: Literal["PKP", "PVP"] = "PKP"
    level: str
    approach: str | None = None
    device: str | None = None
    cement: str | None = None
    lot: str | None = None
    volume_ml: float | None = None
    rate_ml_min: float | None = None
    complications: tuple[str, ...] = ()


class Lab(Frozen):
    """One laboratory value with its unit (UCUM) and the laboratory's own reference range.

    Attributes:
        comparator: where the value is only a bound: ">" 100 of an assay that ends there.
    """

    kind: Literal["lab"] = "lab"
    analyte: str
    comparator: Literal["<", "<=", ">=", ">"] | None = None
    value: float | None = None
    text: str | None = None
    unit: str | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    reference_text: str | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most that the value can be; of a value in words everything."""
        if self.value is None:
            return 0.0, inf
        below, above = self.comparator in ("<", "<="), self.comparator in (">", ">=")
        return (0.0 if below else self.value), (inf if above else self.value)


class Imaging(Frozen):
    """An imaging result, typed or taken from the check of a post-operative CT."""

    kind: Literal["imaging"] = "imaging"
    modality: Literal["CT", "MRI", "XR", "other"]
    region: str | None = None
    canal_cement: Known = "unknown"
    levels: tuple[str, ...] = ()
    side: Side = "unknown"
    compartment: Literal["epidural", "intradural", "both", "undetermined", "unknown"] = "unknown"
    encroachment_percent: float | None = None
    encroachment_high_percent: float | None = None
    cord_compression: Known = "unknown"
    requested: When | None = None
    text: str | None = None


class Symptom(Frozen):
    """What the patient reports or someone notices, without an examination."""

    kind: Literal["symptom"] = "symptom"
    symptom: Literal[
        "leg_weakness",
        "numbness",
        "pain",
        "urinary_difficulty",
        "urinary_retention",
        "incontinence",
        "saddle_numbness",
        "dyspnoea",
        "chest_pain",
        "syncope",
        "fever",
        "abdominal_discomfort",
        "other",
    ]
    side: Side = "unknown"
    trend: Literal["new", "progressive", "stable", "better", "resolved", "unknown"] = "unknown"
    pain: Pain | None = None
    during_injection: bool = False
    text: str | None = None


class Decision(Frozen):
    """A decision someone answers for. `closes` names the rules whose alarms it takes responsibility for."""

    kind: Literal["decision"] = "decision"
    decision: str
    closes: tuple[str, ...] = ()
    reason: str | None = None


class Operation(Frozen):
    """A later operation. `When` is knife to skin, as well as it is known."""

    kind: Literal["operation"] = "operation"
    operation: str
    decompression: bool = False
    levels: tuple[str, ...] = ()
    findings: str | None = None


class Treatment(Frozen):
    """A drug or another treatment that is no operation."""

    kind: Literal["treatment"] = "treatment"
    treatment: str
    dose: str | None = None
    route: str | None = None
    purpose: str | None = None


class Diagnosis(Frozen):
    """A diagnosis; `ais` only as graded by a full examination."""

    kind: Literal["diagnosis"] = "diagnosis"
    diagnosis: str
    ais: Literal["A", "B", "C", "D", "E"] | None = None
    certainty: Literal["confirmed", "suspected", "excluded"] = "confirmed"


class Encounter(Frozen):
    """A door passed: admission, transfer, discharge."""

    kind: Literal["encounter"] = "encounter"
    move: Literal["admitted", "transferred", "discharged", "visit"]
    place: str | None = None
    text: str | None = None


class Note(Frozen):
    """Free text, with the CARE sub-item it speaks to where there is one."""

    kind: Literal["note"] = "note"
    text: str
    care: str | None = None


class Perspective(Frozen):
    """The patient's own account, in the patient's words."""

    kind: Literal["perspective"] = "perspective"
    text: str


class Consent(Frozen):
    """Whether the patient agreed to publication; never assumed."""

    kind: Literal["consent"] = "consent"
    given: Literal["yes", "no"]
    scope: str


class Retraction(Frozen):
    """Takes back the event it points at, without putting another in its place."""

    kind: Literal["retraction"] = "retraction"
    reason: str


Body = Annotated[
    Enrolment
    | Procedure
    | Examination
    | Lab
    | Imaging
    | Symptom
    | Decision
    | Operation
    | Treatment
    | Diagnosis
    | Encounter
    | Note
    | Perspective
    | Consent
    | Retraction,
    Field(discriminator="kind"),
]


class Event(Frozen):
    """One event: what, when, recorded when, by whom, from where.

    Attributes:
        id: content address (see `event_id`), so that writing one event twice stores it once.
        when: time of the event; may be an interval.
        recorded: when it was entered.
        corrects: id of the event this one replaces or retracts.
    """

    id: str
    case: str
    when: When
    recorded: AwareDatetime
    role: Role
    source: str
    corrects: str | None = None
    body: Body

    @property
    def kind(self) -> str:
        """The body's kind."""
        return self.body.kind

    @property
    def content_id(self) -> str:
        """The id of what the event says; another than `id` only where somebody changed it."""
        return event_id(self.case, self.when, self.role, self.source, self.corrects, self.body)


CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
"""One text for one content."""


def event_id(case: str, when: When, role: str, source: str, corrects: str | None, body: BaseModel) -> str:
    """Twenty hex digits of the SHA-256 of what the event says; its recording time is left out."""
    content: list[Any] = [
        case,
        when.start.isoformat(),
        when.end.isoformat(),
        role,
        source,
        corrects,
        body.model_dump(mode="json", exclude_defaults=True),
        getattr(body, "kind", None),
    ]
    return hashlib.sha256(CANONICAL.encode(content).encode()).hexdigest()[:20]
