"""A JSON file that names the numbers of a label map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kypho.anatomy.schemes import group_ids
from kypho.errors import LabelsError
from kypho.formats.guard import reading, require_file

__all__ = ["read_names"]


def read_names(path: Path) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Scheme name and structure name to label numbers, from ``{"T7": 37, "lung": [10, 11]}``.

    The mapping may also stand under "ids" beside a "scheme" name, or be turned round, ``{"37": "T7"}``.

    Raises:
        UnreadableFileError: no JSON.
        LabelsError: not such a mapping.
    """
    require_file(path)
    with reading(path, "JSON"):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    name = path.stem
    if isinstance(content, dict) and isinstance(content.get("ids"), dict):
        name, content = str(content.get("scheme", name)), content["ids"]
    if not isinstance(content, dict) or not content:
        raise LabelsError(f'{path} must be a JSON object such as {{"T7": 37}}')
    pairs = [pair for key, entry in content.items() for pair in _pairs(path, key, entry)]
    return name, group_ids(pairs)


def _pairs(path: Path, key: str, entry: Any) -> list[tuple[int, str]]:
    if key.isascii() and key.isdigit() and isinstance(entry, str):
        return [(_number(path, int(key)), entry)]
    numbers = entry if isinstance(entry, list) else [entry]
    return [(_number(path, n), key) for n in numbers]


def _number(path: Path, number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
        raise LabelsError(f"{path} maps to {number!r}; label numbers are whole, from 1 to 65535")
    return number
