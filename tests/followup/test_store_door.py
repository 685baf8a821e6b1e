"""What is a store, and that what is read from it is what was recorded."""

import errno
import sqlite3
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kypho.case.followup.store import Store
from kypho.cli.codes import EXIT_RED
from kypho.cli.main import app
from kypho.errors import ReadOnlyError, UnreadableFileError

ENROL = {"kind": "enrolment", "at": "2024-01-20", "role": "nurse", "birth_year": 1950}
PROCEDURE = {"kind": "procedure", "at": "2024-02-01T10:00", "role": "surgeon", "level": "T7"}
GRAVE = {"kind": "examination", "at": "2024-02-02", "role": "nurse", "legs": "immobile"}


@pytest.fixture
def ward(tmp_path):
    """Two cases, both grave."""
    path = tmp_path / "ward.sqlite"
    with Store(path) as store:
        for case in ("a-1", "b-2"):
            store.add_all(case, [ENROL, PROCEDURE, GRAVE])
    return path


def follow(where, *args):
    return CliRunner().invoke(app, ["follow", *args, "--store", str(where)])


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def edit(path, sql):
    """Change events as somebody with the file and a tool can."""
    with sqlite3.connect(path) as raw:
        raw.executescript(f"DROP TRIGGER no_update; {sql}")


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("name", ["", ".", "folder", ":memory:", "sqlite:///u.db", "sqlite+pysqlite:///u.db"])
def test_what_cannot_be_a_store_is_refused_before_it_is_touched(tmp_path, monkeypatch, name, create):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    before = mode(tmp_path)
    with pytest.raises(UnreadableFileError, match=r"name one|give the path"):
        Store(name, create=create)
    assert (mode(tmp_path), mode(folder)) == (before, 0o755)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["x?mode=ro", "a%20b", "file:x.db", "#1"])
def test_a_path_is_taken_literally(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with Store(name) as store:
        store.add("a-1", ENROL)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert mode(tmp_path / name) == 0o600


def test_another_file_is_refused_as_it_is(tmp_path):
    text = tmp_path / "letter.txt"
    text.write_text("no database" * 100)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE places (url)")
    for path in (text, other):
        path.chmod(0o644)
        before = path.read_bytes()
        for create in (True, False):
            with pytest.raises(UnreadableFileError, match="no kypho store"):
                Store(path, create=create)
        assert (path.read_bytes(), mode(path)) == (before, 0o644)


def test_reading_leaves_an_empty_file_empty(tmp_path):
    path = tmp_path / "empty.sqlite"
    path.touch(mode=0o644)
    with pytest.raises(UnreadableFileError, match="no store"):
        Store(path, create=False)
    assert (path.stat().st_size, mode(path)) == (0, 0o644)
    with Store(path) as store:
        store.add("a-1", ENROL)
    assert mode(path) == 0o600


def test_a_read_only_medium_is_named(ward, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(ReadOnlyError):
        Store(ward)
    with Store(ward, create=False) as store:
        assert store.cases() == ["a-1", "b-2"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET payload = replace(payload, 'immobile', 'normal') WHERE seq = 3",
        "UPDATE events SET payload = replace(payload, '\"nurse\"', '\"surgeon\"') WHERE seq = 3",
        "UPDATE events SET payload = '{}' WHERE seq = 3",
        "UPDATE events SET payload = payload || ',' || payload WHERE seq = 3",
        "UPDATE events SET \"case\" = 'a-1' WHERE seq = 6",
        "UPDATE events SET recorded = '2024-02-02T00:00:00+00:00' WHERE seq = 3",
        "UPDATE events SET event_id = '00000000000000000000' WHERE seq = 3",
    ],
)
def test_an_altered_event_is_found_and_hides_no_other_case(ward, sql):
    edit(ward, sql)
    with Store(ward, create=False) as store:
        for read in (lambda: store.record("a-1"), lambda: list(store.records())):
            with pytest.raises(UnreadableFileError, match=r"a-1.*not what was recorded"):
                read()
        with pytest.raises(UnreadableFileError):
            store.add("a-1", {"kind": "note", "at": "2024-03-01", "role": "nurse", "text": "x"})
    watched = follow(ward, "watch")
    assert watched.exit_code == EXIT_RED or "seq = 6" in sql
    assert "a-1" in watched.stderr
    shown = follow(ward, "status")
    assert (shown.exit_code, "b-2" in shown.stdout) == (UnreadableFileError.exit_code, True)


def test_a_broken_case_alone_is_an_error_of_its_own(ward):
    edit(ward, "UPDATE events SET payload = '' WHERE seq = 3")
    assert isinstance(follow(ward, "watch", "a-1").exception, UnreadableFileError)
    edit_rest = "DROP TRIGGER no_delete; DELETE FROM events WHERE \"case\" = 'b-2'"
    with sqlite3.connect(ward) as raw:
        raw.executescript(edit_rest)
    assert follow(ward, "watch").exit_code == UnreadableFileError.exit_code


@pytest.mark.parametrize("zone", ["Africa/Monrovia", "Europe/Amsterdam", "Asia/Kathmandu"])
def test_times_of_old_offsets_are_read_as_written(tmp_path, zone):
    with Store(tmp_path / "a.sqlite") as store:
        event, _ = store.add("a-1", {**ENROL, "at": "1930-05-05", "birth_year": 1920, "zone": zone})
        assert store.record("a-1").events == (event,)


def test_a_store_without_cases_says_so(tmp_path):
    Store(tmp_path / "none.sqlite").close()
    for verb in ("watch", "status"):
        done = follow(tmp_path / "none.sqlite", verb)
        assert (done.exit_code, "no case" in done.stderr) == (0, True)
