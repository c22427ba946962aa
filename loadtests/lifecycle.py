"""A run inside Locust: checked before users start, recorded while they live, written down when they are
gone.

Locust swallows what its listeners raise, so nothing here relies on raising: what makes a run worthless goes
through `Lifecycle.abort`, which stops Locust with exit status 2.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from calorimeter import paths
from calorimeter.errors import InputError
from calorimeter.rundir import RunDir
from loadtests import clean, progress
from loadtests.clock import now_ns
from loadtests.session import Recording, Session, prepare
from loadtests.users import CfnUser, RestUser, StackUser
from loadtests.watching import Companion

log = logging.getLogger(__name__)

RUN_MESSAGE = "calorimeter_run"
ABORT_MESSAGE = "calorimeter_abort"
SWEEP_S = 30.0
"""For finding and removing stacks whose create had no clear answer."""


def add_arguments(parser: Any) -> None:
    """Calorimeter's own options of the `locust` command."""
    group = parser.add_argument_group("Calorimeter")
    group.add_argument(
        "--deployment", metavar="FILE", help="deployment.toml; default: as in calorimeter run"
    )
    group.add_argument("--scenario", metavar="NAME", default="first-mix", help="name or path of a scenario")
    group.add_argument("--runs", metavar="DIR", default="runs", help="where run folders are made")
    group.add_argument("--progress", action="store_true", help="print a line about the load now and then")


def install(environment: Any) -> None:
    """Check everything and attach to this Locust process; where it cannot: one line, and exit status 2."""
    options = environment.parsed_options
    if options.progress:
        progress.say("trying identity and the fronts …")
    try:
        if environment.web_ui is not None:
            _check_port(options.web_host or "0.0.0.0", options.web_port)  # noqa: S104  # Locust's default
        session = prepare(paths.deployment(options.deployment), options.scenario)
    except (InputError, KeyboardInterrupt) as problem:
        progress.clear()
        print(f"calorimeter: {problem if str(problem) else 'interrupted'}", file=sys.stderr)
        sys.exit(2)
    Lifecycle(environment, session, Path(options.runs)).attach()


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


class Lifecycle:
    """One Locust process and its runs, one after the other."""

    def __init__(self, environment: Any, session: Session, runs: Path) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._session = session
        self._runs = runs
        self._run: RunDir | None = None
        self._companion: Companion | None = None
        self._greenlets: list[gevent.Greenlet] = []
        self._aborted = False
        self._quitting = False
        self._was_interrupted = False
        self._has_quit = Event()

    def attach(self) -> None:
        """Set Locust up as the scenario says, where the command line does not say otherwise."""
        environment, scenario = self._environment, self._session.scenario
        options = environment.parsed_options
        if options.num_users is None:
            options.num_users = scenario.users
        if options.spawn_rate is None:
            options.spawn_rate = scenario.spawn_per_s
        if options.run_time is None and not isinstance(self._runner, WorkerRunner):
            options.run_time = scenario.duration_s
        environment.stop_timeout = max(environment.stop_timeout, scenario.clean_up_s + 5.0)
        environment.host = self._session.deployment.rest.url
        StackUser.session = self._session
        chosen: list[type[StackUser]] = []
        for user_class in (RestUser, CfnUser):
            load = scenario.load(user_class.api_name)
            if load is not None:
                user_class.weight = load.users
                chosen.append(user_class)
        environment.user_classes = chosen
        self._session.token.keep_fresh()
        self._runner.quit = partial(self._quit_once, self._runner.quit)
        # KeyboardInterrupt would be raised in any greenlet, in the middle of anything.
        gevent.signal_handler(signal.SIGINT, self._interrupted)
        events = environment.events
        events.test_start.add_listener(self._test_start)
        events.test_stopping.add_listener(self._test_stopping)
        events.test_stop.add_listener(self._test_stop)
        if isinstance(self._runner, WorkerRunner):
            self._runner.register_message(RUN_MESSAGE, self._run_message)
        else:
            self._runner.register_message(ABORT_MESSAGE, self._abort_message)

    def abort(self, line: str) -> None:
        """End this run and Locust, with one line and exit status 2."""
        if self._aborted:
            return
        self._aborted = True
        print(f"calorimeter: {line}", file=sys.stderr, flush=True)
        self._environment.process_exit_code = 2
        if isinstance(self._runner, WorkerRunner):
            self._runner.send_message(ABORT_MESSAGE, {"line": line})
        gevent.spawn(self._quit)

    def _quit(self) -> None:
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _interrupted(self) -> None:
        """Ctrl-C: end the run as if its time were up; the second time, without removing the stacks."""
        self._was_interrupted = True
        if self._quitting:
            self._session.ends_ns = now_ns()
        else:
            self._quit()

    def _quit_once(self, quit_locust: Callable[[], None]) -> None:
        """Called by the end of time, by Ctrl-C and by Locust's shutdown; Locust's own is not re-entrant."""
        if self._quitting:
            self._has_quit.wait()
            return
        self._quitting = True
        try:
            quit_locust()
        finally:
            self._has_quit.set()

    # On the process that the user started: alone, or the master of workers.

    def _test_start(self, environment: Any, **_: Any) -> None:
        if isinstance(self._runner, WorkerRunner):
            return  # has been told by RUN_MESSAGE
        session = self._session
        try:
            self._run = RunDir.create(session.deployment, runs=self._runs, name=session.scenario.name)
            self._run.note_command()
            (self._run.path / "scenario.toml").write_bytes(session.scenario.path.read_bytes())
            self._run.note(scenario=session.scenario.name, clean_stop=False)
            if isinstance(self._runner, LocalRunner):
                self._begin(self._run.path)
            elif isinstance(self._runner, MasterRunner):
                workers = self._runner.worker_count
                message = {"run": str(self._run.path.absolute()), "workers": workers}
                self._runner.send_message(RUN_MESSAGE, message)
            self._companion = Companion(self._run.path, session.deployment.path)
        except (InputError, OSError) as problem:
            self.abort(str(problem))
            return
        if environment.parsed_options.progress:
            self._greenlets.append(gevent.spawn(progress.show, environment))

    def _test_stopping(self, **_: Any) -> None:
        self._session.stopping()

    def _test_stop(self, environment: Any, **_: Any) -> None:
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        if environment.parsed_options.progress:
            progress.clear()
        self._sweep()
        self._session.end()
        if self._run is None:
            return
        if self._companion is not None:
            self._companion.close()
            self._companion = None
        stopped = "failed" if self._aborted else "interrupted" if self._was_interrupted else "ended"
        self._run.note(
            ended=datetime.now(UTC).isoformat(),
            users=self._runner.target_user_count,
            stopped=stopped,
            clean_stop=not self._aborted,
        )
        print(f"run: {self._run.path}", flush=True)
        self._run = None

    # On the process that has the users.

    def _begin(self, run: Path, worker: int = 0, workers: int = 1) -> None:
        recording = Recording(run, f"worker-{worker:02}", self.abort)
        self._session.begin(recording, worker=worker, workers=workers)
        if self._session.scenario.warm_up_s:
            self._greenlets.append(gevent.spawn_later(self._session.scenario.warm_up_s, self._warm))

    def _warm(self) -> None:
        if self._session.phase == "warm_up":
            self._session.phase = "load"

    def _sweep(self) -> None:
        """Remove stacks whose create had no clear answer, and say what is left."""
        session = self._session
        if session.recording is None or not session.unaccounted:
            return
        client = session.cleaning.client()
        _, left = clean.remove(session.cleaning.api, client, session.prefix, now_ns() + int(SWEEP_S * 1e9))
        client.close()
        if left is None:
            log.warning("stacks named %s… may be left: they could not be listed", session.prefix)
        elif left:
            log.warning("%d stacks named %s… are left", left, session.prefix)

    def _run_message(self, msg: Any, **_: Any) -> None:
        run = Path(msg.data["run"])
        if not run.is_dir():  # another machine: the same name below its own folder of runs
            run = self._runs / run.name
        try:
            self._begin(run, max(0, self._runner.worker_index), msg.data["workers"])
        except (InputError, OSError) as problem:
            self.abort(str(problem))

    def _abort_message(self, msg: Any, **_: Any) -> None:
        self.abort(f"worker {msg.node_id}: {msg.data['line']}")
