"""The command line: a table of commands, each imported from its module when it is called."""

from __future__ import annotations

import errno
import sys
from importlib import import_module

import click

from calorimeter import __version__
from calorimeter.core import terminal
from calorimeter.core.errors import InputError, nearest
from calorimeter.core.shown_text import quoted

GROUPS = {
    "Lab": {
        "lab": ("calorimeter.commands.lab:lab", "lab up",
            "Bring a real scaled-out Heat up on this machine, and take it down."),
    },
    "Load": {
        "run": ("calorimeter.commands.run:run", "run first-mix --users 12 --duration 1m",
            "Load a deployment with a scenario and record every request."),
        "watch": ("calorimeter.commands.watch:watch", "watch --web",
            "Show a deployment, or a load in progress, as a page and for Prometheus."),
        "clean": ("calorimeter.commands.load:clean", "clean runs/RUN",
            "Delete the stacks that a killed run left behind."),
        "balance": ("calorimeter.commands.load:balance", "balance runs/RUN",
            "Check that every stack of a run is accounted for."),
        "trace": ("calorimeter.commands.trace:trace", "trace deployment.toml -- openstack stack list",
            "Show the path of each request of a command, from client to engine."),
    },
    "Verify": {
        "doctor": ("calorimeter.commands.verify:doctor", "doctor deployment.toml",
            "Show which parts of a deployment can be reached, and which gates that allows."),
        "verify": ("calorimeter.commands.verify:verify", "verify deployment.toml --gates S,H1",
            "Run the gates on a deployment and write their verdicts."),
        "gates": ("calorimeter.commands.gates:gates", "gates S1",
            "List the gates, or show one with its code and its docs."),
        "control": ("calorimeter.commands.control:control", "control check deployment.toml",
            "Show the commands that would break and heal each part, and the gates that they open."),
        "fault": ("calorimeter.commands.fault:fault", "fault deployment.toml --fault rest-1:kill@5s+20s",
            "Inject faults into a deployment on a schedule, and heal them."),
        "describe": ("calorimeter.commands.configuration:describe",
            "describe --proxy haproxy.cfg --heat-conf B=heat-b.conf --heat-conf C=heat-c.conf",
            "Write a deployment.toml from HAProxy's and Heat's files."),
        "audit": ("calorimeter.commands.configuration:audit", "audit haproxy.cfg B=heat.conf",
            "Find mistakes in HAProxy's and Heat's configuration."),
        "generate": ("calorimeter.commands.configuration:generate", "generate topology.toml -o heat-config",
            "Write the configuration of a scaled-out Heat from a short topology file."),
    },
    "Report": {
        "report": ("calorimeter.commands.report:report", "report runs/RUN",
            "Make a page from a run or a study."),
        "compare": ("calorimeter.commands.report:compare", "compare runs/RUN --baseline runs/EARLIER",
            "Compare two runs, or two sides of several runs."),
        "export": ("calorimeter.commands.export:export", "export runs/RUN --format junit",
            "Write a run in a format that other programs read."),
        "history": ("calorimeter.commands.history:history", "history runs --gate",
            "Show all runs over time: what changed, since when, and what changed with it."),
    },
    "Studies": {
        "upgrade": ("calorimeter.commands.upgrade:upgrade", "upgrade --to 25 --procedure corrected",
                    "Upgrade Heat under load, and account for every stack."),
        "capacity": ("calorimeter.commands.capacity:capacity", "capacity rest-and-cfn",
            "Find the highest load at which all objectives hold and no backlog grows."),
        "scale": ("calorimeter.commands.scale:scale", "scale engine-wait --engines 1,2,4",
            "Measure throughput against the numbers of APIs and engines, and fit a scaling law."),
    },
    "": {
        "releases": ("calorimeter.commands.releases:releases", "releases --plan",
            "Measure what Heat's releases cost, side by side."),
        "guide-against-correction": ("calorimeter.commands.guide_against_correction:compare",
            "guide-against-correction --servers 3",
            "Inject faults into labs behind the guide's proxy and behind corrected ones, side by side."),
        "benchmarks": ("calorimeter.commands.benchmarks:benchmarks", "benchmarks",
            "Write the published reports again from the data kept beside them."),
    },
}  # fmt: skip
"""Group → command → (its function, an example, its line in the overview). The overview imports no command.

The group without a name is for maintainers; the overview does not list it.
"""

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


class LazyGroup(click.Group):
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
        where, example, _ = COMMANDS[cmd_name]
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
                    formatter.write_dl([(name, line) for name, (_, _, line) in commands.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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


def _unhealed() -> type[Exception]:
    from calorimeter.core.faults.journal import Unhealed

    return Unhealed


def main() -> None:
    """Run the command line; unusable input is one line on stderr and exit status 2.

    So is output that cannot be written, of a command that succeeded. A reader that has gone is no error.
    """
    with terminal.guarded() as output:
        status = _status()
        output.flush()
        problem = output.problem
        if problem is not None and problem.errno != errno.EPIPE:
            click.echo(f"calorimeter: standard output: cannot be written ({problem.strerror})", err=True)
            status = status or 2
    sys.exit(status)


def _status() -> int:
    try:
        status = calorimeter.main(prog_name="calorimeter", standalone_mode=False)
    except InputError as problem:
        click.echo(f"calorimeter: {problem}", err=True)
        status = 2
    except OSError as problem:
        if problem.filename is None:
            raise
        click.echo(
            f"calorimeter: {quoted(str(problem.filename))}: cannot be used ({problem.strerror})", err=True
        )
        status = 2
    except click.UsageError as problem:
        path = problem.ctx.command_path if problem.ctx else "calorimeter"
        if isinstance(problem, click.exceptions.NoArgsIsHelpError):
            problem.show()
            why = "a command is missing; the commands are listed above"
        else:
            why = f"{problem.format_message().removesuffix('.')}; see `{path} --help`"
        click.echo(f"{path}: {why}", err=True)
        status = 2
    except click.ClickException as problem:
        click.echo(f"calorimeter: {problem.format_message()}", err=True)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("calorimeter: interrupted", err=True)
        status = 130
    except _unhealed():  # the injector has printed the commands to run
        status = 2
    return int(status or 0)
