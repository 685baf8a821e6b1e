"""The models whose JSON Schemas kypho publishes, by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import TypeAdapter

from kypho.errors import ChoiceNeededError

__all__ = ["SCHEMAS", "json_schema"]

SCHEMAS = {
    "assessment": (
        "kypho.case.assessment.document",
        "AssessmentDocument",
        "assessment.json of `kypho assess`",
    ),
    "event": ("kypho.followup.events", "Event", "one event of a follow-up record"),
    "evidence": ("kypho.evidence", "Record", "one evidence record"),
    "leakage": ("kypho.case.leakage.document", "LeakageDocument", "leakage.json of `kypho check`"),
    "plan": ("kypho.case.plan.schema", "PlanDocument", "plan.json of `kypho plan`"),
    "rehearsal": (
        "kypho.case.rehearsal.document",
        "RehearsalDocument",
        "rehearsal.json of `kypho rehearse`",
    ),
    "red-flag": ("kypho.followup.rules", "Rule", "one red-flag rule"),
}
"""Name -> module, model, what it describes. Modules are imported when a schema is asked for."""


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a published model.

    Raises:
        ChoiceNeededError: no such name.
    """
    if name not in SCHEMAS:
        raise ChoiceNeededError(f"no schema {name!r}; choose one of {', '.join(SCHEMAS)}")
    module, model, _ = SCHEMAS[name]
    schema = TypeAdapter(getattr(import_module(module), model)).json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
