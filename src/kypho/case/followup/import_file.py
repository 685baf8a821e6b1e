"""Read a whole case from one file into the store, all of its events or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kypho.case.followup.plain_data import read_plain
from kypho.case.followup.store import Store
from kypho.errors import RecordError
from kypho.followup import Record
from kypho.followup.raw import entry_order, raw_of

__all__ = ["case_yaml", "import_file", "read_case"]

CASE_SCHEMA = "kypho.case/1"


def read_case(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Pseudonym and raw events of a YAML case file or a FHIR document.

    A YAML file has `schema: kypho.case/1`, `case`, and `events`: a list of mappings with `kind`, `at`, `role`
    and the fields of the kind. `defaults` may hold what every event shares.

    Raises:
        UnreadableFileError: the file is missing, or neither YAML nor JSON.
        RecordError: it is no case, or says one thing twice.
    """
    data = read_plain(path, "give a case.yaml or a FHIR .json")
    if isinstance(data, dict) and data.get("resourceType") == "Bundle":
        from kypho.case.followup.fhir import events_of_bundle

        return events_of_bundle(data)
    if not isinstance(data, dict) or data.get("schema") != CASE_SCHEMA:
        raise RecordError(f"{path} has no 'schema: {CASE_SCHEMA}'; see docs/follow-up.md for the form")
    events, shared = data.get("events"), data.get("defaults") or {}
    if not isinstance(events, list) or not all(isinstance(item, dict) for item in events):
        raise RecordError(f"{path} has no list 'events'; see docs/follow-up.md for the form")
    if not isinstance(shared, dict):
        raise RecordError(f"{path}: 'defaults' {shared!r} is no mapping; write role: nurse below it")
    return str(data.get("case", "")), [{**shared, **item} for item in events]


def import_file(store: Store, path: Path) -> tuple[str, int, int]:
    """Store a whole case.

    Returns:
        The pseudonym, the number of new events, and of events that stood there already.

    Raises:
        RecordError: the first event that cannot be accepted, by its number; nothing is stored.
    """
    case, raws = read_case(path)
    made = store.add_all(case, raws)
    new = sum(is_new for _, is_new in made)
    return case, new, len(made) - new


def case_yaml(record: Record) -> str:
    """The whole history of a case as a YAML file that `import_file` reads back to the same events."""
    events = [raw_of(event) for event in entry_order(record)]
    case = {"schema": CASE_SCHEMA, "case": record.case, "events": events}
    return yaml.safe_dump(case, sort_keys=False, allow_unicode=True, width=110)
