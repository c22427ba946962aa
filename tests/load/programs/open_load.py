"""A load of open arrivals, more than its users can serve. Prints samples, statistics and windows."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from calorimeter.core.host.precedence import Precedence
from calorimeter.core.recorded.load_generator import windows
from calorimeter.load.run.generator_monitor import GeneratorMonitor
from tests.bench.contender import (
    Arrivals,
    DropRecorder,
    Environment,
    RestUser,
    StackUser,
    events,
    gevent,
    now_ns,
    open_arrivals,
    pq,
    session,
)
from tests.load.programs.list_server import ListServer

server = ListServer(lambda number: 0.1)
folder = Path(tempfile.mkdtemp())
shared = session(server.url, 5, folder, True, Arrivals(rate_per_s=100, spacing="constant"))
StackUser.session = shared
environment = Environment(user_classes=[RestUser], events=events)
environment.stop_timeout = 10
environment.events.test_stopping.add_listener(lambda **_: shared.stopping())
runner = environment.create_local_runner()
shared.arrivals = open_arrivals(shared, DropRecorder(environment, shared).record)
assert shared.recorders is not None
monitor = GeneratorMonitor(
    folder,
    "worker-00",
    shared.arrivals,
    shared.recorders.samples.responses,
    lambda: (runner.user_count, 0),
    print,
    Precedence(wanted=False),
)
runner.start(5, 5)
while runner.user_count < 5:
    gevent.sleep(0.01)
shared.arrivals.begin(now_ns())
gevent.sleep(1.5)  # the length of the load
runner.stop()
offered, dropped = shared.arrivals.offered, shared.arrivals.drops
shared.end()
monitor.close()
rows = [row for file in folder.glob("samples/*.parquet") for row in pq.read_table(file).to_pylist()]
rows.sort(key=lambda row: row["scheduled_ns"])
total = runner.stats.total
result = {
    "served": server.served,
    "offered": offered,
    "dropped": dropped,
    "rows": rows,
    "counted": total.num_requests,
    "failures": total.num_failures,
    "slowest_ms": total.max_response_time,
    "windows": [window.model_dump() for window in windows(folder)],
    "median_s": monitor.all_responses.percentile_s(50),
}
print(json.dumps(result))
