"""Many concurrent calls under the broker's trace (E4)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.traced_calls import call_counts, trace_broker

IN_FLIGHT = 8


def make_concurrent_calls(context: Context) -> QueueShares:
    """Make the context's number of calls, eight at a time, and count the deliveries to each engine."""
    client = HeatClient(context)
    with trace_broker(context) as trace:

        def call(_: int) -> HeatCall:
            trace.check()  # without the engine or the broker the remaining calls would only time out
            return client.list_stacks()

        start = trace.quiet_point(ENGINE)
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            calls = list(pool.map(call, range(context.settings.calls)))
        found = trace.shares(start, in_flight=IN_FLIGHT, **call_counts(calls))
    # Only after the recording has ended is it certain that it is complete.
    return found.model_copy(update={"incomplete": trace.firehose.why_incomplete})
