"""CARE: thirty sub-rows, each traced, not recorded or contradictory; nothing is made up."""

import importlib.util
import stat
from pathlib import Path

import pytest

from kypho.case.followup.import_file import import_file
from kypho.case.followup.store import Store
from kypho.errors import RecordError, SettingsError
from kypho.followup import fold, status, utc_now
from kypho.followup.contradictions import contradictions
from kypho.report.care import CARE_ITEMS, draft_lines, lint
from kypho.report.care_export import case_html, export_case
from kypho.report.timeline import trends_figure

ROOT = Path(__file__).parents[2]
HEAD = {"role": "physician"}


def record_of(tmp_path, *raws):
    with Store(tmp_path / "care.sqlite") as store:
        store.add(
            "care", {**HEAD, "kind": "enrolment", "at": "2024-01-01", "birth_year": 1950, "zone": "UTC"}
        )
        store.add_all("care", [{**HEAD, **raw} for raw in raws])
        return store.record("care")


PROCEDURE = {"kind": "procedure", "at": "2024-02-01T10:00", "level": "T7", "volume_ml": 3, "cement": "PMMA"}


def states(record):
    return {item.id: item.state for item in lint(record)}


def test_thirteen_items_and_thirty_rows():
    assert len(CARE_ITEMS) == 30
    assert len({item.rstrip("abcd") for item in CARE_ITEMS}) == 13


def test_an_empty_record_covers_nothing_but_the_patient(tmp_path):
    found = states(record_of(tmp_path))
    assert {item for item, state in found.items() if state != "not recorded"} == {"5a"}


def test_every_sentence_names_events_of_the_record(tmp_path):
    record = record_of(
        tmp_path,
        PROCEDURE,
        {"kind": "symptom", "at": "2024-02-02", "symptom": "leg_weakness", "side": "both"},
        {"kind": "imaging", "at": "2024-02-03", "modality": "CT", "canal_cement": "yes"},
        {"kind": "operation", "at": "2024-02-04", "operation": "laminectomy", "decompression": True},
    )
    known = {event.id for event in record.events}
    for item in lint(record):
        assert (item.state == "not recorded") == (not item.sentences)
        for sentence in item.sentences:
            assert sentence.events
            assert set(sentence.events) <= known


def test_perspective_and_consent_only_if_recorded(tmp_path):
    """A note cannot stand in for the patient's voice or for a consent."""
    for item in ("12", "13"):
        note = {"kind": "note", "at": "2024-02-01", "text": "The patient is content.", "care": item}
        with pytest.raises(RecordError, match=f"care '{item}'"):
            record_of(tmp_path, note)
    found = states(record_of(tmp_path, PROCEDURE))
    assert found["12"] == found["13"] == "not recorded"


def test_perspective_and_consent_when_recorded(tmp_path):
    record = record_of(
        tmp_path,
        {"kind": "perspective", "at": "2024-02-01", "role": "patient", "text": "I could not feel my feet."},
        {"kind": "consent", "at": "2024-02-01", "role": "patient", "given": "no", "scope": "publication"},
    )
    lines = "\n".join(draft_lines(record))
    assert states(record)["12"] == states(record)["13"] == "traced"
    assert "I could not feel my feet." in lines
    assert "did not consent" in lines


def test_notes_fill_the_rows_that_only_people_can_write(tmp_path):
    notes = [
        {"kind": "note", "at": "2024-02-01", "text": f"Text {n}.", "care": n} for n in ("3a", "4", "11d")
    ]
    found = states(record_of(tmp_path, *notes))
    assert {"3a", "4", "11d"} <= {item for item, state in found.items() if state == "traced"}


def test_no_sentence_shows_an_identifier_or_loses_its_capitals(tmp_path):
    """Prose is for people: no underscores, levels and abbreviations as written, tests in order of time."""
    record = record_of(
        tmp_path,
        {"kind": "examination", "at": "2024-01-31", "motor": {"right": {"L3": "5"}}},
        {**PROCEDURE, "approach": "transpedicular", "lot": "7", "rate_ml_min": 0.5},
        {
            "kind": "examination",
            "at": "2024-02-01T12:00",
            "motor": {"right": {"L2": "5", "L3": "4"}},
            "pains": [{"site": "lower_abdomen", "score": 6, "quality": "girdle", "trend": "new"}],
            "bladder": {"voiding": "difficult"},
            "deep_anal_pressure": "No",
        },
        {"kind": "symptom", "at": "2024-02-02", "symptom": "saddle_numbness", "trend": "progressive"},
        {"kind": "lab", "at": "2024-02-05", "analyte": "hs_crp", "value": 14, "unit": "mg/L"},
        {"kind": "imaging", "at": "2024-02-03", "modality": "CT", "canal_cement": "yes", "levels": ["T7"]},
        {"kind": "lab", "at": "2024-02-02", "analyte": "uric_acid", "value": 649, "unit": "umol/L"},
        {"kind": "treatment", "at": "2024-02-03", "treatment": "dexamethasone", "dose": "10 mg"},
        {"kind": "decision", "at": "2024-02-03", "decision": "operate", "reason": "the legs are weak"},
    )
    items = {item.id: " ".join(s.text for s in item.sentences) for item in lint(record)}
    assert not [text for text in items.values() if "_" in text]
    assert "right L3 grade 4, baseline 5" in items["10d"]
    assert "with 3 mL of PMMA (lot 7) at 0.5 mL/min; approach transpedicular" in items["9b"]
    assert "new girdle pain in the lower abdomen, 6 of 10" in items["6"]
    after = items["10b"]
    assert after.index("uric acid 649 µmol/L") < after.index("CT showed") < after.index("hs-CRP 14 mg/L")


WEAK = {"kind": "symptom", "at": "2024-02-02", "symptom": "leg_weakness", "side": "both"}
WELL = {"kind": "examination", "at": "2024-02-03", "legs": "normal"}


def test_weakness_then_normal_is_a_contradiction(tmp_path):
    record = record_of(tmp_path, PROCEDURE, WEAK, WELL)
    (found,) = contradictions(record)
    assert found.concerns == "strength"
    assert states(record)["6"] == "contradictory"


def test_weakness_that_went_away_is_none(tmp_path):
    better = {"kind": "symptom", "at": "2024-02-02T20:00", "symptom": "leg_weakness", "trend": "resolved"}
    assert (
        contradictions(record_of(tmp_path, PROCEDURE, {**WEAK, "at": "2024-02-02T08:00"}, better, WELL)) == ()
    )


@pytest.mark.parametrize(
    ("events", "concerns"),
    [
        ([{"kind": "operation", "at": "2024-01-15", "operation": "x", "decompression": True}], "dates"),
        (
            [
                {
                    "kind": "imaging",
                    "at": "2024-02-03T08:00",
                    "modality": "CT",
                    "requested": "2024-02-03T09:00",
                }
            ],
            "dates",
        ),
        ([{**PROCEDURE, "at": "2024-02-05"}], "dates"),
        (
            [
                {"kind": "encounter", "at": "2024-02-05", "move": "admitted", "place": "a"},
                {"kind": "encounter", "at": "2024-02-03", "move": "discharged", "place": "a"},
            ],
            "dates",
        ),
        (
            [
                {"kind": "lab", "at": "2024-02-05T08:00", "analyte": "crp", "value": 3, "unit": "mg/L"},
                {"kind": "lab", "at": "2024-02-05T08:00", "analyte": "crp", "value": 30, "unit": "mg/L"},
            ],
            "laboratory",
        ),
        (
            [
                {"kind": "imaging", "at": "2024-02-05", "modality": "CT", "canal_cement": "yes"},
                {"kind": "imaging", "at": "2024-02-06", "modality": "MRI", "canal_cement": "no"},
            ],
            "imaging",
        ),
    ],
)
def test_other_contradictions(tmp_path, events, concerns):
    assert [item.concerns for item in contradictions(record_of(tmp_path, PROCEDURE, *events))] == [concerns]


def test_a_record_without_contradiction_has_none(tmp_path):
    ok = {"kind": "examination", "at": "2024-02-02", "legs": "normal", "sensation": "normal"}
    assert contradictions(record_of(tmp_path, PROCEDURE, ok)) == ()


def test_the_page_stands_alone_and_escapes(tmp_path):
    record = record_of(
        tmp_path, PROCEDURE, {"kind": "note", "at": "2024-02-01", "text": "<script>x</script>", "care": "4"}
    )
    page = case_html(record, status(record, utc_now()))
    assert "<script>" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "not a medical device" in page


def test_export_and_import_give_the_same_record(tmp_path):
    record = record_of(tmp_path, PROCEDURE, WEAK, WELL)
    state = status(record, utc_now())
    for name in ("case.yaml", "case.json"):
        if name.endswith("json"):
            pytest.importorskip("fhir.resources")
        export_case(record, state, tmp_path / name)
        with Store(tmp_path / f"{name}.sqlite") as store:
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
            assert import_file(store, tmp_path / name) == ("care", 4, 0)
            assert store.record("care").history == record.history
            assert import_file(store, tmp_path / name) == ("care", 0, 4)


def test_docx_holds_the_draft(tmp_path):
    docx = pytest.importorskip("docx")
    record = record_of(tmp_path, PROCEDURE, WEAK)
    export_case(record, status(record, utc_now()), tmp_path / "case.docx")
    paper = docx.Document(str(tmp_path / "case.docx"))
    headings = [p.text for p in paper.paragraphs if p.style.name == "Heading 2"]
    assert headings == [f"{item}. {name}" for item, name in CARE_ITEMS.items()]
    assert len(paper.inline_shapes) == 2


@pytest.mark.filterwarnings("ignore:Glyph")
def test_docx_takes_what_an_older_record_may_hold(tmp_path):
    """Two values at one instant, one with a control character, which XML cannot hold."""
    docx = pytest.importorskip("docx")
    values = [
        {"kind": "lab", "at": "2024-02-03T10:00", "analyte": "urine_protein", "text": t} for t in ("1+", "2+")
    ]
    record = record_of(tmp_path, PROCEDURE, *values)
    old = [
        event.model_copy(update={"body": event.body.model_copy(update={"text": "1\x01+"})})
        if event.kind == "lab" and event.body.text == "1+"
        else event
        for event in record.history
    ]
    record = fold(old)
    export_case(record, status(record, utc_now()), tmp_path / "case.docx")
    said = [p.text for p in docx.Document(str(tmp_path / "case.docx")).paragraphs]
    assert any("CONTRADICTORY" in text and "1\ufffd+" in text for text in said)


def test_a_bound_is_drawn_as_an_arrow_and_joined_to_nothing(tmp_path):
    crp = {"kind": "lab", "analyte": "crp", "unit": "mg/L", "reference_high": 5}
    record = record_of(
        tmp_path,
        PROCEDURE,
        {**crp, "at": "2024-02-03T10:00", "value": 20},
        {**crp, "at": "2024-02-04T10:00", "value": 100, "comparator": ">"},
        {**crp, "at": "2024-02-20T10:00", "value": 5, "comparator": "<"},
    )
    panel = next(axes for axes in trends_figure(record).axes if axes.get_title(loc="left") == "Laboratory")
    drawn = {c.get_label(): (c[0].get_marker(), c[0].get_linestyle()) for c in panel.containers}
    (value, *_) = drawn
    assert drawn == {
        value: ("o", "-"),
        f"{value}, at least": ("^", "None"),
        f"{value}, at most": ("v", "None"),
    }


def test_an_unknown_ending_is_refused(tmp_path):
    record = record_of(tmp_path)
    with pytest.raises(SettingsError, match=r"\.html"):
        export_case(record, status(record, utc_now()), tmp_path / "case.txt")


@pytest.fixture(scope="module")
def example():
    path = ROOT / "examples" / "06_founding_case.py"
    spec = importlib.util.spec_from_file_location("founding_case", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_founding_case_alarms_come_before_the_image(example):
    gained = {alarm.tier: example.GAINED[alarm.tier] for alarm in example.ALARMS}
    assert gained == {"note": (15, 15), "amber": (15, 15), "red": (8, 14), "red+": (1, 1)}
    rules = {alarm.tier: set(alarm.rules) for alarm in example.ALARMS}
    assert rules["amber"] == {"R5"}
    assert {"R1r", "R2r"} <= rules["red"]
    assert rules["red+"] == {"R4"}


def test_the_founding_case_contradicts_itself_where_the_paper_does(example):
    assert {item.concerns for item in example.CONTRADICTIONS} == {"strength", "sensation"}
    assert all("2023-09-15" in item.what for item in example.CONTRADICTIONS)


def test_the_founding_case_does_not_invent(example):
    found = {item.id: item.state for item in example.CARE}
    assert found["12"] == found["13"] == found["9b"] == "not recorded"
    assert found["6"] == "contradictory"
    assert len(found) == 30


def test_the_founding_case_is_deaf_to_order(example):
    events = list(example.RECORD.history)
    assert status(fold(reversed(events)), example.END).alarms == example.STATE.alarms


def test_the_result_page_is_the_scripts(example):
    assert (ROOT / "docs" / "results" / "founding-case.md").read_text(encoding="utf-8") == example.table()


def test_the_figure_shows_every_alarm(example):
    axes = example.figure().axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    for alarm in example.STATE.alarms:
        assert any(f" {alarm.rule.id}:" in label for label in labels)
