"""The events a follow-up record is made of. They are only ever added; a correction is a new event."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kypho.followup.times import When

__all__ = [
    "Bladder",
    "Body",
    "Consent",
    "Decision",
    "Diagnosis",
    "Encounter",
    "Enrolment",
    "Event",
    "Examination",
    "Grades",
    "Imaging",
    "Lab",
    "Note",
    "Operation",
    "Pain",
    "Perspective",
    "Procedure",
    "Retraction",
    "Role",
    "Symptom",
    "Treatment",
    "event_id",
    "graded",
]

Role = Literal[
    "surgeon", "physician", "radiologist", "nurse", "therapist", "patient", "relative", "researcher"
]
Side = Literal["right", "left", "both", "unknown"]
Known = Literal["yes", "no", "unknown"]
Testable = Literal["Yes", "No", "NT"]
Scores = dict[str, dict[str, str]]
"""Side to level to the score as the worksheet writes it: ``{"right": {"L2": "4"}}``."""
Grades = dict[tuple[str, str], int]
"""(side, level) to a grade or score that is a number."""


def graded(scores: Scores) -> Grades:
    """The scores that are numbers. NT, and ** (normal but for another condition), are left out."""
    return {
        (side, level): int(score[0])
        for side, part in scores.items()
        for level, score in part.items()
        if score[0] != "N" and score[-2:] != "**"
    }


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Enrolment(_Frozen):
    """Who is followed, under a pseudonym. The first event of a case."""

    kind: Literal["enrolment"] = "enrolment"
    birth_year: int | None = None
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    zone: str = "UTC"
    synthetic: bool = False


class Procedure(_Frozen):
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


class Pain(_Frozen):
    """One pain: 0 to 10, where, and of what quality."""

    score: int | None = None
    site: str
    side: Side = "unknown"
    quality: Literal["aching", "burning", "electric", "stabbing", "girdle", "unknown"] = "unknown"
    radiating: Known = "unknown"
    trend: Literal["new", "worse", "same", "better", "unknown"] = "unknown"


class Bladder(_Frozen):
    """What the bladder does; millilitres of post-void residual."""

    voiding: Literal["normal", "difficult", "retention", "incontinent", "unknown"] = "unknown"
    pvr_ml: float | None = None
    catheter: Known = "unknown"


class Examination(_Frozen):
    """A bedside examination; everything not written is unknown, never normal."""

    kind: Literal["examination"] = "examination"
    motor: Scores = {}
    light_touch: Scores = {}
    pin_prick: Scores = {}
    reflexes: dict[str, dict[str, Literal["absent", "reduced", "normal", "brisk", "NT"]]] = {}
    pain_limited: tuple[str, ...] = ()
    voluntary_anal_contraction: Testable = "NT"
    deep_anal_pressure: Testable = "NT"
    saddle: Literal["normal", "reduced", "absent", "NT"] = "NT"
    legs: Literal["normal", "weak", "immobile", "unknown"] = "unknown"
    sensation: Literal["normal", "reduced", "absent", "unknown"] = "unknown"
    sensory_level: str | None = None
    pains: tuple[Pain, ...] = ()
    bladder: Bladder | None = None
    temperature_c: float | None = None
    spo2_percent: float | None = None
    untestable: str | None = None
    during_injection: bool = False
    text: str | None = None

    @cached_property
    def grades(self) -> Grades:
        """Key muscles that were graded."""
        return graded(self.motor)

    @cached_property
    def free_grades(self) -> Grades:
        """Key muscles that were graded and not limited by pain."""
        if not self.pain_limited:
            return self.grades
        return {p: grade for p, grade in self.grades.items() if " ".join(p) not in self.pain_limited}

    @cached_property
    def touch(self) -> Grades:
        """Dermatomes whose light touch was scored."""
        return graded(self.light_touch)

    @cached_property
    def pin(self) -> Grades:
        """Dermatomes whose pin prick was scored."""
        return graded(self.pin_prick)


class Lab(_Frozen):
    """One laboratory value with its unit (UCUM) and the laboratory's own reference range."""

    kind: Literal["lab"] = "lab"
    analyte: str
    value: float | None = None
    text: str | None = None
    unit: str | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    reference_text: str | None = None


class Imaging(_Frozen):
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


class Symptom(_Frozen):
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


class Decision(_Frozen):
    """A decision someone answers for. `closes` names the rules whose alarms it takes responsibility for."""

    kind: Literal["decision"] = "decision"
    decision: str
    closes: tuple[str, ...] = ()
    reason: str | None = None


class Operation(_Frozen):
    """A later operation. `When` is knife to skin, as well as it is known."""

    kind: Literal["operation"] = "operation"
    operation: str
    decompression: bool = False
    levels: tuple[str, ...] = ()
    findings: str | None = None


class Treatment(_Frozen):
    """A drug or another treatment that is no operation."""

    kind: Literal["treatment"] = "treatment"
    treatment: str
    dose: str | None = None
    route: str | None = None
    purpose: str | None = None


class Diagnosis(_Frozen):
    """A diagnosis; `ais` only as graded by a full examination."""

    kind: Literal["diagnosis"] = "diagnosis"
    diagnosis: str
    ais: Literal["A", "B", "C", "D", "E"] | None = None
    certainty: Literal["confirmed", "suspected", "excluded"] = "confirmed"


class Encounter(_Frozen):
    """A door passed: admission, transfer, discharge."""

    kind: Literal["encounter"] = "encounter"
    move: Literal["admitted", "transferred", "discharged", "visit"]
    place: str | None = None
    text: str | None = None


class Note(_Frozen):
    """Free text, with the CARE sub-item it speaks to where there is one."""

    kind: Literal["note"] = "note"
    text: str
    care: str | None = None


class Perspective(_Frozen):
    """The patient's own account, in the patient's words."""

    kind: Literal["perspective"] = "perspective"
    text: str


class Consent(_Frozen):
    """Whether the patient agreed to publication; never assumed."""

    kind: Literal["consent"] = "consent"
    given: Literal["yes", "no"]
    scope: str


class Retraction(_Frozen):
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


class Event(_Frozen):
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
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]
