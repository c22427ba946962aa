"""Users in Locust, against a small server in the same process."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest

pytestmark = pytest.mark.slow

STOPPED = """
import json, sys, tempfile
from pathlib import Path
from calorimeter.bench.contender import Environment, RestUser, StackUser, events, gevent, pq, session
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


OPEN = """
import json, sys, tempfile
from pathlib import Path
from calorimeter.bench.contender import (
    Arrivals, DropRecorder, Environment, RestUser, StackUser, events, gevent, now_ns, open_arrivals, pq, session,
)
from calorimeter.core.generator import windows
from gevent.pywsgi import WSGIServer
from calorimeter.load.run.generator_monitor import GeneratorMonitor

served = 0

def answer(environ, start):
    global served
    served += 1
    gevent.sleep(0.1)
    start("200 OK", [("Content-Type", "application/json")])
    return [b'{"stacks": []}']

server = WSGIServer(("127.0.0.1", 0), answer, log=None)
server.start()
folder = Path(tempfile.mkdtemp())
url = f"http://127.0.0.1:{server.server_port}/v1"
shared = session(url, 5, folder, True, Arrivals(rate_per_s=100, spacing="constant"))
StackUser.session = shared
environment = Environment(user_classes=[RestUser], events=events)
environment.stop_timeout = 10
environment.events.test_stopping.add_listener(lambda **_: shared.stopping())
runner = environment.create_local_runner()
shared.arrivals = open_arrivals(shared, DropRecorder(environment, shared).drop)
samples = shared.recording.samples
monitor = GeneratorMonitor(folder, "worker-00", shared.arrivals, samples.responses, lambda: runner.user_count, print)
runner.start(5, 5)
gevent.sleep(0.2)
shared.arrivals.begin(now_ns())
gevent.sleep(1.5)
runner.stop()
offered, dropped = shared.arrivals.offered, shared.arrivals.drops
shared.end()
monitor.close()
rows = [row for file in folder.glob("samples/*.parquet") for row in pq.read_table(file).to_pylist()]
rows.sort(key=lambda row: row["scheduled_ns"])
total = runner.stats.total
print(json.dumps({
    "served": served, "offered": offered, "dropped": dropped, "rows": rows,
    "counted": total.num_requests, "failures": total.num_failures, "slowest_ms": total.max_response_time,
    "windows": [window.model_dump() for window in windows(folder)],
    "median_s": monitor.whole.percentile_s(50),
}))
"""


def test_open_arrivals_are_all_accounted_for() -> None:
    """Samples, Locust's statistics and the windows agree on what was sent and what was dropped."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN], capture_output=True, text=True, timeout=60, check=True
    )
    result = json.loads(done.stdout)
    rows = result["rows"]
    sent = [row for row in rows if not row["error"]]
    dropped = [row for row in rows if row["error"] == "dropped"]
    assert len(rows) == len(sent) + len(dropped) == result["offered"] == result["counted"] > 100
    assert len(sent) == result["served"]
    assert len(dropped) == result["dropped"] == result["failures"] > 50  # 5 users can do 50 a second
    gaps = {b["scheduled_ns"] - a["scheduled_ns"] for a, b in pairwise(rows)}
    assert gaps == {10_000_000}
    assert {row["user"] for row in sent} == set(range(5))
    assert {(row["user"], row["source"], row["first_byte_ns"]) for row in dropped} == {(-1, "", 0)}
    assert all(row["scheduled_ns"] <= row["sent_ns"] <= row["first_byte_ns"] for row in sent)
    took = sorted((row["done_ns"] - row["scheduled_ns"]) / 1e9 for row in sent)
    assert result["slowest_ms"] / 1e3 == pytest.approx(took[-1], rel=0.01)
    middle = (len(took) - 1) // 2  # where they lie far apart, the median is anywhere between two of them
    assert took[middle - 1] * 0.99 <= result["median_s"] <= took[middle + 1] * 1.01
    windows = result["windows"]
    assert sum(window["connections"] for window in windows) <= 5
    assert sum(window["dropped"] for window in windows) <= len(dropped)
    assert any(window["dropped"] for window in windows)


KILLED = """
import json, tempfile
from pathlib import Path
from types import SimpleNamespace
from calorimeter.bench.contender import Environment, RestUser, StackUser, events, gevent, now_ns
from calorimeter.bench.contender import pq, session
from calorimeter.load.operations import stack_life
from calorimeter.load.apis.stack_api import Target
from calorimeter.load.operations.operation import Config, Stack
from calorimeter.load.recording.recorder import Entry

folder = Path(tempfile.mkdtemp())
shared = session("http://127.0.0.1:1/v1", 1, folder, True)
StackUser.session = shared
user = RestUser(Environment(user_classes=[RestUser], events=events))
for name in ("a", "b"):
    entry = Entry(f"id-{name}", name, "rest", f"req-{name}", 1, 0, 2, "CREATE_COMPLETE")
    user.stacks.append(Stack(Target(name, f"id-{name}", f"id-{name}"), entry, SimpleNamespace()))
user.configs.append(Config("c"))
shared.stopping()
stopping = gevent.spawn(user.on_stop)
gevent.sleep(0.2)
stopping.kill()
lost = list(shared.unaccounted)
shared.end()
rows = [row["name"] for file in folder.glob("ledger/*.parquet") for row in pq.read_table(file).to_pylist()]
print(json.dumps({"rows": sorted(rows), "lost": sorted(lost)}))
"""


def test_a_user_killed_while_it_cleans_up_leaves_its_rows() -> None:
    """What it could not remove is in the ledger, and is looked for when the run ends."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == {"rows": ["a", "b"], "lost": ["a", "b", "c"]}
