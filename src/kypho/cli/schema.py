"""`kypho schema`: the JSON Schema of a file that kypho writes or reads."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["schema"]


def schema(
    name: Annotated[str | None, typer.Argument(help="Which schema; without a name, list them.")] = None,
) -> None:
    """Print the JSON Schema of plan.json and of other files, or list the names."""
    import json

    from kypho.case.schemas import SCHEMAS, json_schema

    if name is None:
        width = 2 + max(map(len, SCHEMAS))
        typer.echo("\n".join(f"{key:<{width}}{what}" for key, (_, _, what) in SCHEMAS.items()))
        return
    typer.echo(json.dumps(json_schema(name), indent=2, ensure_ascii=False))
