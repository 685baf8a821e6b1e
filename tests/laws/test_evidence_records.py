"""Every number has a source, and every id that the code uses exists."""

import ast
import re

import pytest
from source_tree import ROOT, modules

from kypho.evidence import all_records

GETTERS = {"value", "record", "interval"}


def _calls():
    """Calls of the evidence getters whose first argument says which record."""
    for module in modules():
        for node in ast.walk(module.tree):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            func = node.func
            plain = isinstance(func, ast.Name) and func.id in GETTERS
            dotted = (
                isinstance(func, ast.Attribute)
                and func.attr in GETTERS
                and getattr(func.value, "id", "") == "evidence"
            )
            if plain or dotted:
                yield module, node


def test_records_load_and_are_sourced():
    records = all_records()
    assert len(records) > 100
    for entry in records.values():
        assert entry.sources, entry.id
        if any(source.cite == "kypho" for source in entry.sources):
            assert not entry.confirmed, f"{entry.id}: a project choice is never confirmed"
        if entry.confirmed:
            assert any(s.doi or s.pmid or s.url for s in entry.sources), entry.id
        assert entry.what.strip(), entry.id
        assert entry.unit.strip(), entry.id


def test_intervals_hold_their_value():
    """But for rows copied from published tables, misprints included: `kypho.risk.audit` judges those."""
    for entry in all_records().values():
        if entry.id.startswith("risk.row.") and entry.note == "printed":
            continue
        if entry.low is not None and entry.high is not None:
            assert entry.low <= entry.high, entry.id
            if isinstance(entry.value, int | float) and not isinstance(entry.value, bool):
                assert entry.low <= entry.value <= entry.high, entry.id


def test_dois_and_pmids_are_written_plainly():
    for entry in all_records().values():
        for source in entry.sources:
            assert source.doi is None or re.fullmatch(r"10\.\d{4,9}/\S+", source.doi), entry.id
            assert source.pmid is None or re.fullmatch(r"\d{4,9}", source.pmid), entry.id
            assert source.url is None or source.url.startswith("https://"), entry.id


def test_ids_in_code_exist():
    known, wrong = all_records(), []
    for module, node in _calls():
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value not in known:
            wrong.append(f"{module.where}:{node.lineno} {first.value!r}")
        if isinstance(first, ast.JoinedStr):
            pattern = "".join(
                re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in first.values
            )
            if not any(re.fullmatch(pattern, name) for name in known):
                wrong.append(f"{module.where}:{node.lineno} nothing matches {pattern!r}")
    assert not wrong, "\n".join(wrong)


def test_ids_in_red_flag_rules_exist():
    known = all_records()
    for path in (ROOT / "src/kypho/evidence/rules").glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        ids = re.findall(r'"(followup\.[\w.]+)"', text)
        assert ids, f"{path.name} refers to no record"
        assert not [name for name in ids if name not in known], path.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ()}, "no source"),
        ({"sources": ({"cite": "kypho"},)}, "project choice"),
        ({"sources": ({"cite": "A book"},)}, "without doi, pmid or url"),
    ],
)
def test_a_record_that_breaks_the_rules_does_not_load(change, message):
    from kypho.evidence import Record

    good = {
        "id": "x.y_mm",
        "what": "a length",
        "value": 1.0,
        "unit": "mm",
        "status": "confirmed",
        "sources": ({"cite": "A paper", "doi": "10.1000/1"},),
    }
    Record(**good)
    with pytest.raises(ValueError, match=message):
        Record(**good | change)
