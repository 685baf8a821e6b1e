"""The `kypho` program: register the commands, turn errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from kypho.cli.assess import assess
from kypho.cli.check import check
from kypho.cli.codes import EXIT_INTERRUPTED, EXIT_UNEXPECTED
from kypho.cli.doctor import doctor
from kypho.cli.follow import follow_app
from kypho.cli.import_case import import_case
from kypho.cli.isncsci import isncsci
from kypho.cli.phantom import phantom
from kypho.cli.plan import plan
from kypho.cli.rehearse import rehearse
from kypho.cli.sample import sample
from kypho.cli.schema import schema
from kypho.cli.validate import validate_app
from kypho.cli.view_angles import view_angles
from kypho.errors import KyphoError

__all__ = ["app", "run"]

app = typer.Typer(
    name="kypho",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from kypho import __version__

        typer.echo(f"kypho {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Plan, assess, rehearse, check and follow percutaneous kyphoplasty.

    Research and education; not a medical device.
    """


app.command()(assess)
app.command()(check)
app.command()(doctor)
app.command()(isncsci)
app.command()(phantom)
app.command()(plan)
app.command()(rehearse)
app.command()(sample)
app.command()(schema)
app.command()(view_angles)
app.add_typer(follow_app, name="follow")
app.add_typer(validate_app, name="validate")
app.command(name="import")(import_case)


def run() -> None:
    """Run the program and leave with its exit code. No traceback reaches a user unless KYPHO_DEBUG is set."""
    try:
        code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except KyphoError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; nothing was written", EXIT_INTERRUPTED)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # click's usage errors
            _fail(f"{error.format_message()} Try 'kypho --help'.", int(error.exit_code))
        if os.environ.get("KYPHO_DEBUG"):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        _fail(f"unexpected {what}. Set KYPHO_DEBUG=1 and report the traceback", EXIT_UNEXPECTED)


def _fail(message: str, code: int) -> None:
    typer.echo(f"kypho: {' '.join(message.split())}", err=True)
    sys.exit(code)
