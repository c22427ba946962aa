"""The context of the gates: the deployment, the strength of a run, and experiments that gates share."""

from __future__ import annotations

import socket
from collections.abc import Callable, Hashable, Iterable
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import dataclass, fields
from functools import wraps
from inspect import signature
from pathlib import Path
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar

from calorimeter.core import tls_front
from calorimeter.core.broker_table import Broker
from calorimeter.core.database_table import Database
from calorimeter.core.deployment import Api, Deployment, Proxy
from calorimeter.core.engine_groups import EngineGroup
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import FaultInjector
from calorimeter.core.login.identities import Identity
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.time_line import TimeLine

T = TypeVar("T")
P = ParamSpec("P")

REACH_S = 5.0
"""Timeout of a TCP connection to a front address; after it the deployment counts as unreachable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The strength of the experiments."""

    sources: int = 1000
    visits: int = 5
    calls: int = 1000
    stacks: int = 42
    connections: int = 6000
    notice: int = 60

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the settings."""
        return tuple(f.name for f in fields(cls))


FAST = Settings(sources=300, visits=2, calls=90, stacks=12)
"""The strength of a first look (`--fast`)."""


class Context:
    """The deployment under test, as the gates use it. Leaving the context closes what was opened in it.

    `say` announces the step that starts now; `show` shows it. `may_break`: optional fault injection is
    allowed. `run` is the folder of an earlier run that the verdicts are added to; `baseline` are the runs
    that it is compared with, `history` the folders of all runs before it.
    """

    def __init__(
        self,
        deployment: Deployment,
        settings: Settings,
        *,
        may_break: bool = False,
        run: RunDir | None = None,
        baseline: tuple[Path, ...] = (),
        history: tuple[Path, ...] = (),
    ) -> None:
        self.deployment = deployment
        self.settings = settings
        self.may_break = may_break
        self.show: Callable[[str], None] = lambda text: None
        self.time_line = TimeLine()
        self.run = run
        self.baseline = baseline
        self.history = history
        self._results: dict[Hashable, tuple[str, Any]] = {}
        self._aside: dict[Hashable, Thread] = {}
        self._injector: FaultInjector | None = None
        self.closing = ExitStack()

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.close()

    def strength(self, name: str) -> int:
        """A setting of this run; the gate that runs is noted to depend on it."""
        self.time_line.depends(name)
        value: int = getattr(self.settings, name)
        return value

    def weaker(self) -> str:
        """The settings of the gate that are weaker than usual, as a clause; empty if none is."""
        usual = Settings()
        less = [
            f"{getattr(self.settings, name)} {name} instead of {getattr(usual, name)}"
            for name in self.time_line.settings()
            if getattr(self.settings, name) < getattr(usual, name)
        ]
        return f"a first look: {', '.join(less)}" if less else ""

    def say(self, text: str) -> None:
        """Announce the step that starts now."""
        self.time_line.step(text)
        self.show(text)

    def begin_aside(self, experiment: Callable[[Context], object]) -> None:
        """Begin a shared experiment in a thread. It is used only after `settle` has waited for its end.

        It announces no step. The thread ends with the process if the context is left before.
        """
        aside = copy(self)
        aside.time_line, aside.show = TimeLine(), lambda text: None

        def carry_out() -> None:
            with suppress(Exception):  # its first use raises it
                experiment(aside)

        thread = Thread(target=carry_out, name="aside", daemon=True)
        self._aside[experiment] = thread
        thread.start()

    def settle(self) -> None:
        """Wait until every experiment that began aside has ended."""
        while self._aside:
            _, thread = self._aside.popitem()
            if thread.is_alive():
                self.say("waiting for what began beside another gate")
            thread.join()

    def once(self, key: Hashable, experiment: Callable[[], T]) -> T:
        """Run an experiment at its first call, and return or raise at every call what the first one did."""
        if key not in self._results:
            try:
                self._results[key] = (self.time_line.gate, experiment())
            except Exception as problem:
                self._results[key] = (self.time_line.gate, problem)
        by, result = self._results[key]
        self.time_line.uses(by)
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    @property
    def recorded(self) -> RunDir:
        """The recorded load that gates T judge. Raises EvidenceUnavailable if no run was given."""
        if self.run is None:
            raise EvidenceUnavailable("--run", "was not given")
        return self.run

    @property
    def injector(self) -> FaultInjector:
        """The fault injector of the deployment. Leaving the context heals all that it injected.

        Raises InputError if another run is injecting faults into the same deployment.
        """
        if self._injector is None:
            self._injector = self.closing.enter_context(FaultInjector(self.deployment))
        return self._injector

    def api(self, name: str) -> Api:
        """The API `rest` or `cfn`. Raises EvidenceUnavailable if the deployment has none."""
        return self._described(self.deployment.api(name), name)

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """The proxies. Raises EvidenceUnavailable if none is described."""
        return self._described(self.deployment.proxy, "proxy")

    @property
    def broker(self) -> Broker:
        """The broker. Raises EvidenceUnavailable if none is described."""
        return self._described(self.deployment.broker, "broker")

    @property
    def database(self) -> Database:
        """Heat's database. Raises EvidenceUnavailable if it is not described."""
        return self._described(self.deployment.database, "database")

    @property
    def engines(self) -> tuple[EngineGroup, ...]:
        """The groups of engines. Raises EvidenceUnavailable if none are described."""
        return self._described(self.deployment.engines, "engines")

    @property
    def identity(self) -> Identity:
        """The suite's user and project. Raises EvidenceUnavailable if they are not described."""
        return self._described(self.deployment.identity, "identity")

    def _reach_one(self, names: Iterable[str]) -> None:
        """Check that one of the front addresses accepts connections; P1 and P2 judge each of them."""
        problems: list[InputError] = []
        for name in names:
            api = self.deployment.api(name)
            if api is None:
                continue
            try:
                check_reachable(f"{self.deployment.path}: {name}.url", api)
            except InputError as problem:
                problems.append(problem)
            else:
                return
        if problems:
            raise problems[0]

    def _described(self, part: T | None, name: str) -> T:
        if not part:
            raise EvidenceUnavailable(str(self.deployment.path), f"has no [{name}], which this gate needs")
        return part

    def preflight(self, gates: Iterable[str]) -> None:
        """Check before the first gate that the deployment answers, that clients can use its https fronts,
        and that the password is right.

        Raises InputError: an unusable set-up is not a verdict on the deployment.
        """
        from calorimeter.gates.evidence.identity import session
        from calorimeter.gates.evidence.log_listener import open_logs
        from calorimeter.gates.registry import GATES, reads_only

        chosen = [GATES[gate_id] for gate_id in gates]
        needs = {need for gate in chosen for need in gate.needs}
        self._reach_one(sorted(needs & {"rest", "cfn"}))
        if not all(map(reads_only, chosen)):
            for name in ("rest", "cfn"):
                if (api := self.deployment.api(name)) is not None:
                    check_tls(self.deployment, name, api)
        if "identity" in needs and self.deployment.identity is not None:
            session(self.deployment)
        if "proxy log" in needs:
            for log in (log for proxy in self.deployment.proxy for log in open_logs(proxy)):
                with log:
                    pass


def shared(experiment: Callable[Concatenate[Context, P], T]) -> Callable[Concatenate[Context, P], T]:
    """Decorate an experiment that several gates are judged from: each context runs it once per arguments.

    Later calls return the first result, or raise the exception that the first call raised.
    """
    parameters = signature(experiment)

    @wraps(experiment)
    def run_once(context: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
        bound = parameters.bind(context, *args, **kwargs)
        bound.apply_defaults()
        key = (experiment, *list(bound.arguments.values())[1:])
        return context.once(key, lambda: experiment(context, *args, **kwargs))

    return run_once


def check_tls(deployment: Deployment, name: str, api: Api) -> None:
    """Raise InputError if the front of an API is https, and clients that verify it cannot use it."""
    if api.parts.scheme == "https":
        tls_front.check(f"{deployment.path}: {name}.url", api.url, api.front, deployment.tls)


def check_reachable(where: str, api: Api) -> None:
    """Open and close a connection to an API's front address. Raises InputError if that fails."""
    front = api.front
    try:
        socket.create_connection((front.host, front.port), timeout=REACH_S).close()
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise InputError(
            where, f"{api.url} cannot be reached ({reason})", "valid: the proxy's front address"
        ) from problem
