"""The hooks into Locust: its options, and the checks before any user starts."""

from __future__ import annotations

import os
import socket
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import gevent
from locust.runners import WorkerRunner

from calorimeter.core import paths, terminal
from calorimeter.core.errors import InputError
from calorimeter.load.run import progress_line
from calorimeter.load.run.lifecycle import Lifecycle
from calorimeter.load.run.preparation import prepare, warn_of_delegation

SLOW_S = 1.0
"""Checks that take longer are announced even if standard error is not a terminal."""

CHECKING = "checking the identity and the front addresses …"


def add_arguments(parser: Any) -> None:
    """Calorimeter's own options of the `locust` command."""
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
        "--rate", type=float, metavar="PER_S", help="open arrivals per second (default: the scenario's)"
    )
    group.add_argument("--progress", action="store_true", help="print a progress line every few seconds")
    # Options that `calorimeter run` passes; Locust's own --run-time takes only whole seconds.
    parser.add_argument("--duration", type=float, help=SUPPRESS, include_in_web_ui=False)
    parser.add_argument("--of-command", metavar="JSON", default="", help=SUPPRESS, include_in_web_ui=False)
    parser.add_argument("--with-parent", action="store_true", help=SUPPRESS, include_in_web_ui=False)


def install(environment: Any) -> None:
    """Check everything and attach to this Locust process; on an error print one line and exit with 2."""
    options = environment.parsed_options
    terminal.guard()
    if options.progress:
        progress_line.print_line(CHECKING)
    slow = gevent.spawn_later(SLOW_S, progress_line.print_line, CHECKING, anywhere=True)
    given: dict[str, Any] = {}
    try:
        if environment.web_ui is not None:
            _check_port(options.web_host or "0.0.0.0", options.web_port)  # noqa: S104  # Locust's default
        session = prepare(paths.deployment(options.deployment), options.scenario)
        if not isinstance(environment.runner, WorkerRunner):  # workers get these from their master
            given = {
                "users": options.num_users,
                "rate_per_s": options.rate,
                "duration_s": options.duration or options.run_time,
            }
            session.scenario = session.scenario.with_overrides(**given)
            session.token.check_lasts(session.scenario.duration_s)
            warn_of_delegation(session)
    except (InputError, KeyboardInterrupt) as problem:
        progress_line.clear()
        print(f"calorimeter: {problem if str(problem) else 'interrupted'}", file=sys.stderr)
        sys.exit(2)
    finally:
        slow.kill()
    Lifecycle(environment, session, Path(options.runs), given).attach()


def _check_port(host: str, port: int) -> None:
    """Raise InputError if Locust's page cannot listen there; Locust would print a traceback."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as problem:
        place = f"--web-host {host} --web-port {port}"
        raise InputError(
            place,
            f"the page cannot be served there ({os.strerror(problem.errno or 0)})",
            "valid: a free port",
        ) from problem
