"""The sentences of a CARE draft, each made from events and naming them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kypho.followup import Event, Record, facts_of
from kypho.followup.events import (
    Consent,
    Decision,
    Diagnosis,
    Encounter,
    Enrolment,
    Examination,
    Imaging,
    Lab,
    Operation,
    Perspective,
    Procedure,
    Symptom,
    Treatment,
)
from kypho.followup.facts_labs import describe
from kypho.followup.labs import flag
from kypho.report.follow_text import describe_event

__all__ = ["SENTENCES", "Sentence"]


class Sentence(NamedTuple):
    """One sentence and the ids of the events it comes from."""

    text: str
    events: tuple[str, ...]


def _on(event: Event) -> str:
    first, last = event.when.days
    return f"On {first}" if first == last else f"Between {first} and {last}"


def _say(event: Event, text: str) -> Sentence:
    return Sentence(f"{_on(event)}: {text.rstrip('.')}.", (event.id,))


def _title(record: Record) -> list[Sentence]:
    """Area of focus and the words "case report", from the procedure and the gravest diagnosis after it."""
    if not record.procedures:
        return []
    event, body = record.procedures[0]
    facts = facts_of(record)
    graver = [f for f in facts if f.name in ("canal.intradural", "canal.cement_cord", "canal.cement_cauda")]
    what = (
        f"Cement in the spinal canal after {body.procedure}" if graver else f"Course after {body.procedure}"
    )
    names = (event.id, *(graver[0].events if graver else ()))
    return [Sentence(f"{what} at {body.level}: a case report.", names)]


def _keywords(record: Record) -> list[Sentence]:
    """Two to five words that are certain from the record."""
    if not record.procedures:
        return []
    event, body = record.procedures[0]
    full = {"PKP": "percutaneous kyphoplasty", "PVP": "percutaneous vertebroplasty"}
    words, names = [full[body.procedure], f"{body.level} vertebra"], [event.id]
    for fact in facts_of(record):
        word = {"canal.cement_cord": "cement leakage", "deficit": "neurological deficit"}.get(fact.name)
        if word and word not in words:
            words.append(word)
            names += list(fact.events)
    if record.decompressions:
        words.append("surgical decompression")
        names.append(record.decompressions[0][0].id)
    return [Sentence("; ".join(words) + ".", tuple(dict.fromkeys(names)))]


def _patient(record: Record) -> list[Sentence]:
    found = []
    for event, body in record.of(Enrolment):
        parts: list[str] = [body.sex] if body.sex != "unknown" else []
        if body.birth_year is not None:
            age = event.when.start.year - body.birth_year
            parts.append(f"about {age} years old")
        if parts:
            found.append(_say(event, "the patient was " + ", ".join(parts)))
    return found


def _symptom(event: Event, body: Symptom) -> Sentence:
    if body.text:
        return _say(event, body.text)
    words = body.symptom.replace("_", " ")
    side = f", {body.side} side{'s' if body.side == 'both' else ''}" if body.side != "unknown" else ""
    trend = f", {body.trend}" if body.trend != "unknown" else ""
    site = f" ({body.pain.site.replace('_', ' ')})" if body.pain else ""
    return _say(event, f"{words}{site}{side}{trend}")


def _symptoms(record: Record) -> list[Sentence]:
    return [_symptom(event, body) for event, body in record.of(Symptom)]


def _examinations(record: Record) -> list[Sentence]:
    return [_say(event, body.text or describe_event(event)) for event, body in record.of(Examination)]


def _abstract_findings(record: Record) -> list[Sentence]:
    return [*_symptoms(record), *_examinations(record)]


def _abstract_course(record: Record) -> list[Sentence]:
    return _diagnoses(record) + _interventions(record) + _outcomes(record)


def _past(record: Record) -> list[Sentence]:
    """What was done before the augmentation."""
    found = []
    for event in record.events:
        done = isinstance(event.body, Operation | Treatment)
        if done and not record.after_procedure(event):
            found.append(_say(event, describe_event(event)))
    return found


def _timeline(record: Record) -> list[Sentence]:
    """The timeline figure, if at least two events have a place in it."""
    shown = [
        event for event in record.events if event.kind not in ("enrolment", "note", "consent", "perspective")
    ]
    if len(shown) < 2:
        return []
    text = (
        f"Timeline of {len(shown)} events from {shown[0].when.days[0]} to {shown[-1].when.days[1]} (figure)."
    )
    return [Sentence(text, tuple(event.id for event in shown))]


def _methods(record: Record) -> list[Sentence]:
    found = [
        _say(event, f"{body.modality}: {body.text or describe_event(event)}")
        for event, body in record.of(Imaging)
    ]
    return found + _labs(record)


def _labs(record: Record) -> list[Sentence]:
    return [_say(event, f"{describe(body)} ({flag(body)})") for event, body in record.of(Lab)]


def _diagnoses(record: Record) -> list[Sentence]:
    return [_say(event, f"{body.diagnosis} ({body.certainty})") for event, body in record.of(Diagnosis)]


def _suspected(record: Record) -> list[Sentence]:
    """Reasoning: diagnoses that were suspected or excluded, and decisions that give a reason."""
    found = [
        _say(event, f"{body.diagnosis} was {body.certainty}")
        for event, body in record.of(Diagnosis)
        if body.certainty != "confirmed"
    ]
    return found + [_say(e, f"{b.decision}, because {b.reason}") for e, b in record.of(Decision) if b.reason]


def _interventions(record: Record) -> list[Sentence]:
    found: list[tuple[Event, str]] = []
    for event in record.events:
        body = event.body
        if isinstance(body, Procedure):
            found.append((event, f"{body.procedure} at {body.level}"))
        elif isinstance(body, Operation):
            found.append((event, body.operation + (f"; {body.findings}" if body.findings else "")))
        elif isinstance(body, Treatment):
            found.append((event, body.treatment))
    return [_say(event, text) for event, text in found]


def _administration(record: Record) -> list[Sentence]:
    """Doses, volumes, rates: only where they are recorded."""
    found = []
    for event, body in record.of(Procedure):
        given = {
            "approach": body.approach,
            "device": body.device,
            "cement": body.cement,
            "lot": body.lot,
            "mL": body.volume_ml,
            "mL/min": body.rate_ml_min,
        }
        parts = [f"{name} {part}" for name, part in given.items() if part is not None]
        if parts:
            found.append(_say(event, f"{body.procedure}: " + ", ".join(parts)))
    for event, drug in record.of(Treatment):
        parts = [part for part in (drug.dose, drug.route) if part]
        if parts:
            found.append(_say(event, f"{drug.treatment} {', '.join(parts)}"))
    return found


def _changes(record: Record) -> list[Sentence]:
    return [
        _say(event, body.decision + (f", because {body.reason}" if body.reason else ""))
        for event, body in record.of(Decision)
    ]


def _outcomes(record: Record) -> list[Sentence]:
    """Examinations after the decompression (else after the procedure), and what discharge says."""
    cut = record.decompressions[0][0] if record.decompressions else record.index_procedure
    if cut is None:
        return []
    after = [(e, b) for e, b in record.of(Examination) if cut.when.before(e.when)]
    found = [_say(event, body.text or describe_event(event)) for event, body in after]
    leaving = [(e, b) for e, b in record.of(Encounter) if b.move == "discharged" and b.text]
    return found + [_say(event, body.text or "") for event, body in leaving]


def _tests_after(record: Record) -> list[Sentence]:
    start = record.index_procedure
    if start is None:
        return []
    tested = [(e, b) for e, b in record.of(Lab) if record.after_procedure(e)]
    seen = [(e, b) for e, b in record.of(Imaging) if record.after_procedure(e)]
    found = [_say(event, f"{describe(body)} ({flag(body)})") for event, body in tested]
    return found + [
        _say(event, f"{image.modality}: {image.text or describe_event(event)}") for event, image in seen
    ]


def _adverse(record: Record) -> list[Sentence]:
    """Complications noted at the procedure, and every deficit found after it."""
    found = [
        _say(event, "; ".join(body.complications)) for event, body in record.procedures if body.complications
    ]
    facts = [fact for fact in facts_of(record) if fact.name == "deficit"]
    found += [Sentence(f"{fact.text.capitalize()}, {fact.when.written}.", fact.events) for fact in facts]
    return found


def _perspective(record: Record) -> list[Sentence]:
    return [Sentence(body.text, (event.id,)) for event, body in record.of(Perspective)]


def _consent(record: Record) -> list[Sentence]:
    words = {"yes": "The patient consented to", "no": "The patient did not consent to"}
    return [Sentence(f"{words[body.given]} {body.scope}.", (event.id,)) for event, body in record.of(Consent)]


SENTENCES: dict[str, Callable[[Record], list[Sentence]]] = {
    "1": _title,
    "2": _keywords,
    "3b": _abstract_findings,
    "3c": _abstract_course,
    "5a": _patient,
    "5b": _symptoms,
    "5d": _past,
    "6": _examinations,
    "7": _timeline,
    "8a": _methods,
    "8c": _suspected,
    "9a": _interventions,
    "9b": _administration,
    "9c": _changes,
    "10a": _outcomes,
    "10b": _tests_after,
    "10d": _adverse,
    "12": _perspective,
    "13": _consent,
}
"""Sub-row to what writes it. The others rest on what people write, as notes with that number."""
