"""The red-flag rules: read from data, evaluated against facts, explained.

A rule is a list of alternatives; an alternative is a list of conditions that must all be met. A condition
asks that a fact exists, at most bounding its value. Nothing is ever negated, so the set of alarms grows with
the set of facts: one more finding can raise the tier and never lower it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from kypho.evidence import value
from kypho.followup.facts_base import FACT_NAMES, Fact
from kypho.followup.limit_words import with_limits
from kypho.followup.times import When, later

__all__ = ["TIERS", "Alarm", "Condition", "Rule", "evaluate", "highest", "rules", "rules_version", "worse"]

Tier = Literal["none", "note", "amber", "red", "red+"]
TIERS: tuple[Tier, ...] = ("none", "note", "amber", "red", "red+")
"""From nothing found to the gravest. "none" means no rule has fired; it does not mean normal."""


@cache
def _bound(record_id: str) -> float:
    return float(value(record_id))


class Condition(BaseModel):
    """One fact, at most with one bound: the id of the evidence record that holds the number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fact: str
    at_least: str | None = None
    at_most: str | None = None
    below: str | None = None

    @model_validator(mode="after")
    def _can_be_met(self) -> Condition:
        if self.fact not in FACT_NAMES:
            raise ValueError(f"fact {self.fact!r} is in no list; the rule would never fire")
        bounds = [bound for bound in (self.at_least, self.at_most, self.below) if bound is not None]
        if len(bounds) > 1:
            raise ValueError(f"fact {self.fact!r} has {len(bounds)} bounds; keep one")
        for bound in bounds:
            _bound(bound)
        return self

    def holds(self, fact: Fact) -> bool:
        """True if the fact's value lies inside the bound."""
        if self.at_least is not None:
            return fact.value >= _bound(self.at_least)
        if self.at_most is not None:
            return fact.value <= _bound(self.at_most)
        return self.below is None or fact.value < _bound(self.below)


class Rule(BaseModel):
    """One red flag: what makes it fire, how grave it is, what to do by when, and what clears it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    tier: Tier
    what: str
    when: tuple[tuple[Condition, ...], ...]
    within: str
    action: str
    clears: str
    source: str
    certainty: Literal["confirmed", "unconfirmed"]

    @property
    def within_h(self) -> float:
        """Hours in which to act."""
        return float(value(self.within))


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A rule that fired, and why.

    Attributes:
        since: when the rule's condition was first met; an interval where the record is vague.
        act_by: the instant by which to act, counted from the end of `since`. Past or not, the act stands.
        facts: the facts that make it fire.
        closed_by: id of the decision that answers for all these facts, or None while active.
        treated: when the cord was decompressed after all these facts, as a surgeon or physician entered it.
            The alarm stays; its act was due then.
        said_treated: the same where only others entered it. The act is still due.
    """

    rule: Rule
    since: When
    act_by: datetime
    facts: tuple[Fact, ...]
    closed_by: str | None = None
    treated: When | None = None
    said_treated: When | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """What made it fire, each thing once, in order of time."""
        return tuple(dict.fromkeys(fact.words for fact in self.facts))

    @property
    def events(self) -> tuple[str, ...]:
        """Ids of the events behind the alarm."""
        return tuple(dict.fromkeys(event for fact in self.facts for event in fact.events))


@cache
def _file() -> tuple[str, tuple[Rule, ...]]:
    path = files("kypho.evidence").joinpath("rules", "red_flags.toml")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return data["version"], tuple(Rule.model_validate(_said(rule)) for rule in data["rule"])


def _said(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule with its limits in words, from the records that it is computed with."""
    return {name: with_limits(part) if isinstance(part, str) else part for name, part in rule.items()}


def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the file."""
    return _file()[1]


def rules_version() -> str:
    """The version written in the rule file."""
    return _file()[0]


def worse(one: Tier, other: Tier) -> Tier:
    """The graver of two tiers."""
    return max(one, other, key=TIERS.index)


def highest(alarms: Sequence[Alarm]) -> Tier:
    """The gravest tier among alarms; "none" where there are none."""
    found: Tier = "none"
    for alarm in alarms:
        found = worse(found, alarm.rule.tier)
    return found


def evaluate(facts: Sequence[Fact]) -> tuple[Alarm, ...]:
    """The alarms of these facts, gravest first, then oldest. The order of facts does not matter."""
    by_name: dict[str, list[Fact]] = {}
    for fact in facts:
        by_name.setdefault(fact.name, []).append(fact)
    found = [alarm for rule in rules() if (alarm := _fire(rule, by_name)) is not None]
    return tuple(sorted(found, key=lambda a: (-TIERS.index(a.rule.tier), a.since.start, a.rule.id)))


def _fire(rule: Rule, by_name: dict[str, list[Fact]]) -> Alarm | None:
    matched: dict[Fact, None] = {}
    since: list[When] = []
    for alternative in rule.when:
        hits = [[f for f in by_name.get(c.fact, ()) if c.holds(f)] for c in alternative]
        if not all(hits):
            continue
        matched.update(dict.fromkeys(fact for group in hits for fact in group))
        first = [min((fact.when for fact in group), key=_key) for group in hits]
        since.append(max(first, key=_key))
    if not since:
        return None
    began = min(since, key=_key)
    return Alarm(
        rule=rule,
        since=began,
        act_by=later(began.end, rule.within_h),
        facts=tuple(sorted(matched, key=lambda f: (_key(f.when), f.name, f.text))),
    )


def _key(when: When) -> tuple[float, float]:
    return when.key
