"""The command line of the follow-up, as a nurse meets it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kypho.case.followup import store as store_module
from kypho.case.followup.store import Store
from kypho.case.followup.store_file import open_engine
from kypho.cli.codes import EXIT_RED
from kypho.cli.main import app
from kypho.errors import RecordError, UnreadableFileError
from kypho.followup.typed import imaging_from_check
from kypho.followup.typed_lab import read_lab

FOUNDING = Path(__file__).parents[2] / "examples" / "06_founding_case.yaml"


@pytest.fixture
def kypho(tmp_path):
    where = str(tmp_path / "ward.sqlite")

    def call(*args, code=0, typed=None):
        found = CliRunner().invoke(app, list(args), env={"KYPHO_STORE": where}, input=typed)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == code, found.output
        return found.output

    call.where = where
    return call


@pytest.fixture
def ward(kypho):
    kypho(
        "follow",
        "init",
        "a-1",
        "--at",
        "2024-01-20",
        "--birth-year",
        "1950",
        "--zone",
        "Europe/Berlin",
        "--synthetic",
    )
    kypho(
        "follow", "exam", "a-1", "--at", "2024-01-31T09:00", "--motor", "both legs=5", "--voiding", "normal"
    )
    kypho(
        "follow", "add", "procedure", "a-1", "--at", "2024-02-01T10:00", "--level", "T7", "--volume-ml", "3"
    )
    return kypho


def stored(kypho):
    with Store(kypho.where) as store:
        return store.record("a-1")


def test_a_red_flag_is_told_explained_and_watched(ward):
    said = ward(
        "follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--motor", "both legs=5", "--motor", "right L3=4"
    )
    assert "a-1: RED" in said
    shown = ward("follow", "status", "a-1", "--now", "2024-02-01T12:30")
    assert "SYNTHETIC" in shown
    assert "right L3 grade 4, baseline 5" in shown
    assert "Call the spine surgeon" in shown
    assert "onset to image: 30 min, still running" in shown
    assert "not a medical device" in shown
    watched = ward("follow", "watch", "--now", "2024-02-01T12:30", code=EXIT_RED)
    assert "RED R1" in watched


def test_watch_without_red_leaves_with_zero_and_says_what_is_due(ward):
    said = ward("follow", "watch", "a-1", "--now", "2024-02-01T10:20")
    assert "due: 15 min" in said


def test_a_decision_closes_and_an_id_corrects(ward):
    said = ward("follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--motor", "right L3=2")
    ward(
        "follow",
        "exam",
        "a-1",
        "--at",
        "2024-02-01T12:00",
        "--motor",
        "right L3=4",
        "--corrects",
        said.split()[0],
        "--role",
        "physician",
    )
    grave = json.loads(ward("follow", "status", "a-1", "--json", "--now", "2024-02-01T13:00"))
    assert (grave["findings_tier"], grave["synthetic"]) == ("red", True)
    ward("follow", "add", "decision", "a-1", "old weakness", "--at", "2024-02-01T13:00", "--close", "R1")
    calm = json.loads(ward("follow", "status", "a-1", "--json", "--now", "2024-02-01T13:01"))
    assert calm["findings_tier"] == "none"
    assert [alarm["rule"] for alarm in calm["closed"]] == ["R1"]


def test_bad_input_stores_nothing(ward):
    before = stored(ward).history
    for args in (
        ("follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--motor", "right L3=6"),
        ("follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--motor", "L3=5"),
        ("follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--pain", "leg 6 purple"),
        ("follow", "exam", "a-1", "--at", "2099-02-01T12:00"),
        ("follow", "labs", "a-1", "--at", "2024-02-02", "crp=14.3 mg/L", "esr=49"),
        ("follow", "labs", "a-1", "--at", "2024-02-02", "crp"),
        ("follow", "add", "symptom", "a-1", "leg_weakness", "--at", "2024-02-31"),
    ):
        with pytest.raises(RecordError) as caught:
            ward(*args)
        assert "\n" not in str(caught.value)
    assert stored(ward).history == before


def test_labs_with_units_and_ranges(ward):
    values = ("crp=1.43 mg/dl [<=0.5]", "uric_acid=649 µmol/l [208-428]", "urine_protein=1+ [negative]")
    ward("follow", "labs", "a-1", "--at", "2024-02-10", *values)
    bodies = {event.body.analyte: event.body for event in stored(ward).events if event.kind == "lab"}
    assert (bodies["crp"].value, bodies["crp"].unit, bodies["crp"].reference_high) == (1.43, "mg/dL", 0.5)
    assert (bodies["uric_acid"].reference_low, bodies["uric_acid"].unit) == (208, "umol/L")
    assert (bodies["urine_protein"].text, bodies["urine_protein"].reference_text) == ("1+", "negative")


def test_the_result_of_a_check_comes_in(ward, tmp_path):
    canal = {
        "state": "intradural",
        "side": "left",
        "max_encroachment_percent": {"value": 30, "low": 20, "high": 41},
    }
    path = tmp_path / "leakage.json"
    path.write_text(json.dumps({"schema": "kypho.leakage/1", "canal": canal}))
    ward("follow", "imaging", "a-1", "--at", "2024-02-02T09:00", "--from", str(path), "--level", "T7")
    body = stored(ward).imagings[0][1]
    assert (body.canal_cement, body.compartment, body.side) == ("yes", "intradural", "left")
    assert (body.encroachment_high_percent, body.levels) == (41, ("T7",))
    path.write_text("{}")
    with pytest.raises(RecordError, match=r"leakage\.json"):
        ward("follow", "imaging", "a-1", "--at", "2024-02-02T09:00", "--from", str(path))
    with pytest.raises(UnreadableFileError, match="nowhere"):
        ward("follow", "imaging", "a-1", "--at", "2024-02-02T09:00", "--from", "nowhere.json")


@pytest.mark.parametrize(
    ("quality", "cement"), [({"readable": True}, "no"), ({"readable": False}, "unknown"), ({}, "unknown")]
)
def test_an_unreadable_canal_is_unknown_not_clear(quality, cement):
    result = {"schema": "kypho.leakage/1", "level": "T7", "canal": {"state": "none"}, "quality": quality}
    fields = imaging_from_check(result)
    assert (fields["canal_cement"], fields["levels"]) == (cement, ["T7"])


def test_asking_leaves_unknown_what_is_not_answered(ward):
    answers = [
        "5",
        "5",
        "4",
        "",
        "5",
        "5",
        "5",
        "5",
        "5",
        "5",
        "120",
        "normal",
        "",
        "",
        "leg 3 new",
        "normal",
    ]
    ward("follow", "exam", "a-1", "--at", "2024-02-02T09:00", "--ask", typed="\n".join(answers) + "\n")
    body = stored(ward).examinations[-1][1]
    assert body.motor["right"] == {"L2": "5", "L3": "5", "L4": "4", "S1": "5"}
    assert body.bladder.pvr_ml == 120
    assert (body.saddle, body.sensation, body.pains[0].site) == ("NT", "normal", "leg")


def test_status_fits_a_screen_whatever_happened(kypho):
    kypho("import", str(FOUNDING))
    lines = kypho("follow", "status", "founding-case").splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert len(kypho("follow", "status").splitlines()) == 1


def test_a_status_shows_an_alarm_whole_or_names_it(kypho):
    """What to do is never cut short: each alarm is there with its whole action, or with its id alone."""
    kypho("import", str(FOUNDING))
    shown = " ".join(kypho("follow", "status", "founding-case").split())
    assert "..." not in shown
    alarms = json.loads(kypho("follow", "status", "founding-case", "--json"))["alarms"]
    whole = [alarm for alarm in alarms if f" {alarm['rule']} since" in shown]
    assert whole
    for alarm in alarms:
        assert f"{alarm['rule']} " in shown
        assert (alarm["action"] in shown) >= (alarm in whole)


def test_import_is_all_or_nothing_and_may_be_repeated(kypho, tmp_path):
    assert "30 events stored" in kypho("import", str(FOUNDING))
    assert "30 were there already" in kypho("import", str(FOUNDING))
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        FOUNDING.read_text().replace("founding-case", "other").replace("level: T7", "level: T77")
    )
    with pytest.raises(RecordError, match=r"event \d+: level 'T77'"):
        kypho("import", str(broken))
    with Store(kypho.where) as store:
        assert store.cases() == ["founding-case"]


def test_timeline_lists_and_draws(ward, tmp_path):
    ward("follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--legs", "normal")
    out = tmp_path / "line.png"
    said = ward("follow", "timeline", "a-1", "--out", str(out))
    assert all(event.id in said for event in stored(ward).history)
    assert out.exists()
    assert (tmp_path / "line_trends.png").exists()


def test_reading_makes_no_store(kypho):
    with pytest.raises(UnreadableFileError, match="follow init"):
        kypho("follow", "status")
    assert not Path(kypho.where).exists()


@pytest.mark.parametrize("amount", ["nan mg/L", "-inf", "Infinity mg/L"])
def test_a_laboratory_value_that_is_no_number_is_not_taken_for_words(amount):
    with pytest.raises(RecordError, match="no number"):
        read_lab(f"crp={amount}")


def test_an_answer_says_why_and_a_decision_what_remains(ward):
    procedure = ("follow", "add", "procedure", "a-1", "--at", "2024-02-01T11:00", "--level", "T8")
    tier, why = ward(*procedure).splitlines()[-2:]
    assert tier == "a-1: AMBER"
    assert why.startswith("  AMBER R11: An examination that was due is missing")
    ward("follow", "exam", "a-1", "--at", "2024-02-01T12:00", "--motor", "right L3=4", "--saddle", "absent")
    decided = ward("follow", "add", "decision", "a-1", "seen", "--at", "2024-02-02", "--close", "R1")
    assert [line.split()[:2] for line in decided.splitlines()[2:-1]] == [["RED", "R3:"], ["AMBER", "R11:"]]


def test_no_status_is_given_of_a_time_before_the_case(ward):
    """One case that begins later does not stop the others, and is named."""
    with pytest.raises(RecordError, match="case 'a-1' begins, 2024-01-20 00:00"):
        ward("follow", "status", "a-1", "--now", "2023-01-01")
    ward("follow", "init", "a-0", "--at", "2022-12-01")
    shown = ward("follow", "status", "--now", "2023-01-01").splitlines()
    assert [line.split()[0] for line in shown if "overdue" in line] == ["a-0"]
    assert any("not judged" in line and "a-1" in line for line in shown)


@pytest.mark.parametrize("verb", ["watch", "status"])
def test_a_time_that_is_none_is_refused_and_not_taken_for_an_early_one(ward, verb):
    with pytest.raises(RecordError, match="2024-13-77"):
        ward("follow", verb, "--now", "2024-13-77")


def test_a_case_unjudged_for_another_reason_than_a_later_beginning_does_not_leave_with_zero(ward):
    """The clocks of Berlin skipped 02:30 on that night, those of UTC did not."""
    ward("follow", "init", "a-0", "--at", "2022-12-01")
    said = ward("follow", "watch", "--now", "2024-03-31T02:30", code=RecordError.exit_code)
    assert "'a-1' not judged" in said
    assert "'a-0' not judged" not in said


def test_an_empty_store_is_named_without_its_password(ward, monkeypatch, tmp_path):
    empty = open_engine(str(tmp_path / "empty.sqlite"), create=True)
    monkeypatch.setattr(store_module, "open_engine", lambda *_, **__: empty)
    said = ward("follow", "status", "--store", "postgresql+psycopg://nurse:hunter2@ward/follow")
    assert "no case in postgresql+psycopg://nurse:***@ward/follow" in said
    assert "hunter2" not in said
