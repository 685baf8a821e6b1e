"""The page made from the runs of make_assessment.py: tables, nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
from assessment_heights import SITES, Line, Row, earlier_lines, height_lines, within


def page(rows: list[Row], version: str, seeds: range) -> str:
    intact = [r for r in rows if r["seed"] is None]
    broken = [r for r in rows if r["seed"] is not None and not r["paired"]]
    pairs = [r for r in rows if r["paired"]]
    before = {r["level"]: r for r in intact if "refused" not in r}
    parts = [
        "# Assessment: results",
        f"Made by `docs/results/make_assessment.py` with kypho {version}. Images: chest CT LIDC-IDRI-0001 "
        "(0.7 x 0.7 x 2.5 mm, automatic labels), one patient with bridging osteophytes in front of T5 to T9. "
        "Every fracture below is **synthetic**: a virtual fracture on that CT with exact truth. "
        "No confirmed fracture was at hand.",
        _intact(intact),
        _alone(_made(broken), before, seeds),
        _refusals(broken),
        _earlier(_made(pairs)),
        _refusals(pairs),
    ]
    return "\n\n".join(parts) + "\n"


def _made(rows: list[Row]) -> list[Row]:
    return [r for r in rows if "refused" not in r]


def _table(head: list[str], body: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in body)])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} % ({part}/{whole})" if whole else "none"


def _state(row: Row, factor: str) -> str:
    return row["findings"][factor][0]


def _intact(rows: list[Row]) -> str:
    whole = [r for r in rows if "refused" not in r]
    body = []
    for r in whole:
        losses = " / ".join(f"{r['loss'][s]:+.0f}" if r["loss"][s] is not None else "n/a" for s in SITES)
        heights = " / ".join(f"{r['heights'][s]:.1f}" for s in SITES)
        odd = [f"{k}: {v[0].replace('_', ' ')}" for k, v in r["findings"].items() if v[0] != "absent"]
        hu = f"{r['hu']:.0f} ({r['hu_sd']:.0f})" if r["hu"] is not None else "n/a"
        body.append(
            [
                r["level"],
                heights,
                losses,
                str(r["genant"][1]),
                hu,
                f"{r['ml']:.1f}",
                "; ".join(odd).replace("_", " "),
            ]
        )
    false = sum(
        _state(r, f) == "present" for r in whole for f in ("posterior_wall_defect", "cortical_defect")
    )
    clefts = sum(_state(r, "intravertebral_cleft") == "present" for r in whole)
    out = ["## Intact levels", "No fracture is known on this CT."]
    out.append(
        _table(
            ["Level", "heights ant/mid/post, mm", "loss, %", "Genant", "HU (SD)", "body, mL", "not absent"],
            body,
        )
    )
    n = max(len(whole), 1)
    out.append(
        f"False findings per level ({len(whole)}): wall defects {false / n:.2f}, cleft {clefts / n:.2f}. "
        f"Largest loss: {max(v for r in whole for s in SITES if (v := r['loss'][s]) is not None):.0f} %. "
        f"Seconds per level, warm: median {np.median([r['seconds'] for r in whole]):.2f}, "
        f"largest {max(r['seconds'] for r in whole):.2f}, on a machine busy with other work."
    )
    out.append(
        "The densities are those of an elderly fractured population (published mean 72.8, SD 29.8 HU) to "
        "somewhat above it, and far below the young reference (236, SD 42 HU at L1)."
    )
    refused = [r for r in rows if "refused" in r]
    if refused:
        out.append("Refused: " + "; ".join(f"{r['level']} ({r['refused']})" for r in refused) + ".")
    return "\n\n".join(out)


def _posterior(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Cases with a posterior defect of 20 mm2 or more, and cases without any."""
    have, none = [], []
    for r in rows:
        areas = [d["area_mm2"] for d in r["truth"]["wall_defects"] if d["wall"] == "posterior"]
        if not areas:
            none.append(r)
        elif areas[0] >= 20:
            have.append(r | {"area": areas[0], "place": _place(r)})
    return have, none


def _place(row: Row) -> str:
    """Whether the defect lies where the basivertebral foramen does."""
    wall = next(d for d in row["truth"]["spec"]["walls"] if d["wall"] == "posterior")
    return "foramen" if abs(wall["up"]) < 0.34 and abs(wall["across"]) < 0.4 else "elsewhere"


def _found(rows: list[Row], factor: str) -> str:
    n = len(rows)
    states = [_state(r, factor) for r in rows]
    unsure, missed = states.count("not_assessable"), states.count("absent")
    return f"{_percent(states.count('present'), n)}; not assessable {unsure}, missed {missed}"


def _areas(rows: list[Row]) -> str:
    found = [r for r in rows if _state(r, "posterior_wall_defect") == "present"]
    if not found:
        return "none"
    off = [100 * (r["findings"]["posterior_wall_defect"][1] / r["area"] - 1) for r in found]
    good = sum(abs(x) <= 25 for x in off)
    return f"median {np.median(off):+.0f} %; {_percent(good, len(off))}"


def _clefts(rows: list[Row], content: str) -> list[Row]:
    return [
        r
        for r in rows
        if r["truth"]["cleft_ml"] >= 0.3 and (r["truth"]["spec"]["cleft"] or {}).get("content") == content
    ]


def _volumes(rows: list[Row]) -> str:
    found = [r for r in rows if _state(r, "intravertebral_cleft") == "present"]
    if not found:
        return "none"
    off = [100 * (r["findings"]["intravertebral_cleft"][1] / r["truth"]["cleft_ml"] - 1) for r in found]
    return f"median {np.median(off):+.0f} %, 95 % within {np.quantile(np.abs(off), 0.95):.0f} %"


def _pushes(rows: list[Row]) -> list[float]:
    return [
        r["findings"]["retropulsion"][1] - r["truth"]["retropulsion_mm"]
        for r in rows
        if r["truth"]["retropulsion_mm"] > 0 and r["findings"]["retropulsion"][1] is not None
    ]


def _pushed_states(rows: list[Row], least_mm: float) -> str:
    states = [_state(r, "retropulsion") for r in rows if r["truth"]["retropulsion_mm"] >= least_mm]
    return " / ".join(str(states.count(s)) for s in ("present", "not_assessable", "absent"))


def _pushes_inside(rows: list[Row]) -> str:
    pushed = [r for r in rows if r["truth"]["retropulsion_mm"] > 0]
    stated = [
        r["findings"]["retropulsion"][3] for r in pushed if r["findings"]["retropulsion"][1] is not None
    ]
    off = np.abs(_pushes(rows))
    return _percent(int(np.sum(off <= stated)), len(off))


def _false(rows: list[Row], factor: str) -> str:
    return _percent(sum(_state(r, factor) == "present" for r in rows), len(rows))


def _by_thickness(rows: list[Row], lines: list[Line]) -> str:
    """The table of lines, a column for each slice thickness and one for all."""
    steps = sorted({r["slice_mm"] for r in rows})
    groups = [[r for r in rows if r["slice_mm"] == s] for s in steps] + [rows]
    body = [[name, *(measure(g) for g in groups)] for name, measure in lines]
    return _table(["", *(f"{s:g} mm slices" for s in steps), "all"], body)


def _finding_lines() -> list[Line]:
    wall, cleft = "posterior_wall_defect", "intravertebral_cleft"

    def defects(g: list[Row], place: str) -> list[Row]:
        return [r for r in _posterior(g)[0] if r["place"] == place]

    def without(g: list[Row], truth: str) -> list[Row]:
        return [r for r in g if not r["truth"][truth]]

    return [
        ("posterior wall defect >= 20 mm2, off the foramen", lambda g: _found(defects(g, "elsewhere"), wall)),
        ("the same at the basivertebral foramen", lambda g: _found(defects(g, "foramen"), wall)),
        ("its area off the foramen: error; within 25 %", lambda g: _areas(defects(g, "elsewhere"))),
        ("posterior wall defect where there is none", lambda g: _false(_posterior(g)[1], wall)),
        ("gas cleft >= 0.3 mL", lambda g: _found(_clefts(g, "gas"), cleft)),
        ("its volume", lambda g: _volumes(_clefts(g, "gas"))),
        ("fluid cleft >= 0.3 mL", lambda g: _found(_clefts(g, "fluid"), cleft)),
        ("its volume", lambda g: _volumes(_clefts(g, "fluid"))),
        ("cleft where there is none", lambda g: _false(without(g, "cleft_ml"), cleft)),
        ("retropulsion, 95 % error in mm", lambda g: within(_pushes(g), 0.7)),
        ("the same, inside its stated interval", _pushes_inside),
        ("retropulsion >= 3 mm: present / not assessable / called absent", lambda g: _pushed_states(g, 3.0)),
        ("retropulsion where there is none", lambda g: _false(without(g, "retropulsion_mm"), "retropulsion")),
    ]


def _alone(rows: list[Row], before: dict[str, Row], seeds: range) -> str:
    lines: list[Line] = [("fractures", lambda g: str(len(g))), *height_lines(before), *_finding_lines()]
    out = [
        "## Virtual fractures",
        f"Synthetic. Combinations drawn from seeds {seeds.start} to {seeds.stop - 1}, over all whole levels.",
        _by_thickness(rows, lines),
        "A body differs from the mean of its neighbours by some percent before it breaks. The first line "
        "takes that difference from the intact scan; the loss set is what a reader without the intact scan "
        "is after. Its error has two parts: measuring the broken body (against the same body intact, on the "
        "same scan), and not knowing how tall it was (the expectation against the intact height, times what "
        "is left of it).",
    ]
    return "\n\n".join(out)


def _earlier(rows: list[Row]) -> str:
    thick = ", ".join(f"{n} of {s:g} mm" for s, n in sorted(Counter(r["earlier_mm"] for r in rows).items()))
    lines: list[Line] = [("fractures", lambda g: str(len(g))), *earlier_lines(), *_finding_lines()]
    out = [
        "## With an earlier CT",
        "Synthetic. The same fractures, assessed with `--earlier`. The CT was smoothed; the fractured and the "
        "earlier scan then got noise, slices, a position of the patient and labels of their own "
        f"(`docs/results/assessment_pairs.py`). Slices of the earlier scans: {thick}. What the labels of the one "
        "CT have wrong is in both; labels made anew by another program would differ by more.",
        _by_thickness(rows, lines),
    ]
    return "\n\n".join(out)


def _refusals(rows: list[Row]) -> str:
    refused = [r for r in rows if "refused" in r]
    if not refused:
        return "No virtual fracture was refused."
    reasons: dict[str, int] = {}
    for r in refused:
        reason = r["refused"].split(";")[0][:120]
        reasons[reason] = reasons.get(reason, 0) + 1
    listed = "; ".join(f"{n} x {reason}" for reason, n in reasons.items())
    return f"Refused, with no number given: {len(refused)} of {len(rows)} virtual fractures: {listed}."
