"""The spans of a request's RPC messages: sent by a process, held by the broker, processed by an engine.

The broker reports when a message was published and delivered, and nothing between. So sending takes no
time; processing lasts until the reply to a call, or until the last message that the engine published for
it: when the work of a cast ended is not in the trace. Which message an engine published for which other one
is not in the trace either: it is the one that its process had received last.

Names of attributes are those of OpenTelemetry's semantic conventions for messaging and RabbitMQ.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from calorimeter.core.trace_span import Attribute, SpanKind, SpanSource, TraceSpan
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path.http_spans import OTHER_ERROR, span_id
from calorimeter.gates.request_path.path import RpcLeg, SentRequest

BROKER = SpanSource("rabbitmq")
UNKNOWN = SpanSource("unknown_service")
"""What the conventions call a process whose program is not known."""


def message_spans(
    request: SentRequest, legs: Iterable[RpcLeg], inner: TraceSpan, hosts: Mapping[str, str]
) -> tuple[TraceSpan, ...]:
    """The spans of a request's messages in the order in which these were published.

    `inner` is the span that the first ones began in; `hosts` maps engine processes to their hosts' names.
    """
    chain = _Chain(request, inner, hosts)
    for message in _messages(legs):
        chain.add(message)
    return chain.spans()


def _messages(legs: Iterable[RpcLeg]) -> list[list[RpcLeg]]:
    """The deliveries of each message in order, in the order in which the messages began."""
    found: defaultdict[str, list[RpcLeg]] = defaultdict(list)
    for leg in legs:
        found[leg.unique_id].append(leg)
    for own in found.values():
        own.sort(key=lambda leg: leg.delivered_ns or 0)
    return sorted(found.values(), key=lambda own: (_began_ns(own[0]), own[0].unique_id))


def _began_ns(leg: RpcLeg) -> int:
    return leg.published_ns if leg.published_ns is not None else leg.delivered_ns or 0


class _Chain:
    """The spans so far, and which of them processes began, by process and in order of time.

    A message is led to by one that began before it, so no span is within itself.
    """

    def __init__(self, request: SentRequest, inner: TraceSpan, hosts: Mapping[str, str]) -> None:
        self._request, self._inner, self._hosts = request, inner, hosts
        self._spans: dict[str, TraceSpan] = {}
        self._received: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)

    def spans(self) -> tuple[TraceSpan, ...]:
        """All of them, each after its parent."""
        return tuple(self._spans.values())

    def add(self, own: Sequence[RpcLeg]) -> None:
        """Add the spans of one message, given its deliveries."""
        first = own[0]
        parent_id = self._cause(first)
        if first.published_ns is not None:
            parent_id = self._add(
                ("send", first.unique_id), parent_id, f"send {destination(first)}", SpanKind.PRODUCER,
                source(first.publisher, self._hosts), (first.published_ns, first.published_ns),
                _about(first, "publish", "send", destination(first)),
            )  # fmt: skip
        sent_id = parent_id if first.published_ns is not None else ""
        held_id = self._add_held(own, parent_id)
        for number, leg in enumerate(own):
            if leg.delivered_ns is not None:
                self._add_processed(leg, number, leg is own[-1], parent_id if sent_id else held_id, sent_id)

    def _add_held(self, own: Sequence[RpcLeg], parent_id: str) -> str:
        first, began_ns = own[0], _began_ns(own[0])
        delivered = [leg.delivered_ns for leg in own if leg.delivered_ns is not None]
        end_ns = max((*delivered, began_ns))
        moments = tuple((max(at_ns, began_ns), "delivered") for at_ns in delivered)
        return self._add(
            ("broker", first.unique_id), parent_id, first.queue or destination(first), SpanKind.INTERNAL,
            BROKER, (began_ns, end_ns),
            {"messaging.system": "rabbitmq", "messaging.message.id": first.unique_id}, moments=moments,
        )  # fmt: skip

    def _add_processed(self, leg: RpcLeg, number: int, last: bool, parent_id: str, sent_id: str) -> None:
        start_ns = leg.delivered_ns or 0
        end_ns = max(start_ns, (leg.replied_ns or 0) if last else 0)
        consumed = destination(leg, consumed=True)
        made = self._add(
            ("process", leg.unique_id, number), parent_id, f"process {destination(leg)}", SpanKind.CONSUMER,
            source(leg.consumer, self._hosts), (start_ns, end_ns),
            _about(leg, "deliver", "process", consumed),
            links=(sent_id,) if sent_id else (), error=OTHER_ERROR if last and leg.failure else "",
        )  # fmt: skip
        if leg.consumer is not None:
            insort(self._received[str(leg.consumer)], (start_ns, made))

    def _cause(self, leg: RpcLeg) -> str:
        """The span in which a message was sent; that span lasts at least until then."""
        received = self._received.get(str(leg.publisher), []) if leg.publisher else []
        if leg.published_ns is None or not received:
            return self._inner.span_id
        place = bisect_right(received, (leg.published_ns, "\x7f"))
        if not place:
            return self._inner.span_id
        found = received[place - 1][1]
        span = self._spans[found]
        self._spans[found] = replace(span, end_ns=max(span.end_ns, leg.published_ns))
        return found

    def _add(
        self,
        key: tuple[object, ...],
        parent_id: str,
        name: str,
        kind: SpanKind,
        of: SpanSource,
        times_ns: tuple[int, int],
        attributes: Mapping[str, Attribute],
        *,
        links: tuple[str, ...] = (),
        moments: tuple[tuple[int, str], ...] = (),
        error: str = "",
    ) -> str:
        own_id = span_id(self._request, *key)
        self._spans[own_id] = TraceSpan(
            of,
            self._inner.trace_id,
            own_id,
            parent_id,
            name,
            kind,
            *times_ns,
            attributes,
            links,
            moments,
            error,
        )
        return own_id


def source(process: BrokerProcess | None, hosts: Mapping[str, str]) -> SpanSource:
    """A process of the broker's connections; the host of an engine is the one that Heat names."""
    if process is None:
        return UNKNOWN
    return SpanSource(process.role, str(process), hosts.get(str(process), process.host))


def destination(leg: RpcLeg, *, consumed: bool = False) -> str:
    """`exchange:routing key`, for consumers with `:queue` if that is another; empty ones are left out."""
    parts = [leg.exchange, leg.routing_key]
    if consumed and leg.queue != leg.routing_key:
        parts.append(leg.queue)
    return ":".join(filter(None, parts)) or leg.queue or "amq.default"


def _about(leg: RpcLeg, name: str, kind: str, of: str) -> dict[str, Attribute]:
    known: dict[str, Attribute | None] = {
        "messaging.rabbitmq.destination.routing_key": leg.routing_key,
        "rpc.method": leg.method,
        "calorimeter.stack_name": leg.stack_name,
        "calorimeter.resource_id": leg.resource_id,
        "calorimeter.redelivered": kind == "process" and leg.redelivered,
    }
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": of,
        "messaging.message.id": leg.unique_id,
        **{key: value for key, value in known.items() if value},
    }
