"""docs/reference/evidence.md: every number with its standing, its source and where the code uses it."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from kypho.anatomy.labels import LEVELS
from kypho.evidence import Record, Source, all_records

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "kypho"

HEAD = """# The evidence ledger

Generated from `src/kypho/evidence/records`; do not edit. {total} records, {confirmed} confirmed.
"Confirmed" means that the number was read in its source or recomputed from it; "unconfirmed" that it was
not, or that it is an engineering choice of this project (source: kypho). Where a program's output rests on
an unconfirmed number, it says so.
"""


def evidence_page() -> str:
    """The whole page."""
    records = all_records()
    uses = record_uses()
    groups: dict[str, list[Record]] = defaultdict(list)
    for entry in records.values():
        groups[entry.id.split(".")[0]].append(entry)
    parts = [HEAD.format(total=len(records), confirmed=sum(r.confirmed for r in records.values()))]
    for group, entries in sorted(groups.items()):
        parts += [
            f"## {group}\n",
            "| id | what | value | status | source | used in |",
            "|---|---|---|---|---|---|",
        ]
        parts += [_row(entry, uses.get(entry.id, ())) for entry in sorted(entries, key=lambda r: r.id)]
        parts.append("")
    unused = sorted(set(records) - set(uses))
    parts.append("## Kept for reference\n")
    parts.append(f'{len(unused)} records above are read by no computation (column "used in" is empty).\n')
    return "\n".join(parts)


def _row(entry: Record, used: tuple[str, ...]) -> str:
    source = "; ".join(map(_source, entry.sources))
    cells = [f"`{entry.id}`", entry.what, _value(entry), entry.status, source, ", ".join(used)]
    return "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |"


def _value(entry: Record) -> str:
    if isinstance(entry.value, dict | list):
        return f"table of {len(entry.value)}, {entry.unit}"
    unit = "" if entry.unit == "1" else f" {entry.unit}"
    span = f" ({entry.low:g} to {entry.high:g})" if entry.low is not None and entry.high is not None else ""
    number = entry.value if isinstance(entry.value, str | bool) else f"{entry.value:g}"
    return f"{number}{unit}{span}"


def _source(source: Source) -> str:
    if source.doi:
        return f"[{source.cite}](https://doi.org/{source.doi})"
    if source.pmid:
        return f"{source.cite} (PMID {source.pmid})"
    return f"[{source.cite}]({source.url})" if source.url else source.cite


def record_uses() -> dict[str, tuple[str, ...]]:
    """Record id -> modules that name it, whole or in a pattern such as ``f"risk.{route}.base"``."""
    strings, patterns = _named()
    words = {*strings, *LEVELS, ""}
    uses: dict[str, tuple[str, ...]] = {}
    for name in all_records():
        found = set(strings.get(name, ()))
        found.update(*(strings[part] for part in _prefixes(name) if part in strings))
        found.update(module for pattern, module in patterns if _fits(name, pattern, words))
        if found:
            uses[name] = tuple(sorted(found))
    return uses


def _fits(name: str, pattern: tuple[str | None, ...], words: set[str]) -> bool:
    """True if the pattern makes this name with a known word or a number in each of its gaps (None)."""
    if not pattern:
        return not name
    part, rest = pattern[0], pattern[1:]
    if part is not None:
        return name.startswith(part) and _fits(name[len(part) :], rest, words)
    ends = range(len(name) + 1)
    return any((name[:n] in words or name[:n].isdigit()) and _fits(name[n:], rest, words) for n in ends)


def _prefixes(name: str) -> list[str]:
    """'risk.row.' and the like: code that walks a whole family names its prefix with the dot."""
    parts = name.split(".")
    return [".".join(parts[:n]) + "." for n in range(1, len(parts))]


@cache
def _named() -> tuple[dict[str, set[str]], list[tuple[tuple[str | None, ...], str]]]:
    """String constants with the modules they stand in, and f-strings with a dot as patterns.

    Names below ``kypho.``: `value("x")` may be reached through a constant, a table or a rule file, so any
    equal string counts.
    """
    strings: dict[str, set[str]] = defaultdict(set)
    patterns = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # The fixed part of f"risk.{name}" is no family that is walked; the whole is a pattern of its own.
        parts = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if id(node) in parts:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings[node.value].add(module)
            elif isinstance(node, ast.JoinedStr):
                pattern = tuple(p.value if isinstance(p, ast.Constant) else None for p in node.values)
                if any(part and re.search(r"\w\.", part) for part in pattern):
                    patterns.append((pattern, module))
            elif isinstance(node, ast.keyword) and node.arg:
                strings[node.arg].add(module)
    for path in sorted((PACKAGE / "evidence" / "rules").glob("*.toml")):
        for name in re.findall(r'"([\w.]+)"', path.read_text(encoding="utf-8")):
            strings[name].add(f"evidence/rules/{path.name}")
    return strings, patterns
