"""Load the evidence records and hand them out by id."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from kypho.errors import InternalError

__all__ = ["Record", "Source", "all_records", "interval", "reading", "record", "value"]

PROJECT_CHOICE = "kypho"

_readers: tuple[set[str], ...] = ()


class Source(BaseModel):
    """Where a number was read. ``cite = "kypho"`` marks an engineering choice of this project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cite: str
    doi: str | None = None
    pmid: str | None = None
    url: str | None = None
    where: str | None = None


class Record(BaseModel):
    """One number with its unit, its interval, its sources and its standing.

    `status` is "confirmed" where the number was read in the source or recomputed from it, else
    "unconfirmed". An engineering choice of this project is always unconfirmed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    what: str
    value: float | int | bool | str | list[Any] | dict[str, Any]
    unit: str
    low: float | None = None
    high: float | None = None
    status: Literal["confirmed", "unconfirmed"]
    sources: tuple[Source, ...]
    note: str | None = None

    @property
    def confirmed(self) -> bool:
        """True if the number was read in its source."""
        return self.status == "confirmed"

    @model_validator(mode="after")
    def _sourced(self) -> Record:
        if not self.sources:
            raise ValueError(f"evidence record {self.id!r} has no source")
        for source in self.sources:
            if source.cite == PROJECT_CHOICE and self.confirmed:
                raise ValueError(f"evidence record {self.id!r} is a project choice and cannot be confirmed")
            if (
                source.cite != PROJECT_CHOICE
                and self.confirmed
                and not (source.doi or source.pmid or source.url)
            ):
                raise ValueError(
                    f"evidence record {self.id!r} is confirmed by a source without doi, pmid or url"
                )
        return self


@cache
def all_records() -> dict[str, Record]:
    """Every record by id.

    Files hold ``[sources.KEY]`` tables and ``[[record]]`` entries whose ``sources`` name those keys.
    """
    records: dict[str, Record] = {}
    for path in sorted(files("kypho.evidence").joinpath("records").iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".toml"):
            continue
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        sources = {key: Source(**entry) for key, entry in data.get("sources", {}).items()}
        sources[PROJECT_CHOICE] = Source(cite=PROJECT_CHOICE)
        for entry in data.get("record", []):
            cited = tuple(sources[key] for key in entry.pop("sources"))
            item = Record(sources=cited, **entry)
            if item.id in records:
                raise InternalError(f"evidence record {item.id!r} stands twice")
            records[item.id] = item
    return records


def record(record_id: str) -> Record:
    """The record of this id.

    Raises:
        InternalError: no such record.
    """
    for ids in _readers:
        ids.add(record_id)
    try:
        return all_records()[record_id]
    except KeyError:
        raise InternalError(f"no evidence record {record_id!r}") from None


@contextmanager
def reading() -> Iterator[set[str]]:
    """The ids of all records that are asked for while the block runs, by any thread. Blocks may nest.

    So a result can name the numbers it rests on, and no others.
    """
    global _readers
    ids: set[str] = set()
    _readers = (*_readers, ids)
    try:
        yield ids
    finally:
        _readers = tuple(other for other in _readers if other is not ids)


def value(record_id: str) -> Any:
    """The record's value; a float for most records."""
    return record(record_id).value


def interval(record_id: str) -> tuple[float, float]:
    """The record's interval.

    Raises:
        InternalError: the record has none.
    """
    item = record(record_id)
    if item.low is None or item.high is None:
        raise InternalError(f"evidence record {record_id!r} has no interval")
    return item.low, item.high
