"""Many calls at a time, under the broker's trace."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from verify.bench import Bench
from verify.checks.calls import HeatCall
from verify.checks.consumers import ENGINE
from verify.checks.shares import Shares
from verify.experiments.heat_client import HeatClient
from verify.experiments.traced import Traced, answered, traced

IN_FLIGHT = 8


def crowd(bench: Bench) -> Shares:
    """Make the bench's number of calls, eight at a time, and count what each engine got."""
    client = HeatClient(bench)
    with traced(bench) as watching:
        start = watching.quiet(ENGINE)
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            calls = list(pool.map(lambda _: _call(client, watching), range(bench.settings.calls)))
        found = watching.shares(start, in_flight=IN_FLIGHT, **answered(calls))
    # Whether the recording is whole is known for certain when it has ended.
    return found.model_copy(update={"incomplete": watching.firehose.why_incomplete})


def _call(client: HeatClient, watching: Traced) -> HeatCall:
    """One call, where nobody has gone away: the others would only wait for their timeouts."""
    watching.check()
    return client.look()
