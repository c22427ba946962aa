"""The command `run`: the locustfile without Locust's habits."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click

from calorimeter.core import deployment as deployments
from calorimeter.core import netns, paths, shipped
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import parse
from calorimeter.core.rundir import RunDir
from calorimeter.load.run.faults_under_load import ScheduledFaults
from calorimeter.workload import catalogue

LOCUSTFILE = shipped.folder("loadtests") / "locustfile.py"


class Duration(click.ParamType[float]):
    """Seconds, as in `90`, `60s`, `2m` or `1h`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds; raises `InputError`."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", str(value))
        if match is None or float(match[1]) <= 0:
            name = param.opts[0] if param is not None else "duration"
            raise InputError(name, f"{value!r} is no duration", "valid: 90, 60s, 2m, 1h")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


@click.command()
@click.argument("scenario", default="first-mix")
@click.option(
    "--deployment", type=click.Path(path_type=Path), help="deployment.toml; default: as in `verify`."
)
@click.option("--users", type=click.IntRange(1), help="Users, where not as many as the scenario says.")
@click.option(
    "--duration", type=Duration(), help="How long, as in 90, 60s or 2m, where not as the scenario says."
)
@click.option("--rate", type=click.FloatRange(0, 1_000_000, min_open=True), metavar="PER_S",
              help="Open arrivals: so many operations a second, whoever is still under way.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1), help="Processes that generate load. Default: one.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where run folders are made.",
)
@click.option("--fault", "faults", multiple=True, metavar="PART:FAULT@BEGIN+LENGTH",
              help="Break a part meanwhile, as in rest-1:kill@5s+20s. May be given again.")  # fmt: skip
@click.option("--yes-break-it", is_flag=True, help="Break parts of what is no lab, too (with consent).")
@click.option(
    "--web", is_flag=True, help="Start with Locust's web page (on 127.0.0.1:8089) instead of at once."
)
def run(
    scenario: str,
    deployment: Path | None,
    users: int | None,
    duration: float | None,
    rate: float | None,
    processes: int | None,
    runs: Path,
    faults: tuple[str, ...],
    yes_break_it: bool,
    web: bool,
) -> int:
    """Load a deployment with SCENARIO and record every request to a run folder.

    SCENARIO is a name from the catalogue (first-mix) or the path of a scenario file. The same as
    `locust -f loadtests/locustfile.py --headless`. The last line is `run: ` and the run folder.

    With --rate, an operation begins when it is due, with exponential times between two. --users is then
    how many may be under way at once (where not given: two seconds of the rate, or the scenario's users);
    an arrival beyond them is dropped and counted as a failure.

    Faults, of the scenario and of --fault, count from the begin of the load; what was broken when is kept
    as evidence/faults.json.

    Exit status: 0 the load ran and was recorded, whatever the answers were; 2 it could not be, or a fault
    could not be brought about or healed; 130 it was interrupted (what there was is recorded).
    """
    wanted = catalogue.read(catalogue.find(scenario))
    file = paths.deployment(deployment)
    breaking = ScheduledFaults.of(
        netns.enter_client_netns(deployments.read(file)), (*wanted.fault, *map(parse, faults)), yes_break_it
    )
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--deployment", str(file)]
    command += ["--scenario", scenario, "--runs", str(runs), "--exit-code-on-error", "0"]
    command += ["--web-host", "127.0.0.1"] if web else ["--headless", "--progress", "--skip-log-setup"]
    command += ["--with-parent", "--of-command", json.dumps(["calorimeter", *sys.argv[1:]])]
    command += ["--users", str(users)] if users else []
    command += ["--rate", f"{rate!r}"] if rate else []
    command += ["--duration", repr(duration)] if duration else []
    command += ["--processes", str(processes)] if processes else []
    last = ""
    try:
        with breaking:
            status, last, received = _follow(command, breaking.begin)
    finally:  # also where something stays broken
        if last:
            breaking.keep(RunDir.open(Path(last.removeprefix("run: "))))
            click.echo(last)
    if received:
        return 128 + received
    return 0 if status == 0 and not breaking.problem else 2


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--deployment", type=click.Path(path_type=Path), help="deployment.toml; default: as in `verify`."
)
@click.option("--within", type=Duration(), default="60s", show_default=True, help="How long it may take.")
def clean(run: Path, deployment: Path | None, within: float) -> int:
    """Remove what RUN, a run folder, left behind: stacks, software configs, tenants; also of a killed run.

    Exit status: 0 none is left; 1 some are; 2 it cannot be done.
    """
    from calorimeter.core.clock import now_ns
    from calorimeter.load.run.cleanup import clean_run

    folder = RunDir.open(run)
    described = netns.enter_client_netns(deployments.read(paths.deployment(deployment)))
    run_id = folder.about["id"]
    done = clean_run(described, run_id, now_ns() + int(within * 1e9))
    if done.tenants_removed or done.tenants_left:
        click.echo(f"{done.tenants_removed} tenants removed, {done.tenants_left} left")
    click.echo(f"{done.removed} stacks named cal-{run_id}-… removed, {done.left} left")
    return 1 if done.left or done.tenants_left else 0


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def balance(run: Path) -> int:
    """Say whether every create of RUN, a run folder, that was accepted has one row, one end and one delete.

    Exit status: 0 the ledger balances; 1 it does not; 2 it cannot be read.
    """
    from calorimeter.load.run.ledger_balance import balance_of_run

    found = balance_of_run(RunDir.open(run))
    click.echo(
        f"{found.requests} requests, {found.errors} of them errors; {found.creates} creates: "
        f"{found.accepted} accepted, {found.refused} refused, {found.unknown} unknown; "
        f"{found.complete} complete, {found.failed} failed, {found.gone} seen gone"
    )
    for finding in found.findings[:20]:
        click.echo(f"  {finding}")
    click.echo(f"{len(found.findings)} findings" if found.findings else "the ledger balances")
    return 1 if found.findings else 0


def _follow(command: list[str], begun: Callable[[], None]) -> tuple[int, str, int]:
    """Run Locust to its end, signals being passed on as Ctrl-C, which ends it in order.

    `begun` is called when the load begins. Gives its exit status, its last `run:` line, and the first
    signal received (0: none). Where this process is killed, the pipe to Locust's standard input closes, and
    Locust ends itself.
    """
    last = ""
    received: list[int] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as locust:
        assert locust.stdout is not None

        def pass_on(number: int, _: object) -> None:
            received.append(number)
            locust.send_signal(signal.SIGINT)

        before = [(number, signal.signal(number, pass_on)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            for line in locust.stdout:
                if line.startswith("load: begun"):
                    begun()
                elif line.startswith("run: "):
                    last = line.rstrip("\n")
            locust.wait()
        finally:
            for number, handler in before:
                signal.signal(number, handler)
    return locust.returncode, last, received[0] if received else 0
