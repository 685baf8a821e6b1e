"""What the check asks to do, and what each action rests on."""

from itertools import product
from types import SimpleNamespace

import pytest

from kypho.evidence import all_records, record, value
from kypho.leakage.actions import TOPICS, actions_for, mri_actions
from kypho.leakage.parts import Interval
from kypho.leakage.routes import ROUTES

STATES = ("epidural", "intradural", "both", "undetermined")
LEVELS = ("C5", "T1", "T12", "L1", "L2", "L5")

WORDS = {
    "intradural": ("canal", "dura"),
    "canal_cord": ("canal", "cord"),
    "canal_lumbar": ("canal", "below the cord"),
    "unreadable": ("canal", "read"),
    "faint_cement": ("dense", "body"),
    "doubtful_speck": ("speck", "canal"),
    "canal_elsewhere": ("canal", "away"),
    "vein": ("vein",),
    "foramen": ("foramen",),
    "cord_compressed": ("cord", "compressed"),
    "canal_narrowed": ("canal", "narrowed"),
    "no_compression": ("compression", "deficit"),
}
"""What a record must speak of to carry an action on the topic."""


def canal(state="epidural", *, found=True, readable=True):
    percent = Interval(value=12.0, low=10.0, high=14.0)
    dura = SimpleNamespace(state=state)
    return SimpleNamespace(
        found=found, readable=readable, dura=dura, side="left", max_encroachment_percent=percent
    )


def every_action():
    """The actions of every combination of findings that asks for another one."""
    found = list(mri_actions(90.0, 90.0))
    for level, state, seen, readable in product(LEVELS, STATES, (True, False), (True, False)):
        for route in ROUTES:
            routing = SimpleNamespace(likely=route, route=route)
            seen_as = canal(state, found=seen, readable=readable)
            found += actions_for(
                *(level, seen_as, [routing], 1),
                dense_body_ml=0.5,
                canal_elsewhere_ml=0.1,
                canal_elsewhere_at="T9",
                strange=("0.10 mL of metal lie in it",),
            )
    return found


def test_every_action_is_what_its_own_record_says():
    """No action can cite a record on another matter: it is the text of the record of its topic."""
    found = every_action()
    assert {action.topic for action in found} == set(TOPICS) == set(WORDS)
    for action in found:
        assert action.evidence == f"action.{action.topic}"
        assert action.what == value(action.evidence)
        assert action.why


@pytest.mark.parametrize("topic", TOPICS)
def test_a_record_speaks_of_its_topic_and_so_does_the_finding(topic):
    entry = record(f"action.{topic}")
    for word in WORDS[topic]:
        assert word in entry.what
    whys = {action.why for action in every_action() if action.topic == topic}
    for why in whys:
        assert any(word in why for word in WORDS[topic])


def test_a_speck_is_not_firmly_cement():
    def whys(*routes):
        routings = [SimpleNamespace(likely="foraminal", route=route) for route in routes]
        return [a.why for a in actions_for("T7", canal(found=False), routings, 0) if a.topic == "foramen"]

    assert whys("indeterminate") == ["a dense speck in a foramen: calcification or little cement"]
    assert whys("indeterminate", "foraminal") == ["cement in a foramen"]
    assert whys() == []


def test_every_record_of_an_action_has_its_topic():
    assert {name for name in all_records() if name.startswith("action.")} == {f"action.{t}" for t in TOPICS}


@pytest.mark.parametrize(
    ("level", "topic"), [("T12", "canal_cord"), ("L1", "canal_cord"), ("L2", "canal_lumbar")]
)
def test_the_conus_is_watched_like_the_cord(level, topic):
    """The cord ends about L1: rule R6 of the follow-up draws the same line."""
    topics = {action.topic for action in actions_for(level, canal(), [], 0)}
    assert topics == {topic, "no_compression"}


@pytest.mark.parametrize("state", STATES[1:])
def test_cement_that_may_be_inside_the_dura_is_urgent(state):
    assert actions_for("T7", canal(state), [], 0)[0].urgency == "at_once"
