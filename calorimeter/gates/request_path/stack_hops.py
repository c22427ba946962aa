"""The way of a stack: its convergence's messages from acceptance to the end, in order.

An engine that has done its part of a stack publishes the messages of what comes next, so the chain of
messages that the last one depends on is found backwards: from a message to the one that its publisher had
received last. Only the chain takes time. A message that led to no other belongs to a branch that ended at a
sync point, where its resource waited for others; when its work ended is not in the trace.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from calorimeter.core.recorded.latency_budget import StackSegment
from calorimeter.gates.request_path.path import RpcLeg
from calorimeter.gates.request_path.segments import MISMATCH_NS, MISMATCH_SHARE, cut, engine_name

WORKER = "engine_worker"


class EndedStack(NamedTuple):
    """An action on a stack that was seen to end; times in ns since the epoch."""

    kind: str
    request_id: str
    accepted_ns: int
    final_ns: int


@dataclass(frozen=True, slots=True)
class StackWay:
    """Where a stack's time went, ns; the segments add up to the time from acceptance to the end."""

    kind: str
    took_ns: int
    segments_ns: dict[StackSegment, int]
    engines_ns: dict[str, int]
    messages: int
    hops: int
    waits_ns: int
    mismatch_ns: int

    @property
    def adds_up(self) -> bool:
        """Whether the times of the messages fit the whole, as for requests."""
        return self.mismatch_ns <= max(MISMATCH_NS, MISMATCH_SHARE * self.took_ns)


class _Message(NamedTuple):
    published_ns: int
    delivered_ns: int
    publisher: str
    consumer: str
    engine: str


def stack_way(stack: EndedStack, legs: Iterable[RpcLeg], hosts: Mapping[str, str]) -> StackWay | None:
    """The way of a stack through the messages of its request; None if none of them was seen whole."""
    messages = _messages(legs, hosts, stack.final_ns)
    if not messages:
        return None
    chain = _chain(messages)
    marks: list[tuple[StackSegment, str, int]] = []
    before: _Message | None = None
    for message in chain:
        segment: StackSegment = "start"
        if before is not None:
            segment = "engine" if before.consumer == message.publisher else "between"
        marks.append((segment, before.engine if before else "", message.published_ns))
        marks.append(("broker", "", message.delivered_ns))
        before = message
    marks.append(("end", "", stack.final_ns))
    # An engine begins before the API has answered: what it did until the acceptance took none of the time.
    moments_ns = [max(moment_ns, stack.accepted_ns) for _, _, moment_ns in marks]
    took_ns, mismatch_ns = cut(stack.accepted_ns, moments_ns[-1], moments_ns)
    segments: dict[StackSegment, int] = dict.fromkeys(get_args(StackSegment), 0)
    engines: defaultdict[str, int] = defaultdict(int)
    for (segment, engine, _), took in zip(marks, took_ns, strict=True):
        segments[segment] += took
        if segment == "engine":
            engines[engine] += took
    return StackWay(
        kind=stack.kind,
        took_ns=moments_ns[-1] - stack.accepted_ns,
        segments_ns=segments,
        engines_ns=dict(engines),
        messages=len(messages),
        hops=len(chain),
        waits_ns=_waits_ns(messages, stack.accepted_ns),
        mismatch_ns=mismatch_ns,
    )


def _messages(legs: Iterable[RpcLeg], hosts: Mapping[str, str], until_ns: int) -> list[_Message]:
    """The messages of convergence that were published and delivered until a time, in order of delivery.

    Of a message that was delivered again the last delivery counts.
    """
    found: dict[str, _Message] = {}
    for leg in sorted(legs, key=lambda leg: leg.delivered_ns or 0):
        if leg.queue != WORKER or leg.published_ns is None or leg.delivered_ns is None:
            continue
        if leg.delivered_ns <= until_ns:
            publisher, consumer = (str(process or "") for process in (leg.publisher, leg.consumer))
            engine = engine_name(leg.consumer, hosts)
            found[leg.unique_id] = _Message(leg.published_ns, leg.delivered_ns, publisher, consumer, engine)
    return sorted(found.values(), key=lambda message: message.delivered_ns)


def _cause(messages: Sequence[_Message], place: int) -> int | None:
    """The place of the message that led to the one at `place`; None if it is a first one.

    It is the last one that its publisher had received. If its publisher is unknown, it is the last one that
    any engine had received.
    """
    message = messages[place]
    for earlier in range(place - 1, -1, -1):
        candidate = messages[earlier]
        own = not message.publisher or candidate.consumer == message.publisher
        if own and candidate.delivered_ns <= message.published_ns:
            return earlier
    return None


def _chain(messages: Sequence[_Message]) -> list[_Message]:
    """The messages that the last one depends on, and the last one, in order."""
    place: int | None = len(messages) - 1
    chain: list[_Message] = []
    while place is not None:
        chain.append(messages[place])
        place = _cause(messages, place)
    return chain[::-1]


def _waits_ns(messages: Sequence[_Message], accepted_ns: int) -> int:
    """The sum, over messages that led to no other, of the time until the next publish of the stack."""
    led = {_cause(messages, place) for place in range(len(messages))}
    published_ns = sorted(message.published_ns for message in messages)
    total_ns = 0
    for place, message in enumerate(messages[:-1]):
        later = bisect_right(published_ns, message.delivered_ns)
        if place not in led and later < len(published_ns):
            total_ns += max(0, published_ns[later] - max(message.delivered_ns, accepted_ns))
    return total_ns
