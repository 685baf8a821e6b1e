"""The store of follow-up records: one append-only table, on SQLite by default, on PostgreSQL by URL.

A call that returned has its event on disk: SQLite runs with a write-ahead log and ``synchronous=FULL``, every
event is one transaction, and its id is its content, so an interrupted write may be repeated and stands once.
Nothing is ever updated or deleted, and every read checks that each event still says what its id says. The
file is readable by its owner only.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import DatabaseError as BrokenDatabase
from sqlalchemy.exc import OperationalError

from kypho.case.followup.store_file import open_engine, translated, without_password
from kypho.case.followup.store_schema import SCHEMA_VERSION, current_version, events, migrate
from kypho.errors import RecordError, UnreadableFileError
from kypho.followup import Event, Record, check_pseudonym, fold, make_event

__all__ = ["DEFAULT_STORE", "SCHEMA_VERSION", "Store"]

DEFAULT_STORE = "kypho-follow.sqlite"
"""The store's file in the present folder where none is named."""

_EVENTS = TypeAdapter(list[Event])
FOUND_BY = ("case", "event_id", "kind", "recorded")
"""The columns that find an event; its payload says the same."""
READ = [events.c[name] for name in (*FOUND_BY, "payload")]


class Store:
    """All cases of one database. Safe for several processes at once.

    Args:
        where: a file name for SQLite, or a database URL such as ``postgresql+psycopg://host/name``.
        create: make the file where there is none; False refuses instead, for those who only read.

    Raises:
        UnreadableFileError: no such file, no store, or one made by a newer kypho.
        ReadOnlyError: the folder or file may not be written.
        MissingPartError: the driver for the URL is not installed.
    """

    def __init__(self, where: str | Path = DEFAULT_STORE, *, create: bool = True) -> None:
        self.where = without_password(str(where))
        self._engine = open_engine(str(where), create=create)
        with self._errors():
            with self._engine.connect() as connection:
                up_to_date = current_version(connection) == SCHEMA_VERSION
            if not up_to_date:
                with self._writer() as connection:
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
            known = self._read(connection, case)
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
            UnreadableFileError: an event of it is not what was recorded.
        """
        with self._errors(), self._engine.connect() as connection:
            found = self._read(connection, case)
        if not found:
            raise RecordError(
                f"case {case!r} is not in {self.where}; start it with: kypho follow init {case}"
            )
        return fold(found)

    def records(self) -> Iterator[Record]:
        """Every case, by pseudonym.

        Raises:
            UnreadableFileError: an event of a case is not what was recorded; see `each`.
        """
        for found in self.each():
            if isinstance(found, UnreadableFileError):
                raise found
            yield found

    def each(self) -> Iterator[Record | UnreadableFileError]:
        """Every case, by pseudonym: its record, or what is wrong with it."""
        query = sa.select(*READ).order_by(events.c.case, events.c.seq)
        with self._errors(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        for _, group in groupby(rows, key=lambda row: row.case):
            try:
                yield fold(_trusted(list(group), self.where))
            except UnreadableFileError as problem:
                yield problem

    def cases(self) -> list[str]:
        """All pseudonyms."""
        with self._errors(), self._engine.connect() as connection:
            return list(
                connection.execute(sa.select(events.c.case).distinct().order_by(events.c.case)).scalars()
            )

    def _read(self, connection: sa.Connection, case: str) -> list[Event]:
        query = sa.select(*READ).where(events.c.case == case).order_by(events.c.seq)
        return _trusted(connection.execute(query).all(), self.where)

    def _writer(self) -> sa.Connection:
        return self._engine.connect().execution_options(writes=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the database's errors into the tree's."""
        try:
            yield
        except OperationalError as problem:
            raise translated(problem, self.where) from problem
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
    columns = dict(zip(FOUND_BY, _found_by(event), strict=True))
    return {**columns, "payload": event.model_dump_json(exclude_unset=True)}


def _found_by(event: Event) -> tuple[str, ...]:
    """The columns `FOUND_BY`, from what an event says."""
    return event.case, event.id, event.kind, event.recorded.isoformat()


def _trusted(rows: Sequence[Any], where: str) -> list[Event]:
    """The events of one case, if each still says what its id and its columns say.

    Raises:
        UnreadableFileError: one was changed behind the store's back.
    """
    try:
        found = _parse([row.payload for row in rows])
    except ValidationError:
        found = []
    if len(found) != len(rows):
        raise _altered(rows[0].case, "an event", where)
    for row, event in zip(rows, found, strict=True):
        if event.id != event.content_id or row[:-1] != _found_by(event):
            raise _altered(row.case, f"event {row.event_id}", where)
    return found


def _altered(case: str, what: str, where: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"case {case!r}: {what} in {where} is not what was recorded; restore the store from a copy"
    )


def _parse(payloads: list[str]) -> list[Event]:
    """Events hold no cycles; searching for some while they are made takes a third longer."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _EVENTS.validate_json("[" + ",".join(payloads) + "]")
    finally:
        if collecting:
            gc.enable()


def _lock(connection: sa.Connection, case: str) -> None:
    """On PostgreSQL, one writer per case at a time; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:case))"), {"case": case})
