"""Sessions of `requests`: where they send to, and how much of an answer they take, from raw sockets."""

from __future__ import annotations

import gzip
import os
import socket
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.login import http_session
from calorimeter.core.login.http_session import HttpSession, OtherPlaceError, unpack, without_secrets
from tests.load.http.raw_server import answering, read_request, serving

WHERE = "deployment.toml: identity"


def answer(body: bytes, *headers: str) -> bytes:
    """A whole answer."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def content_of(raw: bytes, timeout_s: float = 5.0) -> bytes:
    """The body of an answer to these bytes."""
    with serving(answering(raw)) as to, HttpSession(WHERE, f"http://127.0.0.1:{to.port}") as http:
        return http.get(f"http://127.0.0.1:{to.port}/x", timeout=timeout_s).content


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("https://keystone:5000/v3", "http://keystone:5000/v3"),
        ("https://keystone:5000/v3", "https://evil:5000/v3"),
        ("http://keystone:5000/v3", "http://evil:5000/v3"),
        ("http://keystone:5000/v3", "http://keystone:81/v3"),
        ("http://keystone:5000/v3", "http://keystone.evil:5000/v3"),
        ("http://keystone:5000/v3", "http://keystone:5000@evil/v3"),
        ("http://keystone:5000/v3", "https://evil/?keystone:5000"),
        ("http://keystone:5000/v3", "ftp://keystone:5000/v3"),
        ("http://[::1]:5000/v3", "http://[::2]:5000/v3"),
    ],
)
def test_no_secret_goes_to_another_place(first: str, other: str) -> None:
    """The line names both URLs; nothing is sent, whatever the request holds."""
    with HttpSession(WHERE, first) as http, pytest.raises(OtherPlaceError) as refused:
        http.post(other, json={"password": "s3cr3t"}, headers={"X-Auth-Token": "t0ken"})
    assert str(refused.value) == (
        f"{WHERE}: {first} leads to {without_secrets(other)}: no secret is sent there; valid: the same "
        "host, with https if it was https; give the other URL if it is the right one"
    )


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("http://127.0.0.1:9/v3", "http://127.0.0.1:9/v3/auth/tokens"),
        ("http://127.0.0.1:9/v3", "https://127.0.0.1:10/v3"),
        ("https://127.0.0.1/v3", "https://127.0.0.1:443/other"),
        ("http://LOCALHOST:9", "http://localhost:9/v3"),
    ],
)
def test_the_same_place_is_asked(first: str, other: str) -> None:
    """Same host, scheme and port, or https on the same host: nobody is there, so it cannot be reached."""
    with HttpSession(WHERE, first) as http, pytest.raises(requests.ConnectionError):
        http.get(other, timeout=1)


def test_a_url_is_shown_without_what_is_secret() -> None:
    """No user, password, query, fragment or control character."""
    assert without_secrets("https://u:p@h:1/a\x1b[2J?token=t#f") == "https://h:1/a\\u001b[2J"
    assert without_secrets("http://[") == "a broken URL"


def test_redirects_are_not_followed() -> None:
    """Not even to the same place: the caller decides."""
    raw = b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    with serving(answering(raw)) as to, HttpSession(WHERE, f"http://127.0.0.1:{to.port}") as http:
        assert http.get(f"http://127.0.0.1:{to.port}/x", timeout=5).status_code == 302


@pytest.mark.parametrize("environment", [False, True])
def test_netrc_is_not_used(environment: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in .netrc is for other programs."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password s3cr3t\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    seen = []

    def converse(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(answer(b""))

    with serving(converse) as to:
        url = f"http://127.0.0.1:{to.port}"
        with HttpSession(WHERE, url, environment=environment) as http:
            http.get(url, timeout=5)
    assert b"authorization" not in seen[0].lower()


def test_the_proxy_of_the_environment_is_used_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load or a gate would measure the proxy instead."""
    for name in [name for name in os.environ if name.lower() == "no_proxy"]:
        monkeypatch.delenv(name)
    with serving(answering(answer(b"proxy"))) as to:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{to.port}")
        with HttpSession(WHERE, "http://127.0.0.2:1") as http, pytest.raises(requests.ConnectionError):
            http.get("http://127.0.0.2:1", timeout=1)
        with HttpSession(WHERE, "http://127.0.0.2:1", environment=True) as http:
            assert http.get("http://127.0.0.2:1", timeout=5).content == b"proxy"


DATA = b'{"a": "' + b"x" * 1000 + b'"}'
RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (DATA, "identity"),
        (gzip.compress(DATA), "gzip"),
        (gzip.compress(DATA[:10]) + gzip.compress(DATA[10:]), "x-gzip"),
        (zlib.compress(DATA), "deflate"),
        (RAW_DEFLATE.compress(DATA) + RAW_DEFLATE.flush(), "deflate"),
        (gzip.compress(zlib.compress(DATA)), "deflate, gzip"),
    ],
    ids=["identity", "gzip", "members", "zlib", "raw", "two"],  # gzip has the time in it
)
def test_packed_answers_are_unpacked(packed: bytes, encoding: str) -> None:
    """Some servers pack although nobody asked them to; an answer without a body has none to unpack."""
    assert content_of(answer(b"", f"Content-Encoding: {encoding}")) == b""
    assert content_of(answer(packed, f"Content-Encoding: {encoding}")) == DATA


BOMB = gzip.compress(bytes(2**22))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BOMB, "gzip"),
        (gzip.compress(BOMB), "gzip, gzip"),
        (gzip.compress(b"") * 1000, "gzip"),
        (gzip.compress(DATA)[:-9], "gzip"),
        (gzip.compress(DATA) + b"junk", "gzip"),
        (b"not gzip", "gzip"),
        (b"\x78\x9c\xff", "deflate"),
        (DATA, "br"),
        (DATA, "zstd"),
    ],
    ids=["bomb", "in two layers", "members", "cut", "junk", "none", "damaged", "br", "zstd"],
)
def test_answers_that_unpack_without_end_or_not_at_all(
    body: bytes, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error of requests, within the bound of memory."""
    monkeypatch.setattr(http_session, "LARGEST", 2**21)
    tracemalloc.start()
    try:
        with pytest.raises(requests.exceptions.ContentDecodingError):
            content_of(answer(body, f"Content-Encoding: {encoding}"))
        assert tracemalloc.get_traced_memory()[1] < 7 * 2**20
    finally:
        tracemalloc.stop()


@settings(max_examples=50)
@given(st.binary(max_size=100), st.integers(0, 99), st.integers(1, 2000))
def test_unpacking_gives_the_content_or_one_error(data: bytes, place: int, limit: int) -> None:
    """Also if one byte is another; never more than the limit."""
    packed = bytearray(gzip.compress(data * 20))
    assert len(data) * 20 > limit or unpack(bytes(packed), 31, limit) == data * 20
    packed[place % len(packed)] ^= 0xFF
    with suppress(zlib.error):
        assert len(unpack(bytes(packed), 31, limit)) <= limit


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
        b"\0\1\2",
        b"",
    ],
)
def test_broken_answers_are_errors_of_requests(raw: bytes) -> None:
    """Those that callers turn into their one line."""
    with pytest.raises(requests.RequestException):
        content_of(raw)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("head", [HEAD + b"Content-Length: 99999999\r\n\r\n", HEAD + b"A: "])
def test_an_answer_in_drops_ends_with_the_timeout(head: bytes) -> None:
    """The timeout of a request is that of its whole answer, head and body."""

    def drip(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(head)
        sock.settimeout(0.002)
        while True:
            sock.send(b"x")
            with suppress(TimeoutError):
                sock.recv(1)
                return

    with (
        serving(drip, drip) as to,
        HttpSession(WHERE, f"http://127.0.0.1:{to.port}") as http,
        pytest.raises((requests.Timeout, requests.ConnectionError), match="timed out"),
    ):
        http.get(f"http://127.0.0.1:{to.port}", timeout=0.1)
