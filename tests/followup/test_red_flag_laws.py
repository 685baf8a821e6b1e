"""Laws of the engine: monotone, blind to the order of entry, deaf to duplicates, obedient to corrections."""

import random
from datetime import UTC, datetime, timedelta

from follow_case import NOW, SURGERY, Case, legs
from hypothesis import given, settings
from hypothesis import strategies as st

from kypho.followup import TIERS, fold, status

STAMPS = st.integers(0, 20 * 24).map(
    lambda hours: (datetime(2024, 1, 28, tzinfo=UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")
)
DAYS = st.integers(0, 20).map(
    lambda day: (datetime(2024, 1, 28, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
)
TIMES = STAMPS | DAYS
SIDE = st.sampled_from(["right", "left"])
MOTOR = st.dictionaries(
    SIDE,
    st.dictionaries(
        st.sampled_from(["C5", "L2", "L5", "S1"]), st.sampled_from(["0", "3", "4", "5", "NT", "4**"])
    ),
)
SENSORY = st.dictionaries(
    SIDE, st.dictionaries(st.sampled_from(["T7", "T8", "T9", "S4-5"]), st.sampled_from(["0", "1", "2", "NT"]))
)
PAIN = st.fixed_dictionaries(
    {"site": st.sampled_from(["back", "leg", "hypochondrium", "T4"])},
    optional={
        "score": st.integers(0, 10),
        "radiating": st.sampled_from(["yes", "no"]),
        "trend": st.sampled_from(["new", "same", "worse", "better"]),
        "quality": st.sampled_from(["electric", "aching", "girdle"]),
    },
)
EXAM = st.fixed_dictionaries(
    {"kind": st.just("examination")},
    optional={
        "motor": MOTOR,
        "light_touch": SENSORY,
        "pin_prick": SENSORY,
        "pains": st.lists(PAIN, max_size=2),
        "legs": st.sampled_from(["normal", "weak", "immobile"]),
        "sensory_level": st.sampled_from(["T7", "L1"]),
        "bladder": st.fixed_dictionaries({"pvr_ml": st.sampled_from([0, 199, 200, 650])}),
        "deep_anal_pressure": st.sampled_from(["Yes", "No", "NT"]),
        "spo2_percent": st.sampled_from([88, 92, 99]),
        "temperature_c": st.sampled_from([36.5, 39]),
    },
)
SYMPTOM = st.fixed_dictionaries(
    {
        "kind": st.just("symptom"),
        "symptom": st.sampled_from(["leg_weakness", "numbness", "dyspnoea", "fever", "other"]),
    },
    optional={"side": st.sampled_from(["both", "left"]), "trend": st.sampled_from(["new", "better"])},
)
IMAGING = st.fixed_dictionaries(
    {"kind": st.just("imaging"), "modality": st.sampled_from(["CT", "MRI"])},
    optional={
        "canal_cement": st.sampled_from(["yes", "no", "unknown"]),
        "cord_compression": st.sampled_from(["yes", "no"]),
        "levels": st.sampled_from([["T7"], ["L3"], []]),
        "encroachment_percent": st.sampled_from([10, 40, 60]),
    },
)
LAB = st.fixed_dictionaries(
    {
        "kind": st.just("lab"),
        "analyte": st.just("crp"),
        "unit": st.sampled_from(["mg/L", "mg/dL"]),
        "value": st.sampled_from([1, 4, 6, 20]),
    },
    optional={"reference_high": st.just(5)},
)
BY_KIND = {"examination": EXAM, "symptom": SYMPTOM, "imaging": IMAGING, "lab": LAB}
FINDING = st.tuples(TIMES, EXAM | SYMPTOM | IMAGING | LAB)
LAW = settings(max_examples=150, deadline=None)


def built(findings):
    case = Case()
    case.add("enrolment", "2024-01-01", birth_year=1950, zone="UTC")
    case.add("procedure", SURGERY, level="T7")
    for at, fields in findings:
        case.add(fields["kind"], at, **{key: part for key, part in fields.items() if key != "kind"})
    return case


def seen(state):
    """Everything a status says, in comparable form."""
    return state.tier, state.alarms, state.closed, state.slots, state.clocks, state.facts, state.unknown


@LAW
@given(st.lists(FINDING, max_size=8), FINDING)
def test_one_more_finding_never_lowers_the_tier(findings, added):
    """Whatever is added, at whatever time: rules stay fired, the tier stays, and so does what was known.

    A comparison may change its partner (a fall from 4 becomes a fall from 5), so facts are followed by their
    name and by the event that shows them.
    """
    before = built(findings).status()
    after = built([*findings, added]).status()
    assert TIERS.index(after.findings_tier) >= TIERS.index(before.findings_tier)
    shown = {(item.name, item.events[-1]) for item in after.facts}
    assert {(item.name, item.events[-1]) for item in before.facts} <= shown
    fired = {alarm.rule.id for alarm in before.alarms} - {"R11"}
    assert fired <= {alarm.rule.id for alarm in after.alarms}


@LAW
@given(st.lists(FINDING, max_size=8), st.integers(0, 1000))
def test_the_order_of_arrival_does_not_matter(findings, seed):
    events = built(findings).events
    mixed = list(events)
    random.Random(seed).shuffle(mixed)
    assert seen(status(fold(mixed), NOW)) == seen(status(fold(events), NOW))


@LAW
@given(st.lists(FINDING, min_size=1, max_size=6))
def test_duplicates_are_harmless(findings):
    events = built(findings).events
    assert seen(status(fold(events + events), NOW)) == seen(status(fold(events), NOW))
    assert seen(built(findings + findings[:1]).status()) == seen(status(fold(events), NOW))


@LAW
@given(st.lists(FINDING, max_size=5), FINDING)
def test_a_retracted_finding_leaves_no_trace_in_the_judgement(findings, mistaken):
    case = built(findings)
    reference = seen(case.status())
    known = {event.id for event in case.events}
    wrong = case.add(
        mistaken[1]["kind"], mistaken[0], **{k: v for k, v in mistaken[1].items() if k != "kind"}
    )
    if wrong.id in known:
        return
    case.add("retraction", "2024-02-28", reason="other patient", corrects=wrong.id)
    assert seen(case.status()) == reference
    assert wrong in case.record.history


LAY = st.sampled_from(["patient", "relative", "nurse", "therapist", "researcher", "radiologist"])


@LAW
@given(st.lists(FINDING, min_size=1, max_size=6), st.data())
def test_nobody_but_a_surgeon_or_physician_corrects_an_alarm_away(findings, data):
    """Whatever another corrects or takes back, the procedure and a correction included: no alarm goes."""
    case = built(findings)
    before = case.status()
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from([e for e in case.events if e.kind != "enrolment"]))
        role = data.draw(LAY)
        if target.kind == "retraction" or data.draw(st.booleans()):
            case.add("retraction", "2024-02-28", reason="x", corrects=target.id, role=role)
        else:
            fields = {"level": "L5"} if target.kind == "procedure" else dict(data.draw(BY_KIND[target.kind]))
            fields.pop("kind", None)
            case.add(target.kind, data.draw(TIMES), corrects=target.id, role=role, **fields)
    after = case.status()
    assert after.watching
    assert TIERS.index(after.findings_tier) >= TIERS.index(before.findings_tier)
    assert {a.rule.id for a in before.alarms} - {"R11"} <= {a.rule.id for a in after.alarms}
    assert after.tier != "none" or before.tier == "none"


def test_what_another_takes_back_counts_until_a_physician_answers(case):
    grave = case.exam(motor=legs(5, left_L3=1))
    undone = case.add("retraction", "2024-02-28", reason="x", corrects=grave.id, role="relative")
    state = case.status()
    assert state.findings_tier == "red+"
    assert grave not in case.record.events
    assert any(grave.id in gap for gap in state.unknown), "the state says so"
    case.add("retraction", "2024-02-28", reason="other patient", corrects=undone.id, role="nurse")
    assert case.status().findings_tier == "red+"
    case.add("retraction", "2024-02-28", reason="other patient", corrects=grave.id, role="physician")
    assert case.status().findings_tier == "none"
    assert not any(grave.id in gap for gap in case.status().unknown)


def test_a_physician_who_corrects_a_nurses_correction_answers_for_both(case):
    grave = case.exam(motor=legs(5, left_L3=1), role="nurse")
    typed = case.exam(motor=legs(5), corrects=grave.id, role="nurse")
    assert case.status().findings_tier == "red+"
    case.exam(motor=legs(5, left_L3=4), corrects=typed.id)
    assert case.status().findings_tier == "red"


def test_a_physicians_correction_answers_for_an_earlier_one_of_the_same_entry(case):
    mild = case.exam(motor=legs(5), role="nurse")
    case.exam(motor=legs(5, left_L3=1), corrects=mild.id, role="nurse")
    assert case.status().findings_tier == "red+"
    case.exam(motor=legs(5), text="examined again", corrects=mild.id)
    assert case.status().findings_tier == "none"


def test_a_correction_after_the_decision_opens_the_alarm_again(case):
    seen_first = case.exam(motor=legs(4))
    case.add("decision", "2024-02-03T12:00", role="surgeon", decision="explained", closes=["R1", "R4"])
    assert case.status().findings_tier == "none"
    case.exam(motor=legs(0), corrects=seen_first.id)
    assert case.status().findings_tier == "red+"


def test_a_correction_replaces_what_it_points_at(case):
    wrong = case.exam(motor=legs(5, left_L3=1))
    assert case.status().findings_tier == "red+"
    right = case.exam(motor=legs(5), corrects=wrong.id)
    assert case.status().findings_tier == "none"
    case.exam(motor=legs(5, left_L3=4), corrects=right.id)
    assert case.status().findings_tier == "red"


def test_a_correction_taken_back_leaves_the_original(case):
    """Somebody corrects a grave finding away by mistake; taking the correction back brings the alarm back."""
    grave = case.exam(motor=legs(5, left_L3=1))
    mistake = case.exam(motor=legs(5), corrects=grave.id)
    undo = case.add("retraction", "2024-02-28", reason="it was right", corrects=mistake.id)
    assert case.status().findings_tier == "red+"
    case.add("retraction", "2024-02-28", reason="no, it was not", corrects=undo.id)
    assert case.status().findings_tier == "none"
    case.add("retraction", "2024-02-28", reason="other patient", corrects=grave.id)
    assert grave not in case.record.events


def test_of_two_corrections_the_later_stands(case):
    wrong = case.exam(motor=legs(5, left_L3=1))
    case.exam(motor=legs(4), corrects=wrong.id)
    case.exam(motor=legs(5), corrects=wrong.id)
    assert case.status().findings_tier == "none"


def test_a_baseline_typed_in_afterwards_does_not_silence(bare):
    """Known weakness that was never written down before: the alarm stands until somebody answers for it."""
    bare.add("procedure", SURGERY, level="T7")
    bare.exam(motor=legs(4))
    assert bare.status().findings_tier == "red"
    bare.exam("2024-01-30T09:00", motor=legs(4))
    assert bare.status().findings_tier == "red"
    bare.add("decision", "2024-02-04", role="surgeon", decision="weakness known before", closes=["R1"])
    assert bare.status().findings_tier == "none"


def test_a_decision_closes_what_it_knew_and_nothing_later(case):
    case.exam(motor=legs(4))
    case.add("decision", "2024-02-03T12:00", role="surgeon", decision="explained", closes=["R1"])
    state = case.status()
    assert state.findings_tier == "none"
    assert [alarm.rule.id for alarm in state.closed] == ["R1"]
    case.exam("2024-02-04T10:00", motor={"right": {"L2": "4"}})
    assert case.status().findings_tier == "red"


def test_an_operation_does_not_lower_the_tier(case):
    case.exam(legs="immobile")
    case.add("operation", "2024-02-03", operation="laminectomy", decompression=True)
    assert case.status().findings_tier == "red+"


def test_what_another_moves_before_the_procedure_is_no_baseline(case):
    """A correction that nobody answers for was on record when it was entered, not when the finding was."""
    grave = case.exam("2024-02-02", sensory_level="L1", role="nurse")
    assert "R2" in case.fired()
    case.exam("2024-01-28T00:00", sensory_level="L1", corrects=grave.id, role="patient")
    assert "R2" in case.fired()
