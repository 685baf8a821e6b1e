"""Write a followed case to a file: YAML, FHIR, or the case report as HTML or DOCX."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from kypho import __version__
from kypho.case.followup.fhir import bundle_of
from kypho.case.followup.import_file import case_yaml
from kypho.case.followup.private_file import write_private
from kypho.errors import MissingPartError, SettingsError
from kypho.followup import Record, Status
from kypho.followup.entry import BROKEN
from kypho.report.care import lint
from kypho.report.follow_text import action_words
from kypho.report.follow_words import describe_event
from kypho.report.timeline import TIER_COLOURS, png, timeline_figure, trends_figure

__all__ = ["case_docx", "case_html", "export_case"]

DPI = 110


def export_case(record: Record, state: Status, out: Path) -> None:
    """Write the case; the end of the file's name says how. A file that cannot be finished is not left behind.

    Raises:
        SettingsError: another end than .yaml, .json, .html or .docx.
        MissingPartError: FHIR or DOCX without the `records` extra.
        ReadOnlyError, DiskFullError, OutputError: the file cannot be written.
    """
    writers: dict[str, Callable[[Record, Status], bytes]] = {
        ".yaml": lambda r, _: case_yaml(r).encode(),
        ".yml": lambda r, _: case_yaml(r).encode(),
        ".json": lambda r, s: json.dumps(bundle_of(r, s.now), indent=2, ensure_ascii=False).encode(),
        ".html": lambda r, s: case_html(r, s).encode(),
        ".docx": case_docx,
    }
    if out.suffix not in writers:
        raise SettingsError(f"{str(out)!r} ends in {out.suffix!r}; use one of {', '.join(writers)}")
    write_private(out, writers[out.suffix](record, state))


def case_html(record: Record, state: Status) -> str:
    """The case report as one self-contained HTML page that prints."""
    template = files("kypho.report").joinpath("templates", "follow.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True)
    items = lint(record)
    pictures = [png(timeline_figure(record, state), DPI), png(trends_figure(record), DPI)]
    return environment.from_string(template).render(
        record=record,
        state=state,
        action_words=action_words,
        items=items,
        counts={s: sum(i.state == s for i in items) for s in ("traced", "not recorded", "contradictory")},
        events=[(event, describe_event(event)) for event in record.events],
        colours=TIER_COLOURS,
        timeline=base64.b64encode(pictures[0]).decode(),
        trends=base64.b64encode(pictures[1]).decode(),
        version=__version__,
    )


def case_docx(record: Record, state: Status) -> bytes:
    """The draft of the case report as a DOCX, with the figures and the list of events.

    Raises:
        MissingPartError: python-docx is not installed.
    """
    try:
        import docx
        from docx.shared import Cm
    except ImportError:
        raise MissingPartError("DOCX needs python-docx; pip install 'kypho[records]'") from None
    paper = docx.Document()
    paper.add_heading(f"Case report draft: {record.case}", level=0)
    synthetic = "SYNTHETIC case, no patient. " if record.enrolment.synthetic else ""
    paper.add_paragraph(
        f"{synthetic}Draft from the record; numbers in brackets name its events. Times in "
        f"{record.zone.key}. Research and education; "
        f"not a medical device. kypho {__version__}."
    )
    numbers = {event.id: place for place, event in enumerate(record.events, start=1)}
    for item in lint(record):
        paper.add_heading(f"{item.id}. {item.name}", level=2)
        for sentence in item.sentences:
            named = ", ".join(str(numbers[name]) for name in sentence.events)
            paper.add_paragraph(_whole(f"{sentence.text} [{named}]"))
        for problem in item.problems if item.sentences else ():
            paper.add_paragraph().add_run(_whole(f"CONTRADICTORY: {problem}.")).bold = True
        if not item.sentences:
            paper.add_paragraph().add_run("(not recorded)").italic = True
        if item.id == "7" and item.sentences:
            paper.add_picture(io.BytesIO(png(timeline_figure(record, state), DPI)), width=Cm(16))
        if item.id == "10a":
            paper.add_picture(io.BytesIO(png(trends_figure(record), DPI)), width=Cm(13))
    paper.add_heading("Events", level=1)
    table = paper.add_table(rows=1, cols=4)
    table.style = "Light Grid Accent 1"
    for cell, name in zip(table.rows[0].cells, ("no.", "time", "kind", "what"), strict=True):
        cell.text = name
    for event in record.events:
        row = (str(numbers[event.id]), event.when.words, event.kind, describe_event(event))
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = _whole(text)
    buffer = io.BytesIO()
    paper.save(buffer)
    return buffer.getvalue()


def _whole(text: str) -> str:
    """The text without what XML cannot hold, which a record of an older kypho may have."""
    return BROKEN.sub("\N{REPLACEMENT CHARACTER}", text)
