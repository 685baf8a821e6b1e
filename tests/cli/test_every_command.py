"""What holds for every command, also for the ones that are still to come."""

from importlib.resources import files

import pytest
import typer
from typer.testing import CliRunner

from kypho.case.layout import WRITES
from kypho.cli.main import app
from kypho.errors import OutputError, UnreadableFileError

RUNNER = CliRunner()
LABELS = str(files("kypho.formats").joinpath("sample/t5-t9_labels.nii.gz"))


def _commands(command, name=()):
    yield name, command
    for child_name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, (*name, child_name))


COMMANDS = dict(_commands(typer.main.get_command(app)))
OF_A_CT = [name for name, c in COMMANDS.items() if any(p.name == "ct" for p in c.params)]


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_help_says_what_the_command_does(name):
    done = RUNNER.invoke(app, [*name, "--help"])
    assert done.exit_code == 0
    assert len((COMMANDS[name].help or "").split()) >= 2, "a sentence under the function's name"


def test_there_are_commands_that_read_a_ct():
    assert ("plan",) in OF_A_CT


@pytest.mark.parametrize("name", OF_A_CT, ids=" ".join)
def test_a_missing_ct_is_named_and_nothing_is_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"--labels": LABELS, "--level": "T7", "--out": "out"}
    options = {o for p in COMMANDS[name].params for o in p.opts}
    words = [w for option, content in given.items() if option in options for w in (option, content)]
    done = RUNNER.invoke(app, [*name, "nowhere.nii.gz", *words])
    assert isinstance(done.exception, UnreadableFileError), done.output
    assert "nowhere.nii.gz" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_every_command_that_writes_a_case_folder_names_its_files():
    writing = {name[0] for name, c in COMMANDS.items() if len(name) == 1 and "--out" in _options(c)}
    assert writing == set(WRITES)


@pytest.mark.parametrize("name", WRITES)
def test_a_folder_in_a_files_place_is_named_before_anything_is_read(name, tmp_path):
    mine = tmp_path / WRITES[name][0] / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    given = {"ct": ["nowhere.nii.gz"], "level": ["--level", "T7"], "labels": ["--labels", LABELS]}
    words = [w for p in COMMANDS[name,].params for w in given.get(p.name, [])]
    done = RUNNER.invoke(app, [name, *words, "--out", str(tmp_path)])
    assert isinstance(done.exception, OutputError), done.output
    assert str(mine.parent) in str(done.exception)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [mine]


def _options(command):
    return {o for p in command.params for o in p.opts}
