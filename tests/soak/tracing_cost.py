"""Cost of the broker's tracing: calls per second with and without it, in alternating blocks, and medians.

Six clients list stacks through the proxy as fast as they are answered. In every second block tracing is
on and a recorder reads the firehose of both queues, in a process of its own, as `calorimeter verify`
would be. Uses a lab of its own, or `--lab NAME`. The machine must be quiet.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.tracing import tracing
from tests.soak.labs import lab

NAME = "soak-tracing"
CLIENTS = 6


def record(file: Path, ready: Event, stop: Event) -> None:
    """Trace until `stop` is set."""
    deployment = deployments.read(file)
    with tracing(deployment), Firehose(deployment) as firehose:
        ready.set()
        stop.wait()
        firehose.settle()
        print(f"    {len(firehose)} events, {firehose.why_incomplete or 'complete'}", flush=True)


@contextmanager
def recorded(deployment: Deployment) -> Iterator[None]:
    """Read the firehose in another process while the context is open."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=record, args=(deployment.path, ready, stop), daemon=True)
    process.start()
    try:
        assert ready.wait(30), "the recorder did not start"
        yield
    finally:
        stop.set()
        process.join(30)


def rate(client: HeatClient, seconds: float) -> float:
    """Good answers per second of six clients."""
    end = threading.Event()

    def go(_: int) -> int:
        count = 0
        while not end.is_set():
            count += client.list_stacks().ok
        return count

    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        counts = [pool.submit(go, n) for n in range(CLIENTS)]
        time.sleep(seconds)
        end.set()
    return sum(each.result() for each in counts) / (time.monotonic() - began)


def measure(deployment: Deployment, pairs: int, seconds: float) -> None:
    """Print the rates of each pair of blocks, and the medians."""
    off: list[float] = []
    on: list[float] = []
    with Context(deployment, Settings()) as context:
        client = HeatClient(context)
        rate(client, seconds / 2)  # warm-up
        for number in range(pairs):
            # The order alternates, so that a drift of the machine affects both.
            for traced in (False, True) if number % 2 == 0 else (True, False):
                if traced:
                    with recorded(deployment):
                        on.append(rate(client, seconds))
                else:
                    off.append(rate(client, seconds))
            print(f"  without {off[-1]:6.1f}/s, with {on[-1]:6.1f}/s", flush=True)
    without, with_ = median(off), median(on)
    ratio = median(b / a for a, b in zip(off, on, strict=True))
    print(f"median of {pairs} blocks of {seconds:g} s: without {without:.1f}/s, with {with_:.1f}/s")
    print(f"with tracing a median of {1 - ratio:+.1%} less in a pair", flush=True)


def main() -> None:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8, help="number of pairs of blocks (default 8)")
    parser.add_argument(
        "--seconds", type=float, default=12, help="length of a block in seconds (default 12)"
    )
    parser.add_argument("--lab", help="running lab, left up (default: one of its own)")
    given = parser.parse_args()
    with lab(given.lab, NAME) as name:
        measure(deployments.read(paths.lab(name) / "deployment.toml"), given.pairs, given.seconds)


if __name__ == "__main__":
    main()
