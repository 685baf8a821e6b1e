"""The database behind a store: a file of its owner alone whose commits reach the disk, or a URL."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.exc import DBAPIError

from kypho.case.followup.private_file import refusal
from kypho.case.followup.store_schema import VERSION_TABLE
from kypho.errors import DiskFullError, MissingPartError, OutputError, ReadOnlyError, UnreadableFileError

__all__ = ["open_engine", "translated", "without_password"]

WAIT_FOR_WRITER_MS = 30_000  # numerics: longer than any write; a waiting writer is better than a refused one
OWNER_ONLY = 0o600


def open_engine(where: str, *, create: bool) -> sa.Engine:
    """The engine of a file name or a database URL. Nothing is touched that is no store.

    Raises:
        UnreadableFileError: no store, or no name of one.
        OutputError: the file cannot be opened for writing.
        MissingPartError: the driver for the URL is not installed.
    """
    if where.startswith(("sqlite:", "sqlite+")):
        path = re.sub(r"^sqlite[^:]*:/{0,3}", "", where)
        raise UnreadableFileError(
            f"store {where!r} is a URL of SQLite; give the path: --store {path or 'FILE'}"
        )
    return _url_engine(where) if "://" in where else _file_engine(where, create)


def without_password(where: str) -> str:
    """A database URL as it may be shown."""
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", where)


def translated(problem: DBAPIError, where: str) -> Exception:
    """An operational error of the database as one of the tree."""
    text = str(problem.orig).lower()
    if "full" in text or "disk i/o" in text:
        return DiskFullError(f"no space left for {where}; free some and repeat, nothing was stored")
    closed = "unable to open" in text and not os.access(Path(where).absolute().parent, os.W_OK)
    if "readonly" in text or "read-only" in text or closed:
        return ReadOnlyError(f"store {where} may not be written; choose another with --store, or copy it")
    return OutputError(f"store {where} cannot be used ({problem.orig}); check it and repeat")


def _url_engine(where: str) -> sa.Engine:
    try:
        return sa.create_engine(where)
    except ModuleNotFoundError as missing:
        raise MissingPartError(
            f"the driver {missing.name!r} is not installed; pip install 'kypho[postgres]'"
        ) from None
    except sa.exc.ArgumentError:
        raise UnreadableFileError(
            f"store {without_password(where)!r} is no database URL; name a file or a URL"
        ) from None


def _file_engine(where: str, create: bool) -> sa.Engine:
    path = Path(where)
    try:
        _require_store(where, path, create)
        if create:
            path.touch(mode=OWNER_ONLY, exist_ok=True)
            path.chmod(OWNER_ONLY)
    except OSError as problem:
        raise refusal(f"store {where}", problem, "--store") from None
    url = sa.URL.create("sqlite", database=str(path.absolute()))
    engine = sa.create_engine(url, connect_args={"timeout": WAIT_FOR_WRITER_MS / 1000})
    sa_event.listen(engine, "connect", _durable)
    sa_event.listen(engine, "begin", _begin)
    return engine


def _require_store(where: str, path: Path, create: bool) -> None:
    """Refuse what is no store and must not become one."""
    if not where or str(path) == ":memory:" or (path.exists() and not path.is_file()):
        raise UnreadableFileError(f"store {where!r} is no file; name one with --store, e.g. ward.sqlite")
    if path.exists() and path.stat().st_size:
        _require_tables(path)
    elif not create:
        raise UnreadableFileError(
            f"there is no store {where}; name it with --store, or start one: kypho follow init"
        )


def _require_tables(path: Path) -> None:
    """Refuse a file that is no database, or somebody else's."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as raw:
            tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError:
        return  # busy, or not to be opened at all: opening it in earnest will say
    except sqlite3.DatabaseError as problem:
        raise UnreadableFileError(f"{path} is no kypho store ({problem}); name another file") from None
    if tables and VERSION_TABLE not in tables:
        raise UnreadableFileError(f"{path} is no kypho store but another database; name another file")


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
