"""The store: what was confirmed is there, once, whatever happens to the writer."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from kypho.case.followup import store_schema
from kypho.case.followup.store import Store
from kypho.errors import MissingPartError, ReadOnlyError, RecordError, UnreadableFileError

DRIVER = Path(__file__).with_name("store_crash.py")
NOW = datetime(2024, 6, 1, tzinfo=UTC)
ENROL = {
    "kind": "enrolment",
    "at": "2023-12-01",
    "role": "nurse",
    "birth_year": 1950,
    "zone": "Europe/Berlin",
}


def note(text, **more):
    return {"kind": "note", "at": "2024-01-01", "role": "nurse", "text": text, **more}


def drive(*args):
    done = subprocess.run(
        [sys.executable, str(DRIVER), *map(str, args)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def where(tmp_path):
    path = tmp_path / "follow.sqlite"
    with Store(path) as store:
        store.add("crash", ENROL)
    return path


def stored_ids(path):
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in raw.execute("SELECT event_id FROM events")]


def test_what_is_written_is_read(where):
    with Store(where) as store:
        event, new = store.add("crash", note("a"), now=NOW)
        assert new
        assert event in store.record("crash").events


def test_the_same_event_twice_stands_once(where):
    with Store(where) as store:
        first, _ = store.add("crash", note("a"), now=NOW)
        second, new = store.add("crash", note("a"))
        assert not new
        assert second == first
    assert len(stored_ids(where)) == 2


def test_enrolling_again_with_the_same_facts_changes_nothing(where):
    with Store(where) as store:
        assert not store.add("crash", ENROL)[1]
        with pytest.raises(RecordError, match="exists already"):
            store.add("crash", {**ENROL, "birth_year": 1951})


def test_a_refused_event_stores_nothing_of_its_batch(where):
    with Store(where) as store, pytest.raises(RecordError):
        store.add_all("crash", [note("good"), note("bad", at="2024-02-30")])
    assert len(stored_ids(where)) == 1


def test_events_of_an_unknown_case_are_refused(where):
    with Store(where) as store:
        with pytest.raises(RecordError, match="not enrolled"):
            store.add("other", note("a"))
        with pytest.raises(RecordError, match="follow init"):
            store.record("other")


def test_only_the_owner_can_read(where):
    os.umask(0o022)
    with Store(where) as store:
        store.add("crash", note("a"))
        for path in where.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("verb", ["UPDATE events SET payload = ''", "DELETE FROM events"])
def test_the_database_refuses_to_change_the_past(where, verb):
    raw = sqlite3.connect(where)
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        raw.execute(verb)
    raw.close()


def test_every_commit_reaches_the_disk(where):
    with Store(where) as store, store._engine.connect() as connection:
        full, wal = 2, "wal"  # SQLite's own names of the two settings
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == full
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == wal


def test_a_store_of_version_one_is_brought_up_to_date(tmp_path, monkeypatch):
    path = tmp_path / "old.sqlite"
    every = store_schema.MIGRATIONS
    monkeypatch.setattr(store_schema, "MIGRATIONS", every[:1])
    monkeypatch.setattr(store_schema, "SCHEMA_VERSION", 1)
    with Store(path) as store:
        store.add("crash", ENROL)
    monkeypatch.undo()
    with Store(path) as store:
        assert store.cases() == ["crash"]
    with sqlite3.connect(path) as raw:
        assert [row[0] for row in raw.execute("SELECT version FROM schema_version")] == list(
            range(1, len(every) + 1)
        )


def test_a_store_of_the_future_is_refused(where):
    with sqlite3.connect(where) as raw:
        raw.execute("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(UnreadableFileError, match="schema 99"):
        Store(where)


def test_what_is_no_store_is_refused(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG not a database at all" * 100)
    with pytest.raises(UnreadableFileError, match="no kypho store"):
        Store(path)
    with pytest.raises(UnreadableFileError, match="no database URL"):
        Store("nonsense://")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        Store(tmp_path / "nowhere" / "a.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ReadOnlyError):
        Store(tmp_path / "a.sqlite")


def test_a_missing_driver_is_named(monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("no", name="psycopg")

    monkeypatch.setattr(sa, "create_engine", missing)
    with pytest.raises(MissingPartError, match="psycopg"):
        Store("postgresql+psycopg://localhost/none")


def crash(where, rounds, seed):
    """Kill the writer `rounds` times; everything it confirmed must stand, and stand once."""
    told = json.loads(drive("kill", where, rounds, seed))
    stored = stored_ids(where)
    assert len(set(stored)) == len(stored)
    assert set(told["confirmed"]) <= set(stored)
    in_doubt = len(stored) - 1 - len(told["confirmed"])
    assert 0 <= in_doubt <= rounds  # at most the one event each killed writer could not confirm any more
    assert len(told["confirmed"]) > rounds // 4  # the writers were killed while at work
    with Store(where) as store:
        assert len(store.record("crash").events) == len(stored)


def test_kill_loses_nothing_confirmed(where):
    crash(where, rounds=20, seed=1)


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_confirmed(where):
    crash(where, rounds=240, seed=2)


def test_two_writers_at_once(where):
    """Two processes write 30 events each, 30 of them the same: 60 attempts, and each content stands once."""
    names = ("left", "right")
    writers = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), "write", str(where), name, "30"], stdout=subprocess.PIPE
        )
        for name in (*names, "same", "same")
    ]
    told = [set(writer.communicate(timeout=120)[0].decode().split()) for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    assert told[2] == told[3]
    stored = stored_ids(where)
    assert len(stored) == len(set(stored)) == 1 + 3 * 30
    assert set().union(*told) <= set(stored)


def test_a_full_disk_keeps_what_was_confirmed(where):
    """A file size limit stands for the full disk: the kernel refuses the write in the same way."""
    told = json.loads(drive("full", where, 150_000))
    assert "nothing was stored" in told["message"]
    stored = stored_ids(where)
    assert set(told["confirmed"]) <= set(stored)
    assert len(stored) == len(set(stored)) == 1 + len(told["confirmed"])
    with Store(where) as store:
        assert store.add("crash", note("room again"))[1]


@pytest.fixture
def postgres(tmp_path_factory):
    """A real server, started for this test, where one is installed."""
    pytest.importorskip("psycopg")
    binaries = shutil.which("initdb"), shutil.which("pg_ctl")
    if None in binaries:
        pytest.skip("no PostgreSQL server is installed")
    as_root = os.geteuid() == 0
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if as_root else {}
    home = Path(tmp_path_factory.mktemp("pg"))
    short = Path("/tmp") / f"kypho-pg-{os.getpid()}"  # a socket's path may have 107 characters
    short.mkdir(mode=0o700)
    data = short / "data"
    if as_root:
        shutil.chown(short, "postgres", "postgres")

    def call(*command):
        done = subprocess.run(command, capture_output=True, text=True, cwd=short, timeout=120, **who)
        assert done.returncode == 0, done.stderr + done.stdout

    call(binaries[0], "-D", str(data), "-U", "kypho", "-A", "trust", "-E", "UTF8", "--locale=C")
    options = f"-k {short} -c listen_addresses='' -c fsync=off"
    call(binaries[1], "-D", str(data), "-o", options, "-l", str(short / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://kypho@/postgres?host={short}"
    finally:
        call(binaries[1], "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(short)
        shutil.rmtree(home)


@pytest.mark.slow
def test_the_same_on_postgresql(postgres):
    with Store(postgres) as store:
        store.add("crash", ENROL)
        event, new = store.add("crash", note("a"), now=NOW)
        assert new
        assert not store.add("crash", note("a"))[1]
        with pytest.raises(RecordError):
            store.add_all("crash", [note("b"), note("c", at="2999-01-01")])
        assert store.record("crash").events[-1] == event
        assert len(store.record("crash").events) == 2
    writers = [
        subprocess.Popen([sys.executable, str(DRIVER), "write", postgres, name, "20"], stdout=subprocess.PIPE)
        for name in ("left", "same", "same")
    ]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    with Store(postgres) as store:
        assert len(store.record("crash").events) == 2 + 2 * 20
        assert [record.case for record in store.records()] == ["crash"]


def test_the_password_of_a_database_url_is_never_shown():
    with pytest.raises(UnreadableFileError) as failed:
        Store("nothing://user:secret@host/db")
    assert "secret" not in str(failed.value)
    assert "user:***@host" in str(failed.value)
