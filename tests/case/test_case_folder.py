"""The case folder appears whole or not at all, whatever goes wrong and whenever."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kypho import errors
from kypho.case.folder import case_folder, read_json, require_writable, write_json, write_volume
from kypho.case.layout import WRITES, require_places
from kypho.case.manifest import MANIFEST_SCHEMA, manifest
from kypho.formats.guard import sha256_of
from kypho.space import Grid, Volume


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_files_appear_together_and_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "a" / "case"
    with case_folder(out) as staging:
        (staging / "figures").mkdir()
        (staging / "figures" / "one.png").write_text("1")
        (staging / "plan.json").write_text("first")
        assert tree(out) == tree(out / staging.name) or not (out / "plan.json").exists()
    with case_folder(out) as staging:
        (staging / "plan.json").write_text("second")
    assert tree(out) == {"figures/one.png": "1", "plan.json": "second"}
    assert sorted(p.name for p in out.iterdir()) == ["figures", "plan.json"]


def test_asking_whether_a_folder_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "case")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("old")
    with pytest.raises(errors.OutputError, match="cannot be a folder"):
        require_writable(tmp_path / "file" / "case")
    assert tree(tmp_path) == {"file": "old"}


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, errors.LevelError])
def test_nothing_stays_behind_a_failure(tmp_path: Path, failure: type[BaseException]) -> None:
    out = tmp_path / "a" / "b" / "case"

    def fail() -> None:
        with case_folder(out) as staging:
            (staging / "plan.json").write_text("half")
            raise failure("now")

    with pytest.raises(failure):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("old")

    def fail() -> None:
        with case_folder(tmp_path) as staging:
            (staging / "plan.json").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert tree(tmp_path) == {"plan.json": "old"}


@pytest.mark.parametrize("broken_move", range(1, 7))
def test_a_failure_while_moving_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_move: int
) -> None:
    """Each of the moves of three new files (one of them replacing an old one) fails once."""
    (tmp_path / "b").write_text("old")
    real, count = Path.replace, iter(range(1, 100))

    def replace(self: Path, target: Path) -> Path:
        if next(count) == broken_move:
            raise KeyboardInterrupt
        return real(self, target)

    def work() -> None:
        with case_folder(tmp_path) as staging:
            for name in ("a", "b", "sub/c"):
                (staging / name).parent.mkdir(exist_ok=True)
                (staging / name).write_text("new")
            monkeypatch.setattr(Path, "replace", replace)

    moves = 4  # a, old b aside, new b, sub/c
    if broken_move <= moves:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert tree(tmp_path) == {"b": "old"}
        assert not (tmp_path / "sub").exists()
    else:
        work()
        assert tree(tmp_path) == {"a": "new", "b": "new", "sub/c": "new"}


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, errors.DiskFullError),
        (errno.EDQUOT, errors.DiskFullError),
        (errno.EFBIG, errors.DiskFullError),
        (errno.EROFS, errors.ReadOnlyError),
        (errno.EACCES, errors.ReadOnlyError),
    ],
)
def test_refusals_of_the_disk(tmp_path: Path, number: int, error: type[errors.OutputError]) -> None:
    out = tmp_path / "case"

    def work() -> None:
        with case_folder(out) as staging:
            (staging / "plan.json").write_text("half")
            raise OSError(number, os.strerror(number), str(staging / "regions.nii.gz"))

    with pytest.raises(error, match="--out") as caught:
        work()
    assert type(caught.value) is error
    assert not out.exists()


def test_the_first_folder_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(errors.ReadOnlyError, match="case"), case_folder(tmp_path / "case"):
        pytest.fail("the block must not run")


def test_a_place_where_no_folder_can_be_made_is_an_output_error() -> None:
    with pytest.raises(errors.OutputError, match="--out"):
        require_writable(Path("/proc/kypho-case"))


def test_relative_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def work() -> None:
        with case_folder(Path("case")) as staging:
            raise OSError(errno.EROFS, "Read-only file system", str(staging / "x"))

    with pytest.raises(errors.ReadOnlyError):
        work()
    with case_folder(Path("case")) as staging:
        (staging / "x").write_text("1")
    assert tree(tmp_path) == {"case/x": "1"}


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "case"):
        with pytest.raises(errors.OutputError, match="cannot be a folder"), case_folder(out):
            pytest.fail("the block must not run")
    assert tree(tmp_path) == {"file": "x"}


def test_faults_of_the_input_are_not_blamed_on_the_output(tmp_path: Path) -> None:
    def work() -> None:
        with case_folder(tmp_path / "case"):
            raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/else")

    with pytest.raises(PermissionError):
        work()


def test_a_full_disk_for_real(tmp_path: Path) -> None:
    """A process that may not write files above 4 kB meets the same end as on a full disk."""
    pytest.importorskip("resource")
    program = (
        "import resource, sys, signal, numpy as np; from pathlib import Path\n"
        "from kypho.case.folder import case_folder, write_volume\n"
        "from kypho.errors import DiskFullError; from kypho.space import Grid, Volume\n"
        "grid = Grid.axis_aligned((20, 64, 64), 1.0, (0, 0, 0))\n"
        "noise = np.random.default_rng(0).integers(0, 255, grid.shape).astype(np.uint8)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    with case_folder(Path(sys.argv[1])) as staging:\n"
        "        write_volume(staging / 'regions.nii.gz', Volume(array=noise, grid=grid, unit='label'))\n"
        "except DiskFullError as error:\n"
        "    print('full', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "case")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("full"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_process_that_is_told_to_end_cleans_up_and_ends_by_that_signal(tmp_path: Path, name: str) -> None:
    """A second signal while it cleans up changes nothing."""
    program = (
        "import os, shutil, signal, sys; from pathlib import Path\n"
        "from kypho.case import folder\n"
        "number, remove = getattr(signal, sys.argv[2]), shutil.rmtree\n"
        "def slowly(path, **how):\n"
        "    os.kill(os.getpid(), number)\n"
        "    remove(path, **how)\n"
        "folder.shutil.rmtree = slowly\n"
        "with folder.case_folder(Path(sys.argv[1])) as staging:\n"
        "    (staging / 'plan.json').write_text('half')\n"
        "    os.kill(os.getpid(), number)\n"
        "    print('went on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "case"), name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-getattr(signal, name), "")
    assert list(tmp_path.iterdir()) == []


def test_signals_are_handled_as_before_outside_of_the_folder(tmp_path: Path) -> None:
    def theirs(*_: object) -> None:
        raise AssertionError

    before = signal.getsignal(signal.SIGTERM)
    try:
        for handler in (signal.SIG_DFL, signal.SIG_IGN, theirs):
            signal.signal(signal.SIGTERM, handler)
            with case_folder(tmp_path / "case"):
                inside = signal.getsignal(signal.SIGTERM)
            assert (inside is handler) == (handler is not signal.SIG_DFL)
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_json_is_plain_and_stable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.1, None, "µ"]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert text.index('"b"') < text.index('"a"')
    assert json.loads(text) == {"b": 1, "a": [0.1, None, "µ"]}
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            write_json(tmp_path / "b.json", {"x": bad})
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"a":' * 100_000])
def test_what_is_no_json_object_is_an_unreadable_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(errors.UnreadableFileError, match=r"a\.json .*; run it again"):
        read_json(tmp_path / "a.json", "run it again")


def test_manifest_names_everything_and_nobody(tmp_path: Path) -> None:
    grid = Grid.axis_aligned((3, 4, 5), 1.0, (0, 0, 0))
    write_volume(
        tmp_path / "regions.nii.gz", Volume(array=np.ones((3, 4, 5), np.uint8), grid=grid, unit="label")
    )
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "ap.png").write_bytes(b"png")
    content = manifest(
        command="plan",
        inputs={"ct": "ab" * 32},
        settings={"level": "T7"},
        timings_s={"read": 0.5},
        folder=tmp_path,
        notes=["axes snapped"],
    )
    assert content["schema"] == MANIFEST_SCHEMA == "kypho.manifest/1"
    assert list(content["outputs"]) == ["figures/ap.png", "regions.nii.gz"]
    assert content["outputs"]["figures/ap.png"] == {
        "sha256": sha256_of([tmp_path / "figures" / "ap.png"]),
        "bytes": 3,
    }
    assert content["libraries"]["numpy"] == np.__version__
    text = json.dumps(content, allow_nan=False)
    assert str(tmp_path) not in text
    assert os.uname().nodename not in text


def test_files_of_an_earlier_run_that_are_not_written_again_go(tmp_path):
    """A SEG of another scan beside a new result would be read as its own; what others wrote stays."""
    for name in ("a.seg", "b.json", "of_another_stage.seg.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    with case_folder(tmp_path, mine=("*.seg",)) as staging:
        (staging / "b.json").write_text("new", encoding="utf-8")
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == {
        "b.json": "new",
        "of_another_stage.seg.txt": "old",
    }


def test_files_that_were_to_go_stay_if_the_new_ones_cannot_come(tmp_path, monkeypatch):
    (tmp_path / "a.seg").write_text("old", encoding="utf-8")
    move = Path.replace

    def fail(self, target):
        if Path(target).name == "b.json":
            raise OSError(errno.ENOSPC, "full")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(errors.DiskFullError), case_folder(tmp_path, mine=("*.seg",)) as staging:
        (staging / "b.json").write_text("new", encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["a.seg"]


def test_a_folder_is_never_replaced_by_a_file(tmp_path):
    """It is somebody's, with all that is in it; what was to be written goes instead."""
    (tmp_path / "report.html").mkdir()
    (tmp_path / "report.html" / "notes.txt").write_text("mine", encoding="utf-8")

    def work() -> None:
        with case_folder(tmp_path) as staging:
            (staging / "plan.json").write_text("new", encoding="utf-8")
            (staging / "report.html").write_text("new", encoding="utf-8")

    with pytest.raises(errors.OutputError, match=r"report\.html is a folder"):
        work()
    assert tree(tmp_path) == {"report.html/notes.txt": "mine"}


@pytest.mark.parametrize("command", WRITES)
def test_what_stands_in_the_way_is_found_before_the_work(tmp_path, command):
    require_places(tmp_path, command)
    for number, name in enumerate(WRITES[command]):
        out = tmp_path / str(number)
        (out / name.replace("*", "x")).mkdir(parents=True)
        with pytest.raises(errors.OutputError, match="is a folder where a file must go"):
            require_places(out, command)
        for folder in {Path(name).parent} - {Path()}:
            (tmp_path / folder).write_text("mine", encoding="utf-8")
            with pytest.raises(errors.OutputError, match="is a file where a folder must go"):
                require_places(tmp_path, command)
