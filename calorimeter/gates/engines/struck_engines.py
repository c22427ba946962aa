"""The engine processes that a fault may strike, and those that it struck, as the broker shows them.

An engine is a heat-engine process. The broker shows its consumers, each with a host, a process id (of the
worker) and a connection, but not which command of the deployment file belongs to it. So the engine that a
command struck is found by the consumers that went away or fell silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from calorimeter.gates.clients.calls import HeatCall

ProcessSizes = dict[str, tuple[int, ...]]
"""Host → the number of consumers of the queue `engine` that each of its engine processes has."""

SHOWN = 4
"""Most consumers that a sentence names."""


def host_of(name: str) -> str:
    """The host in a consumer's name (`engine-1 [4711]`); of a stranger, the whole name."""
    return name.split(" [", maxsplit=1)[0]


def listed(names: Sequence[str]) -> str:
    """Consumers for a sentence: the first `SHOWN`, and the number of others."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def possible_hosts(part: str, described: Collection[str], parts: Collection[str]) -> tuple[str, ...]:
    """The described hosts on which the engine of a part may run.

    A part that is named after a host is there. Every other one may be on any host that no part is named
    after, such as a host that several engines share.
    """
    return (part,) if part in described else tuple(host for host in described if host not in parts)


def process_sizes(
    hosts: Iterable[str], described: Mapping[str, tuple[int, ...]], found: Mapping[str, int]
) -> ProcessSizes:
    """The sizes of the engine processes of these hosts, of which `found` maps hosts to consumers.

    All consumers of a host belong to its engine if it has only one, however many are described: gate E1
    judges their number.
    """
    return {
        host: (found[host],) if len(described[host]) == 1 and found.get(host) else described[host]
        for host in hosts
    }


def whole_processes(consumers: Iterable[str], sizes: Mapping[str, Sequence[int]]) -> set[int]:
    """How many whole engine processes these consumers (names) can be; empty if they cannot be any number.

    There may be several answers if the processes of one host have different numbers of workers.
    """
    numbers = {0}
    for host, count in Counter(host_of(name) for name in consumers).items():
        sums = {(0, 0)}
        for size in sizes.get(host, ()):
            sums |= {(number + 1, total + size) for number, total in sums}
        here = {number for number, total in sums if total == count}
        numbers = {before + number for before in numbers for number in here}
    return numbers


def why_not_as_many(
    fault: str, parts: Sequence[str], struck: Sequence[str], sizes: Mapping[str, Sequence[int]]
) -> str | None:
    """Why the consumers that a fault struck are not one engine process for each part; None if they are.

    Otherwise it is unknown which of them the command was meant for, and their calls cannot be judged.
    """
    if len(parts) in whole_processes(struck, sizes):
        return None
    hosts = dict.fromkeys(host_of(name) for name in struck)
    each = "; ".join(f"{host}: {_consumers_each(sizes.get(host, ()))}" for host in hosts)
    wanted = "one engine" if len(parts) == 1 else f"{len(parts)} engines"
    return (
        f"{fault!r} of {', '.join(parts)} was to strike {wanted}, but {_number(len(struck), 'consumer')} "
        f"went away or fell silent: {listed(struck)} ({each}); either its command does not strike one "
        "process, or engines there do not fail alone, or others consume than described: see gate E1"
    )


def _number(count: object, unit: str) -> str:
    return f"{count} {unit}" if str(count) == "1" else f"{count} {unit}s"


def _consumers_each(sizes: Sequence[int]) -> str:
    """`2 engines of 1 consumer`, or `3 engines of 1 or 4 consumers`."""
    each = " or ".join(map(str, sorted({*sizes}))) or "no"
    return f"{_number(len(sizes), 'engine')} of {_number(each, 'consumer')}"


def silent_consumers(
    calls: Sequence[HeatCall], consumers: Iterable[str], begin_ns: int, end_ns: int, patience_s: float
) -> tuple[str, ...]:
    """Those of these consumers (names) that had a call and answered nothing more, between two times.

    A consumer is silent if a call to it stayed open for longer than `patience_s`, and it answered nothing
    from then on. One that is only slow, or loses single calls, still answers others.
    """
    patience_ns = round(patience_s * 1e9)
    found = []
    for name in consumers:
        own = [c for c in calls if c.was_with((name,)) and c.sent_ns < end_ns and c.done_ns > begin_ns]
        stuck = [c.sent_ns for c in own if min(c.done_ns, end_ns) - c.sent_ns > patience_ns]
        answered = [c.done_ns for c in own if c.ok and c.engine == name and c.done_ns <= end_ns]
        if stuck and not any(at_ns > min(stuck) + patience_ns for at_ns in answered):
            found.append(name)
    return tuple(found)
