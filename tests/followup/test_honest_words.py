"""What is said agrees with what is known: no rise from an unknown, one zone, no minutes nobody recorded."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from follow_case import SURGERY, Case

from kypho.errors import RecordError
from kypho.followup import fold, parse_when, status
from kypho.followup.times import later
from kypho.report.care_export import case_html
from kypho.report.follow_text import (
    action_words,
    answer_lines,
    status_json,
    status_lines,
    timeline_lines,
    watch_lines,
)
from kypho.report.follow_trends import TRENDS

OFFSET = re.compile(r"[+-]\d\d:?\d\d\b(?!-)")


@pytest.fixture
def berlin():
    """A case of Berlin, into which times with other offsets were typed."""
    case = Case()
    case.add("enrolment", "2024-01-20T09:00", zone="Europe/Berlin", sex="male")
    case.exam("2024-01-31T09:00+00:00", legs="normal")
    case.add("procedure", "2024-02-01T23:30+00:00", level="T7")
    case.exam("2024-02-02T10:00+08:00", legs="weak")
    return case


def alarm_of(state, rule):
    return next(alarm for alarm in state.alarms if alarm.rule.id == rule)


def test_girdle_pain_fires_on_its_own_and_no_rise_is_made_of_an_unknown(case):
    case.exam(pains=[{"site": "hypochondrium", "score": 6, "quality": "girdle"}])
    (reason,) = alarm_of(case.status(), "R5").reasons
    assert "6 of 10, baseline not recorded" in reason
    assert not any(fact.name == "pain.rise" for fact in case.status().facts)


@pytest.mark.parametrize(
    ("before", "trend", "rise"), [(2, "unknown", 4), (None, "new", 6), (None, "unknown", None)]
)
def test_a_rise_needs_a_score_before_or_a_pain_said_to_be_new(bare, before, trend, rise):
    pain = {"site": "back", "quality": "burning"}
    bare.exam("2024-01-31T09:00", pains=[{**pain, "score": before}])
    bare.add("procedure", SURGERY, level="T7")
    bare.exam(pains=[{**pain, "score": 6, "trend": trend}])
    rises = [fact.value for fact in bare.status().facts if fact.name == "pain.rise"]
    assert rises == ([] if rise is None else [rise])
    assert "R5" in bare.fired()


@pytest.mark.parametrize("trend", ["same", "better"])
def test_pain_said_not_to_rise_needs_no_score_before(case, trend):
    case.exam(pains=[{"site": "back", "score": 6, "quality": "burning", "trend": trend}])
    assert "R5" not in case.fired()


def test_what_has_no_baseline_says_that_it_is_counted_as_new(bare):
    bare.add("procedure", SURGERY, level="T7")
    bare.exam(legs="weak", motor={})
    state = bare.status()
    assert alarm_of(state, "R1").reasons == ("both legs weak (baseline not recorded, counted as new)",)
    assert "baseline before the procedure: not examined, so what is found counts as new" in state.unknown


def test_a_known_baseline_is_not_called_unknown(case):
    case.exam(legs="weak")
    assert alarm_of(case.status(), "R1").reasons == ("both legs weak",)


def test_what_comes_after_the_instant_does_not_count(case):
    case.exam("2024-02-10T10:00", legs="immobile")
    before = case.status(datetime(2024, 2, 1, 10, 5, tzinfo=UTC))
    assert (before.tier, before.facts) == ("none", ())
    assert not case.status(datetime(2024, 1, 25, tzinfo=UTC)).watching


def test_an_instant_before_the_case_is_refused_with_its_beginning(case):
    for moment in (datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 19, 23, 59, tzinfo=UTC)):
        with pytest.raises(RecordError, match=r"before case 'case-a' begins, 2024-01-20 00:00"):
            case.status(moment)


def test_what_a_nurse_took_back_does_not_come_from_the_future(case):
    late = case.exam("2024-02-10T10:00", legs="immobile")
    case.add("retraction", "2024-02-01T10:01", role="nurse", reason="wrong patient", corrects=late.id)
    assert case.status(datetime(2024, 2, 1, 10, 5, tzinfo=UTC)).findings_tier == "none"


def test_every_output_has_one_zone_named_once(berlin):
    now = datetime(2024, 2, 2, 5, tzinfo=UTC)
    state = berlin.status(now)
    shown = "\n".join(status_lines(state, everything=True))
    assert shown.count("Europe/Berlin") == 1
    assert "at 2024-02-02 06:00 Europe/Berlin" in shown.splitlines()[0]
    assert "since 2024-02-02 03:00" in shown
    page = re.sub(r'src="data:[^"]*"', "", case_html(berlin.record, state))
    lines = timeline_lines(berlin.record, 200)
    assert lines[0].count("Europe/Berlin") == 1
    assert any(line.strip().startswith("2024-02-02 00:30") and "procedure" in line for line in lines)
    for text in (shown, page, "\n".join(lines), *watch_lines(state)):
        assert not OFFSET.search(text), OFFSET.search(text)


def test_json_gives_every_instant_on_the_clocks_of_the_case(berlin):
    found = status_json(berlin.status(datetime(2024, 2, 2, 5, tzinfo=UTC)))
    assert found["zone"] == "Europe/Berlin"
    assert (found["now"], found["alarms"][0]["since"][0]) == (
        "2024-02-02T06:00:00+01:00",
        "2024-02-02T03:00:00+01:00",
    )
    assert all(item["due"].endswith(("+01:00", "+02:00")) for item in found["examinations"])


def test_the_history_and_the_ids_stay_as_they_were_written(berlin):
    record = berlin.record
    assert {event.content_id for event in record.history} == {event.id for event in record.events}
    assert record.history[2].when.start.isoformat() == "2024-02-01T23:30:00+00:00"
    assert record.index_procedure.when.days[0].isoformat() == "2024-02-02"


def test_hours_are_hours_when_the_clock_jumps():
    before = datetime(2024, 3, 30, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert later(before, 24).isoformat() == "2024-03-31T13:00:00+02:00"


@pytest.mark.parametrize(
    ("at", "deadline"),
    [
        ("2024-02-02T10:00", "do (by 2024-02-02 11:00): "),
        ("2024-02-02", "do (within 1 h of 2024-02-02): "),
        ("2024-02-01..2024-02-03", "do (within 1 h of 2024-02-01 to 2024-02-03): "),
        ("2024-02-02..2024-02-02T10:00", "do (by 2024-02-02 11:00): "),
    ],
)
def test_a_deadline_has_no_minutes_that_its_event_lacks(case, at, deadline):
    case.exam(at, legs="weak")
    state = case.status(parse_when("2024-02-02T10:30", ZoneInfo("UTC")).start)
    assert action_words(alarm_of(state, "R1"), state).startswith(deadline)


def test_an_examination_counted_from_a_date_is_due_on_a_date(bare):
    bare.add("procedure", "2024-02-01", level="T7")
    state = bare.status(datetime(2024, 2, 20, tzinfo=UTC))
    assert not any(":" in slot.due_words for slot in state.slots)
    assert ":" not in alarm_of(state, "R11").since.words


def test_what_was_decompressed_was_due_then(case):
    case.exam("2024-02-03", legs="immobile")
    case.add("operation", "2024-02-05", operation="laminectomy", decompression=True)
    state = case.status()
    grave = alarm_of(state, "R4")
    words = action_words(grave, state)
    assert words.startswith("was due then: Alert the theatre")
    assert "decompression recorded on 2024-02-05; no decision yet" in words
    assert state.tier == "red+"
    assert "act now" not in case_html(case.record, state).partition("R11:")[0]


@pytest.mark.parametrize("at", ["2024-02-05", "2024-02-06T10:00"])
def test_a_finding_that_may_be_later_than_the_decompression_asks_to_act(case, at):
    case.exam("2024-02-03", legs="immobile")
    case.add("operation", "2024-02-05", operation="laminectomy", decompression=True)
    case.exam(at, legs="immobile")
    state = case.status()
    assert action_words(alarm_of(state, "R4"), state).startswith("do (act now): ")


def test_a_decompression_answers_neither_chest_nor_infection(case):
    case.add("symptom", "2024-02-02", symptom="dyspnoea")
    case.add("symptom", "2024-02-02", symptom="fever")
    case.add("operation", "2024-02-05", operation="laminectomy", decompression=True)
    assert {alarm.treated for alarm in case.status().alarms} == {None}


def test_a_decompression_before_the_finding_answers_nothing(case):
    case.add("operation", "2024-02-02", operation="laminectomy", decompression=True)
    case.exam("2024-02-03", legs="immobile")
    assert alarm_of(case.status(), "R4").treated is None


def test_voiding_in_words_is_drawn(case):
    panels = {trend.title: trend for trend in TRENDS}
    voiding, residual = panels["Bladder: voiding"], panels["Bladder: residual"]
    assert [point for _, point in voiding.series(case.record)["examined"]] == [0]
    assert voiding.words[0] == "normal"
    case.add("symptom", "2024-02-02", symptom="urinary_retention")
    (point,) = voiding.series(case.record)["reported"]
    assert voiding.words[int(point[1])] == "retention"
    assert residual.series(case.record)["post-void residual"][0][1] == 20


def test_an_answer_says_why(case):
    case.exam(legs="weak")
    first, why, more = answer_lines(case.status(), every=False)
    assert first == "case-a: RED"
    assert why.startswith("  RED R1: New weakness")
    assert why.endswith("because both legs weak")
    assert "R11 amber" in more


def test_a_decision_is_answered_with_every_alarm_that_remains(case):
    case.exam(legs="weak")
    case.add("symptom", "2024-02-03", symptom="fever")
    case.add("decision", "2024-02-04", role="surgeon", decision="seen", closes=["R1"])
    lines = answer_lines(case.status(), every=True)
    assert [line.split()[1] for line in lines[1:-1]] == ["R10:", "R11:"]
    assert lines[-1] == "  closed by a decision: R1"


def test_the_page_keeps_every_column_on_a_telephone_and_its_head_in_print(case):
    """Each value of a card has its name; a table breaks between rows, under its head."""
    case.exam(legs="weak")
    page = case_html(case.record, case.status())
    bodies = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    assert len(bodies) == page.count('<table class="cards"><thead>') == page.count("<table")
    for body in bodies:
        assert "<td>" not in body
    assert 'data-name="do"' in bodies[0]
    assert 'data-name="cleared by"' in bodies[0]
    assert "thead { display: table-header-group" in page
    assert "tr, img { break-inside: avoid; }" in page


def test_an_offset_changes_nothing_but_the_clock(berlin):
    """The same case, typed on the clocks of Berlin, is judged alike."""
    plain = Case()
    plain.add("enrolment", "2024-01-20T09:00", zone="Europe/Berlin", sex="male")
    plain.exam("2024-01-31T10:00", legs="normal")
    plain.add("procedure", "2024-02-02T00:30", level="T7")
    plain.exam("2024-02-02T03:00", legs="weak")
    now = datetime(2024, 2, 2, 5, tzinfo=UTC)
    assert status_lines(status(fold(plain.events), now)) == status_lines(berlin.status(now))


@pytest.mark.parametrize(
    ("before", "after", "fires"),
    [
        ({"score": 8, "quality": "aching"}, {"score": 7, "quality": "electric", "trend": "new"}, True),
        ({"score": 8, "quality": "electric"}, {"score": 7, "quality": "electric", "trend": "new"}, True),
        ({"score": 8, "quality": "aching"}, {"score": 7, "quality": "electric"}, True),
        ({"score": 8, "quality": "electric"}, {"score": 7, "quality": "electric"}, False),
        ({"score": 8, "quality": "aching"}, {"score": 7, "quality": "aching", "trend": "new"}, False),
    ],
)
def test_only_a_pain_of_nerve_quality_silences_one(bare, before, after, fires):
    bare.exam("2024-01-31T09:00", pains=[{"site": "back", **before}])
    bare.add("procedure", SURGERY, level="T7")
    bare.exam(pains=[{"site": "back", **after}])
    assert ("R5" in bare.fired()) is fires
    rises = [fact.text for fact in bare.status().facts if fact.name == "pain.rise"]
    assert all("up by 7" in text for text in rises) or after.get("trend") != "new"


@pytest.mark.parametrize("role", ["nurse", "relative", "researcher"])
def test_a_decompression_that_nobody_answers_for_still_asks_to_act(case, role):
    case.exam("2024-02-03", legs="immobile")
    case.add("operation", "2024-02-05", operation="laminectomy", decompression=True, role=role)
    state = case.status()
    words = action_words(alarm_of(state, "R4"), state)
    assert words.startswith("do (act now): Alert the theatre")
    assert words.endswith("(decompression recorded on 2024-02-05, not by a surgeon or physician)")
    case.add("operation", "2024-02-05", operation="laminectomy", decompression=True, role="surgeon")
    state = case.status()
    assert action_words(alarm_of(state, "R4"), state).startswith("was due then: ")


def test_an_alarm_from_a_date_that_was_taken_back_says_so(bare):
    """No fact rests on the date of the procedure; the missing examinations do."""
    early = bare.add("procedure", "2024-01-21", level="T7", role="nurse")
    bare.add("procedure", "2024-02-28", level="T7", role="nurse", corrects=early.id)
    state = bare.status()
    assert "R11" in bare.fired()
    assert any("still counted" in gap and early.id in gap for gap in state.unknown)


def test_a_note_taken_back_is_no_unknown(case):
    note = case.add("note", "2024-02-10", text="x", role="nurse")
    case.add("retraction", "2024-02-11", reason="typo", corrects=note.id, role="nurse")
    assert not any(note.id in gap for gap in case.status().unknown)
