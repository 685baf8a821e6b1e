"""`kypho rehearse` as a user runs it: the document, bad input, and what an interruption leaves.

The vertebra model and the assessment of the bundled T7 are made once; cells are coarse: numbers mean little.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from program import START

from kypho.case.layout import WRITES
from kypho.case.rehearsal import files, run
from kypho.case.rehearsal.document import RehearsalDocument
from kypho.case.rehearsal.members import MemberFile
from kypho.case.rehearsal.settings import BORES, DEFAULTS, Scenario
from kypho.case.schemas import json_schema
from kypho.cement import cement_names
from kypho.cement.compartments import LEAK_REGIONS
from kypho.cement.ensemble import Member
from kypho.cli import main
from kypho.evidence import record, value

SAMPLE = Path(__file__).parents[2] / "src" / "kypho" / "formats" / "sample"
CT, LABELS = SAMPLE / "t5-t9_ct.nii.gz", SAMPLE / "t5-t9_labels.nii.gz"
LEFT = "10.0,106.4,-129.7:8.6,73.3,-141.7"
RIGHT = "-12.7,101.7,-130.2:-5.7,71.9,-141.9"
PLAN = json.loads((Path(__file__).parent / "t7_plan.json").read_text())
QUICK = ("--grid-mm", "1.25", "--members", "4")


@pytest.fixture(autouse=True)
def _made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "build_vertebra", lambda ct, labels, level: _vertebra(level))
    monkeypatch.setattr(run, "assess_level", lambda ct, labels, vertebra: _assessment(vertebra.level))


@cache
def _inputs():
    from kypho.formats import read_ct, read_labels

    ct = read_ct(CT)
    return ct.volume, read_labels(LABELS, ct=ct.volume).labels


@cache
def _vertebra(level):
    from kypho.anatomy import build_vertebra

    return build_vertebra(*_inputs(), level)


@cache
def _assessment(level):
    from kypho.fracture import assess_level

    return assess_level(*_inputs(), _vertebra(level))


def outcome(capfd, monkeypatch, *words: object, ct: Path = CT) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program, run in this process."""
    given = ["kypho", "rehearse", ct, "--labels", LABELS, "--level", "T7", *words]
    monkeypatch.setattr(sys, "argv", list(map(str, given)))
    with pytest.raises(SystemExit) as left:
        main.run()
    told = capfd.readouterr()
    return int(left.value.code or 0), told.out, told.err


def needles(*lines: str) -> list[str]:
    return [word for line in lines for word in ("--needle", line)]


def test_the_document_holds_what_it_promises(tmp_path: Path, capfd, monkeypatch) -> None:
    out = tmp_path / "out"
    code, told, _ = outcome(
        *(capfd, monkeypatch, *needles(LEFT, RIGHT), *QUICK, "--needles", "unilateral", "--pause", "1:2"),
        *("--cement", "low", "--procedure", "pvp"),
        *("--compare", "needles=bilateral", "--compare", "procedure=pkp,cement=high,pause=none"),
        *("--compare", "volume=1.5,pause=none", "--out", out),
    )
    assert code == 0, told
    written = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    assert not [path for path in written if not any(path.match(own) for own in WRITES["rehearse"])]
    content = json.loads((out / "rehearsal.json").read_text())
    document = RehearsalDocument.model_validate(content)
    promised = (
        "injected_ml leaked_ml first_leak_ml p_leak safe_volume_ml pressure_kpa peak_temperature_c cem43_min "
        "mass_balance_error ensemble timings_s"
    )
    assert set(promised.split()) <= set(json_schema("rehearsal")["required"]) <= set(content)
    assert content["schema"] == "kypho.rehearsal/1"
    assert set(document.leaked_ml) == set(LEAK_REGIONS)
    for p in document.p_leak.values():
        assert p.interval[0] <= p.value <= p.interval[1]
    assert (document.ensemble.n, document.ensemble.seed, document.ensemble.resumed) == (4, 1, 0)
    assert document.injected_ml == pytest.approx(3.0)
    assert document.mass_balance_error < 1e-6
    one, two, balloon, little = document.scenarios
    assert (len(one.lines), len(two.lines)) == (1, 2)
    assert (len(one.balloon), len(balloon.balloon)) == (0, 1)
    assert little.injected_ml == pytest.approx(1.5)
    waited = 60 * 3.0 / 3.0 + 2 * 60
    assert one.at_s[-1] == pytest.approx(waited), "3 mL at 3 mL/min and a pause of 2 min"
    by_default = {d.name: (d.value, d.status) for d in document.defaults}
    assert by_default["volume_ml"] == (
        record("cement.default_volume_ml").value,
        record("cement.default_volume_ml").status,
    )
    assert "--volume-ml 3 (unconfirmed)" in told
    assert "not a medical device" in told
    assert set(document.flow_paths.findings.values()) <= {"present", "absent", "not_assessable"}
    rests_on = set(document.unconfirmed_records)
    read = {
        "cement.catalogue",
        "balloon.wall_margin_mm",
        "cement.marrow_yield_log10",
        "cement.default_volume_ml",
    }
    assert read | {"cement.dose.cord_cem43_min"} <= rests_on
    assert not any(name.startswith("cement.bench.") for name in rests_on), "inputs of the benchmarks"
    page = (out / "rehearsal.html").read_text()
    assert all(name in page for name in read)
    assert "cement.bench." not in page
    assert page.count("data:image/webp") == 1 + 16, "one picture per frame and the one that is shown"
    assert not list(out.glob(".*")), "nothing hidden is left"
    present = {p.relative_to(out) for p in out.rglob("*") if p.is_file()}
    assert {p for p in present if any(p.match(own) for own in WRITES["rehearse"])} == present


def _nan(folder: Path) -> Path:
    array = np.full((8, 8, 8), -1000, np.float32)
    array[4, 4, 4] = np.nan
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


CANAL_TIP = "-0.8,95.8,-140.3"
BAD = {
    "negative rate": (["--rate-ml-min", "-1"], "rate"),
    "endless rate": (["--rate-ml-min", "1e-6"], "inject faster"),
    "endless pause": (["--pause", "1:1e9"], "pause less"),
    "endless start": (["--start-min", "1e9"], "start earlier"),
    "endless ensemble": (["--members", "10001"], "2 to 10000"),
    "one member": (["--members", "1"], "2 to 10000"),
    "no volume": (["--volume-ml", "0"], "volume"),
    "negative start": (["--start-min", "-2"], "start"),
    "unknown cement": (["--cement", "glue"], "low, medium, high"),
    "unknown procedure": (["--procedure", "kp"], "pvp or pkp"),
    "unknown gauge": (["--gauge", "9"], "8, 10, 11, 13"),
    "pause after the end": (["--pause", "5:1"], "between"),
    "pause is no number": (["--pause", "soon"], "ML:MIN"),
    "unknown comparison": (["--compare", "colour=red"], "procedure"),
    "one point": (["--needle", "1,2,3"], "L,P,S:L,P,S"),
    "not a number": (["--needle", "1,2,nan:1,2,3"], "finite|L,P,S:L,P,S"),
    "beyond all frames": (["--needle", "1e308,2,3:-1e308,5,6"], "L,P,S:L,P,S"),
    "named twice": (["--compare", "volume=1,volume=2"], "volume is named twice"),
    "negative seed": (["--seed", "-1"], "seed -1"),
    "endless volume": (["--volume-ml", "inf"], "volume inf mL is no positive number"),
    "five scenarios": (["--compare", "volume=1"] * 4, "3 others"),
    "far outside": (needles("0,0,0:10,10,10"), "far outside"),
    "in the canal": (needles(f"{LEFT.split(':')[0]}:{CANAL_TIP}"), "spinal canal"),
    "less than a cell": (["--volume-ml", "1e-9"], "inject more or take finer cells"),
    "more than the void": ([*needles(LEFT), "--volume-ml", "29"], "inject less"),
    "more than any void": (["--volume-ml", "60"], "no vertebra takes more"),
    "faster than a hand": (["--rate-ml-min", "1e9"], "no hand gives more"),
    "two pauses in one place": (["--pause", "1:2", "--pause", "1:3"], "two pauses at 1 mL"),
    "set cement": ([*needles(LEFT), "--start-min", "90", "--cement", "high"], "no route for the cement"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_settings_are_one_line_and_leave_nothing(tmp_path: Path, capfd, monkeypatch, fault: str) -> None:
    words, hint = BAD[fault]
    code, told, error = outcome(
        capfd, monkeypatch, "--members", "0", "--grid-mm", "2", "--procedure", "pvp", *words,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert (code, told, error.count("\n")) == (27, "", 1)
    assert any(part in error for part in hint.split("|")), error
    assert not (tmp_path / "out").exists()


def test_a_ct_with_nan_is_refused(tmp_path: Path, capfd, monkeypatch) -> None:
    code, _, error = outcome(capfd, monkeypatch, "--out", tmp_path / "out", ct=_nan(tmp_path))
    assert (code, error.count("\n")) == (18, 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"level": "T6"}, "for T6 and not for T7"),
        ({"input": PLAN["input"] | {"ct_sha256": "0"}}, "other CT images"),
        ({"input": PLAN["input"] | {"labels_sha256": "0"}}, "other labels"),
    ],
)
def test_a_plan_of_another_level_ct_or_labels_is_refused(
    tmp_path: Path, capfd, monkeypatch, change: dict, hint: str
) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN | change))
    code, _, error = outcome(capfd, monkeypatch, "--plan", tmp_path, "--out", tmp_path / "out")
    assert (code, error.count("\n")) == (27, 1)
    assert hint in error


def test_a_plan_is_taken_by_its_file_and_refused_if_it_is_none(tmp_path: Path, capfd, monkeypatch) -> None:
    plan = tmp_path / "mine.json"
    plan.write_text(json.dumps(PLAN))
    words = ("--plan", plan, "--grid-mm", "2", "--members", "0", "--procedure", "pvp")
    monkeypatch.setattr("kypho.report.rehearsal.render_rehearsal", lambda *_: None)
    code, told, error = outcome(capfd, monkeypatch, *words, "--out", tmp_path / "out")
    assert code == 0, error
    assert "needles of the plan: unilateral left, transpedicular" in told
    plan.write_text("{}")
    assert outcome(capfd, monkeypatch, "--plan", plan)[0] == 11


@pytest.fixture
def _at_a_terminal() -> Iterator[None]:
    """What a shell runs in the background ignores SIGINT; at a terminal it interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_at_a_terminal")
@pytest.mark.parametrize(
    ("number", "ended", "told"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped")]
)
def test_an_ensemble_that_was_cut_short_goes_on_where_it_stopped(
    tmp_path: Path, capfd, monkeypatch, number: int, ended: int, told: str
) -> None:
    words = (*needles(LEFT), "--grid-mm", "2", "--members", "5", "--seed", "3", "--procedure", "pvp",
             "--out", tmp_path / "out")  # fmt: skip
    append = MemberFile.append
    monkeypatch.setattr("kypho.report.rehearsal.render_rehearsal", lambda *_: None)

    def cut(self: MemberFile, member: Member) -> None:
        append(self, member)
        if len(self.path.read_text().splitlines()) == 1 + 3:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(MemberFile, "append", cut)
        code, _, error = outcome(capfd, patch, *words)
    assert code == ended
    assert error.startswith(f"kypho: {told}; 3 of 5 members are kept")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [".rehearsal-members.jsonl"]
    assert outcome(capfd, monkeypatch, *words)[0] == 0
    resumed = json.loads((tmp_path / "out" / "rehearsal.json").read_text())
    assert resumed["ensemble"] == {"n": 5, "seed": 3, "resumed": 3}
    assert outcome(capfd, monkeypatch, *words[:-1], tmp_path / "whole")[0] == 0
    whole = json.loads((tmp_path / "whole" / "rehearsal.json").read_text())
    for key in ("p_leak", "p_leak_by_volume", "leaked_ml_quantiles", "safe_volume_ml"):
        assert resumed[key] == whole[key], "the same to the last digit as without the interruption"


FIRST_LEAK = r'(?<="canal_epidural": \[)[^,]+, '
CHANGED = {
    "another value": (FIRST_LEAK, "-50.0, "),
    "a short curve": (FIRST_LEAK, ""),
    "a route missing": ("canal_epidural", "canal_gone"),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_kept_member_that_was_changed_is_computed_again(
    tmp_path: Path, capfd, monkeypatch, change: tuple[str, str]
) -> None:
    words = (*needles(LEFT), "--grid-mm", "2", "--members", "3", "--procedure", "pvp", "--out")
    monkeypatch.setattr("kypho.report.rehearsal.render_rehearsal", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_json", _interrupt)
        assert outcome(capfd, patch, *words, tmp_path / "out")[0] == 130
    kept = tmp_path / "out" / ".rehearsal-members.jsonl"
    head, first, second, *rest = kept.read_text().split("\n")
    changed = re.sub(*change, second)
    assert changed != second
    kept.write_text("\n".join([head, first, changed, *rest]))
    code, told, _ = outcome(capfd, monkeypatch, *words, tmp_path / "out")
    assert code == 0
    assert "member 2 of an earlier run was damaged" in told
    content = json.loads((tmp_path / "out" / "rehearsal.json").read_text())
    assert content["ensemble"]["resumed"] == 1
    assert "damaged" in " ".join(content["notes"])


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _no_file_above(size: int) -> Iterator[None]:
    """The kernel refuses longer files, as it refuses any on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path, capfd, monkeypatch) -> None:
    """At the first member, at a later one, while the result is written; then there is room again."""
    folder = tmp_path / "new" / "out"
    words = (*needles(LEFT), "--grid-mm", "2", "--members", "4", "--procedure", "pvp", "--out", folder)
    monkeypatch.setattr("kypho.report.rehearsal.render_rehearsal", lambda *_: None)
    append, sizes = MemberFile.append, iter((64, None, None, 6000, None, None))
    written = files._write_fields

    def little(self: MemberFile, member: Member) -> None:
        size = next(sizes)
        with _no_file_above(size) if size else nullcontext():
            append(self, member)

    def none_for_fields(*given: object) -> None:
        with _no_file_above(4096):
            written(*given)

    with monkeypatch.context() as patch:
        patch.setattr(MemberFile, "append", little)
        code, _, error = outcome(capfd, patch, *words)
        assert (code, error.count("\n")) == (42, 1)
        assert "no space left" in error
        assert list(tmp_path.iterdir()) == [], "not even the folders"
        code, _, error = outcome(capfd, patch, *words)
        assert code == 42
        assert "2 of 4 members are kept" in error
        patch.setattr(files, "_write_fields", none_for_fields)
        code, _, error = outcome(capfd, patch, *words)
        assert code == 42
        assert "no part of the result was kept" in error
        assert "4 of 4 members are kept" in error
        assert [p.name for p in folder.iterdir()] == [".rehearsal-members.jsonl"]
    assert outcome(capfd, monkeypatch, *words)[0] == 0
    assert json.loads((folder / "rehearsal.json").read_text())["ensemble"]["resumed"] == 4
    assert not list(folder.glob(".*"))


def test_what_two_runs_left_in_one_folder_is_used_up_to_the_first_double(tmp_path: Path) -> None:
    def member(ml: float) -> Member:
        fields = dict.fromkeys(Member.__dataclass_fields__, 0.0)
        return Member(**fields | {"injected_ml": np.array([ml]), "leaked_ml": {}})

    first, second = MemberFile(tmp_path, "same"), MemberFile(tmp_path, "same")
    first.read(), second.read()
    first.append(member(0.0))
    first.append(member(1.0))
    second.append(member(0.0))
    first.append(member(2.0))
    second.append(member(1.0))
    assert [m.injected_ml[0] for m in MemberFile(tmp_path, "same").read()] == [0.0]


@pytest.mark.slow
def test_a_killed_rehearsal_leaves_no_half_result_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["rehearse", CT, "--labels", LABELS, "--level", "T7", *needles(LEFT), "--grid-mm", "2"]
    command = [*START, *map(str, [*words, "--members", "60", "--out", out])]
    kept = out / ".rehearsal-members.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        for _ in range(1200):
            if kept.exists() and len(kept.read_text().splitlines()) > 4:
                break
            time.sleep(0.1)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    assert [p.name for p in out.iterdir()] == [kept.name]
    finished = len(kept.read_text().splitlines()) - 1
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    ensemble = json.loads((out / "rehearsal.json").read_text())["ensemble"]
    assert finished - 1 <= ensemble["resumed"] <= finished, "all but perhaps the line that was being written"
    assert not kept.exists()


def test_the_help_names_what_the_records_hold() -> None:
    params = {p.name: p for p in typer.main.get_command(main.app).commands["rehearse"].params}
    for name, key in DEFAULTS.items():
        assert f"{value(key):g}." in params[name].help
    assert all(name in params["cement"].help for name in cement_names())
    assert all(gauge in params["gauge"].help for gauge in value(BORES))
    assert params["procedure"].default == Scenario().procedure
    assert params["cement"].default == Scenario().cement
