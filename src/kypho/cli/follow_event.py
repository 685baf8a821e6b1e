"""How a command stores an event: what every kind of event is asked for, and the answer that is printed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any

import typer

__all__ = ["DEFAULT_STORE", "Case", "Source", "Store", "stores"]

Case = Annotated[str, typer.Argument(help="Pseudonym of the case.")]
At = Annotated[
    str,
    typer.Option(
        "--at", help="When: 2023-09-04, 2023-09-04T10:30, 2023-07, FIRST..LAST. Vague times stay vague."
    ),
]
Role = Annotated[str, typer.Option("--role", help="Who says so: surgeon, physician, nurse, patient, ...")]
Source = Annotated[str, typer.Option("--source", help="Where it comes from.")]
Corrects = Annotated[str | None, typer.Option("--corrects", help="Id of the event this one replaces.")]
Store = Annotated[
    str, typer.Option("--store", envvar="KYPHO_STORE", help="SQLite file or database URL.", show_default=True)
]
DEFAULT_STORE = "kypho-follow.sqlite"

Fields = Mapping[str, Any]
Typed = Callable[..., Fields | Sequence[Fields] | None]


def stores(
    kind: str, *, role: str, source: str = "typed", then: Callable[[Fields], None] | None = None
) -> Callable[[Typed], Callable[..., None]]:
    """Make of a function that takes the fields of a kind a command that stores events of that kind.

    The function's parameters are the fields under their names in `kypho.followup.events`. What every event
    has (case, time, role, source, correction, store) is added here, unless the function names it itself.
    What the function returns replaces fields that were typed; of a list, each item makes an event. A field
    that is None is left out of the event.

    Args:
        kind: of the event.
        role, source: defaults of --role and --source.
        then: called with the fields of each event once it is stored.
    """

    def command_of(function: Typed) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters

        @wraps(function)
        def command(*, case: str, store: str, **typed: Any) -> None:
            told = function(**{name: typed[name] for name in own})
            several = told if isinstance(told, Sequence) else [told or {}]
            events = [{"kind": kind, **typed, **fields} for fields in several]
            _put(store, case, events)
            if then is not None:
                for event in events:
                    then(event)

        command.__signature__ = _asked(own, role, source)  # type: ignore[attr-defined]  # what typer reads
        return command

    return command_of


def _asked(own: Mapping[str, inspect.Parameter], role: str, source: str) -> inspect.Signature:
    """Case and time, the kind's own fields, then what every event has."""
    common = {
        "role": _keyword("role", Role, role),
        "source": _keyword("source", Source, source),
        "corrects": _keyword("corrects", Corrects, None),
        "store": _keyword("store", Store, DEFAULT_STORE),
    }
    asked = {"case": _keyword("case", Case), "at": _keyword("at", At)}
    asked |= {name: parameter for name, parameter in own.items() if name not in common}
    asked |= {name: own.get(name, parameter) for name, parameter in common.items()}
    return inspect.Signature([parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in asked.values()])


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _put(store: str, case: str, raws: list[dict[str, Any]]) -> None:
    """Store events, all or none, and say their ids, the tier they leave the case at, and why."""
    from kypho.case.followup.store import Store as Records
    from kypho.followup import status, utc_now
    from kypho.report.follow_text import answer_lines

    with Records(store) as records:
        for event, new in records.add_all(case, raws):
            typer.echo(f"{event.id}  {event.kind}  {'stored' if new else 'was there already'}")
        state = status(records.record(case), utc_now())
    decided = any(raw["kind"] == "decision" for raw in raws)
    typer.echo("\n".join(answer_lines(state, every=decided)))
