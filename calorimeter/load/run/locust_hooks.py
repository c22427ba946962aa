"""The hooks into Locust: its options, and the checks before any user starts."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Action, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust.runners import MasterRunner, WorkerRunner

from calorimeter.core import bounds, paths, terminal
from calorimeter.core.errors import InputError
from calorimeter.core.host import machine
from calorimeter.core.shown_text import quoted
from calorimeter.load.operations import operation_table
from calorimeter.load.run import (
    live_tab,
    load_processes,
    machine_limits,
    objective_watch,
    progress_line,
    web_page,
    worker_connection,
)
from calorimeter.load.run.lifecycle import Lifecycle
from calorimeter.load.run.preparation import prepare, warn_of_delegation
from calorimeter.load.run.session import target
from calorimeter.load.run.worker_token import OPTION, WorkerToken

_TOKEN = WorkerToken()
"""Made before Locust starts its workers, which inherit it."""

SLOW_S = 1.0
"""Checks that take longer are announced even if standard error is not a terminal."""

MOST_OPEN_FILES = 2**20
"""As far as a load raises the soft limit of its processes, below the hard limit."""

CHECKING = "checking the identity and the front addresses …"


def guard_connections() -> None:
    """Let masters and workers of this process connect only with the token; once, before Locust starts."""
    worker_connection.require(_TOKEN)


class _TokenFile(Action):
    """Keeps the path for the sockets, which Locust makes without its options."""

    def __call__(self, parser: object, namespace: object, values: Any, option_string: Any = None) -> None:
        _TOKEN.file = Path(values)
        setattr(namespace, self.dest, values)


def add_arguments(parser: Any) -> None:
    """Calorimeter's own options of the `locust` command."""
    # Locust's own default is every address of the machine, without a password.
    parser.set_defaults(master_bind_host="127.0.0.1", web_host="127.0.0.1")
    group = parser.add_argument_group("Calorimeter")
    group.add_argument(
        "--deployment", metavar="FILE", help="deployment file (default: as in `calorimeter run`)"
    )
    group.add_argument(
        "--scenario",
        metavar="NAME",
        default="first-mix",
        help="name or path of a scenario (default: first-mix)",
    )
    group.add_argument(
        "--runs", metavar="DIR", default="runs", help="folder of the run folders (default: runs)"
    )
    group.add_argument(
        "--rate",
        type=_number(bounds.POSITIVE_RATE.parse),
        metavar="PER_S",
        help="open arrivals per second (default: the scenario's)",
    )
    group.add_argument(
        OPTION,
        metavar="FILE",
        action=_TokenFile,
        help="file with the token of a master and its workers; a master makes it (default: the workers of "
        "--processes have a token of their own)",
    )
    group.add_argument(
        "--abort-on-objective",
        action="store_true",
        help="end the load, with exit status 1, when an objective can no longer be believed to hold",
    )
    group.add_argument(
        "--usual-priority",
        action="store_true",
        help="keep the usual priority (default: the generating processes run before others, if permitted)",
    )
    group.add_argument("--progress", action="store_true", help="print a progress line every few seconds")
    _bound(parser)
    # Options that `calorimeter run` passes; Locust's own --run-time takes only whole seconds.
    parser.add_argument(
        "--duration", type=_number(bounds.LOAD.parse), help=SUPPRESS, include_in_web_ui=False
    )
    parser.add_argument("--of-command", metavar="JSON", default="", help=SUPPRESS, include_in_web_ui=False)
    parser.add_argument("--with-parent", action="store_true", help=SUPPRESS, include_in_web_ui=False)


def _bound(parser: Any) -> None:
    """Give Locust's own numbers bounds, too."""
    kinds = {
        "--users": bounds.COUNT.parse,
        "--spawn-rate": bounds.POSITIVE_RATE.parse,
        "--web-port": bounds.PORT.parse,
        "--master-port": bounds.PORT.parse,
        "--master-bind-port": bounds.PORT.parse,
        "--expect-workers": bounds.COUNT.parse,
    }
    allowed: list[int] = []

    def allow(text: str) -> int:
        allowed[:] = [bounds.ALLOWED_PROCESSES.parse(text)]
        return allowed[0]

    def processes(text: str) -> int:
        if text == "-1":  # Locust's word for one a processor
            return -1
        number: int = load_processes.processes(*allowed).parse(text)
        load_processes.check_processes(number, *allowed)
        return number

    kinds["--processes"] = processes
    parser.add_argument(
        "--allow-processes",
        type=_number(allow),
        metavar="N",
        help="allow up to N --processes, given after it (default: 4 a processor)",
    )
    for action in parser._actions:
        for name in kinds.keys() & set(action.option_strings):
            action.type = _number(kinds[name])


def _number(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """An argument's type: the number that `read` makes of a text, or argparse's error."""

    def number(text: str) -> Any:
        try:
            return read(text)
        except ValueError as problem:
            raise ArgumentTypeError(f"{quoted(text)} given; {problem}") from problem
        except InputError as problem:
            raise ArgumentTypeError(f"{problem.given}; {problem.valid}") from problem

    return number


def install(environment: Any) -> None:
    """Check everything and attach to this Locust process; on an error print one line and exit with 2."""
    options = environment.parsed_options
    terminal.guard()
    if options.progress:
        progress_line.print_line(CHECKING)
    slow = gevent.spawn_later(SLOW_S, progress_line.print_line, CHECKING, anywhere=True)
    given: dict[str, Any] = {}
    machine.allow_open_files(MOST_OPEN_FILES)
    try:
        if options.master and not options.processes and _TOKEN.file is None:
            raise InputError("--master", "no worker can have its token", f"give {OPTION} FILE")
        if environment.web_ui is not None:
            host = options.web_host or "0.0.0.0"  # noqa: S104  # asked for, as "" or "*"
            web_page.guard(environment.web_ui, host, options.web_port)
            live_tab.attach(environment.web_ui, options.web_base_path)
        session = prepare(paths.deployment(options.deployment), options.scenario)
        if not isinstance(environment.runner, WorkerRunner):  # workers get these from their master
            given = {
                "users": options.num_users,
                "rate_per_s": options.rate,
                "duration_s": options.duration or options.run_time,
            }
            session.scenario = session.scenario.with_overrides(**given)
            if options.abort_on_objective:
                objective_watch.check(session.scenario)
            if options.processes or not isinstance(environment.runner, MasterRunner):
                apis = operation_table.apis(session.scenario) | session.fronts.keys()
                sources = {api: len(target(session.deployment, api)[1]) for api in apis}
                place = (Path(options.runs), options.processes or 1)
                machine_limits.check(session.scenario, sources, *place)
            session.token.check_lasts(session.scenario.duration_s)
            warn_of_delegation(session)
    except (InputError, KeyboardInterrupt) as problem:
        progress_line.clear()
        print(f"calorimeter: {problem if str(problem) else 'interrupted'}", file=sys.stderr)
        sys.exit(2)
    finally:
        slow.kill()
    Lifecycle(environment, session, Path(options.runs), given).attach()
