"""Quiet points of a real broker's queue: its own counter shows what a trace lacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import with_traced_request_ids
from calorimeter.gates.clients.stacks import temporary_stacks
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.traced_calls import counted_between, trace_broker
from tests.gates.evidence.test_firehose import Traffic

pytestmark = pytest.mark.lab


@pytest.fixture
def traffic(lab: Deployment) -> Iterator[Traffic]:
    """A source of messages that are not Heat's."""
    traffic = Traffic(lab)
    yield traffic
    traffic.close()


def test_the_brokers_counter_shows_what_a_trace_lacks(lab: Deployment, traffic: Traffic) -> None:
    """A gap that is too short for a beat to notice shows as a difference between counter and trace."""
    with (
        Context(lab, Settings()) as context,
        trace_broker(context, [traffic.queue], publishes=False) as trace,
    ):
        start = trace.quiet_point(traffic.queue)
        traffic.send(20)
        whole = trace.quiet_point(traffic.queue, start)
        trace.api.set_tracing(False)
        traffic.send(7)
        trace.api.set_tracing(True)
        traffic.send(1)
        end = trace.quiet_point(traffic.queue)
        seen = [len(trace.deliveries(traffic.queue, point.event)) for point in (start, whole)]
    assert (counted_between(start, whole), seen[0] - seen[1]) == (20, 20)
    assert (counted_between(whole, end), seen[1]) == (8, 1)
    assert not (start.unquiet or whole.unquiet or end.unquiet)


@pytest.mark.parametrize("cfn", [False, True])
def test_a_create_whose_client_got_no_answer_is_found_in_the_trace(lab: Deployment, cfn: bool) -> None:
    """Both APIs send the stack's name to the engine with the request."""
    with Context(lab, Settings()) as context, trace_broker(context) as trace:
        with temporary_stacks(HeatClient(context), 2) as created:
            record = created.create(cfn=cfn)
            created.await_final(60)
        cut = record.create.model_copy(update={"status": 0, "request_id": None})
        calls = trace.deliveries(ENGINE)
    (found,) = with_traced_request_ids([record.model_copy(update={"create": cut})], calls)
    assert found.create.request_id == record.create.request_id is not None
