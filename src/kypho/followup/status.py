"""One look at a case: its tier, its alarms, what is due, what is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from kypho.errors import RecordError
from kypho.followup.clocks import Clock, clocks
from kypho.followup.events import (
    ANSWERABLE,
    Decision,
    Diagnosis,
    Enrolment,
    Event,
    Examination,
    Imaging,
    Lab,
    Procedure,
    Symptom,
)
from kypho.followup.facts import Fact, concerns_cord, facts_of
from kypho.followup.facts_neuro import bladder_tested, legs_tested, sensation_tested
from kypho.followup.record import Record, fold
from kypho.followup.rules import TIERS, Alarm, Tier, evaluate, highest, rules_version, worse
from kypho.followup.schedule import Slot, missing_facts, schedule
from kypho.followup.segments import LEG_MUSCLES
from kypho.followup.times import clock_time

__all__ = ["NotBegunError", "Status", "status"]


COUNTED = (Procedure, Examination, Symptom, Lab, Imaging, Diagnosis)
"""What alarms are made of; of decisions and operations only those that stand answer them."""


class NotBegunError(RecordError):
    """The instant asked about lies before the case begins."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a case stands at one instant.

    Attributes:
        zone: of the case; every time of a status is on its clocks.
        tier: gravest active alarm of all.
        findings_tier: the same without the alarm for a missing examination. No finding added later lowers it.
        synthetic: True where the enrolment says that this is no patient.
        watching: False until a procedure is recorded; nothing is judged before.
        alarms, closed: active alarms, gravest first, and those a decision answers for.
        unknown: what nobody has examined; never to be read as normal.
    """

    case: str
    now: datetime
    zone: ZoneInfo
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

    Raises:
        NotBegunError: the instant lies before the case begins.
    """
    record, now = _until(record, now), now.astimezone(record.zone)
    facts = facts_of(record.watched)
    slots = schedule(record, now)
    found = [_on_clocks(_treated(_closed(alarm, record), record), record) for alarm in evaluate(facts)]
    active = tuple(alarm for alarm in found if alarm.closed_by is None)
    missing = tuple(_on_clocks(alarm, record) for alarm in evaluate(missing_facts(slots)))
    findings = highest(active)
    return Status(
        case=record.case,
        now=now,
        zone=record.zone,
        synthetic=record.enrolment.synthetic,
        watching=record.watched.index_procedure is not None,
        tier=worse(findings, highest(missing)),
        findings_tier=findings,
        alarms=tuple(sorted(active + missing, key=lambda a: -TIERS.index(a.rule.tier))),
        closed=tuple(alarm for alarm in found if alarm.closed_by is not None),
        slots=slots,
        clocks=clocks(record, facts, now),
        facts=facts,
        unknown=(*_unknown(record), *_unanswered(record)),
        rules_version=rules_version(),
    )


def _until(record: Record, now: datetime) -> Record:
    """What had happened by an instant."""
    past = [event for event in record.history if event.when.start <= now]
    if len(past) == len(record.history):
        return record
    begins = min((event.when.start for event, _ in record.of(Enrolment)), default=None)
    if not past or (begins is not None and begins > now):
        first = begins or record.events[0].when.start
        raise NotBegunError(
            f"{clock_time(now.astimezone(record.zone))} lies before case {record.case!r} begins, "
            f"{clock_time(first)}; judge it at a later time"
        )
    return fold(past)


def _on_clocks(alarm: Alarm, record: Record) -> Alarm:
    return replace(alarm, act_by=alarm.act_by.astimezone(record.zone))


def _treated(alarm: Alarm, record: Record) -> Alarm:
    """Say when the cord was decompressed, if that was after everything that makes the alarm fire.

    Only a surgeon or physician takes the urgency from an alarm; what others entered is told beside it.
    """
    if alarm.closed_by is not None or not all(concerns_cord(fact) for fact in alarm.facts):
        return alarm
    cuts = [event for event, _ in record.decompressions]
    after = [cut for cut in cuts if all(fact.when.before(cut.when) for fact in alarm.facts)]
    answered = [cut.when for cut in after if cut.role in ANSWERABLE]
    if answered:
        return replace(alarm, treated=answered[0])
    return replace(alarm, said_treated=after[0].when) if after else alarm


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
        "sensation": any(sensation_tested(exam) for exam in after),
        "bladder": any(bladder_tested(exam) for exam in after),
        "sacral function": any(e.deep_anal_pressure != "NT" or e.saddle != "NT" for e in after),
    }
    found = [f"{name}: not examined" for name, known in asked.items() if not known]
    if not asked["baseline before the procedure"]:
        found[0] += ", so what is found counts as new"
    if after and legs_tested(after[-1]) and after[-1].legs == "unknown":
        tested = after[-1].grades
        gaps = [f"{side} {m}" for m in LEG_MUSCLES for side in ("right", "left") if (side, m) not in tested]
        if gaps:
            found.append(f"last examination: {', '.join(gaps)} not tested")
    return tuple(found)


def _unanswered(record: Record) -> tuple[str, ...]:
    """Entries that still count for alarms, since no surgeon or physician has taken them back."""
    standing = {event.id for event in record.events}
    counting = (event for event in record.watched.events if isinstance(event.body, COUNTED))
    kept = [event.id for event in counting if event.id not in standing]
    if not kept:
        return ()
    return (f"taken back, but not by a surgeon or physician, so still counted: {', '.join(kept)}",)
