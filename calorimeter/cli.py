"""The command line: a table of commands, each imported from its module when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from calorimeter import __version__
from calorimeter.core.errors import InputError, nearest

GROUPS = {
    "Lab": {
        "lab": (
            "calorimeter.commands.lab:lab",
            "Bring a real scaled-out Heat up on this machine, and take it down.",
            "lab up",
        ),
    },
    "Load": {
        "run": (
            "calorimeter.studies.interleaved_runs:run",
            "Load a deployment with a scenario and record every request.",
            "run first-mix --users 12 --duration 1m",
        ),
        "clean": (
            "calorimeter.commands.load:clean",
            "Delete the stacks that a killed run left behind.",
            "clean runs/RUN",
        ),
        "balance": (
            "calorimeter.commands.load:balance",
            "Check that every stack of a run is accounted for.",
            "balance runs/RUN",
        ),
        "trace": (
            "calorimeter.commands.trace:trace",
            "Show the path of each request of a command, from client to engine.",
            "trace deployment.toml -- openstack stack list",
        ),
    },
    "Verify": {
        "doctor": (
            "calorimeter.commands.verify:doctor",
            "Show which parts of a deployment can be reached, and which gates that allows.",
            "doctor deployment.toml",
        ),
        "verify": (
            "calorimeter.commands.verify:verify",
            "Run the gates on a deployment and write their verdicts.",
            "verify deployment.toml --gates S,H1 --sources 200",
        ),
        "gates": (
            "calorimeter.commands.gates:gates",
            "List the gates, or show one with its code and its docs.",
            "gates S1",
        ),
        "fault": (
            "calorimeter.commands.fault:fault",
            "Inject faults into a deployment on a schedule, and heal them.",
            "fault deployment.toml --fault rest-1:kill@5s+20s",
        ),
        "describe": (
            "calorimeter.commands.configuration:describe",
            "Write a deployment.toml from HAProxy's and Heat's files.",
            "describe --proxy haproxy.cfg --heat-conf B=heat-b.conf --heat-conf C=heat-c.conf",
        ),
        "audit": (
            "calorimeter.commands.configuration:audit",
            "Find faults in HAProxy's and Heat's configuration.",
            "audit haproxy.cfg B=heat-b.conf C=heat-c.conf",
        ),
        "generate": (
            "calorimeter.commands.configuration:generate",
            "Write the configuration of a scaled-out Heat from a few lines.",
            "generate topology.toml -o heat-config",
        ),
    },
    "Report": {
        "report": (
            "calorimeter.commands.report_study:report",
            "Turn a run, or a study, into a page that can be published.",
            "report runs/RUN",
        ),
        "compare": (
            "calorimeter.commands.report:compare",
            "Show what differs between two runs, or two sides of runs.",
            "compare runs/RUN --baseline runs/EARLIER",
        ),
    },
    "Studies": {
        "capacity": (
            "calorimeter.studies.capacity:capacity",
            "Find the highest load at which all objectives hold and no backlog grows.",
            "capacity rest-and-cfn",
        ),
        "scale": (
            "calorimeter.studies.scale:scale",
            "Measure throughput against the numbers of APIs and engines, and fit a scaling law.",
            "scale engine-wait --engines 1,2,4",
        ),
    },
    "": {
        "guide-against-correction": (
            "calorimeter.studies.guide_against_correction:compare",
            "Inject faults into labs behind the guide's proxy and behind corrected ones, side by side.",
            "guide-against-correction",
        ),
        "watch": (
            "calorimeter.commands.verify:watch",
            "Record the proxy's and the broker's counters during a run.",
            "watch runs/RUN",
        ),
        "benchmarks": (
            "calorimeter.studies.published:benchmarks",
            "Write the published reports again from the data kept beside them.",
            "benchmarks",
        ),
    },
}
"""Group → command → (its function, its line in the overview, an example). The overview imports no room.

The group without a name is for maintainers; the overview does not list it.
"""

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

TOUCHING = ("lab", "doctor", "run", "clean", "capacity", "scale", "verify", "trace", "fault")
"""Commands that touch a deployment. They first heal the faults that a killed run left behind."""


class Commands(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, and give its help an example."""
        if cmd_name not in COMMANDS:
            close = nearest(cmd_name, COMMANDS)
            hint = f"; did you mean {close!r}?" if close else ""
            raise click.UsageError(f"unknown command {cmd_name!r}{hint}", ctx)
        if cmd_name in TOUCHING:
            _heal_leftovers()
        where, _, example = COMMANDS[cmd_name]
        module, _, attribute = where.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        command.epilog = f"Example: calorimeter {example}"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups of the overview, from the table."""
        for group, commands in GROUPS.items():
            if group:
                with formatter.section(group):
                    formatter.write_dl([(name, line) for name, (_, line, _) in commands.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="calorimeter")
def calorimeter() -> None:
    """Load-test and verify a scaled-out OpenStack Heat.

    \b
    Examples:
      calorimeter lab up                      bring a Heat up on this machine
      calorimeter verify                      run all gates on it
      calorimeter run first-mix               load it, and record every request
      calorimeter report runs/RUN             write the page of that run

    Exit status: 0 success; 1 a gate is FAIL or INCONCLUSIVE; 2 the input or the set-up is unusable.
    """


def _heal_leftovers() -> None:
    """Heal the faults that a killed run of the suite left behind on this machine."""
    from calorimeter.core import paths

    if not any((paths.state() / "faults").glob("*.json")):
        return
    from calorimeter.core.faults.journal import Unhealed, recover_all

    try:
        for name, each in recover_all():
            click.echo(
                f"healed a fault that a killed run left behind: {name}: {each.part}: {each.fault}", err=True
            )
    except Unhealed as problem:
        raise click.ClickException(str(problem)) from None


def _unhealed() -> type[Exception]:
    from calorimeter.core.faults.journal import Unhealed

    return Unhealed


def main() -> None:
    """Run the command line; unusable input is one line on stderr and exit status 2."""
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
    except _unhealed():  # the injector has printed the commands to type
        status = 2
    sys.exit(status or 0)
