"""The segments of one request's response time, in order, from what the evidence says of its path.

The evidence is a row of marks: a time until which one part had the request. Marks come from different
clocks and late reports, so one may lie before the mark in front of it, or after the answer. Segments are
cut at the marks, pushed inwards as far as needed: they add up to the response time exactly and none is
negative. How far the marks had to be pushed is kept: `RequestWay.mismatch_ns`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from calorimeter.core.recorded.latency_budget import RequestSegment
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path.path import RequestPath, RpcLeg, SentRequest

MISMATCH_NS, MISMATCH_SHARE = 2_000_000, 0.01
"""The segments of a request fit its response time if marks were pushed by no more than the larger of
both."""

LOG_ROUNDING_MS = 4
"""By how much the sum of four of HAProxy's timers may be too short: each is cut to whole ms."""

UNKNOWN_ENGINE = "unknown engine"


class TimedRequest(SentRequest):
    """A request with all its times, ns since the epoch; `first_byte_ns` is 0 without an answer."""

    scheduled_ns: int
    first_byte_ns: int
    error: str

    @property
    def kind(self) -> str:
        """API and operation, as tables name it."""
        return f"{self.api} {self.operation}"

    @property
    def response_ns(self) -> int:
        """From when it was due to the end of the answer."""
        return max(0, self.done_ns - self.scheduled_ns)


class Mark(NamedTuple):
    """Until `until_ns` the request was in `segment`, with `who`; `what` is the method of a message."""

    segment: RequestSegment
    who: str
    what: str
    until_ns: int


class Stay(NamedTuple):
    """How long a request was in a segment."""

    segment: RequestSegment
    who: str
    what: str
    took_ns: int


@dataclass(frozen=True, slots=True)
class RequestWay:
    """A request and its stays in order of time; their sum is its response time.

    `mismatch_ns` is by how much marks contradicted one another, in all.
    """

    request: TimedRequest
    stays: tuple[Stay, ...]
    mismatch_ns: int

    @property
    def adds_up(self) -> bool:
        """Whether the marks fit the response time within 2 ms or 1 %, whichever is more."""
        return self.mismatch_ns <= max(MISMATCH_NS, MISMATCH_SHARE * self.request.response_ns)

    def segments_ns(self) -> dict[RequestSegment, int]:
        """The sum of the stays in each segment."""
        found: defaultdict[RequestSegment, int] = defaultdict(int)
        for stay in self.stays:
            found[stay.segment] += stay.took_ns
        return dict(found)

    def engines_ns(self) -> dict[str, int]:
        """The sum of the stays in each engine."""
        found: defaultdict[str, int] = defaultdict(int)
        for stay in self.stays:
            if stay.segment == "engine":
                found[stay.who] += stay.took_ns
        return dict(found)


def way(request: TimedRequest, path: RequestPath, hosts: Mapping[str, str]) -> RequestWay:
    """The way of a request; `hosts` maps engine processes (as text) to their hosts' names in Heat."""
    marks = tuple(_marks(request, path, hosts))
    end_ns = request.scheduled_ns + request.response_ns
    took_ns, mismatch_ns = cut(request.scheduled_ns, end_ns, [mark.until_ns for mark in marks])
    stays = (Stay(*mark[:3], took) for mark, took in zip(marks, took_ns, strict=True))
    return RequestWay(request, tuple(stays), mismatch_ns)


def cut(start_ns: int, end_ns: int, moments_ns: Sequence[int]) -> tuple[list[int], int]:
    """Cut the time from start to end at moments: the length of each part, and the mismatch.

    The last part ends at the end, whatever its moment. A moment before the one in front of it, or outside
    of the time, is pushed inwards. The mismatch is the sum of all steps backwards, from the start over all
    moments to the end.
    """
    took_ns: list[int] = []
    at_ns = before_ns = start_ns
    mismatch_ns = 0
    for moment_ns in moments_ns:
        mismatch_ns += max(0, before_ns - moment_ns)
        before_ns = moment_ns
        until_ns = min(max(at_ns, moment_ns), end_ns)
        took_ns.append(until_ns - at_ns)
        at_ns = until_ns
    if took_ns:
        took_ns[-1] += end_ns - at_ns
    return took_ns, mismatch_ns + max(0, before_ns - end_ns)


def _marks(request: TimedRequest, path: RequestPath, hosts: Mapping[str, str]) -> Iterator[Mark]:
    server = path.backend or ""
    api = str(path.api_process) if path.api_process else server
    yield Mark("generator", "", "", request.sent_ns)
    opened_ns = connected_ns(request, path)
    if opened_ns is not None:
        yield Mark("proxy", server, "", opened_ns)
    waiting: RequestSegment = "api_before"
    pending = "no RPC message" in path.missing
    for call in _calls(path.legs):
        yield from _of_call(call, "unseen" if pending else waiting, api, hosts)
        waiting, pending = "api_between", call[-1].replied_ns is None
    last: RequestSegment = "api_before" if waiting == "api_before" else "api_after"
    answered = request.first_byte_ns > 0
    until_ns = answered_ns(request, path) if answered else request.done_ns
    yield Mark("unseen" if pending else last, api, "", until_ns)
    if answered:
        yield Mark("way_back", server, "", request.done_ns)


def connected_ns(request: SentRequest, path: RequestPath) -> int | None:
    """When the proxy had a connection to the server for this request; None if its log does not say."""
    timers = path.timers
    if timers is None or timers.connected_ms is None:
        return None
    if timers.mode == "tcp":
        # A kept-alive connection was established by an earlier request, or before this one was sent.
        return max(request.sent_ns, timers.accepted_ns + timers.connected_ms * 1_000_000)
    return max(request.sent_ns, timers.accepted_ns) + timers.connected_ms * 1_000_000


def answered_ns(request: TimedRequest, path: RequestPath) -> int:
    """When the answer began: for the client, or for the proxy if that was clearly earlier."""
    timers = path.timers
    if timers is None or timers.answered_ms is None:
        return request.first_byte_ns
    begun_ns = max(request.sent_ns, timers.accepted_ns)
    latest_ns = begun_ns + (timers.answered_ms + LOG_ROUNDING_MS) * 1_000_000
    return min(request.first_byte_ns, latest_ns)


def _calls(legs: Iterable[RpcLeg]) -> list[list[RpcLeg]]:
    """The calls that the API waited for, one after the other; each with its deliveries in order.

    A call that begins before the reply to the one before it was made by an engine, within it.
    """
    by_message: defaultdict[str, list[RpcLeg]] = defaultdict(list)
    for leg in legs:
        if leg.call and (leg.publisher is None or leg.publisher.role != "heat-engine"):
            by_message[leg.unique_id].append(leg)
    calls = [sorted(own, key=lambda leg: leg.delivered_ns or 0) for own in by_message.values()]
    calls.sort(key=lambda own: _began_ns(own[0]))
    outer: list[list[RpcLeg]] = []
    for call in calls:
        unknown = call[0].publisher is None
        replied_ns = outer[-1][-1].replied_ns if outer else None
        if not (unknown and replied_ns is not None and _began_ns(call[0]) < replied_ns):
            outer.append(call)
    return outer


def _began_ns(leg: RpcLeg) -> int:
    return leg.published_ns or leg.delivered_ns or 0


def _of_call(
    call: Sequence[RpcLeg], before: RequestSegment, api: str, hosts: Mapping[str, str]
) -> Iterator[Mark]:
    first, last = call[0], call[-1]
    what = first.method or ""
    if first.published_ns is not None:
        yield Mark(before, api, "", first.published_ns)
    if first.delivered_ns is not None:
        segment: RequestSegment = "unseen" if first.published_ns is None else "broker"
        yield Mark(segment, first.queue, what, first.delivered_ns)
    if last.delivered_ns is not None and last is not first:
        yield Mark("redelivery", engine_name(first.consumer, hosts), what, last.delivered_ns)
    if last.replied_ns is not None:
        segment = "unseen" if last.delivered_ns is None else "engine"
        yield Mark(segment, engine_name(last.consumer, hosts), what, last.replied_ns)


def engine_name(process: BrokerProcess | None, hosts: Mapping[str, str]) -> str:
    """An engine as tables name it: its host's name in Heat, else the process."""
    if process is None:
        return UNKNOWN_ENGINE
    return hosts.get(str(process), str(process))
