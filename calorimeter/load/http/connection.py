"""One TCP connection for one greenlet: plain or TLS, bound to a source address, waiting only in gevent.

The sockets are those of the standard library, not gevent's wrappers: every wait goes through the hub's
epoll, so descriptors above 1,023 work and nothing calls `select()`.
"""

from __future__ import annotations

import errno
import os
import resource
import socket as constants
import ssl
from dataclasses import dataclass

import gevent
from gevent import monkey

from calorimeter.core import tls_front
from calorimeter.core.deployment import Address, Api, Tls
from calorimeter.core.errors import InputError

_Socket: type[constants.socket] = monkey.get_original("socket", "socket")
_getaddrinfo = monkey.get_original("socket", "getaddrinfo")

_READ, _WRITE = 1, 2
_IPV6_FREEBIND = 78  # linux/in6.h: bind to an address of a local prefix (`ip -6 route add local …`)
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: connect() chooses the port, which need not be unique then

SPARE_DESCRIPTORS = 16
"""Descriptors that no connection takes: without one, the recorder could not write what was measured."""

_BUFFER = bytearray(256 * 1024)
_VIEW = memoryview(_BUFFER)
"""Shared by all connections: received data is parsed before any other greenlet runs."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The target of requests: a resolved address, and a TLS context if the scheme is https."""

    host: str
    port: int
    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    tls: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        """The Host header: without the scheme's default port, as SigV4 signatures require."""
        text = str(Address(host=self.host, port=self.port))
        return text.rpartition(":")[0] if self.port == (443 if self.tls else 80) else text


def endpoint(address: Address, scheme: str = "http", tls: Tls | None = None) -> Endpoint:
    """Resolve an address, once for all users. Raises InputError if it cannot be resolved."""
    try:
        found = _getaddrinfo(address.host, address.port, type=constants.SOCK_STREAM)
    except OSError as problem:
        raise InputError(str(address), f"cannot be resolved ({problem.strerror})") from problem
    family, _, _, _, sockaddr = found[0]
    context = tls_front.verifying(tls or Tls()) if scheme == "https" else None
    return Endpoint(address.host, address.port, family, sockaddr, context)


def front_endpoint(api: Api, tls: Tls) -> Endpoint:
    """The endpoint of an API's front address. Raises InputError if it cannot be resolved."""
    return endpoint(api.front, api.parts.scheme, tls)


class Connection:
    """A connected TCP socket. OSError from any method means that the connection has ended."""

    __slots__ = ("_readable", "_receive_into", "_send_some", "_sock", "_wait", "port")

    def __init__(self, to: Endpoint, source: str | None) -> None:
        """Connect. Raises OSError; the caller limits the time (see `deadlines`)."""
        sock = _Socket(to.family, constants.SOCK_STREAM)
        try:
            if sock.fileno() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            sock.setblocking(False)
            sock.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, 1)
            if source is not None:
                sock.setsockopt(constants.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                if to.family == constants.AF_INET6:
                    sock.setsockopt(constants.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
                sock.bind((source, 0))
            code = sock.connect_ex(to.sockaddr)
            if code == errno.EINPROGRESS:
                _wait(sock, _WRITE)
                code = sock.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self.port: int = sock.getsockname()[1]
        except BaseException:
            sock.close()
            raise
        self._sock = sock
        hub = gevent.get_hub()
        self._readable = hub.loop.io(sock.fileno(), _READ)
        self._wait, self._receive_into, self._send_some = hub.wait, sock.recv_into, sock.send

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            sent = self._send_some(data)
        except BlockingIOError:
            sent = 0
        rest = memoryview(data)[sent:] if sent < len(data) else None
        while rest:
            _wait(self._sock, _WRITE)
            rest = rest[self._send_some(rest) :]

    def receive(self) -> memoryview | bytes:
        """Wait for data; empty at the end of the stream. Valid until this greenlet waits again."""
        self._wait(self._readable)
        try:
            return _VIEW[: self._receive_into(_BUFFER)]
        except BlockingIOError:
            return self.receive()

    def stale(self) -> bool:
        """Whether an idle connection cannot be used again: closed, or with data without a request."""
        try:
            self._sock.recv(1, constants.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close the socket. Never raises."""
        self._readable.close()
        self._sock.close()


class TlsConnection(Connection):
    """A connection under TLS. A certificate that does not verify raises `ssl.SSLError`, an OSError."""

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(self, to: Endpoint, source: str | None) -> None:
        super().__init__(to, source)
        assert to.tls is not None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = to.tls.wrap_bio(self._incoming, self._outgoing, server_hostname=to.host)
        try:
            self._handshake()
        except BaseException:
            self.close()
            raise

    def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                super().send(self._outgoing.read())
                data = super().receive()
                if not data:
                    raise ConnectionResetError(errno.ECONNRESET, "closed in the TLS handshake") from None
                self._incoming.write(data)
            else:
                super().send(self._outgoing.read())
                return

    def send(self, data: bytes) -> None:
        """Encrypt and send all of `data`."""
        self._tls.write(data)
        super().send(self._outgoing.read())

    def receive(self) -> memoryview | bytes:
        """Wait for data and decrypt it; empty at the end of the stream."""
        while True:
            try:
                return self._tls.read(len(_BUFFER))
            except ssl.SSLWantReadError:
                data = super().receive()
            except ssl.SSLZeroReturnError:
                return b""
            if not data:
                # Without close_notify the stream may have been cut: an answer without a length must fail.
                raise ConnectionResetError(errno.ECONNRESET, "closed without TLS close_notify")
            self._incoming.write(data)

    def stale(self) -> bool:
        """Whether an idle connection cannot be used again. Late session tickets do not count as data."""
        if not super().stale():
            return False
        try:
            data = self._sock.recv(len(_BUFFER))
            if not data:
                return True
            self._incoming.write(data)
            return bool(self._tls.read(1)) or True
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True


def connect(to: Endpoint, source: str | None) -> Connection:
    """A TLS connection if the endpoint has a TLS context, else a plain one. Raises OSError."""
    return TlsConnection(to, source) if to.tls else Connection(to, source)


def _wait(sock: constants.socket, event: int) -> None:
    hub = gevent.get_hub()
    watcher = hub.loop.io(sock.fileno(), event)
    try:
        hub.wait(watcher)
    finally:
        watcher.close()
