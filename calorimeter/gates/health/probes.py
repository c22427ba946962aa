"""Probes: steady clients of the APIs during a trial, each request timed from when it was due.

There are two populations: clients with a connection per request, and clients that keep theirs. Direct
probes also poll single backends at their own addresses, past the proxy, to see whether a fault really
happened and when it was over.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.http_get import GetRecord, HttpConnection, tls_context
from calorimeter.gates.clients.log_join import with_lines
from calorimeter.gates.clients.own_address import OwnAddress
from calorimeter.gates.clients.visiting import Sources
from calorimeter.gates.evidence.proxy_log import LoggedConnection
from calorimeter.gates.health.trial import CUT_OFF, Attempt, DirectRequest

EVERY_S = 0.5
"""One source's interval: with many sources, start and end of an outage are seen far more finely."""

DIRECT_EVERY_S = 0.1
DIRECT_S = 2.0
"""Time for a direct answer: what takes longer counts as not serving."""

IN_FLIGHT = 40
"""Requests of one source that may be open at once; one that is due beyond that is recorded as `dropped`."""


@dataclass(eq=False)
class Probes:
    """Clients of some APIs, and direct probes of some backends, in a thread with its own event loop.

    `sources` are those of each API (None: what the operating system picks), of which the last `kept` keep
    their connection. `direct` is a backend's key → (address, path). `answer_s` is the time for an answer.
    """

    apis: Mapping[str, Api]
    sources: Mapping[str, Sources]
    kept: int
    direct: Mapping[str, tuple[OwnAddress, str]]
    tls: Tls
    answer_s: float
    attempts: list[Attempt] = field(default_factory=list)
    answered: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.directs: dict[str, list[DirectRequest]] = {name: [] for name in self.direct}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._wait_s = 0.0
        self._thread = threading.Thread(target=self._run, name="probes", daemon=True)
        self._open: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start to send."""
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Stop sending; requests still open after `wait_s` are recorded as not answered."""
        if self._thread.is_alive():
            self._wait_s = wait_s  # set before the stop, because the loop reads it then
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._all())
        finally:
            self._loop.close()

    async def _all(self) -> None:
        clients: list[Coroutine[Any, Any, None]] = []
        for name, api in self.apis.items():
            sources = self.sources[name]
            tls = tls_context(api, self.tls)
            for number, source in enumerate(sources):
                keeps = number >= len(sources) - self.kept
                offset = EVERY_S * number / len(sources)
                client = self._keeping if keeps else self._connecting
                clients.append(client(name, api, source, tls, offset))
        clients += [self._polling(name, *where) for name, where in self.direct.items()]
        tasks = {asyncio.create_task(client) for client in clients}
        await self._stop.wait()
        # Nothing new is due; open requests may end, those included that were due just now.
        ends = self._loop.time() + self._wait_s
        while (left := {t for t in tasks if not t.done()} | self._open) and self._loop.time() < ends:
            await asyncio.wait(left, timeout=ends - self._loop.time())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _ticks(self, every_s: float, offset_s: float) -> AsyncIterator[int]:
        """Yield the moments at which something is due (ns, epoch), each when it has come."""
        due = time.time_ns() + int(offset_s * 1e9)
        while not self._stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), max(0.0, (due - time.time_ns()) / 1e9))
                return
            yield due
            due += int(every_s * 1e9)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    async def _connecting(
        self, name: str, api: Api, source: str | None, tls: ssl.SSLContext | None, offset: float
    ) -> None:
        """A client with a connection per request; its next request does not wait for the last one."""
        mine: set[asyncio.Task[None]] = set()

        async def once(due: int) -> None:
            connection = HttpConnection(api.front, source, tls)
            answer = await connection.get(within_s=self.answer_s, body=False, if_cancelled=CUT_OFF)
            connection.close()
            self._note(name, due, answer, kept=False)

        async for due in self._ticks(EVERY_S, offset):
            if len(mine) >= IN_FLIGHT:
                never_sent = GetRecord(source or "", 0, due, time.time_ns(), 0, "dropped")
                self._note(name, due, never_sent, kept=False)
                continue
            task = self._spawn(once(due))
            mine.add(task)
            task.add_done_callback(mine.discard)

    async def _keeping(
        self, name: str, api: Api, source: str | None, tls: ssl.SSLContext | None, offset: float
    ) -> None:
        """A client that keeps its connection, and opens another only when it was lost."""
        connection = HttpConnection(api.front, source, tls)
        try:
            async for due in self._ticks(EVERY_S, offset):
                answer = await connection.get(within_s=self.answer_s, keep=True, if_cancelled=CUT_OFF)
                self._note(name, due, answer, kept=True)
                if not answer.status:
                    connection.close()
        finally:
            connection.close()

    async def _polling(self, name: str, own: OwnAddress, path: str) -> None:
        """Direct probes of one backend; the next one does not wait for the last one."""

        async def once() -> None:
            connection = HttpConnection(own.at, tls=own.tls)
            try:
                answer = await connection.get(path, within_s=DIRECT_S, body=False)
            finally:
                connection.close()
            self.directs[name].append(DirectRequest(**answer.fields))

        async for _ in self._ticks(DIRECT_EVERY_S, 0):
            self._spawn(once())

    def _note(self, api: str, due_ns: int, answer: GetRecord, *, kept: bool) -> None:
        if answer.status:
            self.answered.add((api, answer.source))
        source, port = answer.source, answer.port
        self.attempts.append(
            Attempt(api=api, source=source, port=port, kept=kept, due_ns=due_ns, **answer.fields)
        )


def attributed(attempts: Iterable[Attempt], connections: Iterable[LoggedConnection]) -> tuple[Attempt, ...]:
    """The attempts in the order in which they were sent, each with the server of its connection's line.

    Requests on a kept connection share its line.
    """
    in_order = sorted(attempts, key=lambda attempt: attempt.sent_ns)
    return tuple(
        attempt.model_copy(update={"server": line.server if line else None})
        for attempt, line in with_lines(in_order, connections, lambda attempt: attempt.kept)
    )
