"""A run inside Locust: checked before users start, recorded while they live, written down when they are
gone.

Locust swallows what its listeners raise, so nothing here relies on raising: what makes a run worthless goes
through `Lifecycle.abort`, which stops Locust with exit status 2.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from argparse import SUPPRESS
from collections.abc import Callable
from contextlib import suppress
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
from loadtests import clean, parent, progress
from loadtests.clock import now_ns
from loadtests.session import Recording, Session, open_arrivals, prepare
from loadtests.users import CfnUser, Drops, RestUser, StackUser
from loadtests.watching import Companion
from scenarios.scenario import Scenario

log = logging.getLogger(__name__)

RUN_MESSAGE = "calorimeter_run"
BEGIN_MESSAGE = "calorimeter_begin"
ABORT_MESSAGE = "calorimeter_abort"
SLOW_S = 1.0
"""Trying everything out is talked about where it takes longer."""

HEAD_START_S = 0.1
"""From the moment that all users are there to the first arrival; to others, word must get through."""
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
    group.add_argument(
        "--rate", type=float, metavar="PER_S", help="open arrivals a second, not as the scenario says"
    )
    group.add_argument("--progress", action="store_true", help="print a line about the load now and then")
    # What `calorimeter run` says to its Locust.
    parser.add_argument("--of-command", metavar="JSON", default="", help=SUPPRESS, include_in_web_ui=False)
    parser.add_argument("--with-parent", action="store_true", help=SUPPRESS, include_in_web_ui=False)


def install(environment: Any) -> None:
    """Check everything and attach to this Locust process; where it cannot: one line, and exit status 2."""
    options = environment.parsed_options
    if options.progress:
        progress.say("trying identity and the fronts …")
    slow = gevent.spawn_later(SLOW_S, progress.say, "trying identity and the fronts …", anywhere=True)
    given: dict[str, Any] = {}
    try:
        if environment.web_ui is not None:
            _check_port(options.web_host or "0.0.0.0", options.web_port)  # noqa: S104  # Locust's default
        session = prepare(paths.deployment(options.deployment), options.scenario)
        if not isinstance(environment.runner, WorkerRunner):  # workers are told by their master
            given = {
                "users": options.num_users,
                "rate_per_s": options.rate,
                "duration_s": options.run_time,
            }
            session.scenario = session.scenario.instead(**given)
    except (InputError, KeyboardInterrupt) as problem:
        progress.clear()
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


def _load(scenario: Scenario) -> dict[str, Any]:
    """What of a scenario the command line may have changed, as it was run."""
    return {
        "users": scenario.users,
        "duration_s": scenario.duration_s,
        "warm_up_s": scenario.warm_up_s,
        "arrivals": scenario.arrivals.spacing
        if scenario.arrivals
        else "poisson"
        if scenario.rates
        else None,
        "stages": [stage.model_dump(exclude_none=True) for stage in scenario.rates or scenario.stages],
    }


class Lifecycle:
    """One Locust process and its runs, one after the other."""

    def __init__(self, environment: Any, session: Session, runs: Path, given: dict[str, Any]) -> None:
        """`given` is what the command line says of the scenario (`Scenario.instead`)."""
        self._environment = environment
        self._runner = environment.runner
        self._session = session
        self._scenario = session.scenario
        self._given = given
        self._runs = runs
        self._run: RunDir | None = None
        self._companion: Companion | None = None
        self._begun = False
        self._greenlets: list[gevent.Greenlet] = []
        self._aborted = False
        self._quitting = False
        self._was_interrupted = False
        self._has_quit = Event()

    def attach(self) -> None:
        """Set Locust up as the scenario says, where the command line does not say otherwise."""
        environment, scenario = self._environment, self._session.scenario
        options = environment.parsed_options
        options.num_users = scenario.users
        if options.spawn_rate is None:
            # Users of open arrivals do nothing by themselves: they may all come at once.
            options.spawn_rate = float(scenario.users) if scenario.rates else scenario.spawn_per_s
        options.run_time = None  # Locust's own time would begin before the load does
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
        if options.with_parent:
            parent.watch(self._interrupted)
        # KeyboardInterrupt would be raised in any greenlet, in the middle of anything.
        gevent.signal_handler(signal.SIGINT, self._interrupted)
        events = environment.events
        events.test_start.add_listener(self._test_start)
        events.spawning_complete.add_listener(self._spawned)
        events.test_stopping.add_listener(self._test_stopping)
        events.test_stop.add_listener(self._test_stop)
        if isinstance(self._runner, WorkerRunner):
            self._runner.register_message(RUN_MESSAGE, self._run_message)
            self._runner.register_message(BEGIN_MESSAGE, self._begin_message)
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
        session, options = self._session, environment.parsed_options
        try:
            self._run = RunDir.create(session.deployment, runs=self._runs, name=session.scenario.name)
            self._run.note_command(json.loads(options.of_command) if options.of_command else None)
            (self._run.path / "scenario.toml").write_bytes(session.scenario.path.read_bytes())
            self._run.note(scenario=session.scenario.name, load=_load(session.scenario), clean_stop=False)
            self._companion = Companion(self._run.path, session.deployment.path)
            self._companion.await_first()
            if isinstance(self._runner, LocalRunner):
                self._begin(self._run.path)
            elif isinstance(self._runner, MasterRunner):
                self._runner.send_message(
                    RUN_MESSAGE,
                    {
                        "run": str(self._run.path.absolute()),
                        "workers": self._runner.worker_count,
                        "given": self._given,
                    },
                )
        except (InputError, OSError) as problem:
            self.abort(str(problem))
            raise gevent.GreenletExit from None  # Locust swallows all else, and would start its users
        if options.progress:
            self._greenlets.append(gevent.spawn(progress.show, environment, session.scenario))
        if not session.scenario.rates:
            self._end_in(session.scenario.duration_s)

    def _spawned(self, **_: Any) -> None:
        """All users are there: arrivals begin."""
        if self._run is None or not self._session.scenario.rates or self._begun:
            return
        self._begun = True
        at_ns = now_ns() + int(HEAD_START_S * 1e9)
        if isinstance(self._runner, MasterRunner):
            self._runner.send_message(BEGIN_MESSAGE, {"at_ns": at_ns})
        else:
            self._begin_arrivals(at_ns)
        self._end_in(HEAD_START_S + self._session.scenario.duration_s)

    def _end_in(self, seconds: float) -> None:
        options = self._environment.parsed_options
        if options.headless or options.autostart:
            self._greenlets.append(gevent.spawn_later(seconds, self._end))

    def _end(self) -> None:
        self._greenlets.remove(gevent.getcurrent())  # which are killed while this one waits
        if self._environment.parsed_options.headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _test_stopping(self, environment: Any, **_: Any) -> None:
        self._session.stopping()
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        if self._run is not None and environment.parsed_options.progress:
            within_s = self._session.scenario.clean_up_s
            self._greenlets.append(gevent.spawn(progress.draining, environment, within_s))

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
        with suppress(OSError):  # nobody reads it any more where the parent was killed
            print(f"run: {self._run.path}", flush=True)
        self._run = None

    # On the process that has the users.

    def _begin(self, run: Path, worker: int = 0, workers: int = 1) -> None:
        self._begun = False
        session = self._session
        session.begin(Recording(run, f"worker-{worker:02}", self.abort), worker=worker, workers=workers)
        if session.scenario.rates:
            session.arrivals = open_arrivals(session, Drops(self._environment, session).drop)

    def _begin_arrivals(self, at_ns: int) -> None:
        if self._session.arrivals is not None:
            self._session.warm_up_from(at_ns)
            self._session.arrivals.begin(at_ns)

    def _begin_message(self, msg: Any, **_: Any) -> None:
        self._begin_arrivals(msg.data["at_ns"])

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
            self._session.scenario = self._scenario.instead(**msg.data["given"])
            self._begin(run, max(0, self._runner.worker_index), msg.data["workers"])
        except (InputError, OSError) as problem:
            self.abort(str(problem))

    def _abort_message(self, msg: Any, **_: Any) -> None:
        self.abort(f"worker {msg.node_id}: {msg.data['line']}")
