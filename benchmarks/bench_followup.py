"""How long: the status of a thousand cases with a hundred events each, and adding an event to one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kypho.case.followup.store import Store
from kypho.followup import status

CASES, EVENTS = 1000, 100
NOW = datetime(2024, 3, 1, tzinfo=UTC)
START = datetime(2024, 2, 1, 10, tzinfo=UTC)


def case_events(seed: int) -> list[dict]:
    """Enrolment, baseline, procedure, then examinations, laboratory, symptoms and images in turn."""
    head = {"role": "nurse", "source": "synthetic"}
    full = {s: {m: "5" for m in ("L2", "L3", "L4", "L5", "S1")} for s in ("right", "left")}
    first = {**head, "kind": "enrolment", "at": "2024-01-01", "birth_year": 1950, "synthetic": True}
    made = [
        first,
        {**head, "kind": "examination", "at": "2024-01-31T09:00", "motor": full},
        {**head, "kind": "procedure", "at": START.isoformat(), "level": "T7", "volume_ml": 3},
    ]
    for number in range(EVENTS - len(made)):
        at = (START + timedelta(hours=2 * number + 1)).isoformat()
        turn = number % 5
        if turn < 2:
            weak = {**full, "left": {**full["left"], "L3": str(5 - (number + seed) % 3 // 2)}}
            touch = {"right": {"T8": "2", "T9": "2", "T10": "1"}, "left": {"T8": "2", "T9": "1", "T10": "2"}}
            bladder = {"voiding": "normal", "pvr_ml": float(number)}
            pains = [{"site": "back", "score": number % 10}]
            exam = {"motor": weak, "light_touch": touch, "bladder": bladder, "pains": pains}
            made.append({**head, "kind": "examination", "at": at, **exam})
        elif turn == 2:
            lab = {"analyte": "crp", "value": float(number), "unit": "mg/L", "reference_high": 5}
            made.append({**head, "kind": "lab", "at": at, **lab})
        elif turn == 3:
            pain = {"site": "hypochondrium", "score": number % 10, "trend": "same"}
            made.append({**head, "kind": "symptom", "at": at, "symptom": "pain", "pain": pain})
        else:
            made.append({**head, "kind": "imaging", "at": at, "modality": "CT", "canal_cement": "no"})
    return made


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ward") / "ward.sqlite"
    with Store(path) as store:
        for number in range(CASES):
            store.add_all(f"case-{number}", case_events(number))
    return path


def test_status_of_all_cases(benchmark, ward):
    """Read from disk and judged; the aim is 5 s."""

    def all_states() -> int:
        with Store(ward) as store:
            return sum(status(record, NOW).tier != "none" for record in store.records())

    assert benchmark.pedantic(all_states, rounds=3, iterations=1) == CASES


def test_adding_an_event(benchmark, ward):
    """Checked against its case of a hundred events and synced to disk; the aim is 20 ms."""
    count = itertools.count()
    with Store(ward) as store:

        def add() -> None:
            text = f"note {next(count)}"
            store.add("case-7", {"kind": "note", "at": "2024-02-20", "role": "nurse", "text": text})

        benchmark.pedantic(add, rounds=50, iterations=1)
