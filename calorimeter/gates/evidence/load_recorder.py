"""Records the proxies' and the broker's counters beside a load, once a second."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from calorimeter.core import files
from calorimeter.core.deployment import Deployment
from calorimeter.core.secrecy import masking
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.proxy_state import ServerStat
from calorimeter.gates.evidence.stats_sources import ProxyStats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

Reader = Callable[[], dict[str, Any]]


class LoadRecorder:
    """Polls the proxies and the broker, and writes `proxy.jsonl` and `broker.jsonl`, one object a poll.

    A poll that fails is written as `{"t_ns": …, "unavailable": why}`.
    """

    def __init__(self, deployment: Deployment, folder: Path, every_s: float) -> None:
        self._folder = folder
        self._every_s = every_s
        self._usage = deployment.usage
        proxies = [ProxyStats(deployment, proxy) for proxy in deployment.proxy if proxy.stats]
        self._readers: dict[str, list[Reader]] = {"proxy": [partial(_proxy, stats) for stats in proxies]}
        if deployment.broker is not None and deployment.broker.management is not None:
            self._readers["broker"] = [partial(_broker, BrokerApi.of(deployment))]

    def until_closed(self, closing: IO[str]) -> None:
        """Poll every `every_s` seconds, and a last time once `closing` is at its end."""
        with ExitStack() as files_open, recorded_usage(self._usage, self._folder / "processes.jsonl"):
            outputs = {
                name: files_open.enter_context(files.append(self._folder / f"{name}.jsonl"))
                for name in self._readers
            }
            due = time.monotonic()
            still_open = True
            while still_open:
                ready, _, _ = select.select([closing], [], [], max(due - time.monotonic(), 0))
                still_open = not (ready and not closing.readline())
                if still_open and time.monotonic() < due:
                    continue
                due = max(due + self._every_s, time.monotonic())
                for name, output in outputs.items():
                    for read in self._readers[name]:
                        files.append_line(output, json.dumps(_polled(read)))


END_S = 5.0
"""Time for the `usage` command to end, once its standard input is closed."""


@contextmanager
def recorded_usage(command: str | None, file: Path) -> Iterator[None]:
    """Run the `usage` command while this is entered and write its lines to `file`; if it fails, a last line
    says why."""
    if command is None:
        yield
        return
    with files.append(file) as output, TemporaryFile() as errors:
        process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            yield
        finally:
            status = _end(process)
            if status != 0:
                errors.seek(0)
                messages = errors.read().decode(errors="replace").strip().splitlines() or ["no message"]
                why = f"usage: status {status}, {masking.mask(messages[-1])[:200]}"
                line = json.dumps({"t_ns": time.time_ns(), "unavailable": why})
                output.write(f"{line}\n".encode())


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close a process's standard input, wait for its end, else kill its session; its exit status."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        return process.wait(END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # it has a session of its own
        return process.wait()


def _polled(read: Reader) -> dict[str, Any]:
    t_ns = time.time_ns()
    try:
        return {"t_ns": t_ns, **read()}
    except EvidenceUnavailable as problem:
        return {"t_ns": t_ns, "unavailable": f"{problem.where}: {problem.why}"}


def _proxy(stats: ProxyStats) -> dict[str, Any]:
    return {"proxy": stats.name, "servers": [_row(row) for row in stats.show_stat()]}


def _row(row: ServerStat) -> dict[str, Any]:
    names = ("section", "status", "scur", "stot", "qcur", "econ", "eresp", "check_status", "weight")
    return {"server": row.name, **{name: getattr(row, name) for name in names}}


def _broker(api: BrokerApi) -> dict[str, Any]:
    queues, channels = api.queues(), api.channels()
    given_names = {connection.name: connection.given_name for connection in api.connections()}
    consumed: dict[tuple[str, int], list[str]] = {}
    for consumer in api.consumers():
        consumed.setdefault((consumer.connection, consumer.channel), []).append(consumer.queue)
    return {
        "queues": [
            {
                "name": queue.name,
                "messages_ready": queue.ready,
                "messages_unacknowledged": queue.unacked,
                "consumers": queue.consumers,
            }
            for queue in queues
            if queue.name in ("engine", "engine_worker")
        ],
        "channels": [
            {
                "connection": channel.connection,
                "name": given_names.get(channel.connection),
                "queue_consumers": sorted(consumed.get((channel.connection, channel.channel), [])),
                "deliver": channel.delivered,
            }
            for channel in channels
            if channel.consumers
        ],
    }
