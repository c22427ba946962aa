"""`bind` and `server` lines: addresses and parameters (HAProxy manual, section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from calorimeter.config.haproxy.text import HAProxyLine
from calorimeter.config.haproxy.units import integer_or_none, seconds_or_none
from calorimeter.config.hosts import host_port, without_brackets
from calorimeter.core.secrecy import haproxy_words as words

_VALUED = """
    addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni
    ciphers ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall
    fastinter guid hash-key id init-addr inter log-bufsize log-proto max-reuse maxconn maxqueue
    minconn namespace npn observe on-error on-marked-down on-marked-up pool-conn-name pool-low-conn
    pool-max-conn pool-purge-delay port proto proxy-v2-options redir resolve-net resolve-opts
    resolve-prefer resolvers rise set-proxy-v2-tlv-fmt shard sigalgs slowstart sni socks4 source ssl-max-ver
    ssl-min-ver tcp-md5sig tcp-ut track usesrc interface verify verifyhost weight ws
"""
_WITH_VALUE = frozenset(_VALUED.split())
_FAMILIES = ("ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@", "udp@", "udp4@", "udp6@", "stream+", "quic4@")
_NOT_TCP = ("/", "unix@", "uxst@", "abns@", "fd@", "sockpair@", "rhttp@", "@")
_PORTS = re.compile(r"([+-]?)([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_RELATIVE = re.compile(r":([+-][0-9]{1,5})$", re.ASCII)
_INTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Bind:
    """One address that a proxy listens at; `host` is `*` for all addresses, `port` is None for a socket.

    `unset` names variables in it that are not set: then its host or port cannot be determined.
    """

    host: str
    port: int | None
    options: tuple[str, ...]
    line: HAProxyLine
    unset: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`HOST:PORT`."""
        return host_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class ServerParameter:
    """One parameter of a server: its value (empty for a bare word) and the line that sets it."""

    value: str
    line: HAProxyLine


@dataclass(frozen=True, slots=True)
class HAProxyServer:
    """One server with its parameters in force, including those of `default-server`.

    Parameters that are absent have HAProxy's defaults (manual, section 5.2: inter 2 s, fall 3, rise 2,
    weight 1). `unset` names variables in its address that are not set: then its host or port cannot be
    determined. A server whose `port` is None has the port that the client asked for, plus `offset`, unless
    it is a socket.
    """

    name: str
    host: str
    port: int | None
    parameters: Mapping[str, ServerParameter]
    line: HAProxyLine
    unset: tuple[str, ...] = ()
    offset: int = 0

    @property
    def text(self) -> str:
        """`HOST:PORT`."""
        return host_port(self.host, self.port)

    @property
    def socket(self) -> bool:
        """Whether it is a socket of the proxy's machine, without a TCP port."""
        return self.host.startswith(_NOT_TCP)

    def port_behind(self, bind: Bind) -> int | None:
        """Its port for clients of a bind; None for a socket."""
        if self.port is not None or bind.port is None:
            return self.port
        return None if self.socket else bind.port + self.offset

    @property
    def resolved_later(self) -> bool:
        """Whether it is one of a `server-template` with `resolvers`: DNS decides how many there are."""
        return self.line.keyword == "server-template" and self.has("resolvers")

    def has(self, name: str) -> bool:
        """Whether a bare parameter (`check`, `backup`) is in force."""
        return name in self.parameters

    def time_s(self, name: str) -> float | None:
        """A time parameter in seconds; None if it is not set."""
        given = self.parameters.get(name)
        return seconds_or_none(given.value) if given else None

    def count(self, name: str) -> int | None:
        """A number parameter; None if it is not set."""
        given = self.parameters.get(name)
        return integer_or_none(given.value) if given else None

    def _positive(self, name: str, default: int) -> int:
        count = self.count(name)
        return count if count and 0 < count < 2**31 else default

    @property
    def check(self) -> bool:
        """Whether HAProxy checks its health."""
        return self.has("check")

    @property
    def inter_s(self) -> float:
        """Seconds between two checks of a healthy server."""
        return self.time_s("inter") or _INTER_S

    @property
    def fall(self) -> int:
        """Number of consecutive failed checks that make it DOWN."""
        return self._positive("fall", 3)

    @property
    def rise(self) -> int:
        """Number of consecutive successful checks that make it UP."""
        return self._positive("rise", 2)

    @property
    def weight(self) -> int:
        """Its weight."""
        weight = self.count("weight")
        return 1 if weight is None else weight


def bind(line: HAProxyLine, index: int = 1) -> list[Bind]:
    """The addresses in the word `index` of a line: each of a comma-separated list, each port of a range."""
    binds: list[Bind] = []
    given = line.words[index] if len(line.words) > index else ""
    for text in filter(None, given.split(",")):
        host, ports, unset = _address(text, line, index)
        every: list[int | None] = [*ports] or [None]
        binds.extend(Bind(host or "*", port, line.words[index + 1 :], line, unset) for port in every)
    return binds


def servers(line: HAProxyLine, defaults: Iterable[HAProxyLine]) -> Iterator[HAProxyServer]:
    """The server of a `server` line, or the servers of a `server-template` line."""
    template = line.keyword == "server-template"
    given = line.words
    if len(given) < (4 if template else 3):
        return
    start = 4 if template else 3
    parameters: dict[str, ServerParameter] = {}
    for default in defaults:
        _apply(parameters, default.words[1:], default)
    _apply(parameters, given[start:], line)
    host, ports, unset = _address(given[start - 1], line, start - 1)
    port = ports[0] if ports else None
    relative = _RELATIVE.search(given[start - 1]) if port is None else None
    offset = int(relative[1]) if relative else 0
    for name in _names(given[1], given[2]) if template else [given[1]]:
        yield HAProxyServer(name, host, port, parameters, line, unset, offset)


MOST_OF_TEMPLATE = 1000
"""Servers of one `server-template` that are looked at: rules compare servers with one another."""


def _names(prefix: str, count: str) -> list[str]:
    first, _, last = count.rpartition("-")
    low, high = integer_or_none(first) if first else 1, integer_or_none(last)
    if low is None or high is None:
        return []
    return [f"{prefix}{n}" for n in range(low, min(high, low + MOST_OF_TEMPLATE - 1) + 1)]


def _apply(parameters: dict[str, ServerParameter], given: Iterable[str], line: HAProxyLine) -> None:
    """Add parameters; `no-check` removes `check`. Unknown words become parameters without a value."""
    rest = iter(given)
    for word in rest:
        if word in _WITH_VALUE:
            parameters[word] = ServerParameter(next(rest, ""), line)
        elif word.startswith("no-") and word != "no-verifyhost":
            parameters.pop(word.removeprefix("no-"), None)
        else:
            parameters[word] = ServerParameter("", line)
            if word in ("enabled", "disabled"):
                parameters.pop("disabled" if word == "enabled" else "enabled", None)


def _address(text: str, line: HAProxyLine, index: int) -> tuple[str, list[int], tuple[str, ...]]:
    """Host, ports and unset variables of an address; for a socket its text and no port."""
    text, unset = words.expand(text, line.environment)
    quoted = tuple(name for at, name in line.parsed.unset if at == index)
    host, ports = _host_and_ports(text)
    if quoted and not host:
        host = f"${quoted[0]}"
    return host, ports, (*quoted, *unset)


def _host_and_ports(text: str) -> tuple[str, list[int]]:
    for family in _FAMILIES:
        text = text.removeprefix(family)
    if text.startswith(_NOT_TCP):
        return text, []
    host, colon, tail = text.rpartition(":")
    ports = _PORTS.fullmatch(tail) if tail else None
    if not colon or (tail and not ports and "$" not in tail):
        return without_brackets(text), []
    if ports is None or ports[1]:
        return without_brackets(host), []
    first, last = int(ports[2]), int(ports[3] or ports[2])
    return without_brackets(host), list(range(first, last + 1))
