"""A record as a FHIR R5 document Bundle, and back.

Every event becomes one resource with the codes that are verified, and carries itself as JSON in an extension,
so that reading the Bundle gives the same events with the same ids. A Bundle whose resources no longer say
what their events say is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from kypho.case.followup.fhir_resources import patient_resource, resource_of
from kypho.errors import RecordError
from kypho.followup.events import Event
from kypho.followup.raw import entry_order, raw_of
from kypho.followup.record import Record
from kypho.followup.rules import Alarm
from kypho.followup.status import status
from kypho.formats import fhir_out as fhir

__all__ = ["bundle_of", "events_of_bundle"]

EVENT_JSON = "urn:kypho:event-json"
MAPPING = "kypho-fhir-1"


def bundle_of(record: Record, now: datetime) -> dict[str, Any]:
    """The whole history and the alarms at `now` as a validated document Bundle.

    Raises:
        MissingPartError: fhir.resources is not installed.
    """
    patient = patient_resource(record)
    subject = fhir.reference(patient)
    resources = [_carry(resource_of(event, subject), event) for event in entry_order(record)]
    provenance = [_provenance(event, record) for event in entry_order(record)]
    flags = [_flag(alarm, subject) for alarm in status(record, now).alarms]
    composition = _composition(record, subject, resources, flags, now)
    tags = [MAPPING, *(["synthetic"] if record.enrolment.synthetic else [])]
    everything = [composition, patient, *resources, *flags, *provenance]
    bundle = fhir.document_bundle(everything, case=record.case, timestamp=now, tags=tags)
    fhir.validate_bundle(bundle)
    return bundle


def events_of_bundle(bundle: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Pseudonym and raw events of a Bundle written by `bundle_of`, in an order in which they can be entered.

    Raises:
        RecordError: not valid, not written by kypho, or altered since.
    """
    fhir.validate_bundle(bundle)
    tags = [tag.get("code") for tag in bundle.get("meta", {}).get("tag", ())]
    if MAPPING not in tags:
        raise RecordError(f"the FHIR Bundle was not written by kypho (no tag {MAPPING}); import a case.yaml")
    case = bundle.get("identifier", {}).get("value", "")
    found: list[Event] = []
    for entry in bundle.get("entry", ()):
        resource = entry["resource"]
        extensions = [e for e in resource.get("extension", ()) if e.get("url") == EVENT_JSON]
        carried = [e.get("valueString", "") for e in extensions]
        if carried:
            found.append(_checked(resource, carried[0], case))
    return case, [raw_of(event) for event in found]


def _checked(resource: dict[str, Any], carried: str, case: str) -> Event:
    """The event a resource carries, if the resource still says the same."""
    name = f"{resource['resourceType']}/{resource['id']}"
    try:
        event = Event.model_validate_json(carried)
    except ValidationError:
        raise RecordError(f"FHIR {name} carries no readable event; export the case again") from None
    again = _carry(resource_of(event, {"reference": f"Patient/{fhir.identifier(case)}"}), event)
    if event.case != case or event.content_id != event.id or again != resource:
        raise RecordError(f"FHIR {name} was changed after kypho wrote it; enter the change as a correction")
    return event


def _carry(resource: dict[str, Any], event: Event) -> dict[str, Any]:
    carried = {"url": EVENT_JSON, "valueString": event.model_dump_json()}
    return {**resource, "extension": [carried]}


def _provenance(event: Event, record: Record) -> dict[str, Any]:
    target = resource_of(event, {})
    made: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": f"p-{event.id}",
        "target": [fhir.reference(target)],
        "recorded": fhir.moment(event.recorded),
        "agent": [{"who": {"display": event.role}}],
        "entity": [{"role": "source", "what": {"display": event.source}}],
    }
    replaced = next((old for old in record.history if old.id == event.corrects), None)
    if replaced is not None:
        made["entity"].append({"role": "revision", "what": fhir.reference(resource_of(replaced, {}))})
    return made


def _flag(alarm: Alarm, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Flag",
        "id": f"flag-{alarm.rule.id}",
        "status": "active",
        "code": fhir.concept(alarm.rule.id, f"{alarm.rule.tier.upper()}: {alarm.rule.what}"),
        "subject": subject,
        "period": {"start": fhir.moment(alarm.since.start)},
    }


def _composition(
    record: Record, subject: dict[str, str], resources: list[Any], flags: list[Any], now: datetime
) -> dict[str, Any]:
    sections = [{"title": "Events", "entry": [fhir.reference(one) for one in resources]}]
    if flags:
        sections.append({"title": "Alarms", "entry": [fhir.reference(one) for one in flags]})
    synthetic = "SYNTHETIC, no patient. " if record.enrolment.synthetic else ""
    words = f"{synthetic}Research and education; not a medical device. Rules unconfirmed."
    return {
        "resourceType": "Composition",
        "id": f"case-{fhir.identifier(record.case)}",
        "status": "preliminary",
        "type": fhir.concept("case-report", "Case report of a follow-up after vertebral augmentation"),
        "subject": [subject],
        "date": fhir.moment(now),
        "author": [{"display": "kypho"}],
        "title": f"Follow-up of {record.case}",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'},
        "section": sections,
    }
