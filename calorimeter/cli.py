"""The command line: a table of commands, each imported from its room when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from calorimeter import __version__
from calorimeter.core.errors import InputError, nearest

COMMANDS = {
    "lab": (
        "calorimeter.commands.lab:lab",
        "Bring a real scaled-out Heat up on this machine, and take it down.",
    ),
    "doctor": (
        "calorimeter.commands.verify:doctor",
        "Say what of a deployment can be reached, and which gates that allows.",
    ),
    "describe": (
        "calorimeter.commands.configuration:describe",
        "Write a deployment.toml from HAProxy's and Heat's files.",
    ),
    "audit": (
        "calorimeter.commands.configuration:audit",
        "Find what is wrong in HAProxy's and Heat's configuration.",
    ),
    "generate": (
        "calorimeter.commands.configuration:generate",
        "Write the files of a scaled-out Heat from a few lines.",
    ),
    "run": (
        "calorimeter.commands.run:run",
        "Load a deployment with a scenario and record every request.",
    ),
    "clean": ("calorimeter.commands.load:clean", "Remove the stacks that a killed run left behind."),
    "balance": ("calorimeter.commands.load:balance", "Say whether every stack of a run is accounted for."),
    "verify": (
        "calorimeter.commands.verify:verify",
        "Run the gates on a deployment and write their verdicts.",
    ),
    "fault": (
        "calorimeter.commands.fault:fault",
        "Break parts of a deployment for a while, and heal them.",
    ),
    "guide-against-correction": (
        "calorimeter.commands.guide_against_correction:compare",
        "Break a lab behind the guide's proxy and behind corrected ones, side by side.",
    ),
    "capacity": (
        "calorimeter.commands.capacity:capacity",
        "Find the highest load at which all objectives hold and nothing piles up.",
    ),
    "scale": (
        "calorimeter.commands.scale:scale",
        "Measure throughput against APIs and engines, and fit the law that it follows.",
    ),
    "trace": (
        "calorimeter.commands.trace:trace",
        "Show the way of each request of a command, client to engine.",
    ),
    "watch": (
        "calorimeter.commands.verify:watch",
        "Record the proxy's and the broker's counters while a run lasts.",
    ),
    "benchmarks": (
        "calorimeter.commands.benchmarks:benchmarks",
        "Make the published reports again from the data kept beside them.",
    ),
    "report": (
        "calorimeter.commands.report:report",
        "Turn a run, or a study, into a page that can be published.",
    ),
    "compare": (
        "calorimeter.commands.report:compare",
        "Say what differs between two runs, or two sides of runs.",
    ),
}
"""Command → (where it is, its line in the overview). The overview imports no room."""

TOUCHING = ("lab", "doctor", "run", "clean", "capacity", "scale", "verify", "trace", "fault")
"""Commands that touch a deployment: they first heal what a killed run left broken."""


class Rooms(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of a newcomer's walk."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            close = nearest(cmd_name, COMMANDS)
            hint = f"; did you mean {close!r}?" if close else ""
            raise click.UsageError(f"unknown command {cmd_name!r}{hint}", ctx)
        if cmd_name in TOUCHING:
            _heal_leftovers()
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="calorimeter")
def calorimeter() -> None:
    """Load-test and verify a scaled-out OpenStack Heat.

    A newcomer starts with `calorimeter lab up`, then `calorimeter verify`, then
    `calorimeter run scenarios/first-mix.toml` and `calorimeter report`.

    Exit status: 0 all well; 1 a gate is FAIL or INCONCLUSIVE; 2 the input or the set-up is unusable.
    """


def _heal_leftovers() -> None:
    """Heal what a killed run of the suite left broken on this machine."""
    from calorimeter.core import paths

    if not any((paths.state() / "faults").glob("*.json")):
        return
    from calorimeter.core.faults.journal import Unhealed, recover_all

    try:
        for name, each in recover_all():
            click.echo(f"healed what a killed run left broken: {name}: {each.part}: {each.fault}", err=True)
    except Unhealed as problem:
        raise click.ClickException(str(problem)) from None


def _unhealed() -> type[Exception]:
    from calorimeter.core.faults.journal import Unhealed

    return Unhealed


def main() -> None:
    """Run the command line; input that cannot be used is one line on stderr and exit status 2."""
    try:
        status = calorimeter.main(prog_name="calorimeter", standalone_mode=False)
    except InputError as problem:
        click.echo(f"calorimeter: {problem}", err=True)
        status = 2
    except click.exceptions.NoArgsIsHelpError as problem:
        problem.show()
        status = 2
    except click.UsageError as problem:
        path = problem.ctx.command_path if problem.ctx else "calorimeter"
        click.echo(f"{path}: {problem.format_message().removesuffix('.')}; see `{path} --help`", err=True)
        status = 2
    except click.ClickException as problem:
        click.echo(f"calorimeter: {problem.format_message()}", err=True)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("calorimeter: interrupted", err=True)
        status = 130
    except _unhealed():  # the injector has said what to type
        status = 2
    sys.exit(status or 0)
