"""`calorimeter run`: runs the locustfile headless, once or alternately on two sides."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calorimeter.commands.options import DEPLOYMENT_OPTION, RUNS_OPTION, YES_BREAK_IT
from calorimeter.commands.param_types import DurationParam, NumberParam, WindowsParam, check_series
from calorimeter.commands.web_option import DEFAULT, ListenParam, WebCommand
from calorimeter.core import bounds, paths, statistics
from calorimeter.core.deployment import Address, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import parse
from calorimeter.core.host import netns
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.trace_windows import TraceWindows
from calorimeter.load.run import followed_load, load_processes, locust_command
from calorimeter.load.run.faults_under_load import ScheduledFaults
from calorimeter.load.run.followed_load import EARLY, BegunLoad, EndedLoad, follow
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario

if TYPE_CHECKING:
    from calorimeter.gates.request_path.window_process import LoadWindows

OF_THE_SERIES = ("deployment", "runs", "repeat", "against")
"""Options that a single run of a series does not get as they were given."""


class ProcessesParam(NumberParam):
    """A number of processes: what this machine bears, or what --allow-processes says."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails with the valid range."""
        allowed = ctx.params.get("allow_processes") if ctx else None
        within = load_processes.processes(allowed if isinstance(allowed, int) else None)
        return NumberParam(within).convert(value, param, ctx)


@click.command(cls=WebCommand)
@click.argument("scenario", default="first-mix")
@DEPLOYMENT_OPTION
@click.option("--users", type=NumberParam(bounds.COUNT), help="Number of users (default: the scenario's).")
@click.option("--duration", type=DurationParam(bounds.LOAD),
              help="Length of the load, as in 90, 60s or 2m (default: the scenario's).")  # fmt: skip
@click.option("--rate", type=NumberParam(bounds.POSITIVE_RATE),
              help="Open-loop load: start PER_S operations per second, no matter how many are still in "
              "flight (default: the scenario's arrivals).")  # fmt: skip
@click.option("--processes", type=ProcessesParam(load_processes.processes()),
              help="Number of processes that generate load, 4 a processor at most "
              "(default: 1).")  # fmt: skip
@click.option("--allow-processes", type=NumberParam(bounds.ALLOWED_PROCESSES), is_eager=True,
              help="Upper limit of --processes, as far as the machine's memory and its limits of processes "
              f"allow (default: {load_processes.PER_PROCESSOR} a processor).")  # fmt: skip
@RUNS_OPTION
@click.option("--fault", "faults", multiple=True, metavar="PART:FAULT@START+LENGTH",
              help="Fault to inject during the load, as in rest-1:kill@5s+20s; may be repeated "
              "(default: the scenario's faults only).")  # fmt: skip
@click.option("--trace-windows", type=WindowsParam(),
              help="Windows in which the broker is traced, spread over the load after its warm-up, as in "
              "5x2s; the page of the run then shows where the time goes (default: none).")  # fmt: skip
@YES_BREAK_IT
@click.option("--web", type=ListenParam(),
              help=f"Locust's web page, at {DEFAULT} if no address is given; start the load there. Its tab "
              "Deployment shows backends, engines, queues, faults, gates (default: no page).")  # fmt: skip
@click.option("--abort-on-objective", is_flag=True,
              help="End the load early, with exit status 1, when an objective of the scenario can no "
              "longer be believed to hold.")  # fmt: skip
@click.option("--usual-priority", is_flag=True,
              help="Keep the usual priority (default: the processes that generate load run before others "
              "on this machine, if permitted).")  # fmt: skip
@click.option("--repeat", type=NumberParam(bounds.REPEATS),
              help=f"Runs per side (default: 1, with --against {statistics.MINIMUM_SIDE}).")  # fmt: skip
@click.option("--against", metavar="OTHER",
              help="Other side of a comparison: a deployment.toml, or another scenario.")  # fmt: skip
@click.pass_context
def run(
    context: click.Context, /, scenario: str, repeat: int | None, against: str | None, **options: Any
) -> int:
    """Load a deployment with SCENARIO and record every request in a run folder.

    SCENARIO is a name from the catalogue (default: first-mix) or the path of a scenario file. The command
    does the same as `locust -f loadtests/locustfile.py --headless`. The last line printed is `run: ` and
    the run folder.

    With --rate, an operation starts when it is due, with exponentially distributed times between two.
    --users is then the limit of operations in flight (default: two seconds of the rate, or the scenario's
    users); an arrival beyond it is dropped and counted as a failure.

    The times of faults, of the scenario and of --fault, count from the start of the load.
    evidence/faults.json records what was broken and when.

    With --against the load is repeated, alternating between the sides (A B A B …); the last line printed is
    `compare: ` and the command that compares them. Five turns or more are compared as runs, fewer as
    windows within runs.

    With --abort-on-objective a sequential test of the percentiles and error ratios among the objectives
    ends the load once one is proven to be missed; a short spike does not end it. The run is complete and
    readable, and the line before the last says what ended it. The load must last 96 s or more after its
    warm-up.

    Exit status: 0 the load ran and was recorded, regardless of the answers; 1 an objective ended it early;
    2 it could not run, or a fault could not be injected or healed; 130 it was interrupted (what was
    recorded until then is kept).
    """
    if repeat is None and against is None:
        return _once(scenario, **options)
    for name in ("web", "abort_on_objective"):
        if options[name]:
            where = f"--{name.replace('_', '-')}"
            raise InputError(where, "given with --repeat or --against", "valid: for a single run")
    from calorimeter.studies import interleaved_runs

    chosen = interleaved_runs.sides(scenario, paths.deployment(options["deployment"]), against)
    _check_length([side.scenario for side in chosen], repeat or statistics.MINIMUM_SIDE, options)
    words = _words(context.command.params, options)
    made = []
    for path in interleaved_runs.record(
        chosen,
        repeat or statistics.MINIMUM_SIDE,
        options["runs"],
        words,
        lambda line: click.echo(line, err=True),
    ):
        made.append(path)
        click.echo(f"run: {path}")
    if len(chosen) == 2:
        despite = ["--despite", "scenario.toml"] if chosen[0].scenario != chosen[1].scenario else []
        click.echo(f"compare: {shlex.join(['calorimeter', 'compare', *map(str, made), *despite])}")
    return 0


def _check_length(scenarios: list[str], repeat: int, options: dict[str, Any]) -> None:
    lengths = [options["duration"] or catalogue.read(catalogue.find(name)).duration_s for name in scenarios]
    check_series(repeat * sum(lengths), f"{repeat} runs of each side")


def _words(params: list[click.Parameter], given: dict[str, Any]) -> list[str]:
    """The options that were given, for each run of a series."""
    words: list[str] = []
    for param in params:
        value = given.get(param.name or "")
        if not isinstance(param, click.Option) or param.name in OF_THE_SERIES or not value:
            continue
        name = param.opts[0]
        values = value if isinstance(value, tuple) else (value,)
        words += [name] if param.is_flag else [word for each in values for word in (name, str(each))]
    return words


def _once(
    scenario: str,
    deployment: Path | None,
    users: int | None,
    duration: float | None,
    rate: float | None,
    processes: int | None,
    allow_processes: int | None,
    runs: Path,
    faults: tuple[str, ...],
    trace_windows: TraceWindows | None,
    yes_break_it: bool,
    web: Address | None,
    abort_on_objective: bool,
    usual_priority: bool,
) -> int:
    if processes is not None:
        load_processes.check_processes(processes, allow_processes)
    wanted = catalogue.read(catalogue.find(scenario))
    file = paths.deployment(deployment)
    asked = (*wanted.fault, *map(parse, faults))
    described = netns.open_deployment(file)
    if wanted.load("cfn") is not None:
        from calorimeter.core.login import lent_ec2

        described = lent_ec2.needed(described)
    breaking = ScheduledFaults.of(described, asked, yes_break_it)
    traced = _traced(described, wanted.with_overrides(duration_s=duration), trace_windows, web)
    command_of = partial(locust_command.with_page, web) if web else locust_command.headless
    command = command_of(file, scenario, runs)
    command += followed_load.with_workers() if processes else []
    command += ["--abort-on-objective"] if abort_on_objective else []
    command += ["--usual-priority"] if usual_priority else []
    sizes = {"--users": users, "--rate": rate, "--duration": duration}
    sizes |= {"--allow-processes": allow_processes, "--processes": processes}
    command += locust_command.sizes(sizes)
    ended = EndedLoad(2)
    try:
        with breaking:
            ended = follow(command, _both(breaking, traced))
    finally:  # also if something stays broken
        if ended.run:
            kept = RunDir.open(Path(ended.run))
            breaking.keep(kept)
            if traced is not None and (doubt := traced.finish(kept)):
                click.echo(f"calorimeter: trace windows: {doubt}", err=True)
            if ended.early:
                click.echo(f"{EARLY}{ended.early}")
            click.echo(f"run: {ended.run}")
    if ended.received:
        return 128 + ended.received
    if ended.killed_by:
        raise InputError("locust", f"was ended by {ended.killed_by}", _after_a_kill(ended.run, file))
    if processes and ended.status == 1 and not ended.run:
        why = f"{processes} given; not all workers were ready after {followed_load.READY_S} s"
        raise InputError("--processes", why, "valid: fewer, or more file descriptors and memory")
    if ended.early and ended.status == 1 and not breaking.problem:
        return 1
    return 0 if ended.status == 0 and not breaking.problem else 2


def _traced(
    deployment: Deployment, scenario: Scenario, windows: TraceWindows | None, web: Address | None
) -> LoadWindows | None:
    """The windows in which the load is traced. Raises InputError if they cannot be taken."""
    if windows is None:
        return None
    if web:
        raise InputError("--trace-windows", "given with --web", "valid: for a load that begins by itself")
    from calorimeter.gates.request_path.window_process import LoadWindows

    return LoadWindows.of(deployment, windows.within(scenario.warm_up_s, scenario.duration_s))


def _both(breaking: ScheduledFaults, traced: LoadWindows | None) -> Callable[[BegunLoad], None]:
    """What happens when the load begins."""

    def begin(load: BegunLoad) -> None:
        breaking.begin()
        if traced is not None:
            traced.begin(str(load.run))

    return begin


def _after_a_kill(run: str, deployment: Path) -> str:
    if not run:
        return "no load had begun"
    command = shlex.join(["calorimeter", "clean", run, "--deployment", str(deployment)])
    return f"the load ended with it, its last second may be missing; `{command}` removes its stacks"
