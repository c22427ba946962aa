"""The commands `verify` and `doctor`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from calorimeter.commands import left_behind
from calorimeter.commands.options import DEPLOYMENT, FILE
from calorimeter.commands.param_types import NumberParam
from calorimeter.core import files, shipped, terminal
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.gates.verify_options import OPTIONS, BoundedNumber, Given

_UNFOLDED = 400
"""Columns of a table for a file or a program: nothing is cut or folded."""

_PYTEST_STATUS = {0: 0, 1: 1}
"""pytest's exit statuses that mean the same here; all others (usage, nothing collected, …) are 2."""


def _options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of an acceptance run."""
    for name, option in reversed(OPTIONS.items()):
        kinds: dict[Any, Any] = {Path: FILE, str: str, None: None}
        kind = option.type
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=NumberParam(kind.within) if isinstance(kind, BoundedNumber) else kinds[kind],
            metavar=option.metavar,
            default=option.default,
            multiple=option.action == "append",
            is_flag=option.action == "store_true",
            help=option.help,
        )(command)
    return command


@click.command()
@DEPLOYMENT
@_options
@click.option("--junitxml", type=FILE, help="File for the verdicts as JUnit XML (default: none).")
def verify(deployment: Path | None, junitxml: Path | None, **options: Any) -> int:
    """Run the gates on DEPLOYMENT and write their verdicts to a run folder.

    DEPLOYMENT is a deployment.toml (default: $CALORIMETER_DEPLOYMENT, ./deployment.toml, or the lab's).
    `pytest verify --deployment FILE` in a clone does the same. Gates T judge a recorded load:
    `calorimeter verify --run RUN --gates T` needs only that folder. A run of a series
    (`calorimeter run --repeat`) represents its whole side. If $GITHUB_STEP_SUMMARY names a file, the
    verdicts are added to it as Markdown.

    Exit status: 0 every gate that ran passed or was waived; 1 a gate is FAIL or INCONCLUSIVE; 2 the input
    or the set-up cannot be used, or no gate could run; 130 after Ctrl-C.
    """
    from calorimeter.gates.progress import Progress

    if junitxml is not None:
        files.refuse_other(junitxml, re.compile(b"<testsuite"), "JUnit XML")
    with Progress() as progress:
        progress.later(1.0, "reading the deployment file and connecting")
        import pytest

        from calorimeter.gates.judge import AcceptanceRun, Prepared
        from calorimeter.pytest_plugin import SESSION_PLUGIN

        session = AcceptanceRun.prepare(Given.of(str(deployment) if deployment else None, options))
        for line in session.announce():
            progress.line(line)
        prepared = Prepared(session, progress)
        gates_folder = str(shipped.folder("verify"))
        # The folder has no configuration of its own, and that of a suite around it does not apply.
        args = [gates_folder, "--rootdir", gates_folder, "-c", os.devnull, "--import-mode=importlib"]
        args += ["-p", "no:locust", "-p", "no:cacheprovider", "-p", SESSION_PLUGIN, "--tb=short"]
        status = _with_xml(
            junitxml, progress.line, lambda more: pytest.main(args + more, plugins=[prepared])
        )
    click.echo(err=True)
    for text, style in session.summary() if session.new else ():
        terminal.styled(text, **style)
    session.write_summary()
    if prepared.interrupted:
        left = [gate for gate in session.allowed if gate not in session.new]
        click.echo(f"calorimeter: without a verdict: {' '.join(left) or 'no gate'}", err=True)
        raise click.Abort
    return _PYTEST_STATUS.get(status, 2)


def _with_xml(xml: Path | None, say: Callable[[str], None], run: Callable[[list[str]], int]) -> int:
    """The status of `run`, which gets pytest's arguments for JUnit XML; 2 if that cannot be written."""
    if xml is None:
        return int(run([]))
    # pytest opens the file by its name, and would wait for a pipe.
    with TemporaryDirectory(prefix="calorimeter-") as folder:
        written = Path(folder) / "verdicts.xml"
        try:
            status = int(run(["--junitxml", str(written)]))
            if written.exists():
                files.write(xml, files.read(written))
        except OSError as problem:
            say(f"calorimeter: {xml}: cannot be written ({problem.strerror})")
        except InputError as problem:
            say(f"calorimeter: {problem}")
        else:
            return status
    return 2


@click.command()
@DEPLOYMENT
def doctor(deployment: Path | None) -> int:
    """Show for each part of DEPLOYMENT whether it can be reached, and which gates need it.

    DEPLOYMENT is a deployment.toml (default: $CALORIMETER_DEPLOYMENT, ./deployment.toml, or the lab's).

    Exit status: 0 every part that the file names can be reached; 2 one cannot.
    """
    from rich.table import Table
    from rich.text import Text

    from calorimeter.gates.doctor import examine
    from calorimeter.gates.registry import check_waivers, known

    described = netns.open_deployment(deployment)
    left_behind.restore_tracing(described)
    gates = known()
    check_waivers(described, gates)
    table = Table(box=None, pad_edge=False)
    for heading, least in (("part", 17), ("state", 13), ("what was found", 20), ("gates that need it", 0)):
        table.add_column(heading, min_width=least, overflow="fold")
    healthy = True
    for part in examine(described):
        healthy = healthy and part.state != "unreachable"
        style = {"ok": "green", "unreachable": "red", "not described": "yellow"}[part.state]
        needing = [gate.id for gate in gates.values() if part.name in gate.needs]
        table.add_row(part.name, Text(part.state, style), part.found, " ".join(needing) or "–")
    console = terminal.console(width=None if sys.stdout.isatty() else _UNFOLDED)
    console.print(table)
    if described.tls.warning:
        console.print(f"\nnote: {described.tls.warning}")
    level = described.consent.level
    barred = [gate.id for gate in gates.values() if not level.allows(gate.consent)]
    console.print(f"\nconsent: {level.value}" + (f"; not covered: {' '.join(barred)}" if barred else ""))
    for gate_id, reason in described.waive.items():
        console.print(f"waived: {gate_id}, {reason}")
    return 0 if healthy else 2
