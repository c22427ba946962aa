"""A load that is stopped; Locust waits PATIENCE_S for its users. Prints served requests and samples."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.bench.contender import Environment, RestUser, StackUser, events, gevent, pq, session
from tests.load.programs.list_server import ListServer

server = ListServer(lambda number: 0.2 if number < 60 else 1.0)
folder = Path(tempfile.mkdtemp())
shared = session(server.url, 30, folder, True)
shared.scenario = shared.scenario.model_copy(update={"think_s": (0.05, 0.3)})
StackUser.session = shared
environment = Environment(user_classes=[RestUser], events=events)
environment.stop_timeout = float(sys.argv[1])
environment.events.test_stopping.add_listener(lambda **_: shared.stopping())
runner = environment.create_local_runner()
runner.start(30, 30)
gevent.sleep(0.8)  # the length of the load
runner.stop()
shared.end()
rows = [row for file in folder.glob("samples/*.parquet") for row in pq.read_table(file).to_pylist()]
errors = [row["error"] for row in rows]
print(json.dumps({"served": server.served, "errors": errors, "counted": runner.stats.total.num_requests}))
