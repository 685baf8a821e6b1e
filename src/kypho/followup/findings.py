"""What a bedside examination finds: strength, sensation, reflexes, pain and the bladder."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Bladder",
    "Examination",
    "Frozen",
    "Grades",
    "Known",
    "Pain",
    "Scores",
    "Side",
    "Testable",
    "graded",
    "pain_words",
    "side_words",
]

Side = Literal["right", "left", "both", "unknown"]
Known = Literal["yes", "no", "unknown"]
Testable = Literal["Yes", "No", "NT"]
Scores = dict[str, dict[str, str]]
"""Side to level to the score as the worksheet writes it: ``{"right": {"L2": "4"}}``."""
Grades = dict[tuple[str, str], int]
"""(side, level) to a grade or score that is a number."""


def graded(scores: Scores) -> Grades:
    """The scores that are numbers. NT, and ** (normal but for another condition), are left out."""
    return {
        (side, level): int(score[0])
        for side, part in scores.items()
        for level, score in part.items()
        if score[0] != "N" and score[-2:] != "**"
    }


class Frozen(BaseModel):
    """What was said is said: no field changes, and none is there that the model does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Pain(Frozen):
    """One pain: 0 to 10, where, and of what quality."""

    score: int | None = None
    site: str
    side: Side = "unknown"
    quality: Literal["aching", "burning", "electric", "stabbing", "girdle", "unknown"] = "unknown"
    radiating: Known = "unknown"
    trend: Literal["new", "worse", "same", "better", "unknown"] = "unknown"


SITES_IN_WORDS = {
    "back": "back pain",
    "neck": "neck pain",
    "elsewhere": "pain, site not given",
    "wound": "pain at the wound",
    "thigh_front": "pain in the front of the thigh",
    "thigh_back": "pain in the back of the thigh",
}


def pain_words(pain: Pain) -> str:
    """Quality, site and side of a pain: "girdle pain in the hypochondrium on both sides"."""
    quality = "" if pain.quality == "unknown" else f"{pain.quality} "
    segment = pain.site[1:2].isdigit()
    plain = f"pain in {'dermatome' if segment else 'the'} {pain.site.replace('_', ' ')}"
    return quality + SITES_IN_WORDS.get(pain.site, plain) + side_words(pain.side)


def side_words(side: str) -> str:
    """The side with the word before it; empty where it is unknown."""
    return {"unknown": "", "both": " on both sides"}.get(side, f" on the {side}")


class Bladder(Frozen):
    """What the bladder does; millilitres of post-void residual."""

    voiding: Literal["normal", "difficult", "retention", "incontinent", "unknown"] = "unknown"
    pvr_ml: float | None = None
    catheter: Known = "unknown"


class Examination(Frozen):
    """A bedside examination; everything not written is unknown, never normal."""

    kind: Literal["examination"] = "examination"
    motor: Scores = {}
    light_touch: Scores = {}
    pin_prick: Scores = {}
    reflexes: dict[str, dict[str, Literal["absent", "reduced", "normal", "brisk", "NT"]]] = {}
    pain_limited: tuple[str, ...] = ()
    voluntary_anal_contraction: Testable = "NT"
    deep_anal_pressure: Testable = "NT"
    saddle: Literal["normal", "reduced", "absent", "NT"] = "NT"
    legs: Literal["normal", "weak", "immobile", "unknown"] = "unknown"
    sensation: Literal["normal", "reduced", "absent", "unknown"] = "unknown"
    sensory_level: str | None = None
    pains: tuple[Pain, ...] = ()
    bladder: Bladder | None = None
    temperature_c: float | None = None
    spo2_percent: float | None = None
    untestable: str | None = None
    during_injection: bool = False
    text: str | None = None

    @cached_property
    def grades(self) -> Grades:
        """Key muscles that were graded."""
        return graded(self.motor)

    @cached_property
    def free_grades(self) -> Grades:
        """Key muscles that were graded and not limited by pain."""
        if not self.pain_limited:
            return self.grades
        return {p: grade for p, grade in self.grades.items() if " ".join(p) not in self.pain_limited}

    @cached_property
    def touch(self) -> Grades:
        """Dermatomes whose light touch was scored."""
        return graded(self.light_touch)

    @cached_property
    def pin(self) -> Grades:
        """Dermatomes whose pin prick was scored."""
        return graded(self.pin_prick)
