"""docs/reference/cli.md, exit-codes.md and schemas/: written from the live program."""

import ast
import inspect
import json
from collections.abc import Iterator
from typing import Any

import typer

import kypho.errors
from kypho.case.schemas import SCHEMAS, json_schema
from kypho.cli import codes
from kypho.cli.main import app

WIDTH = 100


def commands() -> Iterator[tuple[str, Any, Any]]:
    """(full name, click command, its context) of every command, parents first."""
    root = typer.main.get_command(app)
    yield from _walk("kypho", root, None)


def _walk(name: str, command: Any, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    context = command.context_class(
        command, info_name=name.split()[-1], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield name, command, context
    for child_name, child in sorted(getattr(command, "commands", {}).items()):
        yield from _walk(f"{name} {child_name}", child, context)


def cli_page() -> str:
    """`--help` of every command."""
    parts = ["# Commands\n\nGenerated from `kypho --help`; do not edit.\n"]
    for name, command, context in commands():
        level = "#" * (1 + len(name.split()))
        parts.append(f"{level} {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def exit_codes_page() -> str:
    """Every exit code: findings that are results, and errors."""
    rows = [(code, name, what) for name, code, what in _result_codes()]
    for name, item in inspect.getmembers(kypho.errors, inspect.isclass):
        if issubclass(item, kypho.errors.KyphoError) and item.__module__ == "kypho.errors":
            rows.append((item.exit_code, name, (item.__doc__ or "").strip().splitlines()[0]))
    lines = [
        "# Exit codes\n",
        "Generated from `kypho.errors` and `kypho.cli.codes`; do not edit.",
        "An error is one line on standard error that ends with the next step.\n",
        "| code | name | meaning |",
        "|---|---|---|",
    ]
    rows.append((2, "usage", "The command line is wrong: an unknown command or option, a missing argument."))
    lines += [f"| {code} | `{name}` | {what} |" for code, name, what in sorted(rows)]
    return "\n".join(lines) + "\n"


def _result_codes() -> Iterator[tuple[str, int, str]]:
    """Constants of kypho.cli.codes with the string under each."""
    known = {
        "EXIT_OK": "Done; nothing to report.",
        "EXIT_UNEXPECTED": "A mistake in kypho. Set KYPHO_DEBUG=1 and report the traceback.",
        "EXIT_INTERRUPTED": "Interrupted; no result was written. Finished members of an ensemble are kept for the next run.",
    }
    body = ast.parse(inspect.getsource(codes)).body
    for n, node in enumerate(body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            after = body[n + 1] if n + 1 < len(body) else None
            if name.startswith("EXIT_"):
                told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                yield name, getattr(codes, name), str(after.value.value) if told else known.get(name, "")  # type: ignore[union-attr]


def schema_files() -> dict[str, str]:
    """File name -> JSON Schema."""
    return {
        f"schemas/{name}.json": json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"
        for name in SCHEMAS
    }
