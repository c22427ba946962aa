"""The logs of all proxies, received together, each connection counted once.

A proxy may log to several places that the deployment names (a UDP port and a file), or twice to the same
one (a `log` line in `global` and one in the section). Of several logs of one proxy the fullest counts,
alone; of lines that differ in nothing but when they came, one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from calorimeter.core.deployment import Proxy
from calorimeter.gates.evidence.log_listener import LogSource, await_lines, log_source
from calorimeter.gates.evidence.proxy_log import (
    Connection,
    Line,
    ProxyLog,
    ServerEvent,
    read,
    without_header,
)

_DATED = re.compile(r" \[\d\d/[A-Z][a-z]{2}/\d{4}:")
"""The moment that every line of a connection has, to the millisecond."""

E = TypeVar("E", Connection, ServerEvent)


class Fullest(NamedTuple):
    """The log of a proxy that holds most connections of a section, and how its others compare.

    `repeated` is how many lines came again; `passed_over` are sentences on the logs that were not used.
    """

    log: LogSource
    entries: ProxyLog
    connections: tuple[Connection, ...]
    repeated: int
    passed_over: tuple[str, ...]


class ProxyLogs:
    """Logs being received while this is entered; each group shows the same connections."""

    def __init__(self, groups: Iterable[Sequence[LogSource]]) -> None:
        self.groups = tuple(tuple(group) for group in groups)
        self._forgotten: dict[LogSource, frozenset[str]] = {}
        self._parsed: dict[LogSource, tuple[list[Line], ProxyLog]] = {}
        self._entered = ExitStack()

    @classmethod
    def of(cls, proxies: Iterable[Proxy]) -> Self:
        """The logs of these proxies, those of each in the order of the deployment file.

        Proxies that share a log are one group: it holds the lines of all of them.
        """
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.close()

    @property
    def all(self) -> tuple[LogSource, ...]:
        """Every log, used or not."""
        return tuple(log for group in self.groups for log in group)

    def forget(self) -> None:
        """Forget the lines so far, and those copies of them that are yet to come.

        A file is read a moment after a datagram came, and of two copies one comes first: without this the
        other would count as a connection of what follows. A sentence on a server has no moment in it: it
        may come again and be news.
        """
        for group in self.groups:
            lines = [line.text for log in group for line in log.drain()]
            seen = frozenset(without_header(text) for text in lines if _DATED.search(text))
            self._forgotten |= dict.fromkeys(group, seen)
        self._parsed.clear()

    def _lines(self, log: LogSource) -> list[Line]:
        """The lines of a log that are not forgotten."""
        forgotten = self._forgotten.get(log, frozenset())
        return [line for line in log.lines() if not forgotten or without_header(line.text) not in forgotten]

    def _entries(self) -> Iterator[dict[LogSource, ProxyLog]]:
        """Of each group the logs with their entries."""
        for group in self.groups:
            yield {log: self._read(log) for log in group}

    def _read(self, log: LogSource) -> ProxyLog:
        """The entries of a log; the same lines are parsed once."""
        lines = self._lines(log)
        if log not in self._parsed or self._parsed[log][0] != lines:
            self._parsed[log] = lines, read(lines)
        return self._parsed[log][1]

    def fullest(self, section: str) -> tuple[Fullest, ...]:
        """Of each group the log with most connections of a section; of equal ones the first."""
        return tuple(_fullest(group, section) for group in self._entries())

    def events(self, section: str) -> tuple[ServerEvent, ...]:
        """What the proxies said of a section's servers, of each group by the log that says most."""
        said = [[_of(log.events, section) for log in group.values()] for group in self._entries()]
        return tuple(event for each in said for event in max(each, key=len))

    def read(self) -> ProxyLog:
        """All entries: those of a section from its fullest log; the unread lines of the logs so used."""
        groups = [list(group.values()) for group in self._entries()]
        return ProxyLog(
            connections=tuple(c for group in groups for c in _by_section(group, _connections)),
            accepted=tuple(a for group in groups for a in max((log.accepted for log in group), key=len)),
            events=tuple(e for group in groups for e in _by_section(group, _events)),
            notices=tuple(n for group in groups for n in max((log.notices for log in group), key=len)),
            unparsed=tuple(u for group in groups for n in _used(group) for u in group[n].unparsed),
        )

    def used(self) -> tuple[LogSource, ...]:
        """The logs that are the fullest for a section; of a group that shows no connection the first."""
        groups = [(list(group), list(group.values())) for group in self._entries()]
        return tuple(logs[n] for logs, entries in groups for n in _used(entries))

    def await_lines(self, enough: Callable[[], bool], within_s: float) -> bool:
        """Wait until `enough` holds of the logs; False where it does not in time."""
        return await_lines(self.all, enough, within_s)

    def await_ports(self, ports: Collection[int], within_s: float) -> ProxyLog:
        """All entries, once they name these ports of clients or the time for it is over."""

        def named() -> bool:
            # As many lines as ports first: parsing all of them at every new one would be quadratic.
            if sum(len(self._lines(log)) for log in self.all) < len(ports):
                return False
            return {*ports} <= {connection.client_port for connection in self.read().connections}

        self.await_lines(named, within_s)
        return self.read()

    def holds(self, needle: str, wanted: int) -> bool:
        """Whether the fullest logs hold `wanted` different lines with `needle` in them; parsed are none."""
        told = [[[ln for ln in self._lines(log) if needle in ln.text] for log in g] for g in self.groups]
        # Different ones are counted where there are enough of any kind: it takes longer.
        return all(sum(max(map(count, g)) for g in told) >= wanted for count in (len, _different))


def _used(group: Sequence[ProxyLog]) -> list[int]:
    """Which of a group's logs are the fullest for a section; the first where none shows a connection."""
    sections = dict.fromkeys(c.backend for log in group for c in log.connections)
    held = [{s: len(once(_of(log.connections, s))) for s in sections} for log in group]
    return list(dict.fromkeys(max(range(len(group)), key=lambda n: held[n][s]) for s in sections)) or [0]


def _different(lines: Sequence[Line]) -> int:
    return len({without_header(line.text) for line in lines})


def _fullest(group: Mapping[LogSource, ProxyLog], section: str) -> Fullest:
    found = {log: once(_of(entries.connections, section)) for log, entries in group.items()}
    log, connections = max(found.items(), key=lambda each: len(each[1]))
    entries = group[log]
    return Fullest(
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


def once(connections: Iterable[Connection]) -> tuple[Connection, ...]:
    """The connections without those that differ from an earlier one in nothing but when the line came.

    No two connections are equal in client, port, moment (ms), times, bytes and counters; of requests on one
    connection only those could be that were answered within the same millisecond.
    """
    kept: dict[object, Connection] = {}
    for connection in connections:
        told = tuple(value for name, value in connection if name != "received_ns")
        kept.setdefault(told, connection)
    return tuple(kept.values())


def _connections(log: ProxyLog) -> tuple[Connection, ...]:
    return once(log.connections)


def _events(log: ProxyLog) -> tuple[ServerEvent, ...]:
    return log.events


def _by_section(logs: Sequence[ProxyLog], entries: Callable[[ProxyLog], tuple[E, ...]]) -> Iterator[E]:
    """The entries of each section, from the log that has most of them."""
    told = [entries(log) for log in logs]
    for section in dict.fromkeys(_section(entry) for each in told for entry in each):
        yield from max((_of(each, section) for each in told), key=len)


def _of(entries: Iterable[E], section: str) -> tuple[E, ...]:
    return tuple(each for each in entries if _section(each) == section)


def _section(entry: Connection | ServerEvent) -> str:
    return entry.backend if isinstance(entry, Connection) else entry.section
