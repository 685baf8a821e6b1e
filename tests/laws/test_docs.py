"""Docs in step with the program: the reference pages, the commands and options shown, the links."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from matplotlib import pyplot
from source_tree import PACKAGE, ROOT

sys.path.insert(0, str(ROOT / "docs"))

from evidence_page import record_uses
from reference_pages import commands

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHELL = {"", "sh", "bash", "shell", "console"}


def _blocks(path):
    """(language, text, line) of every fenced block."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield match.group(1), match.group(2), text.count("\n", 0, match.start()) + 1


def _lines(block):
    """Shell lines with continuations joined, prompts and comments off."""
    for line in block.replace("\\\n", " ").splitlines():
        yield re.sub(r"^\s*\$ ", "", line).strip()


@pytest.fixture(scope="module")
def known():
    """Full command name -> (its options, the names below it)."""
    return {
        name: (
            {"--help", *(o for p in command.params for o in (*p.opts, *p.secondary_opts))},
            set(getattr(command, "commands", {})),
        )
        for name, command, _ in commands()
    }


def _wrong(line, known):
    """What is wrong with one shell line that begins with kypho, or None."""
    words = shlex.split(re.split(r"\s(?:[|>&]|2>)", line)[0], comments=True)
    name = "kypho"
    rest = words[1:]
    while rest and known[name][1]:
        if rest[0] not in known[name][1]:
            return None if rest[0] == "--help" else f"no command {name} {rest[0]}"
        name, rest = f"{name} {rest[0]}", rest[1:]
    for word in rest:
        option = word.split("=")[0]
        if re.match(r"--[a-z]", option) and option not in known[name][0]:
            return f"{name} has no option {option}"
    return None


def test_reference_pages_are_in_step():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_commands_shown_exist(known):
    wrong = []
    for path in PAGES:
        for language, block, line in _blocks(path):
            if language not in SHELL:
                continue
            for shown in _lines(block):
                found = _wrong(shown, known) if re.match(r"kypho\s", shown) else None
                if found:
                    wrong.append(f"{path.relative_to(ROOT)}:{line} {found}: {shown}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("kypho plan ct.nii.gz --level T7", None),
        ("kypho plann ct.nii.gz", "no command"),
        ("kypho plan ct.nii.gz --levels T7", "no option"),
        ("kypho follow add nothing", "no command"),
        ("kypho --help", None),
        ("kypho plan ct.zip --json | jq .level --raw", None),
    ],
)
def test_the_check_sees_a_wrong_command(known, line, complaint):
    found = _wrong(line, known)
    assert found is None if complaint is None else complaint in found


def test_every_command_is_in_the_readme(known):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in known["kypho"][1] if f"`kypho {name}`" not in text]
    assert not missing


PYTHON = [
    pytest.param(block, f"{path.name}:{line}", id=f"{path.stem}-{line}")
    for path in PAGES
    for language, block, line in _blocks(path)
    if language in {"python", "py"}
]


@pytest.mark.parametrize(("block", "where"), PYTHON)
def test_python_blocks_run(block, where, tmp_path, monkeypatch):
    """As a reader would run them: beside the repository's examples, after `kypho sample`."""
    shutil.copytree(PACKAGE / "formats" / "sample", tmp_path / "kypho-sample")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, where, "exec"), {})
    pyplot.close("all")


def test_make_targets_shown_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in PAGES:
        shown = set(re.findall(r"`make ([a-z]+)`", path.read_text(encoding="utf-8")))
        assert shown <= targets, path.name


def test_links_lead_somewhere():
    wrong = []
    for path in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:|#", target):
                continue
            if not (path.parent / target.split("#")[0]).exists():
                wrong.append(f"{path.relative_to(ROOT)}: {target}")
    assert not wrong, "\n".join(wrong)


def test_every_page_is_reachable_from_the_index():
    """From docs/index.md, over links; results and decisions may be linked from their own page."""
    seen, todo = set(), [ROOT / "docs/index.md"]
    while todo:
        page = todo.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", target):
                todo.append(page.parent / target.split("#")[0])
    lost = [p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md") if p.resolve() not in seen]
    assert not lost


def test_uses_of_records_are_found():
    """The ledger's column "used in" rests on a search; one use of each kind must be in it."""
    uses = record_uses()
    assert "planning.devices" in uses["device.13G.outer_diameter_mm"], "through an f-string"
    assert any(name.startswith("followup") for name in uses["followup.ct_within_h"]), "by its id"
    assert "evidence/rules/red_flags.toml" in uses["followup.mrc_drop"], "in a rule file"
    assert "risk.routes" in uses["risk.route.venous.beta.cleft"], "with a dot inside a part of the f-string"
    row = next(name for name in uses if name.startswith("risk.row."))
    assert "risk.audit" in uses[row], "by the prefix of a family"
    assert "cement.vertebra" in uses["cement.cortex_permeability_m2"]
    assert "cement.vertebra" not in uses["cement.hu_bone"], "the first part of a pattern is no prefix"
    assert all(module.startswith("cement.validation") for module in uses["cement.bench.goat_body"])
