"""Segments of a request: they add up to its response time, whatever the evidence says."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path.path import ProxyTimers, RequestPath, RpcLeg
from calorimeter.gates.request_path.segments import RequestWay, TimedRequest, cut, way

API = BrokerProcess(role="heat-api", pid=10, host="10.0.0.2")
ENGINE = BrokerProcess(role="heat-engine", pid=21, host="10.0.0.3")
OTHER = BrokerProcess(role="heat-engine", pid=22, host="10.0.0.4")
HOSTS = {str(ENGINE): "engine-1", str(OTHER): "engine-2"}

MS = 1_000_000
T0 = 1_700_000_000_000 * MS


def request(
    due: float = 0, sent: float = 5, first: float | None = 95, done: float = 100, status: int = 200
) -> TimedRequest:
    """A request with its times in ms after T0; `first` None: it was never answered."""
    return TimedRequest(
        api="rest", operation="create", source="127.0.0.10", source_port=40000, request_id="req-1",
        scheduled_ns=T0 + int(due * MS), sent_ns=T0 + int(sent * MS), done_ns=T0 + int(done * MS),
        first_byte_ns=T0 + int(first * MS) if first is not None else 0, status=status, error="",
    )  # fmt: skip


def leg(
    published: float | None,
    delivered: float | None,
    replied: float | None,
    *,
    unique_id: str = "u1",
    publisher: BrokerProcess | None = API,
    consumer: BrokerProcess | None = ENGINE,
    call: bool = True,
    redelivered: bool = False,
) -> RpcLeg:
    """A message with its times in ms after T0."""
    times = [None if at is None else T0 + int(at * MS) for at in (published, delivered, replied)]
    return RpcLeg(
        method="create_stack", queue="engine", unique_id=unique_id, published_ns=times[0],
        publisher=publisher, delivered_ns=times[1], consumer=consumer, consumer_connection="c",
        redelivered=redelivered, replied_ns=times[2], failure=False, stack_name=None, resource_id=None,
        call=call,
    )  # fmt: skip


def path(
    *legs: RpcLeg,
    timers: ProxyTimers | None = None,
    missing: tuple[str, ...] = (),
    of: TimedRequest | None = None,
) -> RequestPath:
    """A path through rest-1 with these messages."""
    return RequestPath(
        request=of or request(),
        backend="rest-1",
        api_process=API,
        legs=legs,
        missing=missing,
        timers=timers,
    )


def tcp(accepted: float, connected_ms: int | None) -> ProxyTimers:
    """The timers of a line of tcplog."""
    return ProxyTimers(
        mode="tcp", accepted_ns=T0 + int(accepted * MS), connected_ms=connected_ms, answered_ms=None
    )


def http(accepted: float, connected_ms: int | None, answered_ms: int | None) -> ProxyTimers:
    """The timers of a line of httplog."""
    return ProxyTimers(
        mode="http",
        accepted_ns=T0 + int(accepted * MS),
        connected_ms=connected_ms,
        answered_ms=answered_ms,
    )


def ms(found: RequestWay) -> list[tuple[str, str, float]]:
    """Segment, who and ms of each stay."""
    return [(stay.segment, stay.who, stay.took_ns / MS) for stay in found.stays]


def test_one_call_is_cut_into_its_segments() -> None:
    """Generator, proxy's queue on a new connection, API, broker, engine, API, the rest of the answer."""
    found = way(request(), path(leg(20, 22, 80), timers=tcp(4, 8)), HOSTS)
    assert ms(found) == [
        ("generator", "", 5.0),
        ("proxy", "rest-1", 7.0),
        ("api_before", str(API), 8.0),
        ("broker", "engine", 2.0),
        ("engine", "engine-1", 58.0),
        ("api_after", str(API), 15.0),
        ("way_back", "rest-1", 5.0),
    ]
    assert found.mismatch_ns == 0 and found.adds_up
    assert found.engines_ns() == {"engine-1": 58 * MS}


def test_calls_in_turn_have_the_api_between_them() -> None:
    """Two synchronous calls, the second one to another engine; a cast takes no time of the answer."""
    legs = (
        leg(10, 11, 30),
        leg(15, 16, None, unique_id="cast", publisher=ENGINE, call=False),
        leg(35, 37, 90, unique_id="u2", consumer=OTHER),
    )
    found = way(request(), path(*legs), HOSTS)
    assert found.segments_ns() == {
        "generator": 5 * MS, "api_before": 5 * MS, "broker": 3 * MS, "engine": 72 * MS,
        "api_between": 5 * MS, "api_after": 5 * MS, "way_back": 5 * MS,
    }  # fmt: skip
    assert found.engines_ns() == {"engine-1": 19 * MS, "engine-2": 53 * MS}


def test_a_call_within_a_call_is_the_engine_s() -> None:
    """An engine that calls another one waits for it within its own time, also if unknown who calls."""
    for publisher in (ENGINE, None):
        legs = (leg(10, 11, 90), leg(30, 31, 60, unique_id="u2", publisher=publisher, consumer=OTHER))
        found = way(request(), path(*legs), HOSTS)
        assert found.engines_ns() == {"engine-1": 79 * MS}


def test_a_call_that_an_engine_lost_is_delivered_again() -> None:
    """From the first delivery to the last one nobody worked for the request."""
    legs = (leg(10, 11, 90), leg(10, 60, 90, consumer=OTHER, redelivered=True))
    found = way(request(), path(*legs), HOSTS)
    assert ms(found)[2:5] == [
        ("broker", "engine", 1.0),
        ("redelivery", "engine-1", 49.0),
        ("engine", "engine-2", 30.0),
    ]


def test_without_rpc_the_api_has_it_all() -> None:
    """A list of versions is the API's own; other requests must have reached an engine, unseen."""
    assert way(request(), path(), HOSTS).segments_ns() == {
        "generator": 5 * MS, "api_before": 90 * MS, "way_back": 5 * MS,
    }  # fmt: skip
    unseen = way(request(), path(missing=("no RPC message",)), HOSTS)
    assert unseen.segments_ns()["unseen"] == 90 * MS


def test_missing_links_are_not_seen() -> None:
    """A reply, a delivery or a publish that the trace lacks leaves time that belongs to nobody."""
    no_reply = way(request(), path(leg(20, 22, None)), HOSTS)
    assert no_reply.segments_ns()["unseen"] == 73 * MS and "engine" not in no_reply.segments_ns()
    no_delivery = way(request(), path(leg(20, None, 80)), HOSTS)
    assert no_delivery.segments_ns()["unseen"] == 60 * MS
    no_publish = way(request(), path(leg(None, 22, 80)), HOSTS)
    assert no_publish.segments_ns()["unseen"] == 17 * MS and no_publish.segments_ns()["engine"] == 58 * MS


def test_a_request_without_an_answer_ends_unseen() -> None:
    """After a call without a reply the client gave up: the rest is not the API's alone."""
    lost = request(first=None, done=1000, status=0)
    found = way(lost, path(leg(20, 22, None), of=lost), HOSTS)
    assert ms(found)[-1] == ("unseen", str(API), 978.0)
    refused = way(lost, path(of=lost), HOSTS)
    assert ms(refused)[-1] == ("api_before", str(API), 995.0)


def test_the_proxy_s_timers_of_both_modes() -> None:
    """In tcp mode the first request of a connection waits for it; in http mode every request has timers."""
    kept_alive = way(request(), path(leg(20, 22, 80), timers=tcp(-5000, 7)), HOSTS)
    assert kept_alive.segments_ns()["proxy"] == 0
    queued = way(request(), path(leg(30, 31, 80), timers=http(5, 20, 85)), HOSTS)
    assert queued.segments_ns()["proxy"] == 20 * MS and queued.segments_ns()["api_before"] == 5 * MS
    slow_client = way(request(first=95), path(leg(20, 22, 40), timers=http(5, 0, 40)), HOSTS)
    assert slow_client.segments_ns()["api_after"] == 9 * MS
    assert slow_client.segments_ns()["way_back"] == 51 * MS
    nothing = way(request(), path(leg(20, 22, 80), timers=http(5, None, None)), HOSTS)
    assert "proxy" not in nothing.segments_ns()


def test_a_late_report_is_pushed_inwards_and_counted() -> None:
    """The reply's report came 20 ms after the answer: the sum stays exact, the request does not add up."""
    found = way(request(), path(leg(20, 22, 115)), HOSTS)
    assert found.mismatch_ns == 20 * MS and not found.adds_up
    assert sum(stay.took_ns for stay in found.stays) == 100 * MS
    assert found.segments_ns()["engine"] == 78 * MS
    assert found.segments_ns()["way_back"] == 0
    by_a_millisecond = way(request(), path(leg(20, 22, 96)), HOSTS)
    assert by_a_millisecond.mismatch_ns == 1 * MS and by_a_millisecond.adds_up


def test_a_clock_that_stepped_is_a_mismatch() -> None:
    """The recorder's clock is ten seconds ahead: the sum stays that of the request."""
    found = way(request(), path(leg(10020, 10022, 10080)), HOSTS)
    assert found.mismatch_ns == 9985 * MS and not found.adds_up
    assert sum(stay.took_ns for stay in found.stays) == 100 * MS


def test_one_percent_of_a_long_request_is_more_than_two_milliseconds() -> None:
    """The bound is the larger of both."""
    long = request(first=1000, done=1000)
    assert way(long, path(leg(20, 22, 1009), of=long), HOSTS).adds_up
    assert not way(long, path(leg(20, 22, 1011), of=long), HOSTS).adds_up
    assert replace(way(request(), path(), HOSTS), mismatch_ns=2 * MS).adds_up


MOMENT = st.integers(-3_000_000_000, 3_000_000_000)
MAYBE = st.none() | st.integers(-50, 200)


@given(st.lists(MOMENT, max_size=12), MOMENT, st.integers(0, 3_000_000_000))
def test_parts_add_up_to_the_whole_and_none_is_negative(
    moments: list[int], start: int, length: int
) -> None:
    """Whatever the moments are; the mismatch is 0 only if they are in order and inside."""
    end = start + length
    took, mismatch = cut(start, end, moments)
    assert len(took) == len(moments)
    assert all(part >= 0 for part in took)
    assert sum(took) == (length if moments else 0)
    ordered = [start, *moments, end]
    assert (mismatch == 0) == (ordered == sorted(ordered))


PUBLISHER = st.sampled_from([API, ENGINE, None])


@given(
    st.lists(st.tuples(MAYBE, MAYBE, MAYBE, st.booleans(), PUBLISHER), max_size=6),
    MAYBE,
    MAYBE,
)
def test_the_segments_of_any_path_add_up(
    times: list[tuple[int | None, int | None, int | None, bool, BrokerProcess | None]],
    connected: int | None,
    first: int | None,
) -> None:
    """Any messages, in any order, with any part missing; any timers; answered or not."""
    legs = [
        leg(published, delivered, replied, unique_id=f"u{number // 2}", call=call, publisher=publisher)
        for number, (published, delivered, replied, call, publisher) in enumerate(times)
    ]
    asked = request(first=first)
    timers = None if connected is None else http(5, abs(connected), abs(connected) + 3)
    found = way(asked, path(*legs, timers=timers, of=asked), HOSTS)
    assert sum(stay.took_ns for stay in found.stays) == asked.response_ns
    assert all(stay.took_ns >= 0 for stay in found.stays)
    assert sum(found.segments_ns().values()) == asked.response_ns
