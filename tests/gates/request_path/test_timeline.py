"""A path as text."""

from __future__ import annotations

from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path.path import RequestPath, RpcLeg, SentRequest
from calorimeter.gates.request_path.timeline import SHOWN_LINES, timeline

T0 = 1_700_000_000_000_000_000
MS = 1_000_000

API = BrokerProcess(role="heat-api", pid=10, host="10.0.0.2")
ENGINE = BrokerProcess(role="heat-engine", pid=21, host="10.0.0.3")

REQUEST = SentRequest(
    api="rest",
    operation="create",
    source="127.0.0.10",
    source_port=40000,
    request_id="req-1",
    sent_ns=T0,
    done_ns=T0 + 60 * MS,
    status=201,
)


def leg(**changes: object) -> RpcLeg:
    """A call that an engine took and answered."""
    fields: dict[str, object] = {
        "method": "create_stack",
        "queue": "engine",
        "unique_id": "u",
        "published_ns": T0 + 5 * MS,
        "publisher": API,
        "delivered_ns": T0 + 6 * MS,
        "consumer": ENGINE,
        "consumer_connection": "c",
        "redelivered": False,
        "replied_ns": T0 + 50 * MS,
        "failure": False,
        "stack_name": None,
        "resource_id": None,
    }
    return RpcLeg.model_validate(fields | changes)


def path(*legs: RpcLeg, backend: str | None = "rest-1") -> RequestPath:
    """A path of these legs."""
    return RequestPath(request=REQUEST, backend=backend, api_process=API, legs=legs, missing=())


def test_path_is_shown_in_order_of_time() -> None:
    """Work after the answer comes after it, and engines are named by their hosts."""
    work = leg(
        method="check_resource",
        queue="engine_worker",
        publisher=ENGINE,
        published_ns=T0 + 70 * MS,
        delivered_ns=T0 + 71 * MS,
        replied_ns=None,
        resource_id="7",
    )
    text = [" ".join(line.split()) for line in timeline(path(work, leg()), {str(ENGINE): "engine-1"})]
    assert text == [
        "+0.0 ms client 127.0.0.10:40000 sends create",
        "+0.0 ms proxy sends it to rest-1",
        "+5.0 ms heat-api[10]@10.0.0.2 publishes create_stack to engine",
        "+6.0 ms engine-1 heat-engine[21] receives create_stack",
        "+50.0 ms engine-1 heat-engine[21] answers create_stack",
        "+60.0 ms client receives the answer 201",
        "+70.0 ms engine-1 heat-engine[21] publishes check_resource of resource 7 to engine_worker",
        "+71.0 ms engine-1 heat-engine[21] receives check_resource of resource 7",
    ]


def test_unknown_links_are_shown() -> None:
    """An unknown backend or process is a question mark, not a guess."""
    text = "\n".join(timeline(path(leg(consumer=None, redelivered=True, failure=True), backend=None), {}))
    assert "? its log has no line for the request" in text
    assert "? unknown process" in text
    assert "receives create_stack (redelivered)" in text
    assert "fails create_stack" in text


def test_a_large_stack_is_cut_with_its_count() -> None:
    """A timeline of thousands of resources ends with the number of lines left out."""
    legs = [leg(unique_id=str(n), replied_ns=None) for n in range(SHOWN_LINES)]
    text = timeline(path(*legs), {})
    assert (len(text), text[-1]) == (SHOWN_LINES + 1, f"… and {SHOWN_LINES + 3} more")
