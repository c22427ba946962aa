"""A client of Heat's APIs at the proxy: many calls at once, each of them recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

import requests

from calorimeter.core import foreign
from calorimeter.core.errors import InputError
from calorimeter.core.login.http_session import HttpSession, read_body
from calorimeter.core.login.sigv4 import Signer, cfn_url
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.sources import addresses, check_bindable
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.identity import session

BEYOND_S = 20.0
"""Client timeout beyond the RPC timeout: an answer that is late is still recorded as an answer."""

ERROR_TEXT_LENGTH = 120


class HeatClient:
    """Calls Heat from several source addresses, so that `balance source` spreads them over the APIs."""

    def __init__(self, context: Context, sources: int = 8) -> None:
        self._identity = session(context.deployment)
        self._token = self._identity.token()
        self._url = self._identity.rest_url()
        self._timeout_s = context.deployment.expect.rpc_timeout_s + BEYOND_S
        self._cfn = context.deployment.cfn
        self._sessions = [self._session(source) for source in _sources(context, sources)]
        self._signer = Signer.of(context.deployment)
        self._next = 0
        self._lock = threading.Lock()

    def call(
        self, operation: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[HeatCall, Any]:
        """One REST request: its record and the JSON of its answer (None without JSON). Never raises."""
        headers = {"X-Auth-Token": self._valid_token(), "Accept": "application/json"}
        request = requests.Request(method, f"{self._url}{path}", json=body, headers=headers)
        record, answer = self._send("rest", operation, request)
        return record, _json(answer)

    def _valid_token(self) -> str:
        """A token that is valid now. Without an answer of Keystone's the last one: Heat then refuses it."""
        with suppress(InputError):
            self._token = self._identity.token()
        return self._token

    def cfn(self, action: str, **form: str) -> tuple[HeatCall, str]:
        """One CFN request: its record and the text of its answer. Never raises; needs `speaks_cfn`."""
        assert self._cfn is not None and self._signer is not None
        url = cfn_url(self._cfn)
        headers, body = self._signer.sign(url, action, **form)
        request = requests.Request("POST", url, headers=dict(headers.items()), data=body)
        record, answer = self._send("cfn", action, request)
        return record, answer.content.decode("utf-8", "replace") if answer is not None and answer.ok else ""

    @property
    def speaks_cfn(self) -> bool:
        """Whether the deployment has a CFN API and the suite has credentials for it."""
        return self._cfn is not None and self._signer is not None

    def close(self) -> None:
        """Close all connections, so that the proxy logs them; further calls open new ones."""
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
            read_body(answer)  # the call ends with the last byte of the answer
        except requests.RequestException as problem:
            answer, error = None, type(problem).__name__
        record = HeatCall(
            operation=operation,
            request_id=_request_id(answer),
            sent_ns=sent,
            done_ns=time.time_ns(),
            status=answer.status_code if answer is not None else 0,
            error=error,
            said=_error_text(answer),
            api=api,
            source=end[0],
            source_port=end[1],
        )
        return record, answer

    def list_stacks(self) -> HeatCall:
        """One list of at most one stack: a harmless RPC call on the queue `engine`."""
        return self.call("list", "GET", "/stacks?limit=1")[0]

    def list_refused(self) -> HeatCall:
        """A list that the API refuses with 400 on its own: all that `list_stacks` does except the RPC."""
        return self.call("refused", "GET", "/stacks?limit=none")[0]

    def _session(self, source: str | None) -> requests.Session:
        urls = [self._url] if self._cfn is None else [self._url, cfn_url(self._cfn)]
        return HttpSession("Heat", *urls, verify=self._identity.login.verify, source=source)


def _sources(context: Context, count: int) -> list[str | None]:
    try:
        found = addresses(context.deployment.clients.sources, count)
        for address in found:
            check_bindable(address)
    except InputError:
        found = []
    return [*found] or [None]


def _local_end(answer: requests.Response) -> tuple[str, int]:
    """The client's address and port; known only until the answer's body has been read."""
    sock = getattr(getattr(answer.raw, "connection", None), "sock", None)
    if sock is None:
        return "", 0
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def _json(answer: requests.Response | None) -> Any:
    if answer is None or not answer.ok or not answer.content:
        return None
    try:
        return foreign.json_value(answer.content)
    except foreign.UnintelligibleError:
        return None


def _request_id(answer: requests.Response | None) -> str | None:
    try:
        given = None if answer is None else answer.headers.get("X-Openstack-Request-Id")
        return foreign.identifier(given)
    except foreign.UnintelligibleError:
        return None


def _error_text(answer: requests.Response | None) -> str:
    """Type and message of Heat's error, shortened; never another part of the body."""
    if answer is None or answer.ok:
        return ""
    try:
        tree = foreign.json_value(answer.content)
        error = tree.get("error") or {}
        words = f"{error.get('type', '')}: {error.get('message', '') or tree.get('title', '')}"
    except foreign.MISREAD:
        words = "not an error from Heat"
    return " ".join(words.split())[:ERROR_TEXT_LENGTH]


class CallStream:
    """Calls of `ask` at a fixed pace, whether or not earlier ones were answered (open loop).

    They are sent until the context is left; leaving it waits for all answers. `late_s` is the largest delay
    of a call behind its schedule: how long this process, or its machine, was paused.
    """

    def __init__(self, ask: Callable[[], HeatCall], every_s: float, most: int = 256) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="stream")
        self._calls: list[Future[HeatCall]] = []
        self.late_s = 0.0
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown(wait=True)

    def calls(self) -> tuple[HeatCall, ...]:
        """The calls that have ended so far."""
        return tuple(future.result() for future in tuple(self._calls) if future.done())

    @property
    def open(self) -> int:
        """Number of calls that have not ended yet."""
        return sum(not future.done() for future in tuple(self._calls))

    def content_since_ns(self, enough: int, most_open: int, since_ns: int = 0) -> int:
        """When the first of the latest `enough` calls was sent; 0 unless all were answered well.

        Only calls that were sent after `since_ns` count. At most `most_open` may be under way.
        """
        latest = [call for call in self.calls() if call.sent_ns >= since_ns][-enough:]
        content = len(latest) == enough and all(call.ok for call in latest) and self.open <= most_open
        return latest[0].sent_ns if content else 0

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.late_s = max(self.late_s, time.monotonic() - due)
            self._calls.append(self._pool.submit(self._ask))
            due += self._every_s
