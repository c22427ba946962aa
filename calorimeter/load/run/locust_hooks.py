"""How Locust comes to a load: its options, and everything that is checked before any user starts."""

from __future__ import annotations

import os
import socket
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import gevent
from locust.runners import WorkerRunner

from calorimeter.core import paths
from calorimeter.core.errors import InputError
from calorimeter.load.run import progress_line
from calorimeter.load.run.lifecycle import Lifecycle
from calorimeter.load.run.session import prepare

SLOW_S = 1.0
"""Trying everything out is talked about where it takes longer."""


def add_arguments(parser: Any) -> None:
    """Calorimeter's own options of the `locust` command."""
    group = parser.add_argument_group("Calorimeter")
    group.add_argument(
        "--deployment", metavar="FILE", help="deployment.toml; default: as in calorimeter run"
    )
    group.add_argument("--scenario", metavar="NAME", default="first-mix", help="name or path of a scenario")
    group.add_argument("--runs", metavar="DIR", default="runs", help="where run folders are made")
    group.add_argument(
        "--rate", type=float, metavar="PER_S", help="open arrivals a second, not as the scenario says"
    )
    group.add_argument("--progress", action="store_true", help="print a line about the load now and then")
    # What `calorimeter run` says to its Locust, whose own --run-time takes whole seconds only.
    parser.add_argument("--duration", type=float, help=SUPPRESS, include_in_web_ui=False)
    parser.add_argument("--of-command", metavar="JSON", default="", help=SUPPRESS, include_in_web_ui=False)
    parser.add_argument("--with-parent", action="store_true", help=SUPPRESS, include_in_web_ui=False)


def install(environment: Any) -> None:
    """Check everything and attach to this Locust process; where it cannot: one line, and exit status 2."""
    options = environment.parsed_options
    if options.progress:
        progress_line.say("trying identity and the fronts …")
    slow = gevent.spawn_later(SLOW_S, progress_line.say, "trying identity and the fronts …", anywhere=True)
    given: dict[str, Any] = {}
    try:
        if environment.web_ui is not None:
            _check_port(options.web_host or "0.0.0.0", options.web_port)  # noqa: S104  # Locust's default
        session = prepare(paths.deployment(options.deployment), options.scenario)
        if not isinstance(environment.runner, WorkerRunner):  # workers are told by their master
            given = {
                "users": options.num_users,
                "rate_per_s": options.rate,
                "duration_s": options.duration or options.run_time,
            }
            session.scenario = session.scenario.with_overrides(**given)
    except (InputError, KeyboardInterrupt) as problem:
        progress_line.clear()
        print(f"calorimeter: {problem if str(problem) else 'interrupted'}", file=sys.stderr)
        sys.exit(2)
    finally:
        slow.kill()
    Lifecycle(environment, session, Path(options.runs), given).attach()


def _check_port(host: str, port: int) -> None:
    """Raise `InputError` where Locust's page cannot listen: Locust itself would print a traceback."""
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
