"""The founding case, replayed: when would each tier have been raised, and what does the record contradict?

    python examples/06_founding_case.py [FOLDER]

feeds the case of Mao, Xiong & Li 2024 (doi 10.12998/wjcc.v12.i10.1837) day by day to the red-flag rules,
draws the timeline, lints the case report, and writes docs/results/founding-case.md. The rules were written
with this case known: what follows shows that they work as written, not that they would work on the next case.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from kypho import __version__
from kypho.case.followup.import_file import import_file
from kypho.case.followup.store import Store
from kypho.followup import Record, Status, parse_when, status
from kypho.followup.clocks import Clock
from kypho.followup.contradictions import Contradiction, contradictions
from kypho.followup.replay import FirstAlarm, days_gained, replay
from kypho.followup.rules import rules_version
from kypho.followup.times import duration, parse_zone
from kypho.report.care import CareItem, lint
from kypho.report.timeline import timeline_figure, trends_figure

HERE = Path(__file__).parent
DATA = HERE / "06_founding_case.yaml"
RESULT = HERE.parent / "docs" / "results" / "founding-case.md"


def load() -> Record:
    """The case, through the same door as any other."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "case.sqlite") as store:
        case, _, _ = import_file(store, DATA)
        return store.record(case)


RECORD = load()
MRI = RECORD.imagings[0][0]
ALARMS: tuple[FirstAlarm, ...] = replay(RECORD)
GAINED = {alarm.tier: days_gained(alarm, MRI) for alarm in ALARMS}
CONTRADICTIONS: tuple[Contradiction, ...] = contradictions(RECORD)
END = parse_when("2023-11-06", parse_zone(RECORD.enrolment.zone)).start
STATE: Status = status(RECORD, END)
CLOCKS: tuple[Clock, ...] = STATE.clocks
CARE: tuple[CareItem, ...] = lint(RECORD)


def figure() -> Figure:
    """Timeline of the case."""
    return timeline_figure(RECORD, STATE)


def _span(low: object, high: object) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def table() -> str:
    """The results as the page docs/results/founding-case.md."""
    lines = [
        "# The founding case, replayed",
        "",
        f"Made by `examples/06_founding_case.py`, kypho {__version__}, rules {rules_version()}; data: "
        "`examples/06_founding_case.yaml`, the facts of doi 10.12998/wjcc.v12.i10.1837 with their dates. "
        "The rules are a proposal, unconfirmed, and were written with this case known: a worked example, "
        "not a validation. Research and education; not a medical device.",
        "",
        "## First alarm of each tier against the MRI",
        "",
        "From findings alone, vague dates as intervals. The MRI was made on 2023-09-19.",
        "",
        "| tier | first alarm | days before the MRI | rules | because |",
        "|---|---|---|---|---|",
    ]
    for alarm in ALARMS:
        because = "; ".join(alarm.because)
        days = _span(*GAINED[alarm.tier])
        when = _span(alarm.earliest, alarm.latest)
        lines.append(f"| {alarm.tier} | {when} | {days} | {', '.join(alarm.rules)} | {because} |")
    lines += ["", "## Clocks", "", "| clock | time | window | verdict |", "|---|---|---|---|"]
    for clock in CLOCKS:
        mark = "" if clock.confirmed else " (unconfirmed)"
        span = duration(clock.low_h, clock.high_h)
        lines.append(f"| {clock.name} | {span} | {duration(clock.window_h)}{mark} | {clock.verdict} |")
    lines += ["", "## What the record contradicts", ""]
    lines += [f"- {item.concerns}: {item.what}." for item in CONTRADICTIONS]
    counts = {
        state: sum(item.state == state for item in CARE)
        for state in ("traced", "not recorded", "contradictory")
    }
    lines += [
        "",
        "## What the facts cover of CARE",
        "",
        f"Of {len(CARE)} sub-items {counts['traced']} traced, {counts['not recorded']} not recorded, "
        f"{counts['contradictory']} contradictory. The facts are the data file's, not the whole paper.",
        "",
        "| item | what | state | events |",
        "|---|---|---|---|",
    ]
    lines += [f"| {item.id} | {item.name} | {item.state} | {len(item.events)} |" for item in CARE]
    lines += ["", "![Timeline of the case](founding-case.png)", "", "![Trends](founding-case-trends.png)"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULT.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT.name).write_text(table(), encoding="utf-8")
    figure().savefig(folder / "founding-case.png", dpi=110)
    trends_figure(RECORD).savefig(folder / "founding-case-trends.png", dpi=110)
