"""One FHIR R5 resource per kind of event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kypho.followup import events as ev
from kypho.followup.labs import flag, loinc
from kypho.followup.record import Record
from kypho.formats import fhir_out as fhir

__all__ = ["patient_resource", "resource_of"]

Resource = dict[str, Any]
GENDER = {"female": "female", "male": "male", "other": "other", "unknown": "unknown"}


def patient_resource(record: Record) -> Resource:
    """The patient under the pseudonym: sex and birth year, nothing else."""
    patient: Resource = {
        "resourceType": "Patient",
        "id": fhir.identifier(record.case),
        "identifier": [{"system": "urn:kypho:case", "value": record.case}],
        "gender": GENDER[record.enrolment.sex],
    }
    if record.enrolment.birth_year is not None:
        patient["birthDate"] = str(record.enrolment.birth_year)
    return patient


def resource_of(event: ev.Event, subject: dict[str, str]) -> Resource:
    """The resource of one event; kinds without a resource of their own are Observations of a private code."""
    make = _MAKERS.get(event.kind, _other)
    made = make(event, event.body)
    head = {"resourceType": made.pop("resourceType"), "id": f"e-{event.id}"}
    return {
        **head,
        "identifier": [{"system": "urn:kypho:event", "value": event.id}],
        "subject": subject,
        **made,
    }


def _observation(event: ev.Event, code: Resource, **more: Any) -> Resource:
    when = fhir.span("effective", event.when.start, event.when.end)
    return {"resourceType": "Observation", "status": "final", "code": code, **when, **more}


def _other(event: ev.Event, body: Any) -> Resource:
    said = body.model_dump(mode="json", exclude_defaults=True, exclude={"kind", "requested"})
    text = "; ".join(f"{name}: {part}" for name, part in sorted(said.items())) or event.kind
    return _observation(event, fhir.concept(event.kind, event.kind), valueString=text)


def _procedure(event: ev.Event, body: ev.Procedure) -> Resource:
    full = {"PKP": "percutaneous kyphoplasty", "PVP": "percutaneous vertebroplasty"}[body.procedure]
    made: Resource = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": fhir.concept(body.procedure, full),
        **fhir.span("occurrence", event.when.start, event.when.end),
        "bodySite": [fhir.vertebra(body.level)],
    }
    facts = {"approach": body.approach, "device": body.device, "cement": body.cement, "lot": body.lot}
    notes = [f"{name}: {part}" for name, part in facts.items() if part]
    if body.volume_ml is not None:
        notes.append(f"cement volume: {body.volume_ml:g} mL")
    if notes:
        made["note"] = [{"text": text} for text in notes]
    return made


def _operation(event: ev.Event, body: ev.Operation) -> Resource:
    code = "decompression" if body.decompression else "operation"
    made: Resource = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": fhir.concept(code, body.operation),
        **fhir.span("occurrence", event.when.start, event.when.end),
    }
    if body.levels:
        made["bodySite"] = [fhir.vertebra(level) for level in body.levels]
    if body.findings:
        made["note"] = [{"text": body.findings}]
    return made


def _treatment(event: ev.Event, body: ev.Treatment) -> Resource:
    when = fhir.span("occurrence", event.when.start, event.when.end)
    code = fhir.concept("treatment", body.treatment)
    return {"resourceType": "Procedure", "status": "completed", "code": code, **when}


def _examination(event: ev.Event, body: ev.Examination) -> Resource:
    parts: list[Resource] = []
    for name in ("motor", "light_touch", "pin_prick"):
        for side, scores in sorted(getattr(body, name).items()):
            for level, score in sorted(scores.items()):
                code = fhir.concept(f"{name}-{side}-{level}", f"{name.replace('_', ' ')} {side} {level}")
                parts.append({"code": code, "valueString": score})
    for pain in body.pains:
        code = fhir.concept(f"pain-{pain.site}", f"pain {pain.site.replace('_', ' ')}, 0-10")
        value: Resource = (
            {"valueInteger": pain.score} if pain.score is not None else {"valueString": "present"}
        )
        parts.append({"code": code, **value})
    if body.bladder is not None and body.bladder.pvr_ml is not None:
        code = fhir.concept("post-void-residual", "post-void residual")
        parts.append({"code": code, "valueQuantity": fhir.quantity(body.bladder.pvr_ml, "mL")})
    words = {
        "legs": body.legs,
        "sensation": body.sensation,
        "sensory level": body.sensory_level,
        "saddle": body.saddle,
    }
    for name, text in words.items():
        if text not in (None, "unknown", "NT"):
            parts.append({"code": fhir.concept(name.replace(" ", "-"), name), "valueString": text})
    more: Resource = {"component": parts} if parts else {"valueString": body.text or "nothing recorded"}
    return _observation(event, fhir.concept("examination", "neurological examination"), **more)


def _lab(event: ev.Event, body: ev.Lab) -> Resource:
    name = body.analyte.removeprefix("other:")
    known = loinc(body.analyte, body.unit)
    code = (
        fhir.concept(known, name, system=fhir.LOINC) if known else fhir.concept(name.replace(" ", "-"), name)
    )
    more: Resource = {"interpretation": [{"text": flag(body)}]}
    if body.value is not None:
        more["valueQuantity"] = fhir.quantity(body.value, body.unit or "1")
        if body.comparator is not None:
            more["valueQuantity"]["comparator"] = body.comparator
    else:
        more["valueString"] = body.text
    limits: Resource = {}
    for side, amount in (("low", body.reference_low), ("high", body.reference_high)):
        if amount is not None:
            limits[side] = fhir.quantity(amount, body.unit or "1")
    if body.reference_text:
        limits["text"] = body.reference_text
    if limits:
        more["referenceRange"] = [limits]
    return _observation(event, code, **more)


def _imaging(event: ev.Event, body: ev.Imaging) -> Resource:
    said = body.model_dump(mode="json", exclude_defaults=True, exclude={"kind", "requested", "modality"})
    conclusion = (
        "; ".join(f"{name.replace('_', ' ')}: {part}" for name, part in said.items()) or "no result recorded"
    )
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": fhir.concept(f"imaging-{body.modality}", f"{body.modality} after vertebral augmentation"),
        **fhir.span("effective", event.when.start, event.when.end),
        "conclusion": conclusion,
    }


def _diagnosis(event: ev.Event, body: ev.Diagnosis) -> Resource:
    standing = {"confirmed": "confirmed", "suspected": "provisional", "excluded": "refuted"}[body.certainty]
    terminology = "http://terminology.hl7.org/CodeSystem/"
    made: Resource = {
        "resourceType": "Condition",
        "clinicalStatus": fhir.concept("unknown", "not recorded", system=f"{terminology}condition-clinical"),
        "verificationStatus": fhir.concept(
            standing, body.certainty, system=f"{terminology}condition-ver-status"
        ),
        "code": {"text": body.diagnosis},
        **fhir.span("onset", event.when.start, event.when.end),
    }
    return made


def _encounter(event: ev.Event, body: ev.Encounter) -> Resource:
    period = {"start": fhir.moment(event.when.start), "end": fhir.moment(event.when.end)}
    kind = [fhir.concept(body.move, " ".join(filter(None, (body.move, body.place))))]
    return {"resourceType": "Encounter", "status": "unknown", "type": kind, "actualPeriod": period}


def _consent(event: ev.Event, body: ev.Consent) -> Resource:
    return {
        "resourceType": "Consent",
        "status": "active",
        "decision": "permit" if body.given == "yes" else "deny",
        "date": event.when.start.date().isoformat(),
        "category": [{"text": body.scope}],
    }


_MAKERS: dict[str, Callable[[ev.Event, Any], Resource]] = {
    "procedure": _procedure,
    "operation": _operation,
    "treatment": _treatment,
    "examination": _examination,
    "lab": _lab,
    "imaging": _imaging,
    "diagnosis": _diagnosis,
    "encounter": _encounter,
    "consent": _consent,
}
