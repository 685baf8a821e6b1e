"""The sentences of a CARE draft, each made from events and naming them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kypho.followup import Event, Record, When, facts_of
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
from kypho.report.follow_words import (
    PROCEDURES,
    administration_words,
    describe_event,
    examination_words,
    imaging_words,
    lab_words,
    symptom_words,
)

__all__ = ["SENTENCES", "Sentence"]

PERSONS = {"female": "a woman", "male": "a man", "other": "a person whose sex is recorded as other"}


class Sentence(NamedTuple):
    """One sentence and the ids of the events it comes from."""

    text: str
    events: tuple[str, ...]


def _on(when: When) -> str:
    first, last = when.days
    return f"On {first}" if first == last else f"Between {first} and {last}"


def _say(event: Event, text: str, quote: str | None = None) -> Sentence:
    """A dated sentence; the words that were recorded with the event stand in quotation marks."""
    said = f' (in the record: "{quote.strip()}")' if quote else ""
    return Sentence(f"{_on(event.when)}, {text.rstrip('.')}{said}.", (event.id,))


def _together(found: Iterable[tuple[When, str, tuple[str, ...]]], before: str) -> list[Sentence]:
    """One sentence per time for all that was found at that time, in order of time, each thing once."""
    groups: dict[tuple[float, float], list[tuple[When, str, tuple[str, ...]]]] = {}
    for entry in found:
        groups.setdefault(entry[0].key, []).append(entry)
    return [
        Sentence(
            f"{_on(group[0][0])}, {before}{'; '.join(dict.fromkeys(words for _, words, _ in group))}.",
            tuple(dict.fromkeys(name for _, _, names in group for name in names)),
        )
        for _, group in sorted(groups.items())
    ]


def _title(record: Record) -> list[Sentence]:
    """Area of focus and the words "case report", from the procedure and the gravest diagnosis after it."""
    if not record.procedures:
        return []
    event, body = record.procedures[0]
    graver = [f for f in facts_of(record) if f.name in ("canal.intradural", *CEMENT_FACTS)]
    graver.sort(key=lambda fact: fact.name != "canal.intradural")
    where = "inside the dura" if graver and graver[0].name == "canal.intradural" else "in the spinal canal"
    what = f"Cement {where} after" if graver else "Course after"
    names = (event.id, *(graver[0].events if graver else ()))
    return [Sentence(f"{what} {PROCEDURES[body.procedure]} at {body.level}: a case report.", names)]


CEMENT_FACTS = ("canal.cement_cord", "canal.cement_cauda")


def _keywords(record: Record) -> list[Sentence]:
    """Two to five words that are certain from the record."""
    if not record.procedures:
        return []
    event, body = record.procedures[0]
    words, names = [PROCEDURES[body.procedure], f"{body.level} vertebra"], [event.id]
    known = {**dict.fromkeys(CEMENT_FACTS, "cement leakage"), "deficit": "neurological deficit"}
    for fact in facts_of(record):
        word = known.get(fact.name)
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
        age = None if body.birth_year is None else event.when.start.year - body.birth_year
        parts = [PERSONS.get(body.sex), None if age is None else f"about {age} years old"]
        if any(parts):
            known = ", ".join(part for part in parts if part)
            found.append(Sentence(f"The patient was {known} on {event.when.days[0]}.", (event.id,)))
    return found


def _symptoms(record: Record) -> list[Sentence]:
    return [
        _say(event, f"{symptom_words(body)} was reported", body.text) for event, body in record.of(Symptom)
    ]


def _examination(event: Event, body: Examination) -> Sentence:
    words = examination_words(body)
    return _say(event, f"examination found: {words}" if words else "the patient was examined", body.text)


def _examinations(record: Record) -> list[Sentence]:
    return [_examination(event, body) for event, body in record.of(Examination)]


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
    ends = f"{shown[0].when.days[0]} to {max(event.when.days[1] for event in shown)}"
    text = f"The timeline (figure) shows {len(shown)} events from {ends}."
    return [Sentence(text, tuple(event.id for event in shown))]


def _image(event: Event, body: Imaging) -> Sentence:
    words = imaging_words(body)
    return _say(event, f"{body.modality} showed {words}" if words else f"{body.modality} was made", body.text)


def _tests(record: Record, *, only_after: bool) -> list[Sentence]:
    """Images and laboratory values in order of time; those of one time and kind in one sentence."""
    wanted = [e for e in record.events if not only_after or record.after_procedure(e)]
    images = [(e.when.key, _image(e, e.body)) for e in wanted if isinstance(e.body, Imaging)]
    values = [(e.when, lab_words(e.body), (e.id,)) for e in wanted if isinstance(e.body, Lab)]
    keys = sorted({when.key for when, _, _ in values})
    labs = list(zip(keys, _together(values, "the laboratory found "), strict=True))
    return [sentence for _, sentence in sorted([*images, *labs], key=lambda pair: pair[0])]


def _methods(record: Record) -> list[Sentence]:
    return _tests(record, only_after=False)


def _diagnoses(record: Record) -> list[Sentence]:
    return [
        _say(event, f"{_named(body)} was {'diagnosed' if body.certainty == 'confirmed' else body.certainty}")
        for event, body in record.of(Diagnosis)
    ]


def _named(body: Diagnosis) -> str:
    return body.diagnosis + (f", AIS {body.ais}," if body.ais else "")


def _suspected(record: Record) -> list[Sentence]:
    """Reasoning: diagnoses that were suspected or excluded, and decisions that give a reason."""
    found = [
        _say(event, f"{_named(body)} was {body.certainty}")
        for event, body in record.of(Diagnosis)
        if body.certainty != "confirmed"
    ]
    return found + [_decision(event, body) for event, body in record.of(Decision) if body.reason]


def _decision(event: Event, body: Decision) -> Sentence:
    return _say(
        event, f"it was decided: {body.decision}" + (f", because {body.reason}" if body.reason else "")
    )


def _interventions(record: Record) -> list[Sentence]:
    found = []
    for event, body in record.of(Procedure):
        found.append((event, _say(event, f"{PROCEDURES[body.procedure]} was performed at {body.level}")))
    for event, done in record.of(Operation):
        findings = f". Findings: {done.findings.rstrip('.')}" if done.findings else ""
        found.append((event, _say(event, f"operation: {done.operation}{findings}")))
    treated = _together([(e.when, b.treatment, (e.id,)) for e, b in record.of(Treatment)], "treatment: ")
    times = {event.id: event for event, _ in record.of(Treatment)}
    found += [(times[sentence.events[0]], sentence) for sentence in treated]
    return [sentence for _, sentence in sorted(found, key=lambda pair: pair[0].when.key)]


def _administration(record: Record) -> list[Sentence]:
    """Doses, volumes, rates: only where they are recorded."""
    found = []
    for event, body in record.of(Procedure):
        words = administration_words(body)
        if words:
            found.append(_say(event, f"{body.procedure} at {body.level} with {words}"))
    for event, drug in record.of(Treatment):
        parts = [part for part in (drug.dose, drug.route) if part]
        if parts:
            found.append(_say(event, f"{drug.treatment} was given: {', '.join(parts)}"))
    return found


def _changes(record: Record) -> list[Sentence]:
    return [_decision(event, body) for event, body in record.of(Decision)]


def _outcomes(record: Record) -> list[Sentence]:
    """Examinations after the decompression (else after the procedure), and what discharge says."""
    cut = record.decompressions[0][0] if record.decompressions else record.index_procedure
    if cut is None:
        return []
    found = [_examination(e, b) for e, b in record.of(Examination) if cut.when.before(e.when)]
    return found + [
        _say(event, "the patient was discharged" + (f" from {body.place}" if body.place else ""), body.text)
        for event, body in record.of(Encounter)
        if body.move == "discharged" and body.text
    ]


def _tests_after(record: Record) -> list[Sentence]:
    return [] if record.index_procedure is None else _tests(record, only_after=True)


def _adverse(record: Record) -> list[Sentence]:
    """Complications noted at the procedure, and every deficit found after it."""
    found = [
        _say(event, f"complications at the procedure: {'; '.join(body.complications)}")
        for event, body in record.procedures
        if body.complications
    ]
    facts = [(fact.when, fact.text, fact.events) for fact in facts_of(record) if fact.name == "deficit"]
    return found + _together(facts, "a deficit: ")


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
