"""The proxy's log and the broker's trace of one command, as one file of evidence."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from calorimeter.core.deployment import Consent, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.latency_budget import Windows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.gates.evidence import proxy_log
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import BrokerProcess, hosts
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.tracing import tracing

QUIET_S = 2.0
LOG_WITHIN_S = 5.0


class PathEvidence(Model):
    """Evidence of the paths of some requests.

    `processes` maps AMQP connections to processes, `hosts` an engine process (as text) to its host's name
    in Heat. `doubts` are sentences on what may be missing; empty if nothing is known to be. `windows` are
    those in which tracing was on; empty if it was on all the time.
    """

    schema_version: int = 1
    events: tuple[Delivery, ...]
    connections: tuple[proxy_log.LoggedConnection, ...]
    processes: dict[str, BrokerProcess]
    hosts: dict[str, str]
    doubts: tuple[str, ...]
    windows: Windows = ()


class PathRecorder:
    """The open sources of evidence."""

    def __init__(self, api: BrokerApi, firehose: Firehose, logs: ProxyLogs) -> None:
        self._api = api
        self._firehose = firehose
        self._logs = logs
        self._processes = api.processes()
        self._hosts = {str(process): host for process, host in hosts(api.engine_consumers()).items()}

    def finish(
        self, request_ids: Collection[str] | None, ports: Collection[int], wait_s: float
    ) -> PathEvidence:
        """The recording of these requests (None: of all), once their work has ended.

        Convergence goes on after an answer, so that is after 2 s without an event of theirs, or after
        `wait_s`. Then the proxy's log must name all client `ports` within 5 s.
        """
        self._await_quiet(request_ids, wait_s)
        log = self._logs.await_ports(ports, LOG_WITHIN_S)
        self._firehose.settle()
        events = tuple(
            event
            for event in self._firehose.deliveries()
            if request_ids is None or event.reply or event.request_id in request_ids
        )
        # A reply's connection may be closed by now; only its time is used.
        unknown = {e.connection for e in events if not e.reply} - set(self._processes)
        doubts = [
            self._firehose.why_incomplete,
            log.doubt,
            *(d for source in self._logs.used() for d in source.doubts),
        ]
        return PathEvidence(
            events=events,
            connections=log.connections,
            processes={**self._processes, **self._api.processes(unknown)},
            hosts=self._hosts,
            doubts=tuple(doubt for doubt in doubts if doubt),
        )

    def _await_quiet(self, request_ids: Collection[str] | None, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        seen = len(self._firehose)
        while (left_s := deadline - time.monotonic()) > 0:
            start = seen

            def more(events: Sequence[Delivery], start: int = start) -> bool:
                return any(request_ids is None or e.request_id in request_ids for e in events[start:])

            if not self._firehose.wait_for(more, min(QUIET_S, left_s)):
                return
            seen = len(self._firehose)


def refuse_without_consent(deployment: Deployment) -> None:
    """Raise InputError if the owner has not consented to tracing the broker."""
    if not deployment.consent.level.allows(Consent.INVASIVE):
        raise InputError(
            f"{deployment.path}: consent.level",
            f"is {str(deployment.consent.level)!r}, but this command switches the broker's tracing on",
            "valid: invasive",
        )


@contextmanager
def recorder(deployment: Deployment) -> Iterator[PathRecorder]:
    """Switch tracing on and open the firehose and the logs, while the context is open.

    Raises InputError without consent to trace the broker or if a log cannot be received, and
    `EvidenceUnavailable` without a trace.
    """
    refuse_without_consent(deployment)
    with (
        tracing(deployment) as traced,
        Firehose(deployment, gaps=traced.gaps) as firehose,
        ProxyLogs.of(deployment.proxy) as logs,
    ):
        yield PathRecorder(traced.api, firehose, logs)


LARGEST = 256 * 2**20
"""Bytes of a recording: some hundred thousand requests."""


def read(run: RunDir, name: str) -> PathEvidence:
    """Read a recording from the evidence of a run. Raises InputError if the file is not one."""
    path = run.path / "evidence" / f"{name}.json"
    try:
        return recorded_json.record(path, PathEvidence, within=run.path, limit=LARGEST)
    except MissingFileError:
        raise
    except InputError as problem:
        given = f"is not the evidence of `calorimeter trace` ({problem.given})"
        raise InputError(str(path), given) from problem
