"""Facts of the neurological examination: strength, sensation, bladder, sacral function.

The baseline of an examination is the best of what was examined before the procedure and was on record when
that examination was entered. A baseline typed in afterwards does not silence an alarm that has been raised;
a decision does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from kypho.followup.events import Bladder, Event, Examination
from kypho.followup.facts_base import Fact, fact
from kypho.followup.record import Record
from kypho.followup.segments import DERMATOMES, LEG_MUSCLES, SIDES

__all__ = ["FULL_STRENGTH", "graded", "legs_tested", "neuro_facts"]

FULL_STRENGTH = 5
FULL_SENSATION = 2
LOWEST_SEGMENT = "S4-5"
Exam = tuple[Event, Examination]


def graded(scores: dict[str, dict[str, str]], *, skip: tuple[str, ...] = ()) -> dict[tuple[str, str], int]:
    """(side, level) to grade. NT, and ** (normal but for another condition), are left out."""
    found: dict[tuple[str, str], int] = {}
    for side, part in scores.items():
        for level, score in part.items():
            if score[0].isdigit() and not score.endswith("**") and f"{side} {level}" not in skip:
                found[side, level] = int(score[0])
    return found


def neuro_facts(record: Record) -> Iterator[Fact]:
    """Facts of every examination after the procedure."""
    after = [pair for pair in record.examinations if record.after_procedure(pair[0])]
    before = [pair for pair in record.examinations if not record.after_procedure(pair[0])]
    for event, exam in after:
        known = _on_record(record, before, record.first_recorded[event.id])
        yield from _strength(event, exam, known)
        yield from _sensation(event, exam, known)
        yield from _bladder(event, exam, known)
        yield from _vitals(event, exam)
    yield from _falls(after)


def _on_record(record: Record, before: list[Exam], entered: datetime) -> list[Examination]:
    return [exam for event, exam in before if record.first_recorded[event.id] <= entered]


def _strength(event: Event, exam: Examination, known: list[Examination]) -> Iterator[Fact]:
    baseline: dict[tuple[str, str], int] = {}
    for earlier in known:
        for muscle, grade in graded(earlier.motor).items():
            baseline[muscle] = max(grade, baseline.get(muscle, 0))
    for (side, level), grade in sorted(graded(exam.motor, skip=exam.pain_limited).items()):
        usual = baseline.get((side, level), FULL_STRENGTH)
        if grade < usual:
            reference = "baseline" if (side, level) in baseline else "full strength, no baseline on record,"
            text = f"{side} {level} grade {grade}, {reference} {usual}"
            yield fact("strength.drop", usual - grade, text, event.when, event.id)
            yield fact("strength.grade_new", grade, text, event.when, event.id)
    if exam.legs in ("weak", "immobile") and not any(e.legs == exam.legs for e in known):
        yield fact("strength.legs_weak", 1, f"legs {exam.legs}", event.when, event.id)
        if exam.legs == "immobile":
            yield fact("strength.legs_immobile", 1, "both legs immobile", event.when, event.id)


def _falls(after: list[Exam]) -> Iterator[Fact]:
    """Falls of one muscle between two examinations that are certainly in this order."""
    graded_exams = [(event, graded(exam.motor, skip=exam.pain_limited)) for event, exam in after]
    by_end = sorted(graded_exams, key=lambda pair: pair[0].when.end)
    best: dict[tuple[str, str], tuple[int, str]] = {}
    taken = 0
    for event, grades in sorted(graded_exams, key=lambda pair: (pair[0].when.start, pair[0].when.end)):
        while taken < len(by_end) and by_end[taken][0].when.before(event.when):
            earlier, earlier_grades = by_end[taken]
            for muscle, grade in earlier_grades.items():
                if grade > best.get(muscle, (-1, ""))[0]:
                    best[muscle] = (grade, earlier.id)
            taken += 1
        for (side, level), grade in sorted(grades.items()):
            top, top_id = best.get((side, level), (grade, ""))
            if grade < top:
                text = f"{side} {level} fell from grade {top} to {grade}"
                yield fact("strength.fall", top - grade, text, event.when, top_id, event.id)


def _sensation(event: Event, exam: Examination, known: list[Examination]) -> Iterator[Fact]:
    lost = {side: _lost(exam, known, side) for side in SIDES}
    both = [level in lost["right"] and level in lost["left"] for level in DERMATOMES]
    longest, last = _longest_run(both)
    if longest:
        names = f"{DERMATOMES[last - longest + 1]} to {DERMATOMES[last]}"
        yield fact(
            "sensation.bilateral_run", longest, f"sensation lost on both sides, {names}", event.when, event.id
        )
    if any(lost.values()):
        yield fact("sensation.reduced", 1, "sensation reduced in a dermatome", event.when, event.id)
    if exam.sensation in ("reduced", "absent") and not any(e.sensation == exam.sensation for e in known):
        yield fact("sensation.reduced", 1, f"sensation {exam.sensation}", event.when, event.id)
    if exam.sensory_level is not None and not any(e.sensory_level == exam.sensory_level for e in known):
        yield fact("sensation.level", 1, f"sensory level {exam.sensory_level}", event.when, event.id)


def _lost(exam: Examination, known: list[Examination], side: str) -> set[str]:
    """Dermatomes of one side where light touch or pin prick is below its baseline (full where unknown)."""
    found = set()
    for name in ("light_touch", "pin_prick"):
        now = graded({side: getattr(exam, name).get(side, {})})
        usual: dict[tuple[str, str], int] = {}
        for earlier in known:
            for place, score in graded({side: getattr(earlier, name).get(side, {})}).items():
                usual[place] = max(score, usual.get(place, 0))
        found |= {
            level for (_, level), score in now.items() if score < usual.get((side, level), FULL_SENSATION)
        }
    return found


def _longest_run(flags: list[bool]) -> tuple[int, int]:
    """Length and last index of the longest run of True."""
    best, last, run = 0, -1, 0
    for place, flag in enumerate(flags):
        run = run + 1 if flag else 0
        if run > best:
            best, last = run, place
    return best, last


def _bladder(event: Event, exam: Examination, known: list[Examination]) -> Iterator[Fact]:
    when, usual = event.when, {e.bladder.voiding for e in known if e.bladder}
    bladder = exam.bladder or Bladder()
    names = {"retention": "retention", "incontinent": "incontinence", "difficult": "difficult"}
    if bladder.voiding in names and bladder.voiding not in usual:
        yield fact(f"bladder.{names[bladder.voiding]}", 1, f"voiding: {bladder.voiding}", when, event.id)
    if bladder.pvr_ml is not None:
        yield fact(
            "bladder.pvr_ml", bladder.pvr_ml, f"post-void residual {bladder.pvr_ml:g} mL", when, event.id
        )
    if exam.saddle in ("reduced", "absent") and not any(e.saddle == exam.saddle for e in known):
        yield fact("saddle.loss", 1, f"saddle sensation {exam.saddle}", when, event.id)
    scores = [
        graded({side: part}).get((side, LOWEST_SEGMENT))
        for name in ("light_touch", "pin_prick")
        for side, part in getattr(exam, name).items()
    ]
    if any(LOWEST_SEGMENT in _lost(exam, known, side) for side in SIDES):
        yield fact("saddle.loss", 1, "sensation at S4-5 reduced", when, event.id)
    for name, text in (
        ("voluntary_anal_contraction", "no voluntary anal contraction"),
        ("deep_anal_pressure", "no deep anal pressure"),
    ):
        if getattr(exam, name) == "No" and not any(getattr(e, name) == "No" for e in known):
            yield fact("anal.loss", 1, text, when, event.id)
    none = exam.voluntary_anal_contraction == "No" and exam.deep_anal_pressure == "No"
    if none and len(scores) == len(SIDES) * 2 and all(score == 0 for score in scores):
        yield fact("sacral.complete", 1, "no sacral sparing", when, event.id)


def _vitals(event: Event, exam: Examination) -> Iterator[Fact]:
    if exam.spo2_percent is not None:
        text = f"oxygen saturation {exam.spo2_percent:g} %"
        yield fact("vital.spo2_percent", exam.spo2_percent, text, event.when, event.id)
    if exam.temperature_c is not None:
        text = f"temperature {exam.temperature_c:g} C"
        yield fact("vital.temperature_c", exam.temperature_c, text, event.when, event.id)


def legs_tested(exam: Examination) -> bool:
    """True if leg strength was assessed; an untestable patient was not examined."""
    if exam.untestable:
        return False
    tested = graded(exam.motor)
    return exam.legs != "unknown" or any(level in LEG_MUSCLES for _, level in tested)
