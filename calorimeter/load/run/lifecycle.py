"""A run inside Locust: prepared before users start, recorded during the load, completed after its end.

Locust swallows exceptions of its listeners, so nothing here relies on raising. An error that makes a run
worthless calls `Lifecycle.abort`, which stops Locust with exit status 2.
"""

from __future__ import annotations

import json
import logging
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import locust.runners
from gevent.event import Event
from locust.exception import RPCError
from locust.runners import MasterRunner, WorkerRunner

from calorimeter.core import files
from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.host.precedence import Precedence
from calorimeter.core.recorded import objective_test
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.recording.histogram import Histogram
from calorimeter.load.run import parent_process, progress_line, worker_files, worker_messages, workers
from calorimeter.load.run.cleanup import remove_tenants, sweep_unaccounted
from calorimeter.load.run.followed_load import BEGUN, EARLY, ENDED
from calorimeter.load.run.generator_monitor import GeneratorMonitor, freeze_garbage
from calorimeter.load.run.objective_watch import ObjectiveCounts, ObjectiveWatch
from calorimeter.load.run.session import LoadSession, Recorders, open_arrivals
from calorimeter.load.run.user_stages import UserStages, load_settings
from calorimeter.load.run.users import CfnUser, DropRecorder, RestUser, StackUser
from calorimeter.load.run.watch_process import WatchProcess
from calorimeter.load.run.worker_messages import parsed
from calorimeter.load.tenants import tenants

log = logging.getLogger(__name__)

HEAD_START_S = 0.3
"""The time from the last user's start to the first arrival; messages to workers take some of it."""

RESERVE, RESERVE_BYTES = ".reserve", 32 * 1024
"""A file that is removed before the end is noted: on a full disk there is room for run.json."""


class Lifecycle:
    """One Locust process and its consecutive runs."""

    def __init__(self, environment: Any, session: LoadSession, runs: Path, given: dict[str, Any]) -> None:
        """`given` are the settings of the command line that replace the scenario's (`Scenario.instead`)."""
        self._environment = environment
        self._runner = environment.runner
        self._session = session
        self._scenario = session.scenario
        self._given = given
        self._runs = runs
        self._run: RunDir | None = None
        self._watch: WatchProcess | None = None
        self._monitor: GeneratorMonitor | None = None
        self._master = workers.Master(self._runner) if isinstance(self._runner, MasterRunner) else None
        self._objectives: ObjectiveWatch | None = None
        self._counts: ObjectiveCounts | None = None
        self._foreign: Path | None = None
        self._begun = False
        self._finishing: gevent.Greenlet | None = None
        self._greenlets: list[gevent.Greenlet] = []
        self._aborted = False
        self._quitting = False
        self._was_interrupted = False
        self._has_quit = Event()

    def attach(self) -> None:
        """Set Locust up as scenario and command line say, and listen to its events."""
        environment, scenario = self._environment, self._session.scenario
        options = environment.parsed_options
        options.num_users = scenario.users
        if options.spawn_rate is None:
            # Users of open arrivals are idle until one is due, so all may start at once.
            options.spawn_rate = float(scenario.users) if scenario.rates else scenario.spawn_per_s
        if scenario.stages and not scenario.rates and not isinstance(self._runner, WorkerRunner):
            environment.shape_class = UserStages(scenario)
        options.run_time = None  # Locust would count from before the load begins
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
        self._session.token.start_renewing()
        self._runner.quit = partial(self._quit_once, self._runner.quit)
        parent_process.watch(self._left_alone, on_input=options.with_parent)
        # KeyboardInterrupt could be raised in any greenlet at any point.
        gevent.signal_handler(signal.SIGINT, self._interrupted)
        events = environment.events
        events.test_start.add_listener(self._test_start)
        events.spawning_complete.add_listener(self._spawned)
        events.test_stopping.add_listener(self._test_stopping)
        events.test_stop.add_listener(self._test_stop)
        if isinstance(self._runner, WorkerRunner):
            locust.runners.MASTER_HEARTBEAT_TIMEOUT = environment.stop_timeout + workers.GRACE_S
            self._runner.register_message(worker_messages.RUN, self._run_message)
            self._runner.register_message(worker_messages.CLOCK, self._clock_message)
            self._runner.register_message(worker_messages.BEGIN, self._begin_message)
            events.report_to_master.add_listener(self._report_to_master)
        else:
            self._runner.register_message(worker_messages.ABORT, self._abort_message)

    def abort(self, line: str) -> None:
        """Print one line, and end this run and Locust with exit status 2."""
        if self._aborted:
            return
        worker = isinstance(self._runner, WorkerRunner)
        if worker and self._environment.parsed_options.processes:  # its master has the same terminal
            self._aborted = True
            self._environment.process_exit_code = 2
        else:
            self._failed(line)
        if worker:
            self._runner.send_message(worker_messages.ABORT, {"line": line[:2000]})
        gevent.spawn(self._quit)

    def _quit(self) -> None:
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _interrupted(self) -> None:
        """Ctrl-C: end the run as if its time were up; the second time, without removing stacks."""
        self._was_interrupted = True
        running = self._run is not None or self._monitor is not None
        if self._quitting or (running and self._session.over.is_set()):
            self._session.ends_ns = now_ns()
            if self._master is not None:  # Locust sends its own workers a Ctrl-C when it ends
                self._master.abandon_workers = True
        else:
            self._quit()

    def _left_alone(self) -> None:
        """The parent, or the master of a worker that was forked, was killed: the same as one Ctrl-C."""
        if not self._quitting and not self._session.over.is_set():
            self._interrupted()
            parent_process.exit_without_workers(self._runner)

    def _quit_once(self, quit_locust: Callable[[], None]) -> None:
        """Quit only once: Locust's quit is not re-entrant, and the end of time and Ctrl-C both call it."""
        if self._quitting:
            self._has_quit.wait()
            return
        self._quitting = True
        try:
            if self._master is not None and self._run is not None:
                # Locust's quit would end the run while workers still remove their stacks.
                self._draining()
                self._master.quit_workers()
                self._master.await_done(self._environment.stop_timeout)
            quit_locust()
            if self._finishing is not None:
                self._finishing.join()
        finally:
            self._has_quit.set()

    # In the process that the user started: a single one, or the master of workers.

    def _test_start(self, environment: Any, **_: Any) -> None:
        if isinstance(self._runner, WorkerRunner):
            return  # workers begin with the master's message
        session, options = self._session, environment.parsed_options
        self._begun = False
        try:
            self._run = RunDir.create(session.deployment, runs=self._runs, name=session.scenario.name)
            self._run.note_command(json.loads(options.of_command) if options.of_command else None)
            text = files.read(session.scenario.path)
            files.write(self._run.path / "scenario.toml", text, mode=files.PRIVATE)
            files.write(self._run.path / RESERVE, secrets.token_bytes(RESERVE_BYTES), mode=files.PRIVATE)
            self._run.note(
                scenario=session.scenario.name,
                templates=session.scenario.digests,
                load=load_settings(session.scenario),
                keystone_verified=bool(session.token.login.verify),
                clean_stop=False,
            )
            tenants.create(session.deployment, session.scenario, session.token, self._run.path.name)
            watched = (self._run.path, session.deployment.path, environment.web_ui)
            self._watch = WatchProcess(*watched, first=not options.usual_priority)
            self._watch.await_first()
            self._objectives = ObjectiveWatch(session.scenario) if options.abort_on_objective else None
            if self._master is None:
                self._begin(self._run.path, counting=self._objectives is not None)
            else:
                scenario, self._master.objectives = session.scenario, self._objectives
                self._master.begin(
                    *(self._run.path, self._given, workers.digest(text), scenario.digests),
                    load_s=scenario.duration_s + scenario.clean_up_s,
                )
        except (InputError, OSError) as problem:
            self.abort(str(problem))
            raise gevent.GreenletExit from None  # Locust swallows others, and would start users
        if options.progress:
            printer = gevent.spawn(progress_line.show, environment, session.scenario, self._responses)
            self._greenlets.append(printer)
        if not session.scenario.rates:
            self._announce_begin()
            if environment.shape_class is None:
                self._end_in(session.scenario.duration_s)

    def _spawned(self, **_: Any) -> None:
        """All users have started: begin the arrivals."""
        if self._run is None or not self._session.scenario.rates or self._begun:
            return
        self._begun = True
        at_ns = now_ns() + int(HEAD_START_S * 1e9)
        if self._master is not None:
            self._master.start_arrivals(at_ns)
        else:
            self._begin_arrivals(at_ns)
        self._announce_begin(HEAD_START_S)
        self._end_in(HEAD_START_S + self._session.scenario.duration_s)

    def _announce_begin(self, in_s: float = 0.0) -> None:
        """Print BEGUN for the parent process, whose faults count from here; objectives, from `in_s` on."""
        if self._environment.parsed_options.with_parent and self._run is not None:
            with suppress(OSError):
                print(f"{BEGUN}{self._run.path}", flush=True)
        if (test := self._objectives) is not None:
            self._greenlets.append(gevent.spawn_later(in_s, test.until_missed, self._counts, self._end))

    def _responses(self) -> Histogram:
        """Response times of all requests so far."""
        if self._master is not None:
            return self._master.responses
        return self._monitor.all_responses if self._monitor is not None else Histogram()

    def _end_in(self, seconds: float) -> None:
        """End the run after `seconds`, even one that was started from Locust's page."""
        self._greenlets.append(gevent.spawn_later(seconds, self._end))

    def _end(self) -> None:
        self._greenlets.remove(gevent.getcurrent())  # the others are killed while this one waits
        if self._environment.parsed_options.headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _test_stopping(self, **_: Any) -> None:
        self._session.stopping()
        if self._master is None or not self._quitting:  # otherwise its workers have done this already
            self._draining()

    def _draining(self) -> None:
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        if self._run is not None and self._environment.parsed_options.progress:
            within_s = self._session.scenario.clean_up_s
            self._greenlets.append(gevent.spawn(progress_line.show_draining, self._environment, within_s))

    def _test_stop(self, environment: Any, **_: Any) -> None:
        # When the last worker ends, Locust calls this in a greenlet that its `quit` then kills.
        if not self._finishing:  # a worker may end by itself and by its master at once
            self._finishing = gevent.spawn(self._finish, environment)
        self._finishing.join()

    def _finish(self, environment: Any) -> None:
        if self._master is not None and self._run is not None:
            self._master.await_done(environment.stop_timeout)
        done = self._end_recording()
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        if environment.parsed_options.progress:
            progress_line.clear()
        if isinstance(self._runner, WorkerRunner) and done:
            try:
                if self._foreign is not None:
                    done["sent_bytes"] = worker_files.send_files(
                        self._runner, self._foreign, done["worker"]
                    )
                self._runner.send_message(worker_messages.DONE, done)
            except (InputError, RPCError) as problem:  # its master reports it as lost
                self._failed(str(problem))
        if self._run is None:
            return
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        session = self._session
        if left := remove_tenants(session.deployment, session.scenario, self._run.path.name):
            log.warning("%s", left)
        for line in self._master.incomplete() if self._master is not None else ():
            self._failed(line)  # the load was not the requested one
        early = self._objectives.ended if self._objectives is not None else None
        in_order = objective_test.STOPPED if early is not None else "ended"
        stopped = "failed" if self._aborted else "interrupted" if self._was_interrupted else in_order
        try:
            (self._run.path / RESERVE).unlink(missing_ok=True)
            self._run.note(
                ended=datetime.now(UTC).isoformat(),
                users=self._runner.target_user_count,
                stopped=stopped,
                clean_stop=not self._aborted,
                workers=self._master.about() if self._master is not None else [done],
                **({objective_test.KEY: self._objectives.about()} if self._objectives is not None else {}),
            )
        except InputError as problem:
            self._failed(str(problem))
        if early is not None:
            self._environment.process_exit_code = self._environment.process_exit_code or 1
        with suppress(OSError):  # if the parent was killed, nobody reads it
            if early is not None:
                print(f"{EARLY}{early.sentence}", flush=True)
            print(f"{ENDED}{self._run.path}", flush=True)
        self._run = None

    def _failed(self, line: str) -> None:
        """Print why a run that is ending has failed: exit status 2."""
        self._aborted = True
        self._environment.process_exit_code = 2
        print(f"calorimeter: {line}", file=sys.stderr, flush=True)

    # In a process that has users.

    def _begin(self, run: Path, worker: int = 0, of: int = 1, *, counting: bool = False) -> None:
        session, name = self._session, workers.name_of(worker)
        freeze_garbage()
        first = Precedence(not self._environment.parsed_options.usual_priority, of)
        recorders = Recorders(run, name, self.abort, first)
        session.begin(recorders, worker=worker, workers=of)
        self._counts = ObjectiveCounts(session) if counting else None
        recorders.samples.observe = self._counts.add if self._counts else None
        if session.scenario.rates:
            session.arrivals = open_arrivals(session, DropRecorder(self._environment, session).record)
        self._monitor = GeneratorMonitor(
            *(run, name, session.arrivals, recorders.samples.responses),
            *(lambda: (self._runner.user_count, session.in_progress), self.abort, first),
        )

    def _begin_arrivals(self, at_ns: int) -> None:
        if self._session.arrivals is not None:
            freeze_garbage()
            self._session.warm_up_from(at_ns)
            self._session.arrivals.begin(at_ns)

    def _end_recording(self) -> dict[str, Any]:
        """End all recording. Returns this process's entry in run.json."""
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return {}
        done = monitor.about()
        if line := sweep_unaccounted(self._session):
            log.warning("%s", line)
        self._session.end()
        monitor.close()
        return done

    def _begin_message(self, msg: Any, **_: Any) -> None:
        if beginning := parsed(worker_messages.Beginning, msg.data):
            self._begin_arrivals(beginning.at_ns)

    def _clock_message(self, msg: Any, **_: Any) -> None:
        if question := parsed(worker_messages.ClockQuestion, msg.data):
            answer = {"sent_ns": question.sent_ns, "now_ns": now_ns()}
            self._runner.send_message(worker_messages.CLOCK, answer)

    def _report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        if self._monitor is not None:
            data["calorimeter_responses"] = self._monitor.unreported.take().as_message()
        if self._counts is not None:
            data["calorimeter_objectives"] = self._counts.take()

    def _run_message(self, msg: Any, **_: Any) -> None:
        assigned = parsed(worker_messages.RunOrder, msg.data)
        if self._monitor is not None:
            return
        try:
            if assigned is None:
                raise InputError("master", "begins no run that this version knows", "use one version")
            workers.check_same(workers.digest(files.read(self._scenario.path)), assigned.scenario)
            workers.check_templates(self._scenario.digests, assigned.templates)
            self._session.scenario = self._scenario.with_overrides(**assigned.given.model_dump())
            run, foreign = workers.own_folder(self._runs, assigned.id)
            self._foreign = run if foreign else None
            self._begin(run, assigned.worker, assigned.workers, counting=assigned.test_objectives)
        except (InputError, OSError) as problem:
            self.abort(str(problem))

    def _abort_message(self, msg: Any, **_: Any) -> None:
        if complaint := parsed(worker_messages.Complaint, msg.data):
            self.abort(" ".join(f"worker {msg.node_id}: {complaint.line}".split()))
