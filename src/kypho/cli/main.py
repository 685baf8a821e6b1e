"""The `kypho` program: register the commands, turn errors into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from kypho.cli.assess import assess
from kypho.cli.check import check
from kypho.cli.codes import EXIT_INTERRUPTED, EXIT_PIPE_CLOSED, EXIT_STOPPED, EXIT_UNEXPECTED
from kypho.cli.doctor import doctor
from kypho.cli.follow import follow_app
from kypho.cli.import_case import import_case
from kypho.cli.isncsci import isncsci
from kypho.cli.phantom import phantom
from kypho.cli.plan import plan
from kypho.cli.rehearse import rehearse
from kypho.cli.sample import sample
from kypho.cli.schema import schema
from kypho.cli.stop import Stopped, discard_output, open_streams, stoppable
from kypho.cli.validate import validate_app
from kypho.cli.view_angles import view_angles
from kypho.errors import DiskFullError, KyphoError, SettingsError

__all__ = ["app", "run"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

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
    open_streams()
    try:
        with stoppable():
            _require_words(sys.argv[1:])
            code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except KyphoError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; what was not finished was not written", EXIT_INTERRUPTED)
    except Stopped:
        _fail("stopped; what was not finished was not written", EXIT_STOPPED)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except SystemExit as leave:
        if isinstance(leave.__context__, BrokenPipeError):  # what typer makes of a closed pipe
            discard_output()
            sys.exit(EXIT_PIPE_CLOSED)
        raise
    except Exception as error:
        _explain(error)


def _require_words(words: list[str]) -> None:
    """Raise for an empty word: as the name of a file it would mean the current folder, whatever lies there.

    Raises:
        SettingsError: an option or an argument is empty.
    """
    for before, word in zip(["", *words], words, strict=False):
        if word == "" or (word.startswith("--") and word.endswith("=")):
            what = word.rstrip("=") or (before if before.startswith("--") else "an argument")
            raise SettingsError(f"{what} is empty, as of an unset variable; correct it")


def _explain(error: Exception) -> None:
    """Leave with what no part of kypho foresaw: a wrong command line, a full disk, a mistake."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(str(error), err=True)
        sys.exit(2)
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # click's usage errors
        _fail(f"{error.format_message()} Try 'kypho --help'.", int(error.exit_code))
    if isinstance(error, OSError) and error.errno in FULL:
        discard_output()
        _fail("no space left where the output goes; free space", DiskFullError.exit_code)
    if os.environ.get("KYPHO_DEBUG"):
        raise error
    what = " ".join(f"{type(error).__name__}: {error}".split())
    _fail(f"unexpected {what}. Set KYPHO_DEBUG=1 and report the traceback", EXIT_UNEXPECTED)


def _fail(message: str, code: int) -> None:
    with suppress(OSError):  # nobody may be there to be told
        typer.echo(f"kypho: {' '.join(message.split())}", err=True)
    sys.exit(code)
