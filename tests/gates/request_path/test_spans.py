"""Spans of requests: which there are, how they nest, and that any path gives a valid trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.trace_span import SpanKind, TraceSpan
from calorimeter.export import otlp_spans
from calorimeter.export.otlp_values import ExportedRun
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path import traced_spans
from calorimeter.gates.request_path.http_spans import HttpTarget, trace_id
from calorimeter.gates.request_path.path import ProxyTimers, RequestPath, RpcLeg, SentRequest
from calorimeter.gates.request_path.segments import TimedRequest
from tests.export import otlp_schema
from tests.gates.request_path.test_segments import (
    API,
    ENGINE,
    HOSTS,
    MS,
    OTHER,
    T0,
    http,
    leg,
    path,
    request,
)

TARGET = HttpTarget("POST", "http://10.0.0.1:8004/v1/:project/stacks", "/v1/:project/stacks")

WORK = {"exchange": "heat", "routing_key": "engine_worker", "queue": "engine_worker", "call": False}


def of(one: RequestPath, target: HttpTarget = TARGET) -> list[TraceSpan]:
    """The spans of a path."""
    return list(traced_spans.of_paths([one], HOSTS, lambda _: target))


def shown(spans: list[TraceSpan]) -> list[tuple[str, str, str, float, float]]:
    """Service, kind and name, the name of the parent with its kind, and ms from T0."""
    by_id = {span.span_id: span for span in spans}

    def label(span: TraceSpan | None) -> str:
        return f"{span.kind.name} {span.name}".replace(" POST /v1/:project/stacks", "") if span else ""

    return [
        (span.source.service, label(span), label(by_id.get(span.parent_id)),
         (span.start_ns - T0) / MS, (span.end_ns - T0) / MS)
        for span in spans
    ]  # fmt: skip


def test_a_call_is_followed_from_the_generator_to_the_engine() -> None:
    """Each span in the one that caused it; the consumer is linked to the producer."""
    call = leg(20, 22, 80).model_copy(update={"exchange": "heat", "routing_key": "engine"})
    found = of(path(call, timers=http(6, 3, 90)))
    assert shown(found) == [
        ("calorimeter", "INTERNAL rest.create", "", 0, 100),
        ("calorimeter", "CLIENT", "INTERNAL rest.create", 5, 100),
        ("haproxy", "SERVER", "CLIENT", 6, 100),
        ("haproxy", "CLIENT", "SERVER", 9, 100),
        ("heat-api", "SERVER", "CLIENT", 9, 95),
        ("heat-api", "PRODUCER send heat:engine", "SERVER", 20, 20),
        ("rabbitmq", "INTERNAL engine", "PRODUCER send heat:engine", 20, 22),
        ("heat-engine", "CONSUMER process heat:engine", "PRODUCER send heat:engine", 22, 80),
    ]
    sent, _, processed = found[-3:]
    assert processed.links == (sent.span_id,)
    assert processed.source.instance == "heat-engine[21]@10.0.0.3" and processed.source.host == "engine-1"
    assert processed.attributes == {
        "messaging.system": "rabbitmq", "messaging.operation.name": "deliver", "rpc.method": "create_stack",
        "messaging.operation.type": "process", "messaging.destination.name": "heat:engine",
        "messaging.message.id": "u1", "messaging.rabbitmq.destination.routing_key": "engine",
    }  # fmt: skip


def test_convergence_is_a_chain_of_casts() -> None:
    """A message is sent by the last one that its process received; work lasts until its last message."""
    found = of(path(
        leg(20, 22, 80),
        leg(70, 71, None, unique_id="w1", publisher=ENGINE, consumer=OTHER),
        leg(200, 210, None, unique_id="w2", publisher=OTHER, consumer=ENGINE),
        leg(230, 240, None, unique_id="w3", publisher=OTHER, consumer=OTHER),
    ))  # fmt: skip
    processed = [span for span in found if span.kind == SpanKind.CONSUMER]
    ends = [((span.start_ns - T0) / MS, (span.end_ns - T0) / MS) for span in processed]
    assert ends == [(22, 80), (71, 230), (210, 210), (240, 240)]
    by_id = {span.span_id: span for span in found}
    senders = [by_id[by_id[span.parent_id].parent_id] for span in processed]
    assert senders == [found[4], processed[0], processed[1], processed[1]]


def test_a_message_that_was_delivered_again_has_one_span_of_the_broker() -> None:
    """And one for each engine that received it; the first one did not reply."""
    found = of(path(
        leg(20, 22, 80, consumer=ENGINE), leg(20, 60, 80, consumer=OTHER, redelivered=True)
    ))  # fmt: skip
    held, first, last = found[-3:]
    assert (held.source.service, held.moments) == (
        "rabbitmq",
        ((T0 + 22 * MS, "delivered"), (T0 + 60 * MS, "delivered")),
    )
    assert [(each.start_ns, each.end_ns) for each in (first, last)] == [
        (T0 + 22 * MS, T0 + 22 * MS),
        (T0 + 60 * MS, T0 + 80 * MS),
    ]
    assert "calorimeter.redelivered" not in first.attributes
    assert last.attributes["calorimeter.redelivered"] is True


def test_a_reply_that_is_a_failure_is_an_error_of_the_engine() -> None:
    """The API may still answer."""
    found = of(path(leg(20, 22, 80).model_copy(update={"failure": True})))
    assert [span.error for span in found] == ["", "", "", "", "", "", "", "_OTHER"]


@pytest.mark.parametrize(
    ("status", "error", "client", "server"),
    [
        (200, "", "", ""),
        (404, "", "", ""),  # after a delete it is what was expected
        (409, "status", "409", ""),
        (503, "status", "503", "503"),
        (200, "body", "body", ""),
        (0, "timeout", "timeout", "_OTHER"),
    ],
)
def test_what_is_an_error_of_whom(status: int, error: str, client: str, server: str) -> None:
    """The load knows what it expected; a server fails with 5xx or no answer."""
    asked = request(status=status).model_copy(update={"error": error})
    found = of(path(of=asked))
    assert [span.error for span in found] == [client, client, server, server, server]


def test_a_command_has_no_time_when_it_was_due() -> None:
    """The client's span is the first; a 404 of a command is an error."""
    asked = SentRequest.model_validate(
        {name: getattr(request(status=404), name) for name in SentRequest.model_fields}
    )
    one = RequestPath(request=asked, backend=None, api_process=None, legs=(), missing=())
    found = of(one, HttpTarget("GET", "https://[::1]/v1/:project/stacks/x"))
    assert [(span.name, span.kind, span.error) for span in found] == [
        ("GET", SpanKind.CLIENT, "404"),
        ("GET", SpanKind.SERVER, ""),
    ]
    assert (found[0].attributes["server.address"], found[0].attributes["server.port"]) == ("::1", 443)


def test_a_request_that_reached_nobody_has_no_span_of_an_api() -> None:
    """No line of the log, no answer, no message."""
    asked = request(status=0, first=None).model_copy(update={"request_id": "", "error": "connect"})
    one = RequestPath(request=asked, backend=None, api_process=None, legs=(), missing=())
    assert [span.source.service for span in of(one)] == ["calorimeter", "calorimeter"]


def test_the_id_of_a_trace_is_the_uuid_of_the_request() -> None:
    """It can be looked for; ids of another form, and of none, are hashes that do not change."""
    uuid = "2e6a1d1c-9e8f-4a0b-8c7d-001122334455"
    asked = request().model_copy(update={"request_id": f"req-{uuid}"})
    assert trace_id(asked) == uuid.replace("-", "")
    assert trace_id(request()) == trace_id(request()) != trace_id(asked)
    zero = asked.model_copy(update={"request_id": "req-00000000-0000-0000-0000-000000000000"})
    none = asked.model_copy(update={"request_id": ""})
    others = [none, none.model_copy(update={"source_port": 1}), zero, request()]
    assert len({trace_id(each) for each in others}) == 4


times = st.integers(-50, 300)
maybe = st.none() | times


@st.composite
def legs(draw: st.DrawFn) -> RpcLeg:
    """Any message: reports in any order, of unknown processes, lost, redelivered."""
    published, delivered = draw(maybe), draw(maybe)
    if published is None and delivered is None:
        published = 0
    who = st.sampled_from([None, API, ENGINE, OTHER])
    made = leg(
        published, delivered, draw(maybe), unique_id=draw(st.sampled_from("abcdef")), publisher=draw(who),
        consumer=draw(who), call=draw(st.booleans()), redelivered=draw(st.booleans()),
    )  # fmt: skip
    return made.model_copy(update={"queue": draw(st.sampled_from(["engine", "engine_worker"]))})


@st.composite
def paths(draw: st.DrawFn) -> RequestPath:
    """Any path."""
    asked: TimedRequest = request(
        draw(times), draw(times), draw(maybe), draw(times), status=draw(st.sampled_from([0, 200, 404, 503]))
    )
    ids = st.sampled_from(["", "req-1", "req-2e6a1d1c-9e8f-4a0b-8c7d-001122334455"])
    asked = asked.model_copy(
        update={"request_id": draw(ids), "error": draw(st.sampled_from(["", "status"]))}
    )
    timers = st.builds(
        ProxyTimers,
        mode=st.sampled_from(["tcp", "http"]),
        accepted_ns=times.map(lambda at: T0 + at * MS),
        connected_ms=st.none() | st.integers(0, 200),
        answered_ms=st.none() | st.integers(0, 200),
    )
    return RequestPath(
        request=asked, backend=draw(st.none() | st.just("rest-1")),
        api_process=draw(st.none() | st.just(API)),
        legs=tuple(draw(st.lists(legs(), max_size=12))), missing=(), timers=draw(st.none() | timers),
    )  # fmt: skip


def depth(span: TraceSpan, parent: Callable[[str], TraceSpan | None]) -> int:
    """How many spans a span is in; fails for one that is within itself."""
    found = 0
    above: TraceSpan | None = span
    while above is not None and above.parent_id:
        above = parent(above.parent_id)
        found += 1
        assert above is not None and found < 100
    return found


@given(paths())
def test_any_path_is_a_valid_trace(one: RequestPath) -> None:
    """One root; each parent is in the trace and before its children; ids differ; HTTP is nested in time."""
    found = of(one)
    by_id = {span.span_id: span for span in found}
    assert len(by_id) == len(found) and {span.trace_id for span in found} == {trace_id(one.request)}
    assert [span for span in found if not span.parent_id] == found[:1]
    for span in found:
        assert span.start_ns <= span.end_ns
        depth(span, by_id.get)
        assert set(span.links) <= set(by_id)
        assert all(span.start_ns <= at_ns <= span.end_ns for at_ns, _ in span.moments)
        if span.kind in (SpanKind.CLIENT, SpanKind.SERVER):
            above = by_id[span.parent_id]
            assert above.start_ns <= span.start_ns <= span.end_ns <= above.end_ns
    # Each publish and each delivery that was seen is there, once.
    sent = {each.unique_id for each in one.legs if each.published_ns is not None}
    received = sum(1 for each in one.legs if each.delivered_ns is not None)
    kinds = [span.kind for span in found]
    assert kinds.count(SpanKind.CONSUMER) == received
    assert kinds.count(SpanKind.PRODUCER) >= len(
        {each for each in sent if all(o.published_ns is not None for o in one.legs if o.unique_id == each)}
    )


@given(st.lists(paths(), max_size=4))
def test_what_is_written_is_of_the_protocol(some: list[RequestPath]) -> None:
    """The schema parses it, the same paths give the same bytes, and names are those of the conventions."""
    ours = [
        "".join(
            otlp_spans.lines(traced_spans.of_paths(some, HOSTS, lambda _: TARGET), ExportedRun("r", "d"))
        )
        for _ in range(2)
    ]
    assert ours[0] == ours[1]
    for resource, span in otlp_schema.spans(ours[0]):
        names = {*resource, *otlp_schema.values(span.attributes)}
        assert {name for name in names if not name.startswith("calorimeter.")} <= KNOWN


KNOWN = otlp_schema.known_names() | {"http.response.header.x-openstack-request-id"}
"""The conventions name a template, `http.response.header.<key>`, and the package its beginning."""


def test_two_requests_with_one_id_have_different_spans() -> None:
    """A client may send its own id twice: both are in one trace."""
    twice = [path(of=request()), path(of=request(sent=6))]
    found = [span for one in twice for span in of(one)]
    assert len({span.span_id for span in found}) == len(found)
    assert len({span.trace_id for span in found}) == 1


def test_an_api_behind_another_server_is_named_as_heat() -> None:
    """The process is the one of its connection to the broker, whatever serves it."""
    uwsgi = BrokerProcess(role="uwsgi", pid=3, host="10.0.0.2")
    one = path().model_copy(update={"api_process": uwsgi})
    api = of(one)[-1]
    assert (api.source.service, api.source.instance) == ("heat-api", "uwsgi[3]@10.0.0.2")
