"""Where a record contradicts itself: findings against findings, dates against dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from kypho.followup.events import Encounter, Examination, Imaging, Lab, Operation, Symptom
from kypho.followup.facts_labs import describe
from kypho.followup.facts_neuro import FULL_STRENGTH
from kypho.followup.record import Record

__all__ = ["Contradiction", "contradictions"]


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """Two or more events that cannot all be right, or that need a word of explanation.

    Attributes:
        concerns: "strength", "sensation", "dates", "laboratory", "imaging".
    """

    concerns: str
    what: str
    events: tuple[str, ...]


def contradictions(record: Record) -> tuple[Contradiction, ...]:
    """Every contradiction found, in the order strength, sensation, dates, laboratory, imaging."""
    found: list[Contradiction] = []
    searches: tuple[Callable[[Record], Iterator[Contradiction]], ...] = (
        _findings,
        _order,
        _encounters,
        _labs,
        _images,
    )
    for search in searches:
        found.extend(search(record))
    return tuple(found)


ASKS = (
    ("strength", "leg_weakness", "weakness of the legs", "strength normal", "weak again"),
    ("sensation", "numbness", "numbness", "sensation normal", "lost again"),
)


def _findings(record: Record) -> Iterator[Contradiction]:
    """A deficit was reported, then an examination finds nothing, without anyone saying that it went away."""
    for concerns, symptom, reported, normal, lost in ASKS:
        reports = [
            e for e, s in record.of(Symptom) if s.symptom == symptom and s.trend not in ("better", "resolved")
        ]
        eased = [
            e for e, s in record.of(Symptom) if s.symptom == symptom and s.trend in ("better", "resolved")
        ]
        for event, exam in record.examinations:
            if not _normal(exam, concerns):
                continue
            before = [r for r in reports if r.when.before(event.when)]
            if not before or any(e.when.before(event.when) and before[-1].when.before(e.when) for e in eased):
                continue
            later = [e for e, x in record.examinations if event.when.before(e.when) and _lost(x, concerns)]
            text = f"{reported} reported {before[-1].when.words}, then {normal} {event.when.words}"
            if later:
                text += f", then {lost} {later[0].when.words}"
            names = (before[-1].id, event.id, *(e.id for e in later[:1]))
            yield Contradiction(concerns=concerns, what=text, events=names)


def _normal(exam: Examination, concerns: str) -> bool:
    if concerns == "strength":
        grades = exam.grades
        return exam.legs == "normal" or (bool(grades) and min(grades.values()) == FULL_STRENGTH)
    scores = {**exam.touch, **exam.pin}
    return exam.sensation == "normal" or (bool(scores) and min(scores.values()) > 1)


def _lost(exam: Examination, concerns: str) -> bool:
    if concerns == "strength":
        grades = exam.grades
        return exam.legs in ("weak", "immobile") or (bool(grades) and min(grades.values()) < FULL_STRENGTH)
    return exam.sensory_level is not None or exam.sensation in ("reduced", "absent")


def _order(record: Record) -> Iterator[Contradiction]:
    """A decompression or complication before the procedure it treats; an image before it was requested."""
    start = record.index_procedure
    for event, _ in record.decompressions:
        if start is not None and event.when.before(start.when):
            text = f"decompression {event.when.words} lies before the procedure {start.when.words}"
            yield Contradiction(concerns="dates", what=text, events=(event.id, start.id))
    for event, body in record.imagings:
        if body.requested is not None and event.when.before(body.requested):
            text = f"{body.modality} {event.when.words} lies before its request {body.requested.words}"
            yield Contradiction(concerns="dates", what=text, events=(event.id,))
    operated = [(e, b.level) for e, b in record.procedures]
    for (one, level), (other, same) in combinations(operated, 2):
        if level == same and one.when.before(other.when):
            text = f"{level} was treated {one.when.words} and again {other.when.words}"
            yield Contradiction(concerns="dates", what=text, events=(one.id, other.id))


def _encounters(record: Record) -> Iterator[Contradiction]:
    """A discharge from a place before anyone was admitted there; treatment in hospital after discharge."""
    seen = record.of(Encounter)
    for event, body in seen:
        if body.move != "discharged":
            continue
        doors = [e for e, b in seen if b.move in ("admitted", "transferred") and b.place == body.place]
        if doors and all(event.when.before(door.when) for door in doors):
            text = f"discharged {event.when.words} before the admission {doors[0].when.words}"
            yield Contradiction(concerns="dates", what=text, events=(event.id, doors[0].id))


def _labs(record: Record) -> Iterator[Contradiction]:
    """Two values of one analyte at one instant."""
    for (one, lab), (other, same) in combinations(record.of(Lab), 2):
        instant = not one.when.vague and one.when.start == other.when.start and not other.when.vague
        if instant and lab.analyte == same.analyte and describe(lab) != describe(same):
            text = f"{describe(lab)} and {describe(same)} at {one.when.words}"
            yield Contradiction(concerns="laboratory", what=text, events=(one.id, other.id))


def _images(record: Record) -> Iterator[Contradiction]:
    """No cement on a later image where an earlier one, or the surgeon, saw some."""
    cuts = [e for e, b in record.of(Operation) if b.decompression]
    for (one, earlier), (other, later) in combinations(record.of(Imaging), 2):
        if (earlier.canal_cement, later.canal_cement) != ("yes", "no") or not one.when.before(other.when):
            continue
        if not any(one.when.before(cut.when) and cut.when.before(other.when) for cut in cuts):
            text = f"cement in the canal {one.when.words}, none {other.when.words}, no operation between"
            yield Contradiction(concerns="imaging", what=text, events=(one.id, other.id))
