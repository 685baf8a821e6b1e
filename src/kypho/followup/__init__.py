"""Follow-up: examinations, laboratory, red flags and clocks. Knows no images, only what was found on them."""

from kypho.followup.clocks import Clock, clocks
from kypho.followup.entry import make_event
from kypho.followup.events import Event
from kypho.followup.facts import Fact, facts_of
from kypho.followup.identity import check_pseudonym
from kypho.followup.record import Record, fold
from kypho.followup.rules import TIERS, Alarm, Rule, evaluate, rules
from kypho.followup.schedule import Slot, schedule
from kypho.followup.status import NotBegunError, Status, status
from kypho.followup.times import When, parse_when, utc_now

__all__ = [
    "TIERS",
    "Alarm",
    "Clock",
    "Event",
    "Fact",
    "NotBegunError",
    "Record",
    "Rule",
    "Slot",
    "Status",
    "When",
    "check_pseudonym",
    "clocks",
    "evaluate",
    "facts_of",
    "fold",
    "make_event",
    "parse_when",
    "rules",
    "schedule",
    "status",
    "utc_now",
]
