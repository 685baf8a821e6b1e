"""Figures of a follow-up: every event and alarm on one axis of time, and the trends below each other."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kypho.case.followup.private_file import write_private
from kypho.errors import SettingsError
from kypho.followup import Event, Record, Status
from kypho.followup.events import Lab, Symptom
from kypho.followup.facts_labs import describe
from kypho.followup.labs import flag
from kypho.report.follow_trends import AT_LEAST, AT_MOST, TRENDS, Point, Trend
from kypho.report.follow_words import describe_event

__all__ = ["TIER_COLOURS", "Row", "png", "save_timeline", "timeline_figure", "trends_figure"]

TIER_COLOURS = {"note": "#56B4E9", "amber": "#E69F00", "red": "#D55E00", "red+": "#7A0019"}
KIND_COLOURS = {
    "symptom": "#D55E00",
    "examination": "#0072B2",
    "lab": "#009E73",
    "imaging": "#CC79A7",
    "procedure": "#000000",
    "operation": "#000000",
    "treatment": "#666666",
    "encounter": "#999999",
}
BOUND_MARKERS = {AT_LEAST: "^", AT_MOST: "v"}
"""Arrows to the side on which the value lies; no line joins them."""
LEAD = timedelta(days=4)
SHOWN_ROWS = 60
LABEL_WIDTH = 58
LABEL_LINES = 2
FOOT_WIDTH = 165
ROW_IN = 0.31
MARGIN_IN = 1.9
WIDTH_IN = 11.0
DPI = 130
UNCERTAIN = 0.35


@dataclass(frozen=True)
class Row:
    """One line of the figure: a label and a span; the faint part is where the time is uncertain."""

    label: str
    start: datetime
    end: datetime
    colour: str
    solid_until: datetime | None = None


def timeline_figure(record: Record, state: Status) -> Figure:
    """Events, examinations, alarms and clocks of one case, one line each, on one axis of time."""
    rows = _alarm_rows(record, state) + _event_rows(record)
    begin, end = _span(record, rows)
    words = [line for clock in state.clocks for line in textwrap.wrap(clock.words(), FOOT_WIDTH)]
    height = MARGIN_IN + ROW_IN * len(rows) + 0.2 * len(words)
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _draw(axes, place, row, begin)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8, linespacing=1.05)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(begin, end)  # type: ignore[arg-type]  # matplotlib takes dates
    _dates(axes, record.zone)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    kind = "SYNTHETIC case" if record.enrolment.synthetic else "case"
    axes.set_title(f"Follow-up of {kind} {record.case}: tier {state.tier}", loc="left", fontsize=11)
    figure.supxlabel(
        "\n".join(
            [
                *words,
                f"Times in {record.zone.key}. Faint bars: the record gives no exact time. "
                "Research and education; not a medical device.",
            ]
        ),
        fontsize=8,
        x=0.01,
        ha="left",
    )
    return figure


def _alarm_rows(record: Record, state: Status) -> list[Row]:
    """One row per alarm, the gravest first."""
    last = max(event.when.end for event in record.events)
    rows = []
    grave = list(TIER_COLOURS).index
    for alarm in sorted(
        state.alarms + state.closed, key=lambda a: (-grave(a.rule.tier), a.since.start, a.rule.id)
    ):
        closed = f", closed by {alarm.closed_by}" if alarm.closed_by else ""
        label = _cut(f"{alarm.rule.tier.upper()} {alarm.rule.id}{closed}: {alarm.rule.what}")
        colour = TIER_COLOURS[alarm.rule.tier]
        rows.append(Row(label, alarm.since.start, max(last, alarm.since.end), colour, alarm.since.end))
    return rows


def _event_rows(record: Record) -> list[Row]:
    """One row per event; laboratory values of one time share a row."""
    rows: list[Row] = []
    labs: dict[tuple[datetime, datetime], list[Event]] = {}
    for event in record.events:
        if isinstance(event.body, Lab):
            labs.setdefault((event.when.start, event.when.end), []).append(event)
        elif event.kind not in ("enrolment", "note", "consent", "perspective"):
            label = _cut(f"{event.kind}: {_say(event)}")
            rows.append(Row(label, event.when.start, event.when.end, KIND_COLOURS.get(event.kind, "#444444")))
    for (start, end), group in labs.items():
        outside = [e for e in group if flag(e.body) in ("high", "low", "abnormal")]  # type: ignore[arg-type]  # labs
        named = ", ".join(describe(e.body) for e in outside or group)  # type: ignore[arg-type]  # labs
        rows.append(Row(_cut(f"laboratory: {named}"), start, end, KIND_COLOURS["lab"]))
    rows.sort(key=lambda row: (row.start, row.end))
    return rows[-SHOWN_ROWS:]


def _say(event: Event) -> str:
    """What an event says; a symptom in the words that were recorded, where there are some."""
    text = event.body.text if isinstance(event.body, Symptom) else None
    return text or describe_event(event)


def _cut(text: str) -> str:
    """The text on two lines; what has no room there stands in full in the list of events."""
    lines = textwrap.wrap(text, LABEL_WIDTH, max_lines=LABEL_LINES, placeholder=" ...")
    return "\n".join(lines)


def _span(record: Record, rows: list[Row]) -> tuple[datetime, datetime]:
    """From shortly before the procedure, else the first event, to the last row, if there is one."""
    start = record.index_procedure or record.events[0]
    first = start.when.start - LEAD
    last = max((row.end for row in rows), default=start.when.end + LEAD)
    return first, last + (last - first) / 50


def _draw(axes: Axes, place: int, row: Row, begin: datetime) -> None:
    if row.end < begin:
        axes.plot([begin], [place], marker="<", color=row.colour, markersize=6, clip_on=False)  # type: ignore[arg-type]
        return
    if row.solid_until is not None:
        _bar(axes, place, row.start, row.solid_until, row.colour, UNCERTAIN)
        _bar(axes, place, row.solid_until, row.end, row.colour, 1.0)
    elif row.end - row.start <= timedelta(days=1):
        middle = row.start + (row.end - row.start) / 2
        axes.plot([middle], [place], marker="o", color=row.colour, markersize=6, linestyle="none")  # type: ignore[arg-type]
    else:
        _bar(axes, place, max(row.start, begin), row.end, row.colour, UNCERTAIN)


def _bar(axes: Axes, place: int, start: datetime, end: datetime, colour: str, alpha: float) -> None:
    axes.barh(
        place,
        mdates.date2num(end) - mdates.date2num(start),
        left=mdates.date2num(start),
        height=0.55,
        color=colour,
        alpha=alpha,
        linewidth=0,
    )


def _dates(axes: Axes, zone: ZoneInfo) -> None:
    locator = mdates.AutoDateLocator(minticks=5, maxticks=12, tz=zone)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=zone))


def trends_figure(record: Record) -> Figure:
    """Strength, sensation, pain, bladder and laboratory over time; a panel without data says so."""
    figure = Figure(figsize=(9, 2 * len(TRENDS)), layout="constrained")
    panels = figure.subplots(len(TRENDS), 1, sharex=True)
    for axes, trend in zip(panels, TRENDS, strict=True):
        _panel(axes, trend, record)
    start = record.index_procedure
    for axes in panels:
        if start is not None:
            axes.axvline(mdates.date2num(start.when.end), color="black", linewidth=0.8, linestyle=":")
    _dates(panels[-1], record.zone)
    kind = "SYNTHETIC case" if record.enrolment.synthetic else "case"
    figure.suptitle(f"Trends of {kind} {record.case}; dotted: the procedure", fontsize=11, x=0.01, ha="left")
    figure.supxlabel(
        f"Times in {record.zone.key}. Bars: the record gives no exact time. "
        "Research and education; not a medical device.",
        fontsize=7.5,
    )
    return figure


def _panel(axes: Axes, trend: Trend, record: Record) -> None:
    series = trend.series(record)
    axes.set_title(trend.title, loc="left", fontsize=9)
    axes.set_ylabel(trend.label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="#eeeeee")
    if trend.limits:
        axes.set_ylim(*trend.limits)
    if trend.words:
        axes.set_yticks(range(len(trend.words)), trend.words)
    if not series:
        axes.text(0.5, 0.5, trend.empty, transform=axes.transAxes, ha="center", va="center", color="#888888")
        axes.set_yticks([])
        return
    for name, points in series.items():
        _series(axes, name, points)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _series(axes: Axes, name: str, points: list[Point]) -> None:
    numbers: list[Any] = [mdates.date2num(when.start + (when.end - when.start) / 2) for when, _ in points]
    halves = [(mdates.date2num(when.end) - mdates.date2num(when.start)) / 2 for when, _ in points]
    bound = next((end for end in BOUND_MARKERS if name.endswith(end)), None)
    axes.errorbar(
        numbers,
        [y for _, y in points],
        xerr=halves,
        marker="o" if bound is None else BOUND_MARKERS[bound],
        markersize=4 if bound is None else 7,
        linestyle="-" if bound is None else "none",
        linewidth=1.2,
        elinewidth=0.8,
        label=name,
    )


def png(figure: Figure, dpi: int) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png")
    return buffer.getvalue()


def save_timeline(record: Record, state: Status, out: Path) -> None:
    """Write the timeline into `out` and the trends beside it, as ``NAME_trends``, for their owner alone.

    Raises:
        SettingsError: another end than .png.
        ReadOnlyError, DiskFullError, OutputError: the file cannot be written.
    """
    if out.suffix.lower() != ".png":
        raise SettingsError(f"{str(out)!r} is no PNG; end the name in .png")
    write_private(out, png(timeline_figure(record, state), DPI))
    write_private(out.with_stem(out.stem + "_trends"), png(trends_figure(record), DPI))
