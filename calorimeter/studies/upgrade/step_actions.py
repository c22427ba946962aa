"""What each action of a step does on a deployment, and how its effect is awaited."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event

from calorimeter.core import waiting
from calorimeter.core.deployment import Backend, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults import shell_command
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.recorded.upgrade_record import CrossedStack, PlannedStep, UpgradeStep
from calorimeter.gates.clients import own_address
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stacks import Stacks
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.proxy_state import ServerStat
from calorimeter.gates.evidence.stats_sources import ProxyStats, proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.studies.upgrade import crossing
from calorimeter.studies.upgrade.upgrade_plan import ReleaseChange, command_of
from calorimeter.studies.upgrade.upgrade_trace import TOPICS, UpgradeTrace, on_vhost

POLL_S = 0.25
DRAINED_S = 10.0
"""How long a drained API's connections are waited for: kept-alive clients may never leave."""

QUIET_S = 3.0
"""How long queues must stay empty, beyond the age of the broker's statistics."""

BURST, BURST_RESOURCES = 40, 20
"""Stacks, and resources of each, that come through the last API before it moves (`warned-loss`)."""


class StepActions:
    """Carries out steps on one deployment. Each method ends when the step took effect.

    `done` are the steps of an upgrade that this one continues. Raises `CommandFailed` if a command fails,
    or its effect does not come in time, and CancelledError.
    """

    def __init__(
        self,
        deployment: Deployment,
        change: ReleaseChange,
        trace: UpgradeTrace,
        cancel: Event,
        done: Sequence[UpgradeStep] = (),
    ) -> None:
        self._deployment = deployment
        self._change = change
        self._trace = trace
        self._cancel = cancel
        self._stats: tuple[ProxyStats, ...] = proxy_stats_if_visible(deployment)
        self._moved = [each.planned.part for each in done if self._moves(each.planned)]
        self._consumers = self._counted(change.old_vhost)
        self.crossed: list[CrossedStack] = []
        self.bursts: list[Stacks] = []

    def carry_out(self, step: PlannedStep) -> str:
        """Do a step; returns what was not waited for, empty if all was."""
        own = self._own().get(step.action)
        if own is not None:
            return own(step)
        if step.action == "remove-vhost":
            self._trace.end(step.vhost)
        command = command_of(self._deployment, step)
        if command is not None:
            given = {"PART": step.name, "TO": step.release, "VHOST": step.vhost}
            shell_command.run(command, given, step.within_s)
        effect = self._effects().get(step.action)
        note = effect(step) if effect else ""
        if step.action == "add-vhost":
            self._trace.begin(step.vhost)
        self._trace.look()
        return note

    def _own(self) -> dict[str, Callable[[PlannedStep], str]]:
        return {"cross": self._cross, "burst": self._burst, "await-quiet": self._await_quiet}

    def _effects(self) -> dict[str, Callable[[PlannedStep], str]]:
        return {
            "drain": self._await_drained,
            "start": self._await_serving,
            "start-beside": self._await_consumers,
            "undrain": self._await_up,
            "reload": self._await_front,
            "reload-alone": self._await_front,
            "start-again": self._await_whole,
        }

    def _moves(self, step: PlannedStep) -> bool:
        """Whether a step moves an API to the new release."""
        forward = step.action == "start" and not step.back and step.release == self._change.to_release
        return forward and step.kind != "engine"

    # Effects

    def _await_drained(self, step: PlannedStep) -> str:
        """The proxies have no connection to the API any more; kept-alive ones are not waited for longer."""
        if not self._stats:
            return "no proxy shows its connections: none was waited for"
        left = waiting.poll(
            partial(self._connections, step), min(DRAINED_S, step.within_s),
            enough=lambda count: count == 0, every_s=POLL_S, cancel=self._cancel,
        )  # fmt: skip
        return f"{left} connections of clients were still open" if left else ""

    def _connections(self, step: PlannedStep) -> int:
        return sum(server.scur or 0 for server in self._servers(step))

    def _servers(self, step: PlannedStep) -> list[ServerStat]:
        api = self._deployment.api(step.kind)
        section = api.proxy_section if api else ""
        return [
            row
            for stats in self._stats
            for row in stats.show_stat()
            if row.kind == "server" and row.section == section and row.name == step.name
        ]

    def _await_up(self, step: PlannedStep) -> str:
        """Every proxy sends requests to the API again."""
        if not self._stats:
            return "no proxy shows its servers: none was waited for"
        self._until(step, lambda: all(row.takes_connections for row in self._servers(step)), "is not UP")
        return ""

    def _await_serving(self, step: PlannedStep) -> str:
        if step.kind == "engine":
            return self._await_consumers(step)
        backend = self._backend(step)
        where = own_address.of_backend(backend, self._deployment.tls)
        self._until(step, lambda: own_address.serves(where), "does not answer")
        if self._moves(step):
            self._moved.append(step.part)
        return ""

    def _await_front(self, step: PlannedStep) -> str:
        front = own_address.of_front(self._deployment.rest, self._deployment.tls)
        self._until(step, lambda: own_address.serves(front), "does not answer")
        return ""

    def _await_whole(self, step: PlannedStep) -> str:
        """Every node of the broker runs, and the queue `engine` has as many consumers as before."""
        with BrokerApi.of(self._deployment) as api:

            def whole() -> bool:
                nodes = api.nodes()
                apart = any(node.partitions or not node.running for node in nodes)
                return not apart and len(api.engine_consumers()) >= self._consumers

            self._until(step, whole, "is not back with all consumers")
        return ""

    def _counted(self, vhost: str) -> int:
        if self._deployment.broker is None:
            return 0
        try:
            with BrokerApi.of(on_vhost(self._deployment, vhost)) as api:
                return len(api.engine_consumers())
        except EvidenceUnavailable:
            return 0

    def _await_consumers(self, step: PlannedStep) -> str:
        with BrokerApi.of(on_vhost(self._deployment, step.vhost)) as api:
            self._until(step, lambda: bool(api.engine_consumers()), "does not consume")
        return ""

    def _until(self, step: PlannedStep, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            try:
                return condition()
            except EvidenceUnavailable:
                return False  # asked again until the time is over

        if not waiting.poll(holds, step.within_s, every_s=POLL_S, cancel=self._cancel):
            raise CommandFailed(f"{step.name} {what} after {step.within_s:g} s")

    # Actions of the suite itself

    def _await_quiet(self, step: PlannedStep) -> str:
        """The old virtual host has no message, and no stack is in progress that was when this began."""
        began = set(self._in_progress())
        with BrokerApi.of(on_vhost(self._deployment, step.vhost)) as api:
            broker = self._deployment.broker
            quiet_s = QUIET_S + (broker.statistics_lag_s if broker else 0.0)
            since = time.monotonic()

            def quiet() -> bool:
                nonlocal since
                if self._waiting(api) or began & set(self._in_progress()):
                    since = time.monotonic()
                return time.monotonic() - since >= quiet_s

            self._until(step, quiet, f"{step.vhost} has work")
        return ""

    def _waiting(self, api: BrokerApi) -> int:
        queues = [queue for queue in api.queues() if queue.name.partition(".")[0] in TOPICS]
        return sum((queue.ready or 0) + (queue.unacked or 0) for queue in queues)

    def _in_progress(self) -> list[tuple[str, str]]:
        """(id, time of its last change) of each stack that is in progress; empty without an answer."""
        return crossing.in_progress(HeatClient(Context(self._deployment, Settings()), sources=1))

    def _cross(self, step: PlannedStep) -> str:
        """Stacks of each release, changed by the other."""
        rest = self._deployment.rest.backends
        new = [backend for backend in rest if f"rest/{backend.name}" in self._moved]
        old = [backend for backend in rest if f"rest/{backend.name}" not in self._moved]
        if not new or not old:
            return "not one API of each release serves: nothing was crossed"
        sides = (
            (self._change.from_release, crossing.client_of(self._deployment, old[0])),
            (self._change.to_release, crossing.client_of(self._deployment, new[0])),
        )
        self.crossed += crossing.crossed(sides, step.within_s, self._cancel)
        return ""

    def _burst(self, step: PlannedStep) -> str:
        """Many stacks at the API of the step, so that engines have work in their queues."""
        stacks = Stacks(crossing.client_of(self._deployment, self._backend(step)), BURST_RESOURCES)
        self.bursts.append(stacks)
        stacks.burst(BURST, in_flight=8)
        return f"{sum(record.accepted for record in stacks.records)} stacks were accepted"

    def _backend(self, step: PlannedStep) -> Backend:
        api = self._deployment.api(step.kind)
        backends = api.backends if api else ()
        for backend in backends:
            if backend.name == step.name:
                return backend
        known = ", ".join(backend.name for backend in backends)
        raise InputError(str(self._deployment.path), f"{step.name} is no backend", f"valid: {known}")
