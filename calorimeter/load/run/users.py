"""Locust's users: each has one source, one connection, its own random numbers and its own stacks."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, ClassVar, TypeVar

import gevent
from locust import User, task
from locust.user.task import LOCUST_STATE_STOPPING

from calorimeter.core.clock import now_ns
from calorimeter.load.arrivals.open_arrivals import OpenArrivals
from calorimeter.load.http.client import Answer, Client
from calorimeter.load.operations import operation_table, stack_life
from calorimeter.load.operations.operation import Operation, SoftwareConfig, Stack
from calorimeter.load.recording.recorder import ActionRow, LedgerRow
from calorimeter.load.run.session import LoadSession

T = TypeVar("T")
_LogRequest = Callable[[str, str, float, int], None]

CONNECT_PAUSE_S = 0.1
"""The pause after a refused connection; without it, refused connections would fill the generator's time."""

STOP_POLL_S = 0.02

NOBODY = -1
"""The user number in the sample of a dropped arrival."""

IDLE_S = 0.1
"""The pause of a user for whom no operation of the mix is possible."""


class RequestFailedError(Exception):
    """The failure of a request, as Locust's page shows it."""


class StackUser(User):
    """A user of one API who performs the scenario's mix (an `operations.operation.Actor`)."""

    abstract = True
    api_name: ClassVar[str]
    session: ClassVar[LoadSession]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        session = self.session
        if session.recorders is None:
            raise gevent.GreenletExit  # the run was aborted while Locust created its users
        scenario = session.scenario
        load = scenario.load(self.api_name)
        assert load is not None
        self.number = session.next_user()
        self.random = Random(f"{scenario.seed}/{self.number}")
        self.client, self.source = session.client(self.api_name, self.number)
        self._other_client: Client | None = None
        self.api, self.quota = session.api(self.api_name, self.number)
        self.stacks: list[Stack] = []
        self.configs: list[SoftwareConfig] = []
        self.abandoned: list[bytes] = []
        self.templates = load.templates
        self.stacks_max = load.stacks_per_user
        self.poll_s = scenario.poll_s
        self.complete_within_s = scenario.complete_within_s
        self._mix = operation_table.mix_of(scenario, self.api_name)
        self._think_s = scenario.think_s
        self._due = 0
        self._names = 0
        self._samples = session.recorders.samples
        self._ledger = session.recorders.ledger
        self._actions = session.recorders.actions
        self._prefix = session.prefix
        self._kind = self.api_name.upper()
        self._fire = environment.events.request.fire
        self._listeners, self._direct = _locust_alone(environment)

    def wait_time(self) -> float:
        """A think time in seconds, drawn for this user."""
        return self.random.uniform(*self._think_s)

    @task
    def live(self) -> None:
        """Perform the mix until stopped. This is one task, because Locust's scheduling costs too much."""
        if self.session.arrivals is not None:
            self._serve(self.session.arrivals)
            return
        over = self.session.over
        thinks = self._think_s[1] > 0
        while self._state != LOCUST_STATE_STOPPING:
            if over.is_set():  # Locust is about to stop this user
                gevent.sleep(STOP_POLL_S)
                continue
            operation = self._mix.draw(self)
            if operation is None:
                over.wait(IDLE_S)
                continue
            assert operation.perform is not None
            operation.perform(self, operation)
            # In Locust's own wait() this user could be killed, possibly when its next request has begun.
            if thinks:
                over.wait(self.wait_time())

    def _serve(self, arrivals: OpenArrivals) -> None:
        """Perform one operation per arrival until stopped."""
        while self._state != LOCUST_STATE_STOPPING:
            self._due = arrivals.wait(self.api_name)
            if not self._due:
                if self.session.over.is_set():
                    gevent.sleep(STOP_POLL_S)
                continue
            operation = self._mix.draw(self)
            if operation is not None:
                assert operation.perform is not None
                operation.perform(self, operation)
            if self._due:  # nothing was sent
                due, self._due = self._due, 0
                arrivals.drop(self.api_name, due)

    def stop(self, force: bool = False) -> bool:
        """Stop as Locust does, and release a user that waits for an arrival."""
        stopped: bool = super().stop(force)
        if self.session.arrivals is not None and not force:
            self.session.arrivals.dismiss(self.greenlet)
        return stopped

    def on_stop(self) -> None:
        """Await the ends of this user's creates and remove its stacks, while there is time."""
        try:
            for stack in list(self.stacks):
                if not stack.entry.final_state and now_ns() < self.until_ns(self.complete_within_s):
                    stack_life.await_final(self, stack)
            while self.stacks and now_ns() < self.until_ns(self.complete_within_s):
                before = self.stacks[0]
                stack_life.remove(self, operation_table.DELETE[self.api_name], before)
                if self.stacks and self.stacks[0] is before:
                    gevent.sleep(self.poll_s)
            operation_table.remove_configs(self)
        finally:  # Locust may stop waiting before this is done
            for stack in list(self.stacks):
                self.unaccounted(stack.target.name)
                self.finish(stack)
            for config in self.configs:
                self.unaccounted(config.config_id)
            self.client.close()
            if self._other_client is not None:
                self._other_client.close()

    def request(
        self, operation: Operation, data: bytes, understand: Callable[[Answer], T] | None = None
    ) -> tuple[Answer, T | None]:
        """Send, judge and record a request, and report it to Locust (see `Actor`)."""
        now = now_ns()
        # Requests after the first one of an arrival (the polls of a new stack) are due when they are sent.
        scheduled, self._due = self._due or now, 0
        client = self.client if operation.api == self.api_name else self._client_of(operation.api)
        try:
            answer = client.send(data, operation.repeatable, now)
        except gevent.GreenletExit:  # Locust stops waiting; the request was sent
            self._record(operation, client.answer, scheduled)
            raise
        value = None
        if not answer.error:
            if answer.status not in operation.expected:
                answer.error = "status"
            elif understand is not None:
                try:
                    value = understand(answer)
                except Exception as problem:  # whatever the body is, the request has its sample
                    answer.error, answer.detail = "body", str(problem)
        self._record(operation, answer, scheduled)
        if answer.error == "connect":
            gevent.sleep(CONNECT_PAUSE_S)
        return answer, value

    def _client_of(self, api: str) -> Client:
        """The client of the other API, for signals; created when it is first needed."""
        if self._other_client is None:
            self._other_client, _ = self.session.client(api, self.number)
        return self._other_client

    def _record(self, operation: Operation, answer: Answer, scheduled: int) -> None:
        self._samples.add(
            operation.api,
            operation.name,
            answer.status,
            answer.error,
            self.source,
            answer.port,
            answer.request_id,
            self.number,
            self.session.phase(scheduled),
            scheduled,
            answer.sent_ns,
            answer.first_byte_ns,
            answer.done_ns,
        )
        self._report(operation.name, (answer.done_ns - scheduled) / 1e6, len(answer.body), _failure(answer))

    def accepted(self, stack: Stack) -> None:
        """Keep a stack, which is in progress from now on."""
        self.stacks.append(stack)
        self.session.in_progress += 1

    def completed(self, entry: LedgerRow, problem: str) -> None:
        """Report the time to COMPLETE to Locust's page, as an event of its own."""
        self.session.in_progress -= bool(entry.final_ns)
        took_ms = ((entry.final_ns or now_ns()) - entry.accepted_ns) / 1e6
        self._report("accepted to COMPLETE", took_ms, 0, RequestFailedError(problem) if problem else None)

    def _report(self, name: str, took_ms: float, length: int, problem: RequestFailedError | None) -> None:
        """Fire Locust's `request` event; if only Locust listens to it, call its statistics directly."""
        if self._direct is not None and problem is None and len(self._listeners) == 1:
            self._direct(self._kind, name, took_ms, length)
            return
        self._fire(
            request_type=self._kind,
            name=name,
            response_time=took_ms,
            response_length=length,
            exception=problem,
            context={},
        )

    def acted(self, action: ActionRow, problem: str) -> None:
        """Record an action's end, and report it to Locust's page as an event of its own."""
        self._actions.add(action)
        took_ms = ((action.final_ns or now_ns()) - action.accepted_ns) / 1e6
        name = f"{action.operation} to COMPLETE"
        self._report(name, took_ms, 0, RequestFailedError(problem) if problem else None)

    def finish(self, stack: Stack) -> None:
        """Write a stack's row to the ledger."""
        self.stacks.remove(stack)
        self.session.in_progress -= not stack.entry.final_ns
        self._ledger.add(stack.entry)
        if stack.entry.deleted_ns:
            self.quota.give_back()

    def unaccounted(self, name: str) -> None:
        """Note the name of a stack or config that may have been left."""
        self.session.unaccounted.append(name)

    def next_name(self) -> str:
        """A unique name that shows the run and the user."""
        self._names += 1
        return f"{self._prefix}{self.number}-{self._names}"

    def until_ns(self, within_s: float) -> int:
        """The deadline of something that may take `within_s`; not after the end of the run."""
        until = now_ns() + int(within_s * 1e9)
        return min(until, self.session.ends_ns) if self.session.ends_ns else until


class DropRecorder:
    """Records arrivals that found no free user, and reports them to Locust as failures.

    Each is a failure of an operation of the mix, drawn by weight. `user` is -1: it had no user.
    """

    def __init__(self, environment: Any, session: LoadSession) -> None:
        assert session.recorders is not None
        scenario = session.scenario
        self._session = session
        self._samples = session.recorders.samples
        self._fire = environment.events.request.fire
        self._random = Random(f"{scenario.seed}/drops/{session.worker}")
        loads = {api: load for api in session.fronts if (load := scenario.load(api))}
        self._mixes = {api: (list(load.mix), list(load.mix.values())) for api, load in loads.items()}

    def record(self, api: str, due: int, now: int) -> None:
        """Record one dropped arrival."""
        name = self._random.choices(*self._mixes[api])[0]
        phase = self._session.phase(due)
        self._samples.add(api, name, 0, "dropped", "", 0, b"", NOBODY, phase, due, now, 0, now)
        self._fire(
            request_type=api.upper(),
            name=name,
            response_time=None,  # Locust counts it, but not in its response times
            response_length=0,
            exception=RequestFailedError("dropped"),
            context={},
        )


def _locust_alone(environment: Any) -> tuple[list[Any], _LogRequest | None]:
    """The listeners of the request event, and what Locust's own listener calls, if it is the first one.

    Firing an event costs as much as all of Locust's statistics. Without other listeners, calling the
    function directly has the same effect.
    """
    listeners: list[Any] = getattr(environment.events.request, "_handlers", [])
    first = getattr(listeners[0], "__qualname__", "") if listeners else ""
    known = first == "Runner.__init__.<locals>.on_request"
    return listeners, environment.stats.log_request if known else None


def _failure(answer: Answer) -> RequestFailedError | None:
    if not answer.error:
        return None
    return RequestFailedError(f"status {answer.status}" if answer.error == "status" else answer.error)


class RestUser(StackUser):
    """A user of the REST API."""

    abstract = False
    api_name = "rest"


class CfnUser(StackUser):
    """A user of the CFN API."""

    abstract = False
    api_name = "cfn"
