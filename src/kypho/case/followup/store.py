"""The store of follow-up records: one append-only table, on SQLite by default, on PostgreSQL by URL.

A call that returned has its event on disk: SQLite runs with a write-ahead log and ``synchronous=FULL``, every
event is one transaction, and its id is its content, so an interrupted write may be repeated and stands once.
Nothing is ever updated or deleted. The file is readable by its owner only.
"""

from __future__ import annotations

import errno
import gc
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy import event as sa_event
from sqlalchemy.exc import DatabaseError as BrokenDatabase
from sqlalchemy.exc import DBAPIError, OperationalError

from kypho.case.followup.store_schema import SCHEMA_VERSION, events, migrate
from kypho.errors import (
    DiskFullError,
    MissingPartError,
    OutputError,
    ReadOnlyError,
    RecordError,
    UnreadableFileError,
)
from kypho.followup import Event, Record, fold, make_event
from kypho.followup.entry import check_pseudonym

__all__ = ["DEFAULT_STORE", "SCHEMA_VERSION", "Store"]

DEFAULT_STORE = "kypho-follow.sqlite"
"""The store's file in the present folder where none is named."""

WAIT_FOR_WRITER_MS = 30_000  # numerics: longer than any write; a waiting writer is better than a refused one
OWNER_ONLY = 0o600

_EVENTS = TypeAdapter(list[Event])


class Store:
    """All cases of one database. Safe for several processes at once.

    Args:
        where: a file name for SQLite, or a database URL such as ``postgresql+psycopg://host/name``.
        create: make the file where there is none; False refuses instead, for those who only read.

    Raises:
        UnreadableFileError: no such file, no database, or one made by a newer kypho.
        ReadOnlyError: the folder or file may not be written.
        MissingPartError: the driver for the URL is not installed.
    """

    def __init__(self, where: str | Path = DEFAULT_STORE, *, create: bool = True) -> None:
        where = str(where)
        self.where = _without_password(where)
        if not create and "://" not in where and not Path(where).exists():
            raise UnreadableFileError(
                f"there is no store {where}; name it with --store, or start one: kypho follow init"
            )
        self._engine = _engine(where)
        with self._errors(), self._writer() as connection:
            migrate(connection)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def add(self, case: str, raw: Mapping[str, Any], *, now: datetime | None = None) -> tuple[Event, bool]:
        """Check one event against the case and store it; when this returns, the event is on disk.

        Returns:
            The event, and True if it is new; False if the same event stood there already.

        Raises:
            RecordError: the event cannot be accepted; nothing is stored.
            DiskFullError: no space; nothing is stored.
        """
        (made,) = self.add_all(case, [raw], now=now)
        return made

    def add_all(
        self, case: str, raws: Iterable[Mapping[str, Any]], *, now: datetime | None = None
    ) -> list[tuple[Event, bool]]:
        """Store several events of one case in one transaction: all of them or none."""
        check_pseudonym(case)
        with self._errors(), self._writer() as connection, connection.begin():
            _lock(connection, case)
            known = _read(connection, case)
            had = {event.id for event in known}
            made: list[tuple[Event, bool]] = []
            for number, raw in enumerate(raws, start=1):
                try:
                    made.append(_accept(case, raw, known, had, now))
                except RecordError as problem:
                    raise (RecordError(f"event {number}: {problem}") if number > 1 else problem) from None
            rows = [_row(event) for event, new in made if new]
            if rows:
                connection.execute(sa.insert(events), rows)
        return made

    def record(self, case: str) -> Record:
        """The record of one case.

        Raises:
            RecordError: no such case.
        """
        with self._errors(), self._engine.connect() as connection:
            found = _read(connection, case)
        if not found:
            raise RecordError(
                f"case {case!r} is not in {self.where}; start it with: kypho follow init {case}"
            )
        return fold(found)

    def records(self) -> Iterator[Record]:
        """Every case, by pseudonym."""
        query = sa.select(events.c.case, events.c.payload).order_by(events.c.case, events.c.seq)
        with self._errors(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        by_case: dict[str, list[str]] = {}
        for case, payload in rows:
            by_case.setdefault(case, []).append(payload)
        for payloads in by_case.values():
            yield fold(_parse(payloads))

    def cases(self) -> list[str]:
        """All pseudonyms."""
        with self._errors(), self._engine.connect() as connection:
            return list(
                connection.execute(sa.select(events.c.case).distinct().order_by(events.c.case)).scalars()
            )

    def _writer(self) -> sa.Connection:
        return self._engine.connect().execution_options(writes=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the database's errors into the tree's."""
        try:
            yield
        except OperationalError as problem:
            raise _translate(problem, self.where) from problem
        except BrokenDatabase as problem:
            raise UnreadableFileError(
                f"{self.where} is no kypho store ({problem.orig}); name another file"
            ) from None


def _accept(
    case: str, raw: Mapping[str, Any], known: list[Event], had: set[str], now: datetime | None
) -> tuple[Event, bool]:
    if not known and raw.get("kind") != "enrolment":
        raise RecordError(f"case {case!r} is not enrolled; start it with: kypho follow init {case}")
    record = fold(known) if known else None
    if raw.get("kind") == "enrolment" and not raw.get("corrects") and known:
        same = make_event(case, raw, now=now)
        if same.id in had:
            return next(event for event in known if event.id == same.id), False
    event = make_event(case, raw, record=record, now=now)
    if event.id in had:
        return next(old for old in known if old.id == event.id), False
    known.append(event)
    had.add(event.id)
    return event, True


def _row(event: Event) -> dict[str, Any]:
    return {
        "case": event.case,
        "event_id": event.id,
        "kind": event.kind,
        "recorded": event.recorded.isoformat(),
        "payload": event.model_dump_json(exclude_unset=True),
    }


def _read(connection: sa.Connection, case: str) -> list[Event]:
    query = sa.select(events.c.payload).where(events.c.case == case).order_by(events.c.seq)
    return _parse(list(connection.execute(query).scalars()))


def _parse(payloads: list[str]) -> list[Event]:
    """Events hold no cycles; searching for some while they are made takes a third longer."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _EVENTS.validate_json("[" + ",".join(payloads) + "]")
    finally:
        if collecting:
            gc.enable()


def _without_password(where: str) -> str:
    """A database URL as it may be shown."""
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", where)


def _engine(where: str) -> sa.Engine:
    if "://" in where:
        try:
            return sa.create_engine(where)
        except ModuleNotFoundError as missing:
            raise MissingPartError(
                f"the driver {missing.name!r} is not installed; pip install 'kypho[postgres]'"
            ) from None
        except sa.exc.ArgumentError:
            raise UnreadableFileError(
                f"store {_without_password(where)!r} is no database URL; name a file or a URL"
            ) from None
    path = Path(where)
    try:
        path.touch(mode=OWNER_ONLY, exist_ok=True)
        path.chmod(OWNER_ONLY)
    except PermissionError:
        raise ReadOnlyError(f"store {where} may not be written; choose another with --store") from None
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise DiskFullError(f"no space left for {where}; free some and repeat") from None
        raise OutputError(
            f"store {where} cannot be opened ({problem.strerror}); choose another with --store"
        ) from None
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": WAIT_FOR_WRITER_MS / 1000})
    sa_event.listen(engine, "connect", _durable)
    sa_event.listen(engine, "begin", _begin)
    return engine


def _durable(connection: Any, _: object) -> None:
    """Leave transactions to us, and let every commit reach the disk before it returns."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={WAIT_FOR_WRITER_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """A writer takes the write lock at the start: two writers queue instead of failing half-way."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _lock(connection: sa.Connection, case: str) -> None:
    """On PostgreSQL, one writer per case at a time; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:case))"), {"case": case})


def _translate(problem: DBAPIError, where: str) -> Exception:
    text = str(problem.orig).lower()
    if "full" in text or "disk i/o" in text:
        return DiskFullError(f"no space left for {where}; free some and repeat, nothing was stored")
    if "readonly" in text or "read-only" in text:
        return ReadOnlyError(f"store {where} may not be written; choose another with --store")
    return OutputError(f"store {where} cannot be used ({problem.orig}); check it and repeat")
