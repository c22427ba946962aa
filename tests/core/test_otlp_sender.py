"""Sending by OTLP over HTTP: to receivers of this process that take, refuse, hang and break."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from calorimeter.core import otlp_sender
from calorimeter.core.errors import InputError
from calorimeter.core.otlp_sender import SendingClock, SentBatches, receiver_url, send

Answer = Callable[["_Handler"], None]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Keep what came, and answer as the next of the answers says; the last one is repeated."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.received.append((self.path, gzip.decompress(body).decode()))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Receiver(ThreadingHTTPServer):
    """A receiver on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.received: list[tuple[str, str]] = []
        self.ended = Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """The client may be gone."""


@contextmanager
def receiver(*answers: Answer) -> Iterator[Receiver]:
    """A receiver while the context is open."""
    with Receiver([*answers]) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def status(code: int, body: bytes = b"{}", **headers: str) -> Answer:
    """An answer."""

    def answer(handler: _Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def reset(handler: _Handler) -> None:
    """The connection is reset without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.close_connection = True
    handler.connection.close()


def hang(handler: _Handler) -> None:
    """No answer until the test ends."""
    handler.server.ended.wait(30)


class FakeClock:
    """A clock that only waiting moves, and what was waited."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.at_s, self._step_s = 0.0, step_s
        self.waited: list[float] = []
        self.clock = SendingClock(self._now, self._wait)

    def _now(self) -> float:
        self.at_s += self._step_s
        return self.at_s

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.at_s += seconds


def sent(server: Receiver, *batches: str, clock: FakeClock | None = None) -> SentBatches:
    """Send batches to a receiver."""
    clock = clock or FakeClock()
    return send(receiver_url(server.url, "--otlp"), batches or ('{"a":1}\n',), "--otlp", clock.clock)


def refusal(server: Receiver, clock: FakeClock | None = None) -> str:
    """The one line of a receiver that does not take a batch."""
    with pytest.raises(InputError) as raised:
        sent(server, clock=clock)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_batches_are_sent_in_turn() -> None:
    """To the path of spans, as they are."""
    with receiver(status(200)) as server:
        assert sent(server, '{"a":1}\n', '{"b":2}\n') == SentBatches(2)
    assert server.received == [("/v1/traces", '{"a":1}\n'), ("/v1/traces", '{"b":2}\n')]


def test_what_a_receiver_rejects_is_told() -> None:
    """A part of a batch, with its reason; foreign answers say nothing."""
    partial = b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}'
    with receiver(status(200, partial), status(200, b"[1]"), status(202, b"\xff")) as server:
        assert sent(server, "{}", "{}", "{}") == SentBatches(3, 3, "too old")


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_busy_receiver_is_asked_again(code: int) -> None:
    """After a second, two and four: then it took the batch once."""
    clock = FakeClock()
    with receiver(status(code), status(code), status(200)) as server:
        assert sent(server, clock=clock) == SentBatches(1)
    assert (clock.waited, len(server.received)) == ([1.0, 2.0], 3)


def test_a_receiver_that_stays_busy_ends_the_command() -> None:
    """After four attempts."""
    clock = FakeClock()
    with receiver(status(503)) as server:
        assert refusal(server, clock) == (
            f"--otlp: {server.url}/v1/traces did not take the spans: the answer was 503; "
            "valid: a receiver of OTLP over HTTP"
        )
    assert (clock.waited, len(server.received)) == ([1.0, 2.0, 4.0], 4)


@pytest.mark.parametrize("code", [301, 307, 400, 401, 404, 500])
def test_an_answer_that_is_final_is_not_asked_again(code: int) -> None:
    """The protocol says so; and a redirect is not followed."""
    with receiver(status(code, Location="http://127.0.0.1:9/")) as server:
        assert f"the answer was {code}" in refusal(server)
    assert len(server.received) == 1


def test_a_receiver_may_ask_for_time_but_not_for_ever() -> None:
    """Retry-After in seconds, up to half a minute; a date and nonsense are ignored."""
    clock = FakeClock()
    answers = [status(503, Retry_After=text) for text in ("7", "9999", "-1")]
    with receiver(*answers, status(200)) as server:
        assert sent(server, clock=clock) == SentBatches(1)
    assert clock.waited == [7.0, 30.0, 4.0]


def test_a_connection_that_is_reset_is_tried_again() -> None:
    """Then it is one line."""
    with receiver(reset, status(200)) as server:
        assert sent(server) == SentBatches(1)
    with receiver(reset) as server:
        assert "did not take the spans: no answer (ConnectionError)" in refusal(server)
    assert len(server.received) == 4


def test_a_receiver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt has its time."""
    monkeypatch.setattr(otlp_sender, "REQUEST_S", 0.1)
    with receiver(hang) as server:
        assert "no answer (ReadTimeout)" in refusal(server)


def test_all_batches_have_one_deadline() -> None:
    """However many there are, and whatever a receiver asks for."""
    clock = FakeClock(step_s=100.0)
    with receiver(status(200)) as server:
        with pytest.raises(InputError, match="took longer than 300 s"):
            sent(server, *["{}"] * 100, clock=clock)
        assert len(server.received) == 2


def test_nobody_there_is_one_line() -> None:
    """A port that is closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no answer \(ConnectionError\)"):
            send(url, ["{}"], "--otlp", FakeClock().clock)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://a.example/", "https://a.example/v1/traces"),
        ("http://a.example:4318/otlp/v1/traces?x=1#y", "http://a.example:4318/otlp/v1/traces?x=1"),
    ],
)
def test_a_url_without_a_path_gets_that_of_spans(given: str, used: str) -> None:
    """One with a path is used as it is."""
    assert receiver_url(given, "--otlp") == used


@pytest.mark.parametrize(
    "given",
    [
        "ftp://a",
        "http://",
        "http://a:99999",
        "http://me:secret@a",
        "http://me@a",
        "grpc://a:4317",
        "http://[::1",
    ],
)
def test_other_urls_are_refused(given: str) -> None:
    """In one line, without the password."""
    with pytest.raises(InputError) as raised:
        receiver_url(given, "--otlp")
    assert str(raised.value).startswith("--otlp: ") and "secret" not in str(raised.value)
