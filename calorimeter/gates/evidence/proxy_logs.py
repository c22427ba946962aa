"""The logs of all proxies, received together, with each connection counted once.

A proxy may log to several places (a UDP port and a file), or twice to the same place (a `log` line in
`global` and one in the section). Of several logs of one proxy only the fullest counts; lines that differ
only in when they were received count once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self, TypeVar

from calorimeter.core.deployment import Proxy
from calorimeter.gates.evidence.log_listener import LogSource, await_lines, log_source
from calorimeter.gates.evidence.proxy_log import (
    LoggedConnection,
    LogLine,
    ProxyLog,
    ServerEvent,
    read,
    without_header,
)

_DATED = re.compile(r" \[\d\d/[A-Z][a-z]{2}/\d{4}:")
"""The time stamp in every line of a connection, to the millisecond."""

E = TypeVar("E", LoggedConnection, ServerEvent)


class FullestLog(NamedTuple):
    """The log of a proxy that holds most connections of a section.

    `repeated` counts lines that were received again; `passed_over` has a sentence for each log that was not
    used.
    """

    log: LogSource
    entries: ProxyLog
    connections: tuple[LoggedConnection, ...]
    repeated: int
    passed_over: tuple[str, ...]


class ProxyLogs:
    """Receives logs while it is entered; the logs of one group show the same connections."""

    def __init__(self, groups: Iterable[Sequence[LogSource]]) -> None:
        self.groups = tuple(tuple(group) for group in groups)
        self._forgotten: dict[LogSource, frozenset[str]] = {}
        self._parsed: dict[LogSource, tuple[list[LogLine], ProxyLog]] = {}
        self._entered = ExitStack()

    @classmethod
    def of(cls, proxies: Iterable[Proxy]) -> Self:
        """The logs of these proxies, in the order of the deployment file; proxies that share a log are one
        group."""
        groups: list[list[str]] = []
        for proxy in proxies:
            shared = [group for group in groups if set(group) & set(proxy.logs)]
            groups = [group for group in groups if group not in shared]
            groups += [list(dict.fromkeys([*(url for group in shared for url in group), *proxy.logs]))]
        return cls([log_source(url) for url in group] for group in groups if group)

    def __enter__(self) -> Self:
        with self._entered:
            for log in self.all:
                self._entered.enter_context(log)
            self._entered = self._entered.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._entered.close()

    @property
    def all(self) -> tuple[LogSource, ...]:
        """All logs, including those that are not used."""
        return tuple(log for group in self.groups for log in group)

    def forget(self) -> None:
        """Forget the lines received so far, and the copies of them that are still to be received.

        A file is read later than a datagram, and one of two copies is received first: otherwise the other
        one would count as a new connection. Lines on servers have no time stamp to the millisecond: a
        repeated one may be news, so they are not forgotten in advance.
        """
        for group in self.groups:
            lines = [line.text for log in group for line in log.drain()]
            seen = frozenset(without_header(text) for text in lines if _DATED.search(text))
            self._forgotten |= dict.fromkeys(group, seen)
        self._parsed.clear()

    def _lines(self, log: LogSource) -> list[LogLine]:
        """The lines of a log that were not forgotten."""
        forgotten = self._forgotten.get(log, frozenset())
        return [line for line in log.lines() if not forgotten or without_header(line.text) not in forgotten]

    def _entries(self) -> Iterator[dict[LogSource, ProxyLog]]:
        """The logs of each group with their entries."""
        for group in self.groups:
            yield {log: self._read(log) for log in group}

    def _read(self, log: LogSource) -> ProxyLog:
        """The entries of a log; they are parsed only if its lines have changed."""
        lines = self._lines(log)
        if log not in self._parsed or self._parsed[log][0] != lines:
            self._parsed[log] = lines, read(lines)
        return self._parsed[log][1]

    def fullest(self, section: str) -> tuple[FullestLog, ...]:
        """The log of each group with most connections of a section (of equal ones the first)."""
        return tuple(_fullest(group, section) for group in self._entries())

    def events(self, section: str) -> tuple[ServerEvent, ...]:
        """Log events of a section's servers, from the log of each group that has most of them."""
        found = [[_of(log.events, section) for log in group.values()] for group in self._entries()]
        return tuple(event for logs in found for event in max(logs, key=len))

    def read(self) -> ProxyLog:
        """All entries: those of each section from its fullest log, and the unparsed lines of those logs."""
        groups = [list(group.values()) for group in self._entries()]
        return ProxyLog(
            connections=tuple(
                c
                for group in groups
                for c in _by_section([without_repeats(log.connections) for log in group])
            ),
            accepted=tuple(a for group in groups for a in max((log.accepted for log in group), key=len)),
            events=tuple(e for group in groups for e in _by_section([log.events for log in group])),
            notices=tuple(n for group in groups for n in max((log.notices for log in group), key=len)),
            unparsed=tuple(u for group in groups for n in _used(group) for u in group[n].unparsed),
        )

    def used(self) -> tuple[LogSource, ...]:
        """The logs that are the fullest for a section; the first log of a group without connections."""
        groups = [(list(group), list(group.values())) for group in self._entries()]
        return tuple(logs[n] for logs, entries in groups for n in _used(entries))

    def await_lines(self, enough: Callable[[], bool], within_s: float) -> bool:
        """Wait until `enough` returns true, for `within_s` seconds at most; whether it did."""
        return await_lines(self.all, enough, within_s)

    def await_ports(self, ports: Collection[int], within_s: float) -> ProxyLog:
        """All entries, once they contain these client ports, or after `within_s` seconds."""

        def named() -> bool:
            # Compare the number of lines first: parsing all lines at every new one would be quadratic.
            if sum(len(self._lines(log)) for log in self.all) < len(ports):
                return False
            return {*ports} <= {connection.client_port for connection in self.read().connections}

        self.await_lines(named, within_s)
        return self.read()

    def holds(self, needle: str, needed: int) -> bool:
        """Whether the fullest logs hold `needed` different lines that contain `needle`; parses none."""
        found = [[[ln for ln in self._lines(log) if needle in ln.text] for log in g] for g in self.groups]
        # Counting different lines takes longer, so it is done only if there are enough lines.
        return all(sum(max(map(count, g)) for g in found) >= needed for count in (len, _different))


def _used(group: Sequence[ProxyLog]) -> list[int]:
    """Indexes of a group's logs that are the fullest for a section; 0 if none has connections."""
    sections = dict.fromkeys(c.backend for log in group for c in log.connections)
    held = [{s: len(without_repeats(_of(log.connections, s))) for s in sections} for log in group]
    return list(dict.fromkeys(max(range(len(group)), key=lambda n: held[n][s]) for s in sections)) or [0]


def _different(lines: Sequence[LogLine]) -> int:
    return len({without_header(line.text) for line in lines})


def _fullest(group: Mapping[LogSource, ProxyLog], section: str) -> FullestLog:
    found = {log: without_repeats(_of(entries.connections, section)) for log, entries in group.items()}
    log, connections = max(found.items(), key=lambda each: len(each[1]))
    entries = group[log]
    return FullestLog(
        log=log,
        entries=entries,
        connections=connections,
        repeated=len(_of(entries.connections, section)) - len(connections),
        passed_over=tuple(
            f"{other.where} is the same proxy's log and was not used: it has {len(theirs)} "
            f"connections of {section}, {log.where} has {len(connections)}"
            for other, theirs in found.items()
            if other is not log
        ),
    )


def without_repeats(connections: Iterable[LoggedConnection]) -> tuple[LoggedConnection, ...]:
    """The connections without those that differ from an earlier one only in when the line was received.

    No two connections are equal in client, port, time (ms), durations, bytes and counters; two requests on
    one connection could be, but only if they were answered within the same millisecond.
    """
    kept: dict[object, LoggedConnection] = {}
    for connection in connections:
        key = tuple(value for name, value in connection if name != "received_ns")
        kept.setdefault(key, connection)
    return tuple(kept.values())


def _by_section(logs: Sequence[tuple[E, ...]]) -> Iterator[E]:
    """The entries of each section, from the log that has most of them."""
    for section in dict.fromkeys(_section(entry) for entries in logs for entry in entries):
        yield from max((_of(entries, section) for entries in logs), key=len)


def _of(entries: Iterable[E], section: str) -> tuple[E, ...]:
    return tuple(each for each in entries if _section(each) == section)


def _section(entry: LoggedConnection | ServerEvent) -> str:
    return entry.backend if isinstance(entry, LoggedConnection) else entry.section
