"""`kypho validate`: hold a stage against exact solutions and published experiments."""

from __future__ import annotations

from typing import Annotated

import typer

from kypho.cli.options import AsJson

__all__ = ["validate_app"]

validate_app = typer.Typer(
    help="Hold a stage against exact solutions and published experiments.", no_args_is_help=True
)


@validate_app.callback()
def _root() -> None:
    """Keeps `validate` a group even with one stage."""


@validate_app.command("cement")
def validate_cement(
    fine: Annotated[bool, typer.Option("--fine", help="Finer grids and larger ensembles; minutes.")] = False,
    only: Annotated[list[int] | None, typer.Option("--only", help="Benchmark number; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """The twelve benchmarks of the cement physics. Exit code 1 if one with an exact answer fails."""
    import json
    from dataclasses import asdict

    from kypho.cement.validation import BENCHMARKS, run_benchmarks
    from kypho.cli.progress import Steps
    from kypho.errors import SettingsError

    numbers = only or list(BENCHMARKS)
    if any(n not in BENCHMARKS for n in numbers):
        raise SettingsError(f"--only {numbers}: benchmarks are numbered 1 to {len(BENCHMARKS)}")
    rows = []
    with Steps(len(numbers), quiet=as_json) as steps:
        for number in numbers:
            with steps.step(BENCHMARKS[number]):
                rows += run_benchmarks([number], fine=fine)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
    else:
        for number in numbers:
            typer.echo(f"\n{number}. {BENCHMARKS[number]}")
            for row in (r for r in rows if r.benchmark == number):
                verdict = "pass" if row.passed else "FAIL"
                typer.echo(
                    f"  {verdict}  {row.kind:5}  {row.quantity}: {row.measured:.4g} (expected {row.target})"
                )
        failed = [r for r in rows if not r.passed]
        typer.echo(
            f"\n{len(rows) - len(failed)} of {len(rows)} pass; exact ones that fail: "
            f"{sum(r.kind == 'exact' for r in failed)}. Failed bench rows are reported, not tuned."
        )
    if any(r.kind == "exact" and not r.passed for r in rows):
        raise typer.Exit(1)
