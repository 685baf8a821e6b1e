"""What may not stand in a tracked file: machine paths, registry hosts, secrets, prints, large files."""

import ast
import re
import subprocess

from source_tree import ROOT, modules

BINARY = {".gz", ".png", ".nii", ".zip", ".dcm", ".docx", ".pdf"}
HERE = "tests/laws/test_tracked_files.py"

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|tmp|home|Users|root|opt)/\w"),
    "a package registry's address": re.compile(
        r"https?://(?:[\w.-]*pypi[\w.-]*|[\w.-]*pythonhosted[\w.-]*)/"
    ),
    "an index option": re.compile(r"^--?(?:extra-)?(?:index-url|find-links|trusted-host)", re.MULTILINE),
    "a word about how the text came about": re.compile(
        r"\b(?:LLM|language model|chatbot|subagent)s?\b", re.I
    ),
    "a key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:ghp|sk)_\w{20,}"),
}


def _tracked():
    """Tracked files, or every file when git is not at hand (a source archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return [p for p in sorted(ROOT.rglob("*")) if p.is_file() and ".venv" not in p.parts]
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def _texts():
    for path in _tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix not in BINARY and name != HERE:
            yield name, path.read_text(encoding="utf-8")


def test_no_forbidden_text():
    wrong = []
    for name, text in _texts():
        for what, pattern in FORBIDDEN.items():
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                wrong.append(f"{name}:{line} {what}: {match.group()!r}")
    assert not wrong, "\n".join(wrong)


def test_every_lock_entry_is_hashed():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^([\w.-]+)==\S+ \\\n((?:    --hash=\S+(?: \\)?\n)+)", text, re.MULTILINE)
    pinned = re.findall(r"^[\w.-]+==", text, re.MULTILINE)
    assert len(entries) == len(pinned) > 30
    assert "setuptools" in {name for name, _ in entries}, "the editable install builds without isolation"


def test_only_the_command_line_speaks():
    """Libraries return values; `print` belongs to nobody and `typer.echo` to cli."""
    wrong = []
    for module in modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "print" or (called == "typer.echo" and module.package != "cli"):
                wrong.append(f"{module.where}:{node.lineno} {called}")
    assert not wrong, "\n".join(wrong)


def test_files_are_small():
    """The bundled sample is the only thing of more than a megabyte."""
    large = [p.relative_to(ROOT).as_posix() for p in _tracked() if p.stat().st_size > 1_000_000]
    assert [name for name in large if not name.startswith("src/kypho/formats/sample/")] == []


def test_every_suppression_names_its_rule():
    """A bare noqa or type: ignore would hide the next mistake on that line too."""
    bare = re.compile(r"#\s*(?:noqa(?!:\s*[A-Z]+\d)|type:\s*ignore(?!\[))")
    wrong = []
    for name, text in _texts():
        if name.endswith(".py"):
            wrong += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if bare.search(line)]
    assert not wrong, "\n".join(wrong)
