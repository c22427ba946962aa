"""The command line's table: its overview and its examples."""

from __future__ import annotations

import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from calorimeter import cli
from tests.every_command import commands, groups


def test_overview_groups_the_commands_and_hides_those_of_maintainers() -> None:
    """Each group is a section; commands without a group are not listed, but can be called."""
    text = CliRunner().invoke(cli.calorimeter, ["--help"]).output
    sections = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert sections == ["Options:", "Lab:", "Load:", "Verify:", "Report:", "Studies:"]
    for name in cli.COMMANDS:
        assert (f"\n  {name} " in text) is (name not in cli.GROUPS[""]), name
    assert CliRunner().invoke(cli.calorimeter, ["benchmarks", "--help"]).exit_code == 0


def test_overview_imports_no_room() -> None:
    """`calorimeter --help` is quick: of the package it imports the command line and errors and output."""
    script = "import sys; from calorimeter.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    command = [sys.executable, "-c", script, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    modules = {name for name in done.stdout.splitlines()[-1].split() if name.startswith("calorimeter.")}
    core = {f"calorimeter.core.{name}" for name in ("errors", "shown_text", "terminal")}
    assert modules == {"calorimeter.cli", "calorimeter.core", *core}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_shows_an_example_that_can_be_called(words: tuple[str, ...]) -> None:
    """The example is a call of the command, with options and arguments that it has."""
    command, name = commands()[words], " ".join(words)
    example = _example(command, name)
    assert example.startswith(f"calorimeter {name}"), example
    command.make_context(name, shlex.split(example)[1 + len(words) :])


@pytest.mark.parametrize("name", groups())
def test_help_of_a_group_shows_one_of_its_commands(name: str) -> None:
    """`calorimeter lab --help` ends with a call of a command of `lab`."""
    group = groups()[name]
    called, word, inner, *_ = shlex.split(_example(group, name))
    assert (called, word) == ("calorimeter", name)
    assert inner in group.commands


@pytest.mark.parametrize("name", groups())
def test_a_group_without_a_command_says_so_in_a_line(name: str) -> None:
    """After the list of its commands."""
    command = [sys.executable, "-m", "calorimeter", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"calorimeter {name}: a command is missing; the commands are listed above"
    )


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_option_has_a_help_text(words: tuple[str, ...]) -> None:
    """No option is left for the reader to guess."""
    for parameter in commands()[words].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def _example(command: click.Command, name: str) -> str:
    text = command.get_help(click.Context(command, info_name=f"calorimeter {name}"))
    return " ".join(text.partition("Example: ")[2].split())
