"""An HTTP/1.1 client for one user: one kept-alive connection, requests as bytes, answers as small records.

It hides nothing that a server does: there is no pool, and the only retry is the one that HTTP/1.1 allows
after the server has closed a kept-alive connection. Failures are not raised; an answer names its failure
with a word of `calorimeter.core.recorded.samples.ERRORS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic_ns

import httptools
from gevent import Greenlet, getcurrent

from calorimeter.core.clock import OFFSET_NS, now_ns
from calorimeter.load.http import deadlines
from calorimeter.load.http.connection import Connection, Endpoint, connect
from calorimeter.load.http.deadlines import TimedOutError

IDLE_CHECK_NS = 20_000_000
"""A connection that was idle for longer is checked before it is used again."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Heat's longest answers, lists of 1,000 stacks, have about 1 MB."""

MAX_HEAD_BYTES = 64 * 1024
"""The most that may come before an answer's body, with all `100 Continue` before it."""

_PROTOCOL_ERRORS = (httptools.HttpParserError, httptools.HttpParserUpgrade)

_connections_made = 0


def connections_made() -> int:
    """The number of connections that this process has made so far, including those that failed."""
    return _connections_made


@dataclass(frozen=True, slots=True)
class RequestTimeouts:
    """Limits in seconds: to connect; from sending to the first byte, and to the end of the answer."""

    connect_s: float = 5.0
    first_byte_s: float = 70.0
    whole_s: float = 90.0


class Answer:
    """The result of one request. Times are ns since the epoch; 0 means that the request did not get there.

    `error` is empty, `connect`, `closed`, `timeout` or `protocol`; `detail` adds text for a log. `status`
    is 0 without a complete answer. `port` is the local port. `reconnected`: an earlier connection had
    ended, and the request was sent on a new one.
    """

    __slots__ = (
        "body",
        "detail",
        "done_ns",
        "error",
        "first_byte_ns",
        "location",
        "port",
        "reconnected",
        "request_id",
        "sent_ns",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.error = ""
        self.detail = ""
        self.body = b""
        self.request_id = b""
        self.location = b""
        self.sent_ns = 0
        self.first_byte_ns = 0
        self.done_ns = 0
        self.port = 0
        self.reconnected = False


class Client:
    """One user's connection to one endpoint from one source address; used by one greenlet at a time."""

    def __init__(
        self,
        to: Endpoint,
        source: str | None = None,
        timeouts: RequestTimeouts | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        timeouts = timeouts or RequestTimeouts()
        self._to = to
        self._source = source
        self._max = max_answer_bytes
        self._connect_ns = int(timeouts.connect_s * 1e9)
        self._first_byte_ns = int(timeouts.first_byte_s * 1e9)
        self._whole_ns = int(timeouts.whole_s * 1e9)
        self._connection: Connection | None = None
        self._used = False  # the current connection has carried an answer
        self._idle_since_ns = 0
        self._answer = Answer()
        self._parser: httptools.HttpResponseParser
        self._parts: list[bytes] = []
        self._complete = False
        self._head_done = False
        self._framed = False
        self._bodiless = False
        self._last = False
        self.expires_ns = 0
        self.greenlet: Greenlet | None = None
        self.connections = 0
        """Connections made so far, including those that failed."""
        deadlines.watch(self)

    def send(self, request: bytes, repeatable: bool = True, now: int = 0) -> Answer:
        """Send one complete request and wait for the end of its answer.

        If a kept-alive connection ends before the first byte of the answer, a `repeatable` request is sent
        a second time, on a new connection. Other requests (a create) are not: they may have been carried
        out. `now` is the current time if the caller has just read it, else 0.
        """
        answer = self._answer = Answer()
        self.greenlet = getcurrent()
        now = now or now_ns()
        connection = self._connection
        if (
            connection is not None
            and (now - self._idle_since_ns > IDLE_CHECK_NS or not repeatable)
            and connection.stale()
        ):
            self.close()
        self._bodiless = request.startswith(b"HEAD ")
        self._complete = False
        while True:
            try:
                if self._connection is None:
                    self._open()
                    # The time to connect counts in the response time (from `scheduled`) only.
                    now = now_ns()
                self._exchange(request, answer.sent_ns or now)
            except TimedOutError:
                self._fail("timeout" if self._connection else self._unconnected(), "no answer in time")
            except OSError as problem:
                if self._connection and self._used and repeatable and not answer.first_byte_ns:
                    self.close()
                    continue
                self._fail("closed" if self._connection else self._unconnected(), str(problem))
            except _PROTOCOL_ERRORS as problem:
                if self._complete:  # the surplus bytes belong to no request
                    self.close()
                else:
                    self._fail("protocol", str(problem))
            except BaseException:  # killed during the request: half an answer is on this connection
                self._fail("timeout", "given up")
                answer.done_ns = now_ns()
                answer.sent_ns = answer.sent_ns or answer.done_ns
                raise
            break
        self.expires_ns = 0
        if self._complete:
            answer.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        else:
            answer.done_ns = now_ns()
            answer.sent_ns = answer.sent_ns or answer.done_ns
        self._idle_since_ns = answer.done_ns
        return answer

    @property
    def answer(self) -> Answer:
        """The latest answer; a request that was killed before its answer has the error `timeout`."""
        return self._answer

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self.expires_ns = 0
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        global _connections_made  # noqa: PLW0603
        _connections_made += 1
        self.connections += 1
        self._answer.reconnected = self.connections > 1
        self.expires_ns = now_ns() + self._connect_ns
        self._connection = connect(self._to, self._source)
        self._parser = httptools.HttpResponseParser(self)
        self._used = False

    def _exchange(self, request: bytes, sent_ns: int) -> None:
        connection = self._connection
        assert connection is not None
        answer = self._answer
        answer.port = connection.port
        answer.sent_ns = sent_ns
        self._parts = []
        self._complete = self._head_done = self._framed = self._last = False
        self.expires_ns = sent_ns + self._first_byte_ns
        connection.send(request)
        left = self._max
        while True:
            data = connection.receive()
            answer.done_ns = now = monotonic_ns() + OFFSET_NS
            if not answer.first_byte_ns:
                if not data:
                    raise ConnectionResetError("closed before the answer")
                answer.first_byte_ns = now
                self.expires_ns = sent_ns + self._whole_ns
            elif not data:
                self._end_of_stream()
                break
            left -= len(data)
            if left < 0:
                raise httptools.HttpParserError(f"the answer has more than {self._max} bytes")
            self._parser.feed_data(data)
            if self._complete:
                break
            if not self._head_done and self._max - left > MAX_HEAD_BYTES:
                raise httptools.HttpParserError(f"no body after {MAX_HEAD_BYTES} bytes")
        self._used = True
        if self._last or self._bodiless:
            self.close()

    def _end_of_stream(self) -> None:
        """An answer without a length ends with its connection; any other answer has been cut."""
        if not self._head_done or self._framed:
            raise ConnectionResetError("closed in the middle of the answer")
        status = self._parser.get_status_code()
        if status < 200:
            raise httptools.HttpParserError(f"the status {status} ends no answer")
        self._answer.status = status
        self._complete = self._last = True

    def _unconnected(self) -> str:
        """The error without a connection: `connect` only if nothing was sent on an earlier one."""
        return "closed" if self._answer.sent_ns else "connect"

    def _fail(self, error: str, detail: str) -> None:
        # A status that was read before the failure is discarded: the answer is not complete.
        self._answer.status = 0
        self._answer.error = error
        self._answer.detail = detail
        self.close()

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that are needed; comparing lengths first is cheapest."""
        if self._complete:  # a second answer to one request: the connection cannot be trusted
            raise httptools.HttpParserError("more than one answer")
        length = len(name)
        if length == 22:
            # Tables hold it as UTF-8. A value is None if the header has none; it has no control characters.
            if name.lower() == b"x-openstack-request-id" and value and value.isascii() and len(value) <= 64:
                self._answer.request_id = value
        elif length == 14:
            if name.lower() == b"content-length":
                self._framed = True
        elif length == 8:
            if name.lower() == b"location":
                self._answer.location = value or b""
        elif length == 17 and name.lower() == b"transfer-encoding":
            self._framed = True

    def on_headers_complete(self) -> None:
        """The head is complete; an answer to HEAD ends here."""
        if self._complete:
            raise httptools.HttpParserError("more than one answer")
        self._head_done = True
        if self._bodiless:
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """The answer is complete, unless it was only `100 Continue`."""
        status = self._parser.get_status_code()
        if status < 200:
            self._head_done = self._framed = False
        elif not self._complete:
            self._answer.status = status
            self._complete = True
            if not self._parser.should_keep_alive():  # the parser forgets it after this callback
                self._last = True
