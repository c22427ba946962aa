"""Many concurrent calls under the broker's trace (E4)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.counted_shares import CountedWindow
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.traced_calls import call_counts, trace_broker
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

IN_FLIGHT = 8


def make_concurrent_calls(context: Context) -> QueueShares:
    """Make the context's number of calls, eight at a time, and count the deliveries to each engine.

    Without a trace they are counted by RabbitMQ's Prometheus endpoint, if the deployment names one.
    """
    client = HeatClient(context)
    try:
        with BrokerApi.of(context.deployment) as api:
            api.consumers()
    except EvidenceUnavailable:
        if not any(node.prometheus for node in context.broker.nodes):
            raise
        window = CountedWindow(context)
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            counted = list(pool.map(lambda _: client.list_stacks(), range(context.strength("calls"))))
        return window.shares(counted, IN_FLIGHT, call_counts(counted))
    with trace_broker(context) as trace:

        def call(_: int) -> HeatCall:
            trace.check()  # without the engine or the broker the remaining calls would only time out
            return client.list_stacks()

        start = trace.quiet_point(ENGINE)
        number = context.strength("calls")
        context.say(f"{number} calls, {IN_FLIGHT} at a time")
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            calls = list(pool.map(call, range(number)))
        found = trace.shares(start, in_flight=IN_FLIGHT, **call_counts(calls))
    # Only after the recording has ended is it certain that it is complete.
    return found.model_copy(update={"incomplete": trace.firehose.why_incomplete})
