"""The watch: the proxy's and the broker's counters, once a second, while a load runs."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from calorimeter.core import masking
from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.stats_sources import ProxyStats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

Look = Callable[[], dict[str, Any]]


class Watch:
    """Looks at everything that can be seen and writes `<source>.jsonl`, one object a look.

    A look that fails is written as `{"t_ns": …, "unavailable": why}`: a gap that says so.
    """

    def __init__(self, deployment: Deployment, folder: Path, every_s: float) -> None:
        self._folder = folder
        self._every_s = every_s
        self._usage = deployment.usage
        self._looks: dict[str, list[Look]] = {"proxy": _proxy_looks(deployment)}
        if deployment.broker is not None and deployment.broker.management is not None:
            self._looks["broker"] = [_broker_look(BrokerApi.of(deployment))]

    def until_closed(self, closing: IO[str]) -> None:
        """Look every `every_s` seconds, and a last time once `closing` is at its end."""
        with recorded_usage(self._usage, self._folder / "processes.jsonl"):
            self._look_until(closing)

    def _look_until(self, closing: IO[str]) -> None:
        files = {name: (self._folder / f"{name}.jsonl").open("a") for name in self._looks}
        due = time.monotonic()
        open_still = True
        while open_still:
            ready, _, _ = select.select([closing], [], [], max(due - time.monotonic(), 0))
            open_still = not (ready and not closing.readline())
            if open_still and time.monotonic() < due:
                continue
            due = max(due + self._every_s, time.monotonic())
            for name, looks in self._looks.items():
                for look in looks:
                    files[name].write(json.dumps(_looked(look)) + "\n")
                files[name].flush()
        for file in files.values():
            file.close()


END_S = 5.0
"""How long the command that prints usage has to end, once its standard input is closed."""


@contextmanager
def recorded_usage(command: str | None, file: Path) -> Iterator[None]:
    """Run the `usage` command meanwhile, its lines going to `file`; that it failed is a line, too."""
    if command is None:
        yield
        return
    with file.open("ab") as output, TemporaryFile() as errors:
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
            status = _ended(process)
            if status != 0:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines() or ["nothing said"]
                why = f"usage: status {status}, {masking.mask(said[-1])[:200]}"
                look = json.dumps({"t_ns": time.time_ns(), "unavailable": why})
                output.write(f"{look}\n".encode())


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Close its standard input and await its end, else kill it with all that it started; its status."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        return process.wait(END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a session of its own
        return process.wait()


def _looked(look: Look) -> dict[str, Any]:
    t_ns = time.time_ns()
    try:
        return {"t_ns": t_ns, **look()}
    except EvidenceUnavailable as problem:
        return {"t_ns": t_ns, "unavailable": f"{problem.where}: {problem.why}"}


def _proxy_looks(deployment: Deployment) -> list[Look]:
    def look_at(stats: ProxyStats) -> Look:
        return lambda: {"proxy": stats.name, "servers": [_server(row) for row in stats.show_stat()]}

    return [look_at(ProxyStats(deployment, proxy)) for proxy in deployment.proxy if proxy.stats]


def _server(row: Any) -> dict[str, Any]:
    names = ("section", "status", "scur", "stot", "qcur", "econ", "eresp", "check_status", "weight")
    return {"server": row.name, **{name: getattr(row, name) for name in names}}


def _broker_look(api: BrokerApi) -> Look:
    def look() -> dict[str, Any]:
        queues, channels = api.queues(), api.channels()
        given = {connection.name: connection.given_name for connection in api.connections()}
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
                    "name": given.get(channel.connection),
                    "queue_consumers": sorted(consumed.get((channel.connection, channel.channel), [])),
                    "deliver": channel.delivered,
                }
                for channel in channels
                if channel.consumers
            ],
        }

    return look
