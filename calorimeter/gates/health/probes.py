"""Steady clients from many sources on an API while it is broken, each request timed from when it was due.

Two populations: clients with a connection per request, and clients that keep theirs. Beside them direct
probes ask single backends at their own addresses, past the proxy, to see whether a fault really happened
and when it was over.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from calorimeter.core.deployment import Address, Api, Tls
from calorimeter.gates.clients.visiting import tls_context
from calorimeter.gates.evidence.proxy_log import Connection
from calorimeter.gates.health.trial import Attempt, DirectRequest

EVERY_S = 0.5
"""One source's interval: with many sources, an outage's begin and end are seen far more finely."""

DIRECT_EVERY_S = 0.1
DIRECT_S = 2.0
"""Time for a direct answer: what takes longer counts as not serving."""

IN_FLIGHT = 40
"""Requests of one source that may be open at once; one due beyond that is recorded as `dropped`."""

LARGEST_HEAD = 65536


class Probes:
    """Clients of some APIs, and direct probes of some backends; a thread with an event loop of its own.

    `sources` are those of each API (None: what the operating system picks), of which the last `kept` keep
    their connection. `direct` is backend → (address, path).
    """

    def __init__(
        self,
        apis: Mapping[str, Api],
        sources: Mapping[str, Sequence[str | None]],
        kept: int,
        direct: Mapping[str, tuple[Address, str]],
        tls: Tls,
        answer_s: float,
    ) -> None:
        self._apis = apis
        self._sources = sources
        self._kept = kept
        self._direct = direct
        self._tls = tls
        self._answer_s = answer_s
        self.attempts: list[Attempt] = []
        self.directs: dict[str, list[DirectRequest]] = {name: [] for name in direct}
        self.answered: set[tuple[str, str]] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="probes", daemon=True)
        self._open: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Send no more; requests still open after `wait_s` are recorded as not answered."""
        if self._thread.is_alive():
            self._wait_s = wait_s  # before the stop, for the loop reads it then
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
        for name, api in self._apis.items():
            sources = self._sources[name]
            context = tls_context(api, self._tls)
            for number, source in enumerate(sources):
                keeps = number >= len(sources) - self._kept
                offset = EVERY_S * number / len(sources)
                kind = self._keeping if keeps else self._connecting
                clients.append(kind(name, api, source, context, offset))
        clients += [self._asking(name, *where) for name, where in self._direct.items()]
        tasks = {asyncio.create_task(client) for client in clients}
        await self._stop.wait()
        # Nothing new is due; requests that are under way may end, those included that were due just now.
        ends = self._loop.time() + self._wait_s
        while (left := {t for t in tasks if not t.done()} | self._open) and self._loop.time() < ends:
            await asyncio.wait(left, timeout=ends - self._loop.time())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    _wait_s = 0.0

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
        self, name: str, api: Api, source: str | None, context: ssl.SSLContext | None, offset: float
    ) -> None:
        """A client with a connection per request; its next request does not wait for the last one."""
        mine: set[asyncio.Task[None]] = set()
        async for due in self._ticks(EVERY_S, offset):
            if len(mine) >= IN_FLIGHT:
                self._note(name, source or "", 0, False, due, due, 0, "dropped")
                continue
            task = self._spawn(self._once(name, api, source, context, due))
            mine.add(task)
            task.add_done_callback(mine.discard)

    async def _once(
        self, name: str, api: Api, source: str | None, context: ssl.SSLContext | None, due: int
    ) -> None:
        client = _Client(api.front, source, context)
        sent = time.time_ns()
        status, error = 0, "not answered when the experiment ended"
        try:
            status, error = await client.ask("/", self._answer_s, keep=False)
        finally:
            client.close()
            self._note(name, client.address or source or "", client.port, False, due, sent, status, error)

    async def _keeping(
        self, name: str, api: Api, source: str | None, context: ssl.SSLContext | None, offset: float
    ) -> None:
        """A client that keeps its connection, and makes a new one only when it was lost."""
        client = _Client(api.front, source, context)
        try:
            async for due in self._ticks(EVERY_S, offset):
                sent = time.time_ns()
                status, error = 0, "not answered when the experiment ended"
                try:
                    status, error = await client.ask("/", self._answer_s, keep=True)
                finally:
                    where = client.address or source or ""
                    self._note(name, where, client.port, True, due, sent, status, error)
                if not status:
                    client.close()
        finally:
            client.close()

    async def _asking(self, name: str, address: Address, path: str) -> None:
        """Direct probes of one backend, each on its own."""
        async for _ in self._ticks(DIRECT_EVERY_S, 0):
            self._spawn(self._ask_directly(name, address, path))

    async def _ask_directly(self, name: str, address: Address, path: str) -> None:
        client = _Client(address, None, None)
        sent = time.time_ns()
        try:
            status, error = await client.ask(path, DIRECT_S, keep=False)
            self.directs[name].append(
                DirectRequest(sent_ns=sent, done_ns=time.time_ns(), status=status, error=error)
            )
        finally:
            client.close()

    def _note(
        self, api: str, source: str, port: int, kept: bool, due: int, sent: int, status: int, error: str
    ) -> None:
        now = time.time_ns()
        if status:
            self.answered.add((api, source))
        self.attempts.append(
            Attempt(
                api=api, source=source, port=port, kept=kept,
                due_ns=due, sent_ns=sent, done_ns=now, status=status, error=error,
            )
        )  # fmt: skip


class _Client:
    """One HTTP/1.1 connection; `address` and `port` are its own end."""

    def __init__(self, to: Address, source: str | None, context: ssl.SSLContext | None) -> None:
        self._to = to
        self._source = source
        self._context = context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.address = ""
        self.port = 0

    async def ask(self, path: str, within_s: float, *, keep: bool) -> tuple[int, str]:
        """`GET path`: the status, or 0 and why there is none."""
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(path, keep)
        except TimeoutError:
            return 0, f"no answer in {within_s:g} s"
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            if isinstance(problem, asyncio.IncompleteReadError):
                return 0, "closed without an answer"
            text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            return 0, text[:120]

    async def _ask(self, path: str, keep: bool) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._to.host,
                self._to.port,
                ssl=self._context,
                local_addr=(self._source, 0) if self._source else None,
                limit=LARGEST_HEAD,
            )
            self.address, self.port = self._streams[1].get_extra_info("sockname")[:2]
        reader, writer = self._streams
        ending = "" if keep else "Connection: close\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._to}\r\n{ending}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            return 0, "the answer is not HTTP"
        if keep:
            await reader.readexactly(_length(head))
        return int(words[1]), ""

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("an answer without a length")


def attributed(attempts: Iterable[Attempt], connections: Iterable[Connection]) -> tuple[Attempt, ...]:
    """The attempts, each with the server that the proxy's log names for its address and port.

    A port that was used twice is matched in the order of time; requests on a kept connection share its
    line.
    """
    lines: defaultdict[tuple[str, int], deque[Connection]] = defaultdict(deque)
    for connection in sorted(connections, key=lambda c: c.accepted_ns):
        lines[connection.end].append(connection)
    found = []
    for attempt in sorted(attempts, key=lambda a: a.sent_ns):
        waiting = lines.get((attempt.source, attempt.port))
        server = None
        if waiting:
            server = (waiting[0] if attempt.kept else waiting.popleft()).server
        found.append(attempt.model_copy(update={"server": server}))
    return tuple(found)
