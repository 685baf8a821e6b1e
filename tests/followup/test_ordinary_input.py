"""Ordinary input ends in a result or in an error of the tree, never in a mistake of kypho."""

import json
import stat
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_red_flag_laws import built
from typer.testing import CliRunner

from kypho.case.followup import private_file
from kypho.case.followup.import_file import import_file
from kypho.case.followup.store import Store
from kypho.cli.main import app
from kypho.errors import (
    DiskFullError,
    KyphoError,
    OutputError,
    RecordError,
    SettingsError,
    UnreadableFileError,
)
from kypho.followup import make_event
from kypho.followup.typed import imaging_from_check

CANAL = {"state": "intradural", "side": "left", "max_encroachment_percent": {"value": 30, "high": 41}}
CHECKED = {"schema": "kypho.leakage/1", "level": "T7", "canal": CANAL}
HEAD = "schema: kypho.case/1\ncase: a-1\n"
EVENT = "events:\n  - {kind: enrolment, at: 2024-01-01, role: nurse}\n"


@pytest.fixture
def follow(tmp_path):
    """The command on a case that is just enrolled."""
    where = str(tmp_path / "ward.sqlite")
    with Store(where) as store:
        store.add("a-1", {"kind": "enrolment", "at": "2024-01-20", "role": "nurse"})

    def call(*args):
        done = CliRunner().invoke(app, ["follow", *map(str, args)], env={"KYPHO_STORE": where})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


@pytest.mark.parametrize(
    "said", [[], ["add", "note", "a-1", "a note"], ["add", "consent", "a-1", "yes", "--scope", "x"]]
)
def test_a_case_without_findings_is_written_up_and_drawn(follow, tmp_path, said):
    if said:
        follow(*said, "--at", "2024-01-21")
    for verb, name in (("export", "a.html"), ("export", "a.docx"), ("timeline", "a.png")):
        assert follow(verb, "a-1", "--out", tmp_path / name).exit_code == 0
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a_trends.png").stat().st_mode) == 0o600


@pytest.mark.parametrize(("verb", "end"), [("timeline", "png"), ("export", "html")])
def test_what_cannot_be_written_leaves_nothing(follow, tmp_path, monkeypatch, verb, end):
    out = tmp_path / "out"
    out.mkdir()
    for name, error in ((f"none/x.{end}", OutputError), ("x.xyz", SettingsError), ("x", SettingsError)):
        with pytest.raises(error):
            follow(verb, "a-1", "--out", out / name)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_file.os, "fdopen", full)
    with pytest.raises(DiskFullError):
        follow(verb, "a-1", "--out", out / f"x.{end}")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (HEAD + "defaults: [1]\n" + EVENT, RecordError, "defaults"),
        (
            HEAD + EVENT + "  - {kind: note, at: 2024-01-02, role: nurse, text: x, corrects: [a]}\n",
            RecordError,
            "corrects",
        ),
        (HEAD + EVENT + "  - {kind: note, at: 2024-01-02, role: [a], text: x}\n", RecordError, "role"),
        (HEAD + EVENT + "  - {kind: [note], at: 2024-01-02, role: nurse}\n", RecordError, "kind"),
        (
            HEAD + EVENT + "  - {kind: note, 1: 2, at: 2024-01-02, role: nurse, text: x}\n",
            RecordError,
            "keys should be strings",
        ),
        (HEAD + "events: &a [*a]\n", UnreadableFileError, "alias"),
        (HEAD + "events: " + "[" * 5000, UnreadableFileError, "deep"),
        (
            HEAD
            + EVENT
            + "  - {kind: examination, at: 2024-01-02, role: nurse, motor: {right: {L2: 0, L2: 5}}}\n",
            RecordError,
            "line 5.*L2",
        ),
    ],
)
def test_a_case_file_that_is_not_one_is_refused_whole(tmp_path, text, error, says):
    path = tmp_path / "case.yaml"
    path.write_text(text)
    with Store(tmp_path / "a.sqlite") as store:
        with pytest.raises(error, match=says):
            import_file(store, path)
        assert store.cases() == []


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": ' * 5000, '{"resourceType": "Bundle", "resourceType": "x"}']
)
def test_json_that_is_no_document_is_refused(tmp_path, text):
    path = tmp_path / "case.json"
    path.write_text(text)
    with Store(tmp_path / "a.sqlite") as store, pytest.raises((UnreadableFileError, RecordError)):
        import_file(store, path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda part: (
        st.lists(part, max_size=2) | st.dictionaries(st.text(max_size=8) | st.integers(), part, max_size=2)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("kind", "at", "role", "source", "corrects", "recorded", "zone", "birth_year", "text", "care"),
        *("motor", "pains", "pain", "bladder", "reflexes", "value", "unit", "closes"),
        *("levels", "requested", "compartment"),
    ]
)
KINDS = st.sampled_from(
    ["enrolment", "examination", "lab", "imaging", "symptom", "decision", "note", "procedure"]
)


@settings(max_examples=300, deadline=None)
@given(KINDS, st.dictionaries(NAMES, PLAIN, max_size=3))
def test_any_event_is_taken_or_refused(kind, odd):
    record = built([]).record
    with suppress(KyphoError):
        make_event("case-a", {"kind": kind, "at": "2024-02-10", "role": "nurse", **odd}, record=record)


@pytest.mark.parametrize(
    "result",
    [
        {**CHECKED, "canal": {**CANAL, "max_encroachment_percent": 5}},
        {**CHECKED, "schema": "kypho.leakage/12"},
        {**CHECKED, "schema": ["kypho.leakage/1"]},
        {**CHECKED, "canal": None},
        [CHECKED],
        None,
    ],
)
def test_another_document_than_a_leakage_json_is_refused(result):
    with pytest.raises(RecordError, match=r"leakage\.json"):
        imaging_from_check(result)


@pytest.mark.parametrize(
    "typed",
    [
        ["--canal-cement", "no"],
        ["--modality", "MRI"],
        ["--side", "right"],
        ["--compartment", "epidural"],
        ["--encroachment-percent", "1"],
        ["--text", "my words"],
        ["--level", "L1"],
    ],
)
def test_typed_values_beside_a_file_are_refused_not_dropped(follow, tmp_path, typed):
    path = tmp_path / "leakage.json"
    path.write_text(json.dumps(CHECKED))
    stored = ("imaging", "a-1", "--at", "2024-02-02", "--from", path)
    with pytest.raises(RecordError, match=r"--from|--level"):
        follow(*stored, *typed)
    assert follow(*stored, "--level", "T7", "--level", "T8").exit_code == 0


def test_a_resource_without_an_id_is_refused(tmp_path):
    pytest.importorskip("fhir.resources")
    entry = {"fullUrl": "urn:x", "resource": {"resourceType": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    path = tmp_path / "case.json"
    with Store(tmp_path / "a.sqlite") as store:
        for one in (bundle, {**bundle, "entry": [{"fullUrl": "urn:x"}]}, {"resourceType": "Bundle"}):
            path.write_text(json.dumps(one))
            with pytest.raises(RecordError, match="Bundle"):
                import_file(store, path)
