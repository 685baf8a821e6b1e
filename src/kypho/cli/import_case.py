"""`kypho import`: a whole case from one YAML file, or from a FHIR document that kypho wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kypho.cli.follow_event import DEFAULT_STORE, Store

__all__ = ["import_case"]


def import_case(
    file: Annotated[Path, typer.Argument(help="case.yaml, or a FHIR document Bundle (.json).")],
    store: Store = DEFAULT_STORE,
) -> None:
    """Import a whole case into the follow-up store: all of its events or none; again changes nothing."""
    from kypho.case.followup.import_file import import_file
    from kypho.case.followup.store import Store as Records

    with Records(store) as records:
        case, new, known = import_file(records, file)
    typer.echo(f"{case}: {new} events stored, {known} were there already")
