"""`kypho isncsci`: classify spinal cord injury examinations."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from kypho.errors import RecordError, UnreadableFileError

__all__ = ["isncsci"]


def isncsci(
    file: Annotated[str, typer.Argument(help="JSON file, or - for standard input.")],
    bedside: Annotated[
        bool,
        typer.Option(
            "--bedside", help="Take what is missing as NT, and say in a sentence which AIS grades remain."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --bedside: print the result as JSON instead of a sentence.")
    ] = False,
) -> None:
    """Classify ISNCSCI examinations (2019 revision): one examination or an array in, the same out.

    Results are JSON text values; several possible results are separated by commas. --bedside prints a
    sentence for each examination. Research and education; not a medical device.
    """
    from kypho.followup.isncsci import Examination, classify, from_partial, sentence

    source = "standard input" if file == "-" else file
    data = _read(file, source)
    read: Callable[[Any], Examination] = from_partial if bedside else Examination.from_dict
    exams = data if isinstance(data, list) else [data]
    results = []
    for place, item in enumerate(exams):
        try:
            result = classify(read(item))
        except RecordError as error:
            where = f"[{place}]." if isinstance(data, list) else ""
            raise RecordError(f"{source}: {where}{error}") from error
        results.append(result)
    if bedside and not as_json:
        for place, result in enumerate(results):
            typer.echo(f"[{place}] {sentence(result)}" if isinstance(data, list) else sentence(result))
        return
    rows = [result.to_dict() for result in results]
    typer.echo(json.dumps(rows if isinstance(data, list) else rows[0], indent=2))


def _read(file: str, source: str) -> Any:
    from kypho.case.followup.plain_data import parse_json

    try:
        return parse_json(_bytes(file).decode("utf-8-sig"))
    except OSError as error:
        raise UnreadableFileError(f"{source}: {error.strerror}; give a JSON file or -") from error
    except RecordError as error:
        raise RecordError(f"{source}: {error}") from error
    except ValueError as error:
        raise UnreadableFileError(
            f"{source}: not JSON ({error}); write one examination or an array"
        ) from error


def _bytes(file: str) -> bytes:
    if file != "-":
        return Path(file).read_bytes()
    if sys.stdin is None:
        raise OSError(errno.EBADF, "closed")
    return sys.stdin.buffer.read()
