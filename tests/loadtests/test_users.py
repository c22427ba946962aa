"""Users in Locust, against a small server in the same process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

STOPPED = """
import json, sys, tempfile
from pathlib import Path
from loadtests.bench.ours import Environment, RestUser, StackUser, events, gevent, pq, session
from gevent.pywsgi import WSGIServer


served = 0

def answer(environ, start):
    global served
    served += 1
    gevent.sleep(0.2 if served < 60 else 1.0)
    start("200 OK", [("Content-Type", "application/json")])
    return [b'{"stacks": []}']

server = WSGIServer(("127.0.0.1", 0), answer, log=None)
server.start()
folder = Path(tempfile.mkdtemp())
shared = session(f"http://127.0.0.1:{server.server_port}/v1", 30, folder, True)
shared.scenario = shared.scenario.model_copy(update={"think_s": (0.05, 0.3)})
StackUser.session = shared
environment = Environment(user_classes=[RestUser], events=events)
environment.stop_timeout = float(sys.argv[1])
environment.events.test_stopping.add_listener(lambda **_: shared.stopping())
runner = environment.create_local_runner()
runner.start(30, 30)
gevent.sleep(0.8)
runner.stop()
shared.end()
rows = [row for file in folder.glob("samples/*.parquet") for row in pq.read_table(file).to_pylist()]
errors = [row["error"] for row in rows]
print(json.dumps({"served": served, "errors": errors, "counted": runner.stats.total.num_requests}))
"""


def stopped_after(patience_s: float) -> tuple[int, list[str], int]:
    """Requests served, errors of the samples, and requests counted by Locust, of a load that is stopped."""
    command = [sys.executable, "-c", STOPPED, str(patience_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    result = json.loads(done.stdout)
    return result["served"], result["errors"], result["counted"]


def test_stopping_loses_no_request() -> None:
    """Requests under way when the load stops are awaited: as many are served, recorded and counted."""
    served, errors, counted = stopped_after(10)
    assert served == counted == len(errors) > 30
    assert set(errors) == {""}


def test_requests_that_locust_kills_are_recorded_as_unknown() -> None:
    """Where Locust does not wait, what was sent is still recorded, as a timeout."""
    served, errors, counted = stopped_after(0.001)
    assert served == counted == len(errors)
    assert set(errors) == {"", "timeout"}
