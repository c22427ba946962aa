"""Many calls at a time, under the broker's trace."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.shares import Shares
from calorimeter.gates.engines.traced_calls import Traced, answered, traced

IN_FLIGHT = 8


def crowd(context: Context) -> Shares:
    """Make the context's number of calls, eight at a time, and count what each engine got."""
    client = HeatClient(context)
    with traced(context) as watching:
        start = watching.quiet(ENGINE)
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            calls = list(pool.map(lambda _: _call(client, watching), range(context.settings.calls)))
        found = watching.shares(start, in_flight=IN_FLIGHT, **answered(calls))
    # Whether the recording is whole is known for certain when it has ended.
    return found.model_copy(update={"incomplete": watching.firehose.why_incomplete})


def _call(client: HeatClient, watching: Traced) -> HeatCall:
    """One call, where nobody has gone away: the others would only wait for their timeouts."""
    watching.check()
    return client.look()
