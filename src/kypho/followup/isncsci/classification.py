"""The classification of one examination: levels, completeness, AIS, zones and totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kypho.followup.isncsci.examination import Examination, ExaminationSide
from kypho.followup.isncsci.impairment import completeness, impairment_scale
from kypho.followup.isncsci.levels import motor_level, neurological_level, sensory_level
from kypho.followup.isncsci.totals import add, total
from kypho.followup.isncsci.zones import motor_zone, sensory_zone

__all__ = ["Classification", "SideClassification", "classify"]

_ARM = slice(0, 5)
_LEG = slice(5, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class SideClassification:
    """Results of one side. Several possible results are separated by commas, head to tail."""

    sensory_level: str
    motor_level: str
    motor_total: str
    upper_motor_total: str
    lower_motor_total: str
    light_touch_total: str
    pin_prick_total: str
    sensory_zpp: str
    motor_zpp: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """Results of an examination, as text: "C5", "C5,C6*", "INT", "ND", "NA".

    A list holds every result that the missing values leave possible, a star every result on which a tagged
    value had an influence.
    """

    right: SideClassification
    left: SideClassification
    neurological_level: str
    asia_impairment_scale: str
    injury_complete: str
    upper_motor_total: str
    lower_motor_total: str
    light_touch_total: str
    pin_prick_total: str

    def to_dict(self) -> dict[str, Any]:
        """The result as nested dictionaries of text."""
        return asdict(self)

    @property
    def possible_grades(self) -> tuple[str, ...]:
        """The AIS grades that remain possible, A to E, without stars."""
        return tuple(grade.rstrip("*") for grade in self.asia_impairment_scale.split(","))


def classify(exam: Examination | Mapping[str, Any]) -> Classification:
    """Classify an examination after the 2019 revision of the standard.

    Args:
        exam: an `Examination`, or the mapping `Examination.from_dict` takes.

    Raises:
        RecordError: with the path of the bad value.
    """
    if not isinstance(exam, Examination):
        exam = Examination.from_dict(exam)
    contraction = exam.voluntary_anal_contraction
    motor_right, motor_left = motor_level(exam.right, contraction), motor_level(exam.left, contraction)
    neurological = neurological_level(exam)
    complete = completeness(exam)
    grades = impairment_scale(
        exam,
        complete=complete,
        motor_right=motor_right,
        motor_left=motor_left,
        neurological=neurological,
    )
    right = _side(exam.right, exam, motor_right, grades)
    left = _side(exam.left, exam, motor_left, grades)
    return Classification(
        right=right,
        left=left,
        neurological_level=",".join(neurological),
        asia_impairment_scale=",".join(grades),
        injury_complete=",".join(complete),
        upper_motor_total=add(right.upper_motor_total, left.upper_motor_total),
        lower_motor_total=add(right.lower_motor_total, left.lower_motor_total),
        light_touch_total=add(right.light_touch_total, left.light_touch_total),
        pin_prick_total=add(right.pin_prick_total, left.pin_prick_total),
    )


def _side(
    side: ExaminationSide, exam: Examination, motor: list[str], grades: list[str]
) -> SideClassification:
    return SideClassification(
        sensory_level=",".join(sensory_level(side)),
        motor_level=",".join(motor),
        motor_total=total(side.motor),
        upper_motor_total=total(side.motor[_ARM]),
        lower_motor_total=total(side.motor[_LEG]),
        light_touch_total=total(side.light_touch),
        pin_prick_total=total(side.pin_prick),
        sensory_zpp=",".join(sensory_zone(side, exam.deep_anal_pressure)),
        motor_zpp=",".join(motor_zone(side, exam.voluntary_anal_contraction, levels=motor, grades=grades)),
    )
