"""What clients send with their visits."""

from __future__ import annotations

from calorimeter.core.request_key import RequestKey
from calorimeter.gates.clients.client_requests import ClientRequests

ANSWER = b'HTTP/1.1 300 Multiple Choices\r\nSet-Cookie: SRV=rest-1; path=/\r\nset-cookie: b="x y"\r\n\r\n'


def test_a_client_sends_the_cookies_that_it_was_given() -> None:
    """Its own, by name, the newest value; and no other client's."""
    requests = ClientRequests(keeps_cookies=True)
    assert requests.headers("10.0.0.1") == {}
    requests.answered("10.0.0.1", ANSWER)
    assert requests.headers("10.0.0.1") == {"Cookie": 'SRV=rest-1; b="x y"'}
    assert requests.headers("10.0.0.2") == {}
    requests.answered("10.0.0.1", b"HTTP/1.1 200 OK\r\nSet-Cookie: SRV=rest-2\r\n\r\nSet-Cookie: no=1")
    assert requests.headers("10.0.0.1") == {"Cookie": 'SRV=rest-2; b="x y"'}


def test_cookies_that_nobody_wants_or_can_read_are_not_kept() -> None:
    """A client of another policy keeps none; a broken one is none, and sends no line of its own."""
    plain, keeping = ClientRequests(), ClientRequests(keeps_cookies=True)
    plain.answered(None, ANSWER)
    assert plain.headers(None) == {}
    for broken in (b"", b"Set-Cookie", b"Set-Cookie: =;;", b"Set-Cookie: a\x00=\xff", b"no answer"):
        keeping.answered(None, b"HTTP/1.1 200 OK\r\n" + broken + b"\r\n\r\n")
        assert all("\r" not in value for value in keeping.headers(None).values())


def test_a_key_is_sent_by_clients_with_an_address() -> None:
    """As path or header."""
    uri, header = ClientRequests(RequestKey.of("uri")), ClientRequests(RequestKey.of("hdr(x-key)"))
    assert (uri.path("10.0.0.1"), uri.path(None)) == ("/10.0.0.1", "/")
    assert (header.headers("10.0.0.1"), header.headers(None)) == ({"x-key": "10.0.0.1"}, {})
