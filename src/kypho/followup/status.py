"""One look at a case: its tier, its alarms, what is due, what is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from kypho.followup.clocks import Clock, clocks
from kypho.followup.events import Decision, Event, Examination
from kypho.followup.facts import Fact, facts_of
from kypho.followup.facts_neuro import legs_tested
from kypho.followup.record import Record, fold
from kypho.followup.rules import TIERS, Alarm, Tier, evaluate, highest, rules_version, worse
from kypho.followup.schedule import Slot, missing_facts, schedule
from kypho.followup.segments import LEG_MUSCLES

__all__ = ["Status", "status"]


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a case stands at one instant.

    Attributes:
        tier: gravest active alarm of all.
        findings_tier: the same without the alarm for a missing examination. No finding added later lowers it.
        synthetic: True where the enrolment says that this is no patient.
        watching: False until a procedure is recorded; nothing is judged before.
        alarms, closed: active alarms, gravest first, and those a decision answers for.
        unknown: what nobody has examined; never to be read as normal.
    """

    case: str
    now: datetime
    synthetic: bool
    watching: bool
    tier: Tier
    findings_tier: Tier
    alarms: tuple[Alarm, ...]
    closed: tuple[Alarm, ...]
    slots: tuple[Slot, ...]
    clocks: tuple[Clock, ...]
    facts: tuple[Fact, ...]
    unknown: tuple[str, ...]
    rules_version: str

    @property
    def overdue(self) -> tuple[Slot, ...]:
        """Examinations that should have been made."""
        return tuple(slot for slot in self.slots if slot.state == "overdue")

    @property
    def due(self) -> tuple[Slot, ...]:
        """Examinations to make now."""
        return tuple(slot for slot in self.slots if slot.state == "due")

    @property
    def next(self) -> Slot | None:
        """The next planned examination."""
        return next((slot for slot in self.slots if slot.state == "ahead"), None)


def status(record: Record, now: datetime) -> Status:
    """Judge a record at an instant, from what had happened by then.

    Pure; the order in which events were entered does not matter.
    """
    if record.events[-1].when.start > now:
        past = [event for event in record.history if event.when.start <= now]
        record = fold(past) if past else record
    facts = facts_of(record.watched)
    slots = schedule(record, now)
    found = [_closed(alarm, record) for alarm in evaluate(facts)]
    active = tuple(alarm for alarm in found if alarm.closed_by is None)
    missing = evaluate(missing_facts(slots))
    findings = highest(active)
    return Status(
        case=record.case,
        now=now,
        synthetic=record.enrolment.synthetic,
        watching=record.watched.index_procedure is not None,
        tier=worse(findings, highest(missing)),
        findings_tier=findings,
        alarms=tuple(sorted(active + missing, key=lambda a: -TIERS.index(a.rule.tier))),
        closed=tuple(alarm for alarm in found if alarm.closed_by is not None),
        slots=slots,
        clocks=clocks(record, facts, now),
        facts=facts,
        unknown=(*_unknown(record), *_unanswered(record, facts)),
        rules_version=rules_version(),
    )


def _closed(alarm: Alarm, record: Record) -> Alarm:
    """Close the alarm if decisions answer for every fact behind it."""
    answers = [(e, body) for e, body in record.of(Decision) if alarm.rule.id in body.closes]
    if not answers:
        return alarm
    events = {event.id: event for event in record.watched.events}
    for fact in alarm.facts:
        if not any(_answers(decision, events, fact, record) for decision, _ in answers):
            return alarm
    return replace(alarm, closed_by=answers[-1][0].id)


def _answers(decision: Event, events: dict[str, Event], fact: Fact, record: Record) -> bool:
    """True if everything behind the fact was on record, and not after the decision, when it was taken.

    What a correction says was on record when the correction was.
    """
    taken = record.first_recorded[decision.id]
    return all(
        events[name].recorded <= taken and not decision.when.before(events[name].when) for name in fact.events
    )


def _unknown(record: Record) -> tuple[str, ...]:
    """What has never been examined after the procedure, and a baseline that is missing."""
    watched = record.watched
    if watched.index_procedure is None:
        return ("procedure: none recorded, nothing is watched yet",)
    after = [exam for event, exam in record.examinations if watched.after_procedure(event)]
    before = [exam for event, exam in record.examinations if not watched.after_procedure(event)]
    asked = {
        "baseline before the procedure": any(legs_tested(exam) for exam in before),
        "leg strength": any(legs_tested(exam) for exam in after),
        "sensation": any(_sensation_tested(exam) for exam in after),
        "bladder": any(
            e.bladder and (e.bladder.voiding != "unknown" or e.bladder.pvr_ml is not None) for e in after
        ),
        "sacral function": any(e.deep_anal_pressure != "NT" or e.saddle != "NT" for e in after),
    }
    found = [f"{name}: not examined" for name, known in asked.items() if not known]
    if after and legs_tested(after[-1]) and after[-1].legs == "unknown":
        tested = after[-1].grades
        gaps = [f"{side} {m}" for m in LEG_MUSCLES for side in ("right", "left") if (side, m) not in tested]
        if gaps:
            found.append(f"last examination: {', '.join(gaps)} not tested")
    return tuple(found)


def _unanswered(record: Record, facts: tuple[Fact, ...]) -> tuple[str, ...]:
    """Whether a correction is right on which alarms depend, and that no surgeon or physician has made."""
    standing = {event.id for event in record.events}
    kept = [event.id for event in record.watched.events if event.id not in standing]
    if not kept or facts == facts_of(record):
        return ()
    return (f"taken back, but not by a surgeon or physician, so still counted: {', '.join(kept)}",)


def _sensation_tested(exam: Examination) -> bool:
    return bool(exam.sensation != "unknown" or exam.sensory_level or exam.touch or exam.pin)
