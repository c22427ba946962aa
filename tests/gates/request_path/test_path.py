"""The join of one request's evidence: every link, and every link that may be missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.evidence.proxy_log import LoggedConnection
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.request_path.completeness import join_completeness
from calorimeter.gates.request_path.path import (
    BY_THE_API_ITSELF,
    RequestPath,
    RequestPaths,
    SentRequest,
    join,
    requests_of,
)
from calorimeter.load.operations.cfn_operations import OPERATIONS as CFN_OPERATIONS
from calorimeter.load.operations.rest_operations import OPERATIONS as REST_OPERATIONS

API = BrokerProcess(role="heat-api", pid=10, host="10.0.0.2")
ENGINE_1 = BrokerProcess(role="heat-engine", pid=21, host="10.0.0.3")
ENGINE_2 = BrokerProcess(role="heat-engine", pid=22, host="10.0.0.3")
PROCESSES = {"api": API, "e1": ENGINE_1, "e2": ENGINE_2}

MS = 1_000_000
T0 = 1_700_000_000_000 * MS


def request(
    request_id: str = "req-1", port: int = 40000, sent_ms: int = 0, done_ms: int = 50, status: int = 200
) -> SentRequest:
    """A request as its client saw it, at ms after T0."""
    return SentRequest(
        api="rest",
        operation="stack_create",
        source="127.0.0.10",
        source_port=port,
        request_id=request_id,
        sent_ns=T0 + sent_ms * MS,
        done_ns=T0 + done_ms * MS,
        status=status,
    )


def line(
    server: str | None = "rest-1",
    port: int = 40000,
    at_ms: int = 0,
    total_ms: int | None = 100,
    mode: str = "tcp",
    client: str = "127.0.0.10",
    early: bool = False,
) -> LoggedConnection:
    """A line of the proxy's log."""
    return LoggedConnection.model_validate(
        {
            "mode": mode,
            "received_ns": T0 + (at_ms + (total_ms or 0)) * MS,
            "client": client,
            "client_port": port,
            "accepted_ns": T0 + at_ms * MS,
            "frontend": "rest",
            "tls": False,
            "backend": "rest",
            "server": server,
            "queue_ms": 0,
            "connect_ms": 0,
            "total_ms": total_ms,
            "early": early,
            "bytes_sent": 1,
            "termination": "--",
            "process_connections": 1,
            "frontend_connections": 1,
            "backend_connections": 1,
            "server_connections": 1,
            "retries": 0,
            "redispatched": False,
            "server_queue": 0,
            "backend_queue": 0,
        }
    )


def event(
    kind: str,
    on: str,
    unique_id: str,
    queue: str = "engine",
    at_ms: int = 10,
    request_id: str | None = "req-1",
    msg_id: str | None = None,
    **more: object,
) -> Delivery:
    """An event of the firehose: `on` is the publisher's or the consumer's connection."""
    return Delivery.model_validate(
        {
            "seq": 0,
            "t_ns": T0 + at_ms * MS,
            "kind": kind,
            "queue": queue if kind == "deliver" else "",
            "exchange": "heat",
            "routing_keys": (queue,),
            "routed": (queue,) if kind == "publish" else (),
            "connection": on,
            "channel": 1,
            "redelivered": False,
            "method": "create_stack",
            "request_id": request_id,
            "msg_id": msg_id,
            "unique_id": unique_id,
            **more,
        }
    )


CREATE = (
    event("publish", "api", "u1", at_ms=10, msg_id="m1"),
    event("deliver", "e1", "u1", at_ms=11, msg_id="m1"),
    event("publish", "e1", "u2", "engine_worker", at_ms=20, method="check_resource", resource_id="7"),
    event("deliver", "e2", "u2", "engine_worker", at_ms=21, method="check_resource", resource_id="7"),
    event("publish", "e1", "u3", "", at_ms=30, request_id=None, msg_id="m1", reply=True, method=None),
)


def one(paths: RequestPaths) -> RequestPath:
    """The only path."""
    (path,) = paths.paths
    return path


def test_a_create_is_followed_to_the_workers_of_its_resources() -> None:
    """Backend, API process, the engine that took the call and the one that did the convergence work."""
    path = one(join([request()], [line()], CREATE, PROCESSES))
    assert path.missing == ()
    assert (path.backend, path.api_process, path.engine) == ("rest-1", API, ENGINE_1)
    legs = [(leg.queue, leg.publisher, leg.consumer, leg.resource_id) for leg in path.legs]
    assert legs == [("engine", API, ENGINE_1, None), ("engine_worker", ENGINE_1, ENGINE_2, "7")]
    assert [leg.replied_ns for leg in path.legs] == [T0 + 30 * MS, None]


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (0, "a publish is missing"),
        (1, "a delivery is missing"),
        (3, "a delivery is missing"),
    ],
)
def test_a_lost_event_is_a_missing_link(gone: int, missing: str) -> None:
    """An event that the recording lacks leaves its request unattributed, whichever it is."""
    events = [e for number, e in enumerate(CREATE) if number != gone]
    paths = join([request()], [line()], events, PROCESSES)
    assert missing in one(paths).missing
    assert join_completeness(paths).share == 0


def test_without_any_event_an_accepted_request_is_incomplete() -> None:
    """A success must have called an engine."""
    paths = join([request()], [line()], (), PROCESSES)
    assert join_completeness(paths).missing == {"no RPC message": 1}


def test_a_request_that_the_api_refused_needs_no_engine() -> None:
    """A 400 may come from the API itself."""
    assert one(join([request(status=400)], [line()], (), PROCESSES)).missing == ()


@pytest.mark.parametrize(
    ("operation", "status", "missing"),
    [
        ("GET /", 300, ()),
        ("show-by-arn", 302, ()),
        ("show-by-name", 302, ("no RPC message",)),
        ("EstimateTemplateCost", 200, ()),
    ],
)
def test_what_the_api_answers_by_itself_needs_no_engine(
    operation: str, status: int, missing: tuple[str, ...]
) -> None:
    """The versions, what an ARN tells already, what costs nothing; a name only an engine knows."""
    asked = request(status=status).model_copy(update={"operation": operation})
    assert one(join([asked], [line()], (), PROCESSES)).missing == missing


def test_the_operations_without_an_engine_are_those_of_a_load() -> None:
    """No name among them is one that no sample has."""
    named = {operation.name for operation in (*REST_OPERATIONS, *CFN_OPERATIONS)}
    assert named >= BY_THE_API_ITSELF


def test_an_unanswered_request_does_not_count() -> None:
    """Without an answer there is no request id to follow: it is shown, and not in the figure."""
    paths = join([request(request_id="", status=0)], [line()], (), PROCESSES)
    found = join_completeness(paths)
    assert (found.answered, found.share, found.missing) == (0, None, {})
    assert one(paths).missing == ("no request id in the answer",)


def test_an_unknown_engine_process_is_a_missing_link() -> None:
    """A delivery to a connection that names no process proves no engine."""
    path = one(join([request()], [line()], CREATE, {"api": API, "e1": ENGINE_1}))
    assert path.missing == ("engine process unknown",)


def test_messages_to_queues_that_were_not_recorded_need_no_delivery() -> None:
    """A cast to one engine's own queue is shown with its publish alone."""
    cast = event("publish", "e1", "u4", "engine_worker.id-2", at_ms=40)
    path = one(join([request()], [line()], (*CREATE, cast), PROCESSES))
    assert path.missing == ()
    assert [leg.queue for leg in path.legs] == ["engine", "engine_worker", "engine_worker.id-2"]


def test_a_redelivered_message_has_a_leg_for_each_engine() -> None:
    """Both engines that were given the message are shown, and which one was the second."""
    again = event("deliver", "e2", "u1", at_ms=15, msg_id="m1", redelivered=True)
    path = one(join([request()], [line()], (*CREATE, again), PROCESSES))
    engines = [(leg.consumer, leg.redelivered) for leg in path.legs if leg.queue == "engine"]
    assert engines == [(ENGINE_1, False), (ENGINE_2, True)]


def test_a_port_that_was_used_again_is_told_apart_by_time() -> None:
    """Two connections from one port: each request belongs to the one that was open."""
    lines = [line("rest-1", at_ms=0, total_ms=60), line("rest-2", at_ms=100, total_ms=60)]
    requests = [request(sent_ms=10), request(sent_ms=110, done_ms=150), request(sent_ms=400, done_ms=450)]
    paths = join(requests, lines, CREATE, PROCESSES)
    assert [path.backend for path in paths.paths] == ["rest-1", "rest-2", None]


def test_a_kept_alive_connection_serves_several_requests_in_tcp_mode() -> None:
    """One line is all that the proxy writes of them."""
    requests = [request(sent_ms=ms, done_ms=ms + 5) for ms in (1, 20, 90)]
    paths = join(requests, [line("rest-1", at_ms=0, total_ms=100)], CREATE, PROCESSES)
    assert [path.backend for path in paths.paths] == ["rest-1"] * 3


def test_in_http_mode_each_request_has_its_line() -> None:
    """Requests on one connection may go to different servers, and each line tells."""
    lines = [
        line("rest-1", at_ms=1, total_ms=5, mode="http"),
        line("rest-2", at_ms=21, total_ms=5, mode="http"),
    ]
    requests = [
        request(sent_ms=1, done_ms=8),
        request(sent_ms=20, done_ms=28),
        request(sent_ms=90, done_ms=99),
    ]
    paths = join(requests, lines, CREATE, PROCESSES)
    assert [path.backend for path in paths.paths] == ["rest-1", "rest-2", None]


def test_a_connection_without_an_end_is_open() -> None:
    """With `option logasap` the line says nothing of the end."""
    early = line("rest-1", total_ms=1, early=True)
    assert one(join([request(sent_ms=500, done_ms=600)], [early], CREATE, PROCESSES)).backend == "rest-1"


def test_a_connection_that_reached_no_server_has_no_backend() -> None:
    """`<NOSRV>` is no backend."""
    assert one(join([request()], [line(None)], CREATE, PROCESSES)).backend is None


def test_an_ipv4_client_of_an_ipv6_listener_is_the_same_client() -> None:
    """HAProxy logs ::ffff:127.0.0.10 for it."""
    mapped = line("rest-1", client="::ffff:127.0.0.10")
    assert one(join([request()], [mapped], CREATE, PROCESSES)).backend == "rest-1"


def test_rows_of_samples_are_requests() -> None:
    """What was dropped by the generator was never sent; an answer without an id has an empty one."""
    row = {
        "api": "rest",
        "operation": "stack_list",
        "source": "127.0.0.10",
        "source_port": 40000,
        "request_id": None,
        "sent_ns": 1,
        "done_ns": 2,
        "status": 0,
        "error": "timeout",
    }
    (read,) = requests_of([row, {**row, "error": "dropped"}])
    assert (read.request_id, read.status, read.source_port) == ("", 0, 40000)


@given(st.permutations(CREATE))
def test_the_order_of_events_does_not_matter(events: list[Delivery]) -> None:
    """Channels report by themselves: any order of arrival gives the same path."""
    assert join([request()], [line()], events, PROCESSES) == join([request()], [line()], CREATE, PROCESSES)


@given(st.lists(st.sampled_from(["e1", "e2"]), min_size=1, max_size=30), st.randoms())
def test_concurrent_requests_are_not_mixed_up(engines: list[str], random: object) -> None:
    """Requests at the same time, from one source, each with its own port, go where their ids say."""
    requests = [request(f"req-{n}", port=40000 + n) for n in range(len(engines))]
    lines = [line(f"rest-{n % 3}", port=40000 + n) for n in range(len(engines))]
    events = [
        made
        for n, engine in enumerate(engines)
        for made in (
            event("publish", "api", f"u{n}", request_id=f"req-{n}"),
            event("deliver", engine, f"u{n}", request_id=f"req-{n}"),
        )
    ]
    random.shuffle(events)  # type: ignore[attr-defined]
    paths = join(requests, lines, events, PROCESSES)
    assert join_completeness(paths).share == 1
    assert [path.engine for path in paths.paths] == [PROCESSES[engine] for engine in engines]
    assert [path.backend for path in paths.paths] == [f"rest-{n % 3}" for n in range(len(engines))]


def test_connection_that_is_made_after_the_request_was_begun_is_its_own() -> None:
    """On a busy machine connecting takes a while: the accept is later than the moment of sending."""
    found = join([request(done_ms=900)], [line(at_ms=700)], [], {}).paths[0]
    assert found.backend == "rest-1"
