"""Parses lines of HAProxy's log: those of `option tcplog` and `option httplog`, and HAProxy's own messages.

Formats: HAProxy configuration manual, section 8.2; messages about servers and proxies as HAProxy 2.4 to 3.x
emit them. Nothing is dropped: a line of another format is kept as `UnparsedLine`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple

from calorimeter.core.toml import Model

QUOTED_UNPARSED = 5


class LogLine(NamedTuple):
    """One line of a log, and when it was received, ns since the epoch."""

    received_ns: int
    text: str


class LoggedConnection(Model):
    """One line of `tcplog` (a connection) or `httplog` (a request on a connection).

    Times are ms; None if HAProxy writes -1: the session ended before. `total_ms` is Tt (tcp: from accept to
    the last close) or Ta (http: from the request's first byte), and shorter than that if `early` (`option
    logasap`, which also makes `bytes_sent` a lower bound). `accepted_ns` is ns since the epoch, to the ms
    that HAProxy logs; in http mode it is when the request's first byte was received, so several lines share
    a connection's address and port. A client on a Unix socket has the address `unix` and the number of the
    listener as its port. `server` is None for `<NOSRV>`; `<STATS>` and similar names stay.
    """

    mode: Literal["tcp", "http"]
    received_ns: int
    client: str
    client_port: int
    accepted_ns: int
    frontend: str
    tls: bool
    backend: str
    server: str | None
    request_ms: int | None = None
    queue_ms: int | None
    connect_ms: int | None
    response_ms: int | None = None
    total_ms: int | None
    early: bool
    status: int | None = None
    bytes_sent: int
    termination: str
    process_connections: int
    frontend_connections: int
    backend_connections: int
    server_connections: int
    retries: int
    redispatched: bool
    server_queue: int
    backend_queue: int
    request: str | None = None

    @property
    def end(self) -> tuple[str, int]:
        """Address and port of the client, as the client knows them."""
        return plain(self.client), self.client_port


def plain(address: str) -> str:
    """An address without the prefix that an IPv6 listener gives IPv4 clients (::ffff:a.b.c.d)."""
    return address.removeprefix("::ffff:")


class LoggedAccept(Model):
    """`Connect from … to … (proxy/MODE)`: written at accept, without a server (no `option tcplog`)."""

    received_ns: int
    client: str
    client_port: int
    to: str
    to_port: int
    frontend: str
    mode: str


class ServerEvent(Model):
    """HAProxy's message about a server: its new `state` and the reason.

    `CHECK` is the result of one health check (`option log-health-checks`), not a change of state. HAProxy's
    time stamp has whole seconds, so `received_ns` is when the line was received.
    """

    received_ns: int
    section: str
    server: str
    state: Literal["UP", "DOWN", "DRAIN", "MAINT", "STOPPING", "CHECK"]
    reason: str | None
    text: str


class Notice(Model):
    """Any other message of HAProxy: proxies started or stopped, failed handshakes, no server left."""

    received_ns: int
    text: str


class UnparsedLine(Model):
    """A line of no known format."""

    received_ns: int
    text: str


Entry = LoggedConnection | LoggedAccept | ServerEvent | Notice | UnparsedLine


class ProxyLog(Model):
    """All entries of some lines, by kind and in the order of the lines."""

    connections: tuple[LoggedConnection, ...] = ()
    accepted: tuple[LoggedAccept, ...] = ()
    events: tuple[ServerEvent, ...] = ()
    notices: tuple[Notice, ...] = ()
    unparsed: tuple[UnparsedLine, ...] = ()

    @property
    def doubt(self) -> str | None:
        """A sentence that quotes the first unparsed lines; None if all lines were parsed."""
        if not self.unparsed:
            return None
        quoted = "; ".join(repr(line.text[:200]) for line in self.unparsed[:QUOTED_UNPARSED])
        return f"{len(self.unparsed)} log lines could not be parsed: {quoted}"


_TIME = r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))"
_RFC5424 = r"1 \S+ \S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+) (?:\ufeff)?"
_HOST = r"(?:(?!\S+\[\d+\]: )\S+ )?"  # a word that is not yet the program
_PROGRAM = r"\S*?(?:\[\d+\])?: "
_HEADER = re.compile(rf"(?:<\d{{1,3}}>)?(?:{_RFC5424}|{_TIME} {_HOST}{_PROGRAM})?")

_CLIENT = r"(?P<client>\S+):(?P<port>\d+) \[(?P<when>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3})\] "
_PLACE = r"(?P<frontend>[^\s~]+)(?P<tls>~?) (?P<backend>[^\s/]+)/(?P<server>\S+) "
_COUNTS = (
    r"(?P<act>\d+)/(?P<fe>\d+)/(?P<be>\d+)/(?P<srv>\d+)/(?P<redispatched>\+?)(?P<retries>\d+) "
    r"(?P<srvq>\d+)/(?P<beq>\d+)"
)
_TCP = re.compile(
    _CLIENT + _PLACE + r"(?P<tw>-?\d+)/(?P<tc>-?\d+)/(?P<early>\+?)(?P<total>-?\d+) "
    r"\+?(?P<bytes>\d+) (?P<termination>[A-Za-z-]{2}) " + _COUNTS + r"(?: .*)?",
    re.ASCII,
)
_HTTP = re.compile(
    _CLIENT
    + _PLACE
    + r"(?P<tq>-?\d+)/(?P<tw>-?\d+)/(?P<tc>-?\d+)/(?P<tr>-?\d+)/(?P<early>\+?)(?P<total>-?\d+) "
    r"(?P<status>-?\d+) \+?(?P<bytes>\d+) \S+ \S+ (?P<termination>[A-Za-z-]{4}) "
    + _COUNTS
    + r'(?: \{[^{}]*\})*(?: "(?P<request>[^"]*)"?(?: .*)?)?',
    re.ASCII,
)
_ACCEPTED = re.compile(
    r"Connect (?:from (?P<client>\S+):(?P<port>\d+) )?to (?P<to>\S+):(?P<to_port>\d+) "
    r"\((?P<frontend>[^/\s]+)/(?P<mode>\w+)\)",
    re.ASCII,
)
_SERVER = re.compile(
    r"(?:Backup )?Server (?P<section>[^\s/]+)/(?P<server>\S+) (?P<what>.*)",
    re.DOTALL,
)
_CHECK = re.compile(
    r"(?:Health|Agent) check for (?:backup )?server (?P<section>[^\s/]+)/(?P<server>\S+) (?P<what>\w+.*)",
    re.DOTALL,
)
_REASON_ENDS = re.compile(r", (?:code|check duration)|\. \d|\n")
_STATES: tuple[tuple[str, Literal["UP", "DOWN", "DRAIN", "MAINT", "STOPPING"]], ...] = (
    # The first match counts, so longer phrases come before the words that they contain.
    ("for maintenance", "MAINT"),
    ("enters maintenance", "MAINT"),
    ("entering maintenance", "MAINT"),
    ("forced maintenance from", "MAINT"),
    ("leaving forced maintenance", "UP"),
    ("leaving forced drain", "UP"),
    ("DRAIN", "DRAIN"),
    ("drain", "DRAIN"),
    ("UP", "UP"),
    ("stopping", "STOPPING"),
    ("DOWN", "DOWN"),
    ("READY", "UP"),
)
_NOTICES = re.compile(
    r"Proxy \S+ (?:started|stopped|resumed|paused)"
    r"|(?:Proxy|Backend) '?\S+ has no server"
    r"|\S+:\d+ \[[^\]]+\] \S+: "  # a connection that ended before there was a session
    r"|(?:Backup )?Server |Backend |Frontend "
    r"|(?:Stopping|Paus(?:ing|ed)|Resum(?:ing|ed)|Enabling|(?:Re)?loading|\w+ worker|Exiting)\b",
    re.IGNORECASE,
)


def parse(line: LogLine | str, zone: tzinfo | None = None) -> Entry:
    """The entry of one line; `zone` is the proxy's time zone (None: this machine's)."""
    received_ns, raw = (0, line) if isinstance(line, str) else line
    text = without_header(raw)
    try:
        if found := _TCP.fullmatch(text) or _HTTP.fullmatch(text):
            return _connection(received_ns, found, zone)
        if found := _ACCEPTED.fullmatch(text):
            return _accept(received_ns, found)
    except (ValueError, OverflowError):  # the 99th of a month, a month that is none, endless digits
        return UnparsedLine(received_ns=received_ns, text=raw)
    return _message(received_ns, text, raw)


def read(lines: Iterable[LogLine | str], zone: tzinfo | None = None) -> ProxyLog:
    """All entries of `lines`; empty lines, which some senders add, are skipped."""
    entries = [
        parse(line, zone)
        for line in lines
        if (line if isinstance(line, str) else line.text).strip("\x00 \r\n\t")
    ]
    return ProxyLog(
        connections=tuple(e for e in entries if isinstance(e, LoggedConnection)),
        accepted=tuple(e for e in entries if isinstance(e, LoggedAccept)),
        events=tuple(e for e in entries if isinstance(e, ServerEvent)),
        notices=tuple(e for e in entries if isinstance(e, Notice)),
        unparsed=tuple(e for e in entries if isinstance(e, UnparsedLine)),
    )


def without_header(text: str) -> str:
    """The message of a syslog line, without priority, time, host and program."""
    text = text.strip("\x00 \r\n\t")
    header = _HEADER.match(text)
    return text[header.end() :] if header else text


def _accept(received_ns: int, found: re.Match[str]) -> LoggedAccept:
    return LoggedAccept(
        received_ns=received_ns,
        client=found["client"] or "unix",  # HAProxy logs only `Connect to unix:1` for those
        client_port=int(found["port"] or found["to_port"]),
        to=found["to"],
        to_port=int(found["to_port"]),
        frontend=found["frontend"],
        mode=found["mode"].lower(),
    )


def _connection(received_ns: int, found: re.Match[str], zone: tzinfo | None) -> LoggedConnection:
    got = found.groupdict()
    http = "status" in got
    status = int(got["status"]) if http else -1
    return LoggedConnection(
        mode="http" if http else "tcp",
        received_ns=received_ns,
        client=got["client"],
        client_port=int(got["port"]),
        accepted_ns=_moment_ns(got["when"], zone),
        frontend=got["frontend"],
        tls=bool(got["tls"]),
        backend=got["backend"],
        server=None if got["server"] == "<NOSRV>" else got["server"],
        request_ms=_ms(got["tq"]) if http else None,
        queue_ms=_ms(got["tw"]),
        connect_ms=_ms(got["tc"]),
        response_ms=_ms(got["tr"]) if http else None,
        total_ms=_ms(got["total"]),
        early=bool(got["early"]),
        status=status if status >= 0 else None,
        bytes_sent=int(got["bytes"]),
        termination=got["termination"],
        process_connections=int(got["act"]),
        frontend_connections=int(got["fe"]),
        backend_connections=int(got["be"]),
        server_connections=int(got["srv"]),
        retries=int(got["retries"]),
        redispatched=bool(got["redispatched"]),
        server_queue=int(got["srvq"]),
        backend_queue=int(got["beq"]),
        request=got["request"] if http else None,
    )


def _message(received_ns: int, text: str, raw: str) -> ServerEvent | Notice | UnparsedLine:
    found = _CHECK.fullmatch(text)
    state: Literal["UP", "DOWN", "DRAIN", "MAINT", "STOPPING", "CHECK"] | None = "CHECK" if found else None
    if not found:
        found = _SERVER.fullmatch(text)
        if found:
            # "1 active and 0 backup servers left" ends every message and is not about this server.
            words = re.split(r"\. \d+ active", found["what"])[0]
            state = next((state for words_of, state in _STATES if words_of in words), None)
    if found and state:
        _, given, reason = text.partition("reason: ")
        return ServerEvent(
            received_ns=received_ns,
            section=found["section"],
            server=found["server"].rstrip(","),
            state=state,
            reason=_REASON_ENDS.split(reason, maxsplit=1)[0] if given else None,
            text=text,
        )
    if _NOTICES.match(text):
        return Notice(received_ns=received_ns, text=text)
    return UnparsedLine(received_ns=received_ns, text=raw)


def _ms(text: str) -> int | None:
    return None if text.startswith("-") else int(text)


def _moment_ns(text: str, zone: tzinfo | None) -> int:
    second, _, millisecond = text.partition(".")
    return (_epoch_s(second, zone) * 1000 + int(millisecond)) * 1_000_000


@lru_cache(maxsize=4096)
def _epoch_s(text: str, zone: tzinfo | None) -> int:
    months = "JanFebMarAprMayJunJulAugSepOctNovDec"
    day, month, rest = text.split("/")
    year, hour, minute, second = rest.split(":")
    place = months.index(month)
    if place % 3:
        raise ValueError(f"{month!r} is no month")
    moment = datetime(int(year), place // 3 + 1, int(day), int(hour), int(minute), int(second), tzinfo=zone)
    return int(moment.timestamp())
