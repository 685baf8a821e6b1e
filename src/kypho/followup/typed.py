"""The short forms in which people type findings on a command line, read into fields.

right L2=5 L3=4        scores of one side; "both" for both sides, "legs=5" for all five leg muscles
hypochondrium 6 girdle new radiating     a pain: site, 0-10, quality, trend, in any order after the site
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from kypho.errors import RecordError
from kypho.followup.findings import Pain
from kypho.followup.segments import LEG_MUSCLES, SIDES

__all__ = ["imaging_from_check", "read_pain", "read_scores"]

LEAKAGE_SCHEMA = "kypho.leakage/1"


def read_scores(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Scores by side and level. What names its muscle or its side overrides a group, in any order.

    Raises:
        RecordError: no ``LEVEL=SCORE``, no side before the scores, or two scores for one item.
    """
    said: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for text in texts:
        side, *pieces = text.replace(",", " ").split() or [""]
        if side not in (*SIDES, "both"):
            raise RecordError(f"scores {text!r} begin with no side; write 'right L2=5 L3=4', or both")
        for piece in pieces:
            level, equals, score = piece.partition("=")
            if not equals:
                raise RecordError(f"score {piece!r} is not LEVEL=SCORE; write 'right L2=5 L3=4'")
            named = (side != "both") + (level != "legs")
            for one_side in SIDES if side == "both" else (side,):
                for one in LEG_MUSCLES if level == "legs" else (level,):
                    said.setdefault((one_side, one), []).append((named, score))
    found: dict[str, dict[str, str]] = {}
    for (side, level), scores in said.items():
        found.setdefault(side, {})[level] = _most_named(f"{side} {level}", scores)
    return found


def _most_named(item: str, scores: list[tuple[int, str]]) -> str:
    """The score that names the item most closely; of two such neither is the right one."""
    most = max(named for named, _ in scores)
    left = list(dict.fromkeys(score for named, score in scores if named == most))
    if len(left) > 1:
        raise RecordError(f"{item} is given as {' and '.join(left)}; keep one score")
    return left[0]


def read_pain(text: str) -> dict[str, Any]:
    """A pain typed as words.

    Raises:
        RecordError: a word that is neither score, side, quality nor trend.
    """
    site, *words = text.split() or [""]
    pain: dict[str, Any] = {"site": site}
    for word in words:
        if re.fullmatch(r"-?\d+", word):
            pain["score"] = int(word)
        elif word == "radiating":
            pain["radiating"] = "yes"
        else:
            pain[_which(word)] = word
    return pain


def _which(word: str) -> str:
    for name in ("side", "quality", "trend"):
        if word in get_args(Pain.model_fields[name].annotation):
            return name
    allowed = [
        choice
        for name in ("side", "quality", "trend")
        for choice in get_args(Pain.model_fields[name].annotation)
        if choice != "unknown"
    ]
    raise RecordError(f"pain word {word!r} is unknown; use a score or {', '.join(allowed)}, radiating")


def imaging_from_check(result: Any, levels: Sequence[str] = ()) -> dict[str, Any]:
    """Fields of an imaging event from the result of the check of a post-operative CT.

    Args:
        result: the content of its `leakage.json`.
        levels: where the cement is; the level of the result must be among them.

    No cement in a canal that could not be read, or that holds something doubtful, is unknown, not no.

    Raises:
        RecordError: another schema, no canal in it, or one of another level.
    """
    if not isinstance(result, dict):
        raise RecordError("the file holds no object; give a leakage.json")
    schema, canal = result.get("schema"), result.get("canal")
    if schema != LEAKAGE_SCHEMA or not isinstance(canal, dict):
        raise RecordError(f"the file has schema {schema!r}, not {LEAKAGE_SCHEMA}; give a leakage.json")
    state = str(canal.get("state"))
    inside = {"epidural", "intradural", "both", "undetermined"}
    quality = result.get("quality")
    readable = isinstance(quality, dict) and quality.get("readable") is True
    clear = state == "none" and readable and not canal.get("doubts")
    cement = "yes" if state in inside else "no" if clear else "unknown"
    percent = canal.get("max_encroachment_percent") or {}
    if not isinstance(percent, dict):
        raise RecordError(
            f"max_encroachment_percent {percent!r} has no 'value'; give a leakage.json as written"
        )
    fields: dict[str, Any] = {
        "modality": "CT",
        "canal_cement": cement,
        "compartment": state if state in inside else "unknown",
        "side": _side(canal.get("side")),
        "encroachment_percent": percent.get("value") if cement == "yes" else None,
        "encroachment_high_percent": percent.get("high") if cement == "yes" else None,
        "text": "from the check of the post-operative CT",
    }
    own = canal.get("level") or result.get("level")
    if own and levels and own not in levels:
        raise RecordError(f"the file is of {own}, not {', '.join(levels)}; leave --level out")
    if own or levels:
        fields["levels"] = list(levels) or [own]
    return fields


def _side(side: Any) -> str:
    return side if side in ("left", "right", "both") else "unknown"
