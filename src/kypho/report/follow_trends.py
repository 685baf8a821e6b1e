"""What is drawn over time: series of points taken from a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kypho.followup import Record, When
from kypho.followup.events import Examination, Lab, Symptom
from kypho.followup.labs import analyte_words, analytes, convert
from kypho.followup.segments import DERMATOMES, LEG_MUSCLES, segment_index

__all__ = ["AT_LEAST", "AT_MOST", "TRENDS", "Point", "Trend"]

Point = tuple[When, float]
Series = dict[str, list[Point]]
AT_LEAST, AT_MOST = ", at least", ", at most"
"""Ends of the names of series whose points are bounds: ">100" is no value of 100."""
BOUNDS = {">": AT_LEAST, ">=": AT_LEAST, "<": AT_MOST, "<=": AT_MOST, None: ""}
IN_WORDS = {"normal": 5.0, "immobile": 0.0}
VOIDING = ("normal", "difficult", "retention", "incontinent")
REPORTED = {
    "urinary_difficulty": "difficult",
    "urinary_retention": "retention",
    "incontinence": "incontinent",
}


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One panel.

    Attributes:
        label: of its axis.
        limits: of its axis; None where the points set them.
        series: what makes its points.
        words: the words that stand for 0, 1, 2, ... on the axis; empty where it counts.
    """

    title: str
    label: str
    series: Callable[[Record], Series]
    limits: tuple[float, float] | None = None
    words: tuple[str, ...] = ()

    @property
    def empty(self) -> str:
        """What a panel without points says; what was found in words stands in the list of events."""
        return "not recorded" if self.words else "no number recorded"


def _strength(record: Record) -> Series:
    """Lowest grade of the leg muscles, by side; a whole leg in words counts where it leaves no doubt."""
    found: Series = {}
    for event, exam in record.examinations:
        for side in ("right", "left"):
            grades = [g for (s, level), g in exam.grades.items() if s == side and level in LEG_MUSCLES]
            if grades:
                found.setdefault(f"{side}, weakest key muscle", []).append((event.when, float(min(grades))))
        if exam.legs in IN_WORDS and not exam.motor:
            found.setdefault("both legs, in words", []).append((event.when, IN_WORDS[exam.legs]))
    return found


def _sensation(record: Record) -> Series:
    """Number of dermatomes whose sensation is not full, by side; below a sensory level all of them."""
    found: Series = {}
    for event, exam in record.examinations:
        if exam.sensory_level is not None:
            below = len(DERMATOMES) - segment_index(exam.sensory_level)
            found.setdefault("both sides, from the sensory level", []).append((event.when, float(below)))
        elif exam.sensation == "normal":
            found.setdefault("both sides, from the sensory level", []).append((event.when, 0.0))
        for side in ("right", "left"):
            scores = {place: score for place, score in exam.touch.items() if place[0] == side}
            for place, score in exam.pin.items():
                if place[0] == side:
                    scores[place] = min(score, scores.get(place, score))
            if scores:
                lost = sum(score < 2 for score in scores.values())
                found.setdefault(side, []).append((event.when, float(lost)))
    return found


def _pain(record: Record) -> Series:
    found: Series = {}
    for event in record.events:
        pains = event.body.pains if isinstance(event.body, Examination) else ()
        if isinstance(event.body, Symptom) and event.body.pain is not None:
            pains = (event.body.pain,)
        for pain in pains:
            if pain.score is not None:
                site = "site not given" if pain.site == "elsewhere" else pain.site.replace("_", " ")
                found.setdefault(site, []).append((event.when, float(pain.score)))
    return found


def _voiding(record: Record) -> Series:
    """How urine was passed, as it was found and as it was reported."""
    found: Series = {}
    for event, exam in record.examinations:
        if exam.bladder is not None and exam.bladder.voiding != "unknown":
            point = (event.when, float(VOIDING.index(exam.bladder.voiding)))
            found.setdefault("examined", []).append(point)
    for event, symptom in record.of(Symptom):
        if symptom.symptom in REPORTED and symptom.trend not in ("better", "resolved"):
            point = (event.when, float(VOIDING.index(REPORTED[symptom.symptom])))
            found.setdefault("reported", []).append(point)
    return found


def _residual(record: Record) -> Series:
    points = [
        (event.when, exam.bladder.pvr_ml)
        for event, exam in record.examinations
        if exam.bladder is not None and exam.bladder.pvr_ml is not None
    ]
    return {"post-void residual": points} if points else {}


def _labs(record: Record) -> Series:
    """Each value over the upper end of its own laboratory's range, so that all share one axis.

    Bounds are series of their own, so that no line joins them to values.
    """
    found: Series = {}
    for event, lab in record.of(Lab):
        if lab.value is not None and lab.unit is not None and lab.reference_high:
            units = analytes().get(lab.analyte, {}).get("units") or [lab.unit]
            amount = convert(lab.analyte, lab.value, lab.unit, units[0])
            top = convert(lab.analyte, lab.reference_high, lab.unit, units[0])
            name = analyte_words(lab.analyte) + BOUNDS[lab.comparator]
            found.setdefault(name, []).append((event.when, amount / top))
    return found


TRENDS = (
    Trend(title="Strength of the legs", label="MRC grade", series=_strength, limits=(-0.3, 5.3)),
    Trend(title="Sensation lost", label="dermatomes", series=_sensation),
    Trend(title="Pain", label="score, 0 to 10", series=_pain, limits=(-0.5, 10.5)),
    Trend(title="Bladder: voiding", label="", series=_voiding, limits=(-0.5, 3.5), words=VOIDING),
    Trend(title="Bladder: residual", label="mL", series=_residual),
    Trend(title="Laboratory", label="times upper limit", series=_labs),
)
