"""The store's table, and the ordered steps that bring an older store up to date."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from kypho.errors import UnreadableFileError

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "VERSION_TABLE", "current_version", "events", "migrate"]

_meta = sa.MetaData()

events = sa.Table(
    "events",
    _meta,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("case", sa.String(40), nullable=False),
    sa.Column("event_id", sa.String(20), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("recorded", sa.String(40), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.UniqueConstraint("case", "event_id", name="one_of_each"),
)
"""One row per event; `payload` is the event as JSON, the other columns only find it."""

VERSION_TABLE = "schema_version"
"""The table by which a store is known."""

_version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True))


def _create_events(connection: sa.Connection) -> None:
    _meta.create_all(connection)


def _refuse_changes(connection: sa.Connection) -> None:
    """Let the database itself refuse to change or delete what was recorded."""
    if connection.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS no_{verb.lower()} BEFORE {verb} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are only added'); END"
            )
    elif connection.dialect.name == "postgresql":
        for verb in ("update", "delete"):
            connection.exec_driver_sql(
                f"CREATE OR REPLACE RULE no_{verb} AS ON {verb} TO events DO INSTEAD NOTHING"
            )


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_create_events, _refuse_changes)
"""Step n leads from version n to n + 1. Steps are only appended, never changed."""

SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: sa.Connection) -> None:
    """Bring the store to the present version, all steps in one transaction.

    Raises:
        UnreadableFileError: the store was written by a newer kypho.
    """
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(0)"))
        _version.create(connection, checkfirst=True)
        version = connection.execute(sa.select(sa.func.max(_version.c.version))).scalar() or 0
        if version > SCHEMA_VERSION:
            raise UnreadableFileError(
                f"the store has schema {version}, this kypho knows {SCHEMA_VERSION}; update kypho to open it"
            )
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            step(connection)
            connection.execute(sa.insert(_version).values(version=number))


def current_version(connection: sa.Connection) -> int:
    """The store's version; 0 for an empty database. Leaves no transaction open."""
    with connection.begin():
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return 0
        return connection.execute(sa.select(sa.func.max(_version.c.version))).scalar() or 0
