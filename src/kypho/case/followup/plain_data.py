"""JSON and YAML in which no name stands twice, nothing points back, and nothing is nested without end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from kypho.errors import RecordError, UnreadableFileError

__all__ = ["parse_json", "parse_yaml", "read_plain"]

DEEPEST = 100  # numerics: ten times what a case or a FHIR document needs


def read_plain(path: Path, otherwise: str) -> Any:
    """What a file says, JSON by its name, else YAML; `otherwise` is the next step where it cannot be read.

    Raises:
        UnreadableFileError: no such file, or neither JSON nor YAML.
        RecordError: a name that stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except RecordError as problem:
        raise RecordError(f"{path}: {problem}") from None
    except (OSError, ValueError) as problem:
        why = " ".join(str(problem).split())
        raise UnreadableFileError(f"{path} cannot be read ({why}); {otherwise}") from None


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
        RecordError: a name that stands twice in one object.
    """
    try:
        return _shallow(json.loads(text, object_pairs_hook=_no_repeats))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_yaml(text: str) -> Any:
    """What a YAML text says.

    Raises:
        ValueError: it is no YAML, holds an alias, or is nested too deeply.
        RecordError: a name that stands twice in one mapping.
    """
    try:
        return _shallow(yaml.load(text, _PlainLoader))  # a SafeLoader
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are unique: of two values for one muscle neither is the right one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordError(f"{twice!r} stands twice in one object; keep one value")
    return found


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, which can make a value hold itself, and without names that stand twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            where = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "an alias (*name) is not read; write it out", where)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise RecordError(f"line {line}: {key.value!r} stands twice in one mapping; keep one value")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _shallow(data: Any) -> Any:
    """The data, if its nesting ends."""
    layer = [data]
    for _ in range(DEEPEST):
        layer = [
            part
            for item in layer
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return data
    raise ValueError("nested too deeply")
