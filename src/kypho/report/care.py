"""CARE: the case report drawn from the record, every sentence with the events it comes from, and a linter.

Thirteen items, thirty sub-rows (doi 10.1186/1752-1947-7-223). What the record does not hold is "not
recorded"; the draft then has a gap, never a sentence of its own. Patient perspective (12) and consent (13)
are written only from events in which the patient spoke or consent was recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kypho.followup import Record
from kypho.followup.contradictions import contradictions
from kypho.followup.events import Note
from kypho.report.care_sentences import SENTENCES, Sentence

__all__ = ["CARE_ITEMS", "CareItem", "Sentence", "draft_lines", "lint"]

State = Literal["traced", "not recorded", "contradictory"]

CARE_ITEMS: dict[str, str] = {
    "1": "title",
    "2": "key words",
    "3a": "abstract: introduction, what is unique",
    "3b": "abstract: symptoms and findings",
    "3c": "abstract: diagnoses, interventions, outcomes",
    "3d": "abstract: take-away",
    "4": "introduction with references",
    "5a": "patient: de-identified demographics",
    "5b": "patient: concerns and symptoms",
    "5c": "patient: medical, family, psychosocial, genetic history",
    "5d": "patient: past interventions",
    "6": "clinical findings",
    "7": "timeline",
    "8a": "diagnosis: methods",
    "8b": "diagnosis: challenges",
    "8c": "diagnosis: reasoning and differential",
    "8d": "diagnosis: prognostic characteristics",
    "9a": "intervention: type",
    "9b": "intervention: administration",
    "9c": "intervention: changes with rationale",
    "10a": "follow-up: clinician- and patient-assessed outcomes",
    "10b": "follow-up: test results",
    "10c": "follow-up: adherence and tolerability",
    "10d": "follow-up: adverse and unanticipated events",
    "11a": "discussion: strengths and limits",
    "11b": "discussion: literature",
    "11c": "discussion: rationale of conclusions",
    "11d": "discussion: take-away",
    "12": "patient perspective",
    "13": "informed consent",
}
"""The thirty sub-rows by number, in our own short words."""

CONCERNED = {
    "3b": ("strength", "sensation"),
    "6": ("strength", "sensation"),
    "7": ("dates",),
    "8a": ("imaging", "laboratory"),
    "10b": ("laboratory",),
}
"""Which contradictions make which item contradictory."""

NEVER_FROM_NOTES = ("12", "13")


@dataclass(frozen=True, kw_only=True)
class CareItem:
    """One sub-row: its state, its sentences, the events behind them, and what contradicts.

    Attributes:
        state: "traced" if at least one sentence rests on events, "contradictory" if these do not agree,
            else "not recorded".
        problems: the contradictions, in words.
    """

    id: str
    name: str
    state: State
    sentences: tuple[Sentence, ...]
    problems: tuple[str, ...]

    @property
    def events(self) -> tuple[str, ...]:
        """Ids of every event behind the item."""
        return tuple(dict.fromkeys(name for sentence in self.sentences for name in sentence.events))


def lint(record: Record) -> tuple[CareItem, ...]:
    """Every sub-row of CARE with what the record holds for it."""
    found = contradictions(record)
    items = []
    for item_id, name in CARE_ITEMS.items():
        sentences = _sentences(record, item_id)
        concerns = CONCERNED.get(item_id, ())
        problems = tuple(problem.what for problem in found if problem.concerns in concerns)
        state: State = "not recorded" if not sentences else "contradictory" if problems else "traced"
        items.append(CareItem(id=item_id, name=name, state=state, sentences=sentences, problems=problems))
    return tuple(items)


def _sentences(record: Record, item_id: str) -> tuple[Sentence, ...]:
    writer: Callable[[Record], list[Sentence]] | None = SENTENCES.get(item_id)
    written = writer(record) if writer else []
    if item_id not in NEVER_FROM_NOTES:
        written += [Sentence(n.text, (e.id,)) for e, n in record.of(Note) if n.care == item_id]
    return tuple(written)


def draft_lines(record: Record) -> list[str]:
    """The draft as Markdown: sentences with the events they come from, gaps marked as gaps."""
    synthetic = " SYNTHETIC case, no patient." if record.enrolment.synthetic else ""
    lines = [
        f"# Case report draft: {record.case}",
        "",
        f"Draft from the record; every sentence names its events.{synthetic} Research and education; "
        "not a medical device.",
    ]
    for item in lint(record):
        lines += ["", f"## {item.id}. {item.name}", ""]
        lines += [f"{sentence.text} [{', '.join(sentence.events)}]" for sentence in item.sentences]
        lines += [f"CONTRADICTORY: {problem}." for problem in item.problems if item.sentences]
        if not item.sentences:
            lines.append("(not recorded)")
    return lines
