"""The path of one request: client → proxy → API process → queue → engine process, joined from evidence.

The keys: the client's address, port and time join a request with a line of the proxy's log; the request id
of the HTTP answer with the RPC messages; a message's unique id its publish with its delivery; the call's id
its delivery with the engine's reply; a connection's name the message with the process.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from calorimeter.core.toml import Model
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.evidence.proxy_log import LoggedConnection, plain
from calorimeter.gates.evidence.rpc_message import Delivery

LOG_RESOLUTION_NS = 2_000_000
"""HAProxy logs ms. Its clock must be the client's, or synchronized with it."""

TOPICS = ("engine", "engine_worker")

NO_LOG_LINE = "no line of the proxy's log"

BY_THE_API_ITSELF = frozenset({
    "EstimateTemplateCost", "show-by-arn", "lookup-post-by-arn", "lookup-put-by-arn",
    "lookup-patch-by-arn", "lookup-delete-by-arn",
})  # fmt: skip
"""Operations of a load (docs/reference/operations.md) that Heat's APIs complete without an engine: an ARN
contains its stack's place, and the estimated cost of every template is the same. Another such request is
the list of versions (status 300)."""


class SentRequest(Model):
    """One request as its client recorded it; times in ns since the epoch, `status` 0 without an answer."""

    api: str
    operation: str
    source: str
    source_port: int
    request_id: str
    sent_ns: int
    done_ns: int
    status: int


class RpcLeg(Model):
    """One RPC message of a request. A process is None if its connection does not name one.

    `published_ns` and `delivered_ns` are when the broker's report arrived. Channels report separately, so
    on a busy machine these times may be off by some ms. `call` is whether the publisher waits for a reply;
    `replied_ns` is when the engine published it; None for a cast, or without a reply. It was published to
    `exchange` with `routing_key`.
    """

    method: str | None
    queue: str
    unique_id: str
    published_ns: int | None
    publisher: BrokerProcess | None
    delivered_ns: int | None
    consumer: BrokerProcess | None
    consumer_connection: str | None
    redelivered: bool
    replied_ns: int | None
    failure: bool
    stack_name: str | None
    resource_id: str | None
    call: bool = False
    exchange: str = ""
    routing_key: str = ""


class ProxyTimers(Model):
    """What the proxy's log says of the times of one request.

    `accepted_ns` is when the proxy accepted the connection (tcp) or had the request's first byte (http), ns
    since the epoch, to the ms. `connected_ms` is from then until the server's connection was established
    (TR + Tw + Tc, HAProxy's manual 8.4), `answered_ms` until the answer's headers came (http only: + Tr).
    None if HAProxy did not get there.
    """

    mode: Literal["tcp", "http"]
    accepted_ns: int
    connected_ms: int | None
    answered_ms: int | None


class RequestPath(Model):
    """One request and what is known of its path; `missing` names each unknown link."""

    request: SentRequest
    backend: str | None
    api_process: BrokerProcess | None
    legs: tuple[RpcLeg, ...]
    missing: tuple[str, ...]
    timers: ProxyTimers | None = None

    @property
    def engine(self) -> BrokerProcess | None:
        """The engine process that the request's first call was delivered to."""
        return next((leg.consumer for leg in self.legs if leg.queue == "engine"), None)


class RequestPaths(Model):
    """The paths of some requests."""

    paths: tuple[RequestPath, ...]


def request_from(record: Mapping[str, Any], **more: str) -> SentRequest:
    """A request from a record that has fields of the same names, and `more`; other fields are ignored.

    Raises KeyError or ValueError if a field is missing or of another type.
    """
    fields = {**record, **more, "request_id": record["request_id"] or ""}
    return SentRequest.model_validate({name: fields[name] for name in SentRequest.model_fields})


def requests_of(rows: Iterable[Mapping[str, Any]]) -> tuple[SentRequest, ...]:
    """The requests in rows of `core.recorded.samples.SAMPLE`; a dropped arrival was never sent."""
    return tuple(request_from(row) for row in rows if row["error"] != "dropped")


def join(
    requests: Sequence[SentRequest],
    connections: Iterable[LoggedConnection],
    events: Sequence[Delivery],
    processes: Mapping[str, BrokerProcess],
    *,
    topics: Sequence[str] = TOPICS,
) -> RequestPaths:
    """Follow each request; `topics` are the queues whose deliveries were recorded.

    `processes` maps connection names to processes; it may be merged from several snapshots of the broker,
    because connections open and close during a run.
    """
    found = each_path(requests, connections, events, processes, topics=topics)
    return RequestPaths(paths=tuple(found))


def each_path(
    requests: Iterable[SentRequest],
    connections: Iterable[LoggedConnection],
    events: Sequence[Delivery],
    processes: Mapping[str, BrokerProcess],
    *,
    topics: Sequence[str] = TOPICS,
) -> Iterator[RequestPath]:
    """What `join` gives, one path after the other: all of them need not fit into memory."""
    log = _ProxyLines(connections)
    messages = RpcMessages(events, processes, topics)
    return (_path(request, log, messages) for request in requests)


def _path(request: SentRequest, log: _ProxyLines, messages: RpcMessages) -> RequestPath:
    line = log.line(request)
    backend = line.server if line else None
    legs, api_process = messages.legs(request.request_id)
    missing = [] if backend else [NO_LOG_LINE]
    if not request.request_id:
        missing.append("no request id in the answer")
    elif not legs and _needs_engine(request):
        missing.append("no RPC message")
    elif legs and api_process is None:
        missing.append("API process unknown")
    recorded = [leg for leg in legs if leg.queue in messages.topics]
    if any(leg.published_ns is None for leg in recorded):
        missing.append("a publish is missing")
    if any(leg.delivered_ns is None for leg in recorded):
        missing.append("a delivery is missing")
    if any(leg.delivered_ns is not None and leg.consumer is None for leg in recorded):
        missing.append("engine process unknown")
    return RequestPath(
        request=request,
        backend=backend,
        api_process=api_process,
        legs=legs,
        missing=tuple(missing),
        timers=_timers(line) if line else None,
    )


def _timers(line: LoggedConnection) -> ProxyTimers:
    http = line.mode == "http"
    until_connected = (*((line.request_ms,) if http else ()), line.queue_ms, line.connect_ms)
    connected_ms = _sum(until_connected)
    return ProxyTimers(
        mode=line.mode,
        accepted_ns=line.accepted_ns,
        connected_ms=connected_ms,
        answered_ms=_sum((connected_ms, line.response_ms)) if http else None,
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = [*values]
    return None if None in known else sum(value for value in known if value is not None)


def _needs_engine(request: SentRequest) -> bool:
    """Whether the request must have reached an engine: an API can reject any request on its own, but can
    complete only a few."""
    if request.status == HTTPStatus.MULTIPLE_CHOICES or request.operation in BY_THE_API_ITSELF:
        return False
    return request.status < HTTPStatus.BAD_REQUEST


class _ProxyLines:
    """The lines of the proxy's log by client address and port, in order of accept."""

    def __init__(self, connections: Iterable[LoggedConnection]) -> None:
        self._lines: defaultdict[tuple[str, int], list[LoggedConnection]] = defaultdict(list)
        for line in sorted(connections, key=lambda line: line.accepted_ns):
            self._lines[plain(line.client.lower()), line.client_port].append(line)

    def line(self, request: SentRequest) -> LoggedConnection | None:
        """The line of the proxy's log that has the request; None if there is none.

        In tcp mode the line is that of the connection that was open when the request was answered, new or
        kept alive. In http mode each request has a line of its own, accepted between request and answer.
        Ports are reused, so the latest line that fits counts.
        """
        lines = self._lines.get((plain(request.source.lower()), request.source_port), [])
        tcp = bool(lines) and lines[0].mode == "tcp"
        # Until the answer no other connection can have the port. The log truncates ms, it never rounds up.
        latest_ns = request.done_ns if tcp else request.done_ns + LOG_RESOLUTION_NS
        at = bisect_right(lines, latest_ns, key=lambda line: line.accepted_ns)
        if not at:
            return None
        line = lines[at - 1]
        fits = (
            _ended_ns(line) >= request.sent_ns
            if tcp
            else line.accepted_ns >= request.sent_ns - LOG_RESOLUTION_NS
        )
        return line if fits else None


def _ended_ns(line: LoggedConnection) -> float:
    if line.early or line.total_ms is None:
        return float("inf")
    return line.accepted_ns + line.total_ms * 1e6 + LOG_RESOLUTION_NS


class RpcMessages:
    """The events of the firehose by request id."""

    def __init__(
        self,
        events: Sequence[Delivery],
        processes: Mapping[str, BrokerProcess],
        topics: Sequence[str] = TOPICS,
    ) -> None:
        self.topics = frozenset(topics)
        self._processes = processes
        self._published: defaultdict[str, list[Delivery]] = defaultdict(list)
        self._delivered: defaultdict[str, list[Delivery]] = defaultdict(list)
        self._ids: defaultdict[str, dict[str, Delivery]] = defaultdict(dict)
        self._replies: dict[str, Delivery] = {}
        for event in events:
            self._add(event)

    def _add(self, event: Delivery) -> None:
        if event.reply:
            if event.kind == "publish" and event.msg_id:
                self._replies.setdefault(event.msg_id, event)
            return
        if event.request_id is None or event.unique_id is None:
            return
        side = self._published if event.kind == "publish" else self._delivered
        side[event.unique_id].append(event)
        self._ids[event.request_id].setdefault(event.unique_id, event)

    def legs(self, request_id: str) -> tuple[tuple[RpcLeg, ...], BrokerProcess | None]:
        """The messages of a request in order of publish, and the API process that published the first."""
        legs = [leg for unique_id in self._ids.get(request_id, ()) for leg in self._legs(unique_id)]
        legs.sort(key=lambda leg: leg.published_ns or leg.delivered_ns or 0)
        api = next((leg.publisher for leg in legs if leg.publisher and _is_api(leg.publisher)), None)
        return tuple(legs), api

    def _legs(self, unique_id: str) -> Iterable[RpcLeg]:
        """One leg per delivery (a redelivered message has several), or one without a delivery."""
        published = next(iter(self._published.get(unique_id, ())), None)
        deliveries: Sequence[Delivery | None] = self._delivered.get(unique_id) or [None]
        for delivered in deliveries:
            event = delivered or published
            assert event is not None
            reply = self._replies.get(event.msg_id) if event.msg_id else None
            routed = published.routed[0] if published and published.routed else ""
            yield RpcLeg(
                method=event.method,
                queue=delivered.queue if delivered else routed or ",".join(event.routing_keys),
                unique_id=unique_id,
                published_ns=published.t_ns if published else None,
                publisher=self._processes.get(published.connection) if published else None,
                delivered_ns=delivered.t_ns if delivered else None,
                consumer=self._processes.get(delivered.connection) if delivered else None,
                consumer_connection=delivered.connection if delivered else None,
                redelivered=delivered.redelivered if delivered else False,
                replied_ns=reply.t_ns if reply else None,
                failure=reply.failure if reply else False,
                stack_name=event.stack_name,
                resource_id=event.resource_id,
                call=event.msg_id is not None,
                exchange=event.exchange,
                routing_key=next(iter(event.routing_keys), ""),
            )


def _is_api(process: BrokerProcess) -> bool:
    """heat-api, heat-api-cfn, or the WSGI server that hosts one: any process that is not an engine."""
    return process.role != "heat-engine"
