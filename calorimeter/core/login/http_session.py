"""HTTP through `requests`, for all but the load: only to known places, with bounded answers.

A session sends to the URLs that it was made for and to no other host, whoever names it: a redirect, a list
of versions or a catalog. It follows no redirect itself, uses no .netrc, and uses the proxy of the
environment only if asked to. An answer must end within the timeout of its request, however slowly its bytes
come, and is unpacked up to a limit.
"""

from __future__ import annotations

import http.client
import io
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import one_line

LARGEST = 64 * 2**20
"""Bytes of an answer, packed and unpacked; lists of a broker with 10,000 channels have about 20 MB."""

_MEMBERS = 64
"""Parts of one gzip answer. Servers send one."""

_PORTS = {"http": 80, "https": 443}


class OtherPlaceError(InputError):
    """A URL that an answer named is not one that this session may send to."""


class HttpSession(requests.Session):
    """A session for the hosts of `urls`; the first is named in messages, which begin with `where`.

    The same host, scheme and port are allowed, and https on the same host. `environment`: the proxies and
    certificate authorities of the environment are used. `source` is the local address.
    """

    def __init__(
        self,
        where: str,
        *urls: str,
        verify: bool | str = True,
        environment: bool = False,
        source: str | None = None,
    ) -> None:
        super().__init__()
        self._where = where
        self._first = urls[0]
        self._places = [_place(url) for url in urls]
        self.verify = verify
        self.trust_env = environment
        self.auth = _unchanged  # without any, requests looks into .netrc
        self.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(source))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request. With `stream`, the caller reads the answer by `read_body`.

        Raises OtherPlaceError for a URL of another place, and RequestException.
        """
        self._check(request.url or "")
        later = options.pop("stream", False)
        answer = super().send(request, **{**options, "stream": True, "allow_redirects": False})
        if not later:
            read_body(answer)
        if answer.is_redirect:  # keystoneauth takes the address as it is
            with suppress(ValueError):
                answer.headers["Location"] = urljoin(request.url or "", answer.headers["Location"])
        return answer

    def _check(self, url: str) -> None:
        place = _place(url)
        for allowed in self._places:
            if place == allowed or (place[0] == "https" and place[1] == allowed[1]):
                return
        raise OtherPlaceError(
            self._where,
            f"{without_secrets(self._first)} leads to {without_secrets(url)}: no secret is sent there",
            "valid: the same host, with https if it was https; give the other URL if it is the right one",
        )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _place(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(scheme, 0)
    except ValueError:
        return "", "", 0


def without_secrets(url: str) -> str:
    """A URL as it may be shown: without user, password, query and fragment, in one line."""
    try:
        parts: SplitResult = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "a broken URL"
    return one_line(shown)[:200]


def read_body(answer: requests.Response) -> None:
    """Read the body of an answer, so that `answer.content` has it. Raises RequestException."""
    answer._content, answer._content_consumed = b"", True  # type: ignore[attr-defined]
    try:
        data = b"".join(_pieces(answer))
        for encoding in reversed(answer.headers.get("Content-Encoding", "").lower().split(",")):
            data = _unpacked(data, encoding.strip())
    except BaseException as problem:
        answer.raw.close()
        if isinstance(problem, urllib3.exceptions.ReadTimeoutError | TimeoutError):
            raise requests.ReadTimeout(problem, request=answer.request) from problem
        if isinstance(problem, urllib3.exceptions.HTTPError | OSError | http.client.HTTPException):
            raise requests.exceptions.ChunkedEncodingError(problem, request=answer.request) from problem
        if isinstance(problem, zlib.error):
            raise requests.exceptions.ContentDecodingError(problem, request=answer.request) from problem
        raise
    answer._content = data


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    left = LARGEST
    while piece := answer.raw.read(2**16, decode_content=False):
        left -= len(piece)
        if left < 0:
            raise zlib.error("too large")
        yield piece


def _unpacked(data: bytes, encoding: str) -> bytes:
    if not data:  # to HEAD, or 204
        return data
    match encoding:
        case "" | "identity":
            return data
        case "gzip" | "x-gzip":
            return unpack(data, 31, LARGEST)
        case "deflate":  # with the head of zlib, or, from some servers, without
            return unpack(data, 15 if int.from_bytes(data[:2]) % 31 == 0 else -15, LARGEST)
    raise zlib.error("an encoding that was not asked for")


def unpack(data: bytes, window: int, limit: int) -> bytes:
    """The content of packed data; raises zlib.error if it is damaged or larger than `limit`."""
    parts: list[bytes] = []
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(window)
        parts.append(member.decompress(data, limit + 1))
        limit -= len(parts[-1])
        if limit < 0:
            raise zlib.error("too large")
        if not member.eof:
            break
        data = member.unused_data
        if not data:
            return b"".join(parts)
    raise zlib.error("damaged")


class _TimedStream(io.RawIOBase):
    """What a socket receives, all of it within the socket's timeout."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._stream = sock.makefile("rb", buffering=0)
        timeout_s = sock.gettimeout()
        self._ends = None if timeout_s is None else time.monotonic() + timeout_s

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receive. Raises TimeoutError after the end."""
        if self._ends is not None:
            left = self._ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        received: int | None = self._stream.readinto(buffer)
        return received

    def close(self) -> None:
        """Let the socket go."""
        self._stream.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *words: Any, **options: Any) -> None:
        super().__init__(sock, *words, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedStream(sock))


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    """Connections from one source address, with answers that are bounded in time."""

    def __init__(self, source: str | None) -> None:
        self._source = source
        super().__init__(pool_connections=4, pool_maxsize=256)

    def init_poolmanager(self, *args: Any, **words: Any) -> None:
        """Make the pools of direct connections."""
        if self._source:
            words["source_address"] = (self._source, 0)
        super().init_poolmanager(*args, **words)
        self.poolmanager.pool_classes_by_scheme = dict(_POOLS)

    def proxy_manager_for(self, *args: Any, **words: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*args, **words)
        manager.pool_classes_by_scheme = dict(_POOLS)
        return manager
