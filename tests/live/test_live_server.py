"""The live page over HTTP."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from calorimeter.core.deployment import Address
from calorimeter.core.errors import InputError
from calorimeter.live import live_server
from calorimeter.live.live_site import HEADERS, LiveSite


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a site without figures."""
    with socket.create_server(("127.0.0.1", 0)) as on, live_server.served(LiveSite(lambda: b""), on):
        yield on.getsockname()[1]


def answer(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    found = connection.getresponse()
    body = found.read()
    connection.close()
    return found.status, body, dict(found.headers)


def test_the_page_and_its_headers(port: int) -> None:
    """Also with a query; nothing may be kept, framed elsewhere or loaded from elsewhere."""
    status, body, headers = answer(port, "/live?theme=dark")
    assert (status, body[:15]) == (200, b"<!DOCTYPE html>")
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert answer(port, "/")[1] == body


def test_a_name_of_another_site_is_refused(port: int) -> None:
    """Each address: the page, the figures and the metrics."""
    for path in ("/live", "/live.json", "/metrics"):
        assert answer(port, path, Host="evil.example")[0] == 403
        assert answer(port, path, Origin="http://evil.example")[0] == 403
        assert answer(port, path)[0] == 200


def test_only_reading_is_answered(port: int) -> None:
    """HEAD has no body; POST is no method of this page."""
    status, body, headers = answer(port, "/metrics", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0
    assert answer(port, "/live.json", "POST")[0] == 501


def test_too_many_connections_are_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that send nothing do not keep the page from its user once they end."""
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(live_server.MOST_CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one_more:
        assert one_more.recv(1) == b""
    for each in held:
        each.close()
    for _ in range(200):  # their threads end a moment later
        try:
            assert answer(port, "/metrics")[0] == 200
            return
        except (http.client.HTTPException, OSError):
            continue
    raise AssertionError("the page does not answer any more")


def test_a_port_that_is_taken_is_one_line() -> None:
    """With the option and the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = Address(host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(InputError, match=f"--web {at}: the page cannot be served there"):
            live_server.listening(at, "--web")


def test_others_are_told_of(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that other machines reach is pointed out; one on loopback is not."""
    live_server.announce(Address(host="::1", port=8089))
    assert caplog.messages == []
    live_server.announce(Address(host="0.0.0.0", port=8089))
    assert caplog.messages == [
        "--web 0.0.0.0:8089: whoever reaches this page sees the deployment's names and verdicts"
    ]
    assert "page: http://[::1]:8089/live\n" in capsys.readouterr().err
