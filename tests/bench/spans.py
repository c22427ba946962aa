"""Measures how long spans of traced requests take: `python -m tests.bench.spans [REQUESTS]`.

The requests are made up: each has a line of the proxy's log, a call and a chain of casts. The time in which
they are made is left out. The hash is that of all lines: the same before and after a change.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from collections.abc import Iterator

from calorimeter.export import otlp_spans
from calorimeter.export.otlp_values import ExportedRun
from calorimeter.gates.request_path import traced_spans
from calorimeter.gates.request_path.http_spans import HttpTarget
from calorimeter.gates.request_path.path import RequestPath
from tests.gates.request_path.test_segments import API, ENGINE, HOSTS, OTHER, http, leg, path, request

TARGET = HttpTarget("POST", "http://10.0.0.1:8004/v1/:project/stacks", "/v1/:project/stacks")

CASTS = 4


class TracedRequests:
    """Paths of requests, one after the other; `made_s` is the processor's time that making them took."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.made_s = 0.0

    def __iter__(self) -> Iterator[RequestPath]:
        for number in range(self._count):
            began_s = time.process_time()
            made = _traced(number)
            self.made_s += time.process_time() - began_s
            yield made


def _traced(number: int) -> RequestPath:
    due = number * 2.0
    asked = request(due, due + 5, due + 95, due + 100).model_copy(
        update={
            "request_id": f"req-{number:08x}-0000-4000-8000-{number:012x}",
            "source_port": number % 60_000,
        }
    )
    casts = (
        leg(
            due + 70 + 20 * cast, due + 75 + 20 * cast, None, unique_id=f"{number:x}-{cast}", call=False,
            publisher=(ENGINE, OTHER)[cast % 2], consumer=(OTHER, ENGINE)[cast % 2],
        )
        for cast in range(CASTS)
    )  # fmt: skip
    call = leg(due + 20, due + 22, due + 80, unique_id=f"{number:x}-call", publisher=API)
    return path(call, *casts, timers=http(due + 6, 3, 90), of=asked)


def main(count: int) -> None:
    """Print what the spans of so many requests take."""
    requests, digest, size = TracedRequests(count), hashlib.sha256(), 0
    began_s = time.process_time()
    for line in otlp_spans.lines(
        traced_spans.of_paths(requests, HOSTS, lambda _: TARGET), ExportedRun("r")
    ):
        digest.update(line.encode("ascii"))
        size += len(line)
    took_s = time.process_time() - began_s - requests.made_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} requests: {took_s:.2f} s of a processor, {size / 1e6:.0f} MB, peak {peak_mb:.0f} MB, "
        f"load {os.getloadavg()[0]:.1f}, sha256 {digest.hexdigest()[:16]}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
