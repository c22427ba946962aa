"""Every command of the command line, by the words that call it."""

from __future__ import annotations

import click

from calorimeter import cli


def commands() -> dict[tuple[str, ...], click.Command]:
    """Each command that does something, those of groups (`lab up`) included."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in _first_words().items():
        if isinstance(command, click.Group):
            found |= {(name, inner): each for inner, each in command.commands.items()}
        else:
            found[(name,)] = command
    return found


def groups() -> dict[str, click.Group]:
    """Each command that has commands."""
    return {name: each for name, each in _first_words().items() if isinstance(each, click.Group)}


def _first_words() -> dict[str, click.Command]:
    context = click.Context(cli.calorimeter)
    found = {name: cli.calorimeter.get_command(context, name) for name in cli.COMMANDS}
    return {name: command for name, command in found.items() if command is not None}
