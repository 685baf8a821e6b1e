"""One self-contained HTML file: the shared page, its filters, figures inside."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kypho import __version__
from kypho.evidence import Record, record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["chance", "embed", "own_and_others", "render_page", "save_figure"]

DPI = 110  # numerics: sharp on a screen and in print, small enough for one file

PSI_PER_KPA = 0.1450377  # numerics: a definition; inflators are marked in psi
LEAST_CHANCE = 0.0005  # numerics: what would round to nothing
BAR_PER_KPA = 0.01  # numerics: a definition


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kypho.report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mm"] = _mm
    environment.filters["psi"] = lambda kpa: kpa * PSI_PER_KPA
    environment.filters["bar"] = lambda kpa: kpa * BAR_PER_KPA
    environment.filters["percent"] = lambda p: f"{100 * p:.1f}"
    environment.filters["chance"] = chance
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["amount"] = _amount
    environment.filters["away"] = _away
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    return environment


def chance(p: float) -> str:
    """A probability from some thousand draws in per cent: none of them is not never."""
    return "under 0.1" if p < LEAST_CHANCE else f"{100 * p:.1f}"


def _mm(x: float | None, digits: int = 1) -> str:
    """A measure with its decimals; a value that rounds to zero has no sign."""
    return "not assessable" if x is None else f"{round(x, digits) + 0.0:.{digits}f}"


def _away(local_mm: tuple[float, float, float]) -> str:
    """A place seen from the vertebra, local (left, posterior, superior) mm, in words."""
    words = (("left", "right"), ("behind", "in front"), ("above", "below"))
    steps = [(abs(x), pair[x < 0]) for x, pair in zip(local_mm, words, strict=True)]
    return ", ".join(f"{x:.0f} mm {word}" for x, word in steps if round(x)) or "at its centre"


def _amount(record: Record) -> str:
    """The value of an evidence record as it is read, with its unit."""
    value = record.value
    if isinstance(value, dict):
        text = ", ".join(f"{name} {number}" for name, number in value.items())
    elif isinstance(value, list):
        text = ", ".join(str(number) for number in value)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    unit = {"1": "", "deg": "°", "mm2": "mm²", "mm3": "mm³"}.get(record.unit, record.unit)
    return f"{text} {unit}".strip()


def own_and_others(ids: Iterable[str], own: tuple[str, ...]) -> tuple[list[Record], Counter[str]]:
    """The records of some families, to be listed one by one, and how many there are of each other family."""
    families = {key: key.split(".")[0] for key in ids}
    listed = [record(key) for key, family in families.items() if family in own]
    return listed, Counter(family for family in families.values() if family not in own)


def render_page(template: str, path: Path, **content: Any) -> None:
    """Render a template of kypho.report/templates into a file.

    Args:
        template: file name of the template, which extends page.html.
        path: the file to write.
        content: what the template shows.
    """
    text = _environment().get_template(template).render(version=__version__, **content)
    path.write_text(text, encoding="utf-8")


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and free it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, facecolor="white")
    figure.clear()
    return path


def embed(path: Path) -> str:
    """A PNG as a data address for the src of an image."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
