"""The command line's table: its overview and its examples."""

from __future__ import annotations

import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from calorimeter import cli
from calorimeter.commands.lab import lab


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


def all_commands() -> dict[str, click.Command]:
    """Every command and every command of `lab`, by the words that call it."""
    context = click.Context(cli.calorimeter)
    found = {name: cli.calorimeter.get_command(context, name) for name in cli.COMMANDS}
    found |= {f"lab {name}": command for name, command in lab.commands.items()}
    return {name: command for name, command in found.items() if command is not None}


@pytest.mark.parametrize("name", [*cli.COMMANDS, *(f"lab {name}" for name in lab.commands)])
def test_help_shows_an_example_that_can_be_called(name: str) -> None:
    """The example is a call of the command, with options and arguments that it has."""
    command = all_commands()[name]
    text = command.get_help(click.Context(command, info_name=f"calorimeter {name}"))
    example = " ".join(text.partition("Example: ")[2].split())
    assert example.startswith(f"calorimeter {name}"), text
    arguments = shlex.split(example)[1 + len(name.split()) :]
    if name == "lab":
        assert arguments[0] in lab.commands
    else:
        command.make_context(name, arguments)


@pytest.mark.parametrize("name", [*cli.COMMANDS, *(f"lab {name}" for name in lab.commands)])
def test_every_option_has_a_help_text(name: str) -> None:
    """No option is left for the reader to guess."""
    for parameter in all_commands()[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
