"""A client of Heat's REST API at the proxy: many calls at once, each of them recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter

from calorimeter.core.errors import InputError
from calorimeter.core.sigv4 import Signer, cfn_url
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.sources import addresses, check_bindable
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.identity import session

BEYOND_S = 20.0
"""How long beyond the RPC timeout an answer is waited for: one that comes then came too late, but came."""

SAID = 120


class _From(HTTPAdapter):
    """Connections from one source address."""

    def __init__(self, source: str | None) -> None:
        self._source = source
        super().__init__(pool_connections=1, pool_maxsize=256)

    def init_poolmanager(self, *args: Any, **words: Any) -> None:
        if self._source:
            words["source_address"] = (self._source, 0)
        super().init_poolmanager(*args, **words)


class HeatClient:
    """Calls Heat from several source addresses, so that `balance source` spreads them over the APIs."""

    def __init__(self, context: Context, sources: int = 8) -> None:
        self._identity = session(context.deployment)
        self._token = self._identity.token()
        self._url = self._identity.rest_url()
        self._timeout_s = context.deployment.expect.rpc_timeout_s + BEYOND_S
        self._sessions = [self._session(source) for source in _sources(context, sources)]
        self._cfn = context.deployment.cfn
        self._signer = Signer.of(context.deployment)
        self._next = 0
        self._lock = threading.Lock()

    def call(
        self, operation: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[HeatCall, Any]:
        """One request, and the JSON of its answer (None where there is none). Never raises."""
        headers = {"X-Auth-Token": self._valid_token(), "Accept": "application/json"}
        request = requests.Request(method, f"{self._url}{path}", json=body, headers=headers)
        record, answer = self._send("rest", operation, request)
        return record, _json(answer)

    def _valid_token(self) -> str:
        """A token that is valid now; where Keystone gives none the last one, and Heat's answer tells."""
        with suppress(InputError):
            self._token = self._identity.token()
        return self._token

    def cfn(self, action: str, **form: str) -> tuple[HeatCall, str]:
        """One request to the CFN API, and the text of its answer. Never raises; needs `speaks_cfn`."""
        assert self._cfn is not None and self._signer is not None
        url = cfn_url(self._cfn)
        headers, body = self._signer.sign(url, action, **form)
        request = requests.Request("POST", url, headers=dict(headers.items()), data=body)
        record, answer = self._send("cfn", action, request)
        return record, answer.text if answer is not None and answer.ok else ""

    @property
    def speaks_cfn(self) -> bool:
        """Whether the deployment has a CFN API, and the suite credentials for it."""
        return self._cfn is not None and self._signer is not None

    def close(self) -> None:
        """Close all connections, so that the proxy writes their lines; calls open new ones."""
        for http in self._sessions:
            http.close()

    def _send(
        self, api: str, operation: str, request: requests.Request
    ) -> tuple[HeatCall, requests.Response | None]:
        with self._lock:
            self._next += 1
            http = self._sessions[self._next % len(self._sessions)]
        sent, answer, error, end = time.time_ns(), None, "", ("", 0)
        try:
            answer = http.send(http.prepare_request(request), timeout=self._timeout_s, stream=True)
            end = _local_end(answer)
            answer.content  # noqa: B018 - the call ends when the whole answer is here
        except requests.RequestException as problem:
            answer, error = None, type(problem).__name__
        done = time.time_ns()
        record = HeatCall(
            operation=operation,
            request_id=answer.headers.get("X-Openstack-Request-Id") if answer is not None else None,
            sent_ns=sent,
            done_ns=done,
            status=answer.status_code if answer is not None else 0,
            error=error,
            said=_said(answer),
            api=api,
            source=end[0],
            source_port=end[1],
        )
        return record, answer

    def look(self) -> HeatCall:
        """One list of stacks: an RPC call on the queue `engine`, and harmless."""
        return self.call("list", "GET", "/stacks?limit=1")[0]

    def refuse(self) -> HeatCall:
        """A list that the API refuses by itself, with 400: it takes all that `look` does but the RPC."""
        return self.call("refused", "GET", "/stacks?limit=none")[0]

    def _session(self, source: str | None) -> requests.Session:
        http = requests.Session()
        http.trust_env = False
        http.verify = self._identity.session.verify
        adapter = _From(source)
        http.mount("http://", adapter)
        http.mount("https://", adapter)
        return http


def _sources(context: Context, count: int) -> list[str | None]:
    try:
        found = addresses(context.deployment.clients.sources, count)
        for address in found:
            check_bindable(address)
    except InputError:
        found = []
    return [*found] or [None]


def _local_end(answer: requests.Response) -> tuple[str, int]:
    """The client's address and port of an answer whose body has not been read yet."""
    connection = getattr(answer.raw, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is None:
        return "", 0
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def _json(answer: requests.Response | None) -> Any:
    if answer is None or not answer.ok or not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        return None


def _said(answer: requests.Response | None) -> str:
    """Heat's own word for an error; never more than its title and message."""
    if answer is None or answer.ok:
        return ""
    try:
        tree = answer.json()
        error = tree.get("error") or {}
        words = f"{error.get('type', '')}: {error.get('message', '') or tree.get('title', '')}"
    except (ValueError, AttributeError):
        words = "without a word of Heat's"
    return " ".join(words.split())[:SAID]


class Stream:
    """Calls of `ask` at a steady pace, whatever becomes of those before: an open stream.

    They go on until the context is left, and leaving waits for all answers. `late_s` is by how much a call
    was begun after its time, at worst: so long this process, or its whole machine, stood still.
    """

    def __init__(self, ask: Callable[[], HeatCall], every_s: float, most: int = 256) -> None:
        self._ask = ask
        self._every_s = every_s
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="stream")
        self._calls: list[Future[HeatCall]] = []
        self.late_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown(wait=True)

    def calls(self) -> tuple[HeatCall, ...]:
        """What has been answered so far."""
        return tuple(future.result() for future in tuple(self._calls) if future.done())

    @property
    def open(self) -> int:
        """Calls that have not been answered yet."""
        return sum(not future.done() for future in tuple(self._calls))

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.late_s = max(self.late_s, time.monotonic() - due)
            self._calls.append(self._pool.submit(self._ask))
            due += self._every_s
