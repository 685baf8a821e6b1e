"""Facts of the neurological examination: strength, sensation, bladder, sacral function.

The baseline of an examination is the best of what was examined before the procedure and was on record when
that examination was entered. A baseline typed in afterwards does not silence an alarm that has been raised;
a decision does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kypho.followup.events import Event
from kypho.followup.facts_base import Fact, fact
from kypho.followup.findings import Examination, Grades
from kypho.followup.record import Record
from kypho.followup.segments import DERMATOMES, LEG_MUSCLES, SIDES

__all__ = [
    "FULL_STRENGTH",
    "VOIDING",
    "Baseline",
    "bladder_tested",
    "legs_tested",
    "neuro_facts",
    "sensation_tested",
]

FULL_STRENGTH = 5
FULL_SENSATION = 2
LOWEST_SEGMENT = "S4-5"
VOIDING = {
    "retention": "urinary retention",
    "incontinent": "urinary incontinence",
    "difficult": "passing urine is difficult",
}
"""Findings of the bladder in words."""
Exam = tuple[Event, Examination]


class Baseline:
    """The best of what was on record before the procedure: grades and scores by place, and findings in words.

    Attributes:
        motor, light_touch, pin_prick: (side, level) to the best grade or score.
        exams: the examinations themselves.
    """

    def __init__(self, exams: list[Examination]) -> None:
        self.exams = exams
        self.motor = _best([exam.grades for exam in exams])
        self.light_touch = _best([exam.touch for exam in exams])
        self.pin_prick = _best([exam.pin for exam in exams])

    def had(self, name: str, found: object) -> bool:
        """True if a finding in words was there before."""
        return any(getattr(exam, name) == found for exam in self.exams)

    def lacks(self, tested: Callable[[Examination], bool]) -> bool:
        """True if nobody tested this before."""
        return not any(map(tested, self.exams))


def _best(scores: list[Grades]) -> Grades:
    found: Grades = {}
    for one in scores:
        for place, grade in one.items():
            found[place] = max(grade, found.get(place, 0))
    return found


def neuro_facts(record: Record) -> Iterator[Fact]:
    """Facts of every examination after the procedure."""
    after = [pair for pair in record.examinations if record.after_procedure(pair[0])]
    before = [pair for pair in record.examinations if not record.after_procedure(pair[0])]
    baselines: dict[tuple[str, ...], Baseline] = {}
    for event, exam in after:
        entered = record.first_recorded[event.id]
        known = [pair for pair in before if record.first_recorded[pair[0].id] <= entered]
        key = tuple(earlier.id for earlier, _ in known)
        if key not in baselines:
            baselines[key] = Baseline([earlier for _, earlier in known])
        baseline = baselines[key]
        lost = _lost(exam, baseline)
        yield from _strength(event, exam, baseline)
        yield from _sensation(event, exam, baseline, lost)
        yield from _bladder(event, exam, baseline)
        yield from _sacral(event, exam, baseline, lost)
        yield from _vitals(event, exam)
    yield from _falls(after)


def _strength(event: Event, exam: Examination, baseline: Baseline) -> Iterator[Fact]:
    for (side, level), grade in sorted(exam.free_grades.items()):
        usual = baseline.motor.get((side, level), FULL_STRENGTH)
        if grade < usual:
            known = (side, level) in baseline.motor
            reference = f"baseline {usual}" if known else f"no baseline on record, {usual} assumed"
            text = f"{side} {level} grade {grade}, {reference}"
            yield fact("strength.drop", usual - grade, text, event.when, event.id)
            yield fact("strength.grade_new", grade, text, event.when, event.id)
    if exam.legs in ("weak", "immobile") and not baseline.had("legs", exam.legs):
        assumed = baseline.lacks(legs_tested)
        text = f"both legs {exam.legs}"
        yield fact("strength.legs_weak", 1, text, event.when, event.id, assumed=assumed)
        if exam.legs == "immobile":
            yield fact("strength.legs_immobile", 1, text, event.when, event.id, assumed=assumed)


def _falls(after: list[Exam]) -> Iterator[Fact]:
    """Falls of one muscle between two examinations that are certainly in this order."""
    graded_exams = [(event, exam.free_grades) for event, exam in after]
    by_end = sorted(graded_exams, key=lambda pair: pair[0].when.key[1])
    best: dict[tuple[str, str], tuple[int, str]] = {}
    taken = 0
    for event, grades in sorted(graded_exams, key=lambda pair: pair[0].when.key):
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


def _sensation(
    event: Event, exam: Examination, baseline: Baseline, lost: dict[str, set[str]]
) -> Iterator[Fact]:
    if any(lost.values()):
        yield fact("sensation.reduced", 1, "sensation reduced in a dermatome", event.when, event.id)
        both = [level in lost["right"] and level in lost["left"] for level in DERMATOMES]
        longest, last = _longest_run(both)
        if longest:
            names = f"{DERMATOMES[last - longest + 1]} to {DERMATOMES[last]}"
            text = f"sensation lost on both sides, {names}"
            yield fact("sensation.bilateral_run", longest, text, event.when, event.id)
    assumed = baseline.lacks(sensation_tested)
    if exam.sensation in ("reduced", "absent") and not baseline.had("sensation", exam.sensation):
        text = f"sensation {exam.sensation}"
        yield fact("sensation.reduced", 1, text, event.when, event.id, assumed=assumed)
    if exam.sensory_level is not None and not baseline.had("sensory_level", exam.sensory_level):
        text = f"sensory level {exam.sensory_level}"
        yield fact("sensation.level", 1, text, event.when, event.id, assumed=assumed)


def _lost(exam: Examination, baseline: Baseline) -> dict[str, set[str]]:
    """Dermatomes by side where light touch or pin prick is below its baseline (full where unknown)."""
    found: dict[str, set[str]] = {side: set() for side in SIDES}
    for scores, usual in ((exam.touch, baseline.light_touch), (exam.pin, baseline.pin_prick)):
        for place, score in scores.items():
            if score < usual.get(place, FULL_SENSATION):
                found[place[0]].add(place[1])
    return found


def _longest_run(flags: list[bool]) -> tuple[int, int]:
    """Length and last index of the longest run of True."""
    best, last, run = 0, -1, 0
    for place, flag in enumerate(flags):
        run = run + 1 if flag else 0
        if run > best:
            best, last = run, place
    return best, last


def _bladder(event: Event, exam: Examination, baseline: Baseline) -> Iterator[Fact]:
    bladder = exam.bladder
    if bladder is None:
        return
    usual = {earlier.bladder.voiding for earlier in baseline.exams if earlier.bladder}
    names = {"retention": "retention", "incontinent": "incontinence", "difficult": "difficult"}
    if bladder.voiding in names and bladder.voiding not in usual:
        name, assumed = f"bladder.{names[bladder.voiding]}", baseline.lacks(bladder_tested)
        yield fact(name, 1, VOIDING[bladder.voiding], event.when, event.id, assumed=assumed)
    if bladder.pvr_ml is not None:
        text = f"post-void residual {bladder.pvr_ml:g} mL"
        yield fact("bladder.pvr_ml", bladder.pvr_ml, text, event.when, event.id)


def _sacral(event: Event, exam: Examination, baseline: Baseline, lost: dict[str, set[str]]) -> Iterator[Fact]:
    when = event.when
    if exam.saddle in ("reduced", "absent") and not baseline.had("saddle", exam.saddle):
        yield fact("saddle.loss", 1, f"saddle sensation {exam.saddle}", when, event.id)
    if any(LOWEST_SEGMENT in lost[side] for side in SIDES):
        yield fact("saddle.loss", 1, "sensation at S4-5 reduced", when, event.id)
    for name, text in (
        ("voluntary_anal_contraction", "no voluntary anal contraction"),
        ("deep_anal_pressure", "no deep anal pressure"),
    ):
        if getattr(exam, name) == "No" and not baseline.had(name, "No"):
            yield fact("anal.loss", 1, text, when, event.id)
    if exam.voluntary_anal_contraction == exam.deep_anal_pressure == "No":
        grids = (exam.touch, exam.pin)
        if all(grid.get((side, LOWEST_SEGMENT)) == 0 for grid in grids for side in SIDES):
            yield fact("sacral.complete", 1, "no sacral sparing", when, event.id)


def _vitals(event: Event, exam: Examination) -> Iterator[Fact]:
    if exam.spo2_percent is not None:
        text = f"oxygen saturation {exam.spo2_percent:g} %"
        yield fact("vital.spo2_percent", exam.spo2_percent, text, event.when, event.id)
    if exam.temperature_c is not None:
        text = f"temperature {exam.temperature_c:g} °C"
        yield fact("vital.temperature_c", exam.temperature_c, text, event.when, event.id)


def sensation_tested(exam: Examination) -> bool:
    """True if sensation was assessed, in words or mapped."""
    return bool(exam.sensation != "unknown" or exam.sensory_level or exam.touch or exam.pin)


def bladder_tested(exam: Examination) -> bool:
    """True if it is known how urine is passed, or what remains."""
    bladder = exam.bladder
    return bladder is not None and (bladder.voiding != "unknown" or bladder.pvr_ml is not None)


def legs_tested(exam: Examination) -> bool:
    """True if leg strength was assessed; an untestable patient was not examined."""
    if exam.untestable:
        return False
    return exam.legs != "unknown" or any(level in LEG_MUSCLES for _, level in exam.grades)
