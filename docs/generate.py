"""Write docs/reference from the program, or with --check fail when it is out of step.

Run: make reference (write) or make docs (check).
"""

import sys
from pathlib import Path

from evidence_page import evidence_page
from reference_pages import cli_page, exit_codes_page, schema_files

REFERENCE = Path(__file__).resolve().parent / "reference"


def pages() -> dict[str, str]:
    """Path below docs/reference -> content."""
    return {
        "cli.md": cli_page(),
        "evidence.md": evidence_page(),
        "exit-codes.md": exit_codes_page(),
        **schema_files(),
    }


def out_of_step() -> list[str]:
    """Pages that differ from what the program says now, and files that no page explains."""
    wanted = pages()
    present = {p.relative_to(REFERENCE).as_posix(): p for p in REFERENCE.rglob("*") if p.is_file()}
    wrong = [
        name
        for name, text in wanted.items()
        if name not in present or present[name].read_text(encoding="utf-8") != text
    ]
    return sorted(wrong + [name for name in present if name not in wanted])


def main(arguments: list[str]) -> int:
    """Write, or check."""
    if arguments == ["--check"]:
        wrong = out_of_step()
        for name in wrong:
            print(f"docs/reference/{name} is out of step; run: make reference", file=sys.stderr)
        return 1 if wrong else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for name in out_of_step():
        path = REFERENCE / name
        text = pages().get(name)
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
