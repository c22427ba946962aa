"""Measures one generator in a process of its own.

`python -m tests.bench.contender KIND URL USERS SECONDS [RATE [usual]]`

Prints one JSON object. KIND is `calorimeter` (everything on), `live` (with Locust's page and its tab, which
are looked at), `unrecorded` (without the recorder), or `fasthttp` (Locust's FastHttpUser). With RATE,
arrivals are open; a negative RATE spaces them evenly. The
process then runs first, as in a load, unless `usual` is given.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task  # isort: skip  # patches the standard library for gevent
import gevent
import numpy as np
import pyarrow.parquet as pq
from locust.env import Environment

from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Api, Backend, Deployment, Tls
from calorimeter.core.host.precedence import LOOP, Precedence
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.http.client import RequestTimeouts
from calorimeter.load.http.connection import endpoint
from calorimeter.load.run import live_tab, web_page
from calorimeter.load.run.generator_monitor import freeze_garbage
from calorimeter.load.run.session import ApiUnderLoad, LoadSession, Recorders, open_arrivals
from calorimeter.load.run.users import DropRecorder, RestUser, StackUser
from calorimeter.load.tenants.leftovers import Cleaner
from calorimeter.workload.scenario import Load, Scenario
from calorimeter.workload.stages import Arrivals
from tests.bench.clients import CA_FILE

WARM_UP_S = 1.0

PRECEDENCE = Precedence(wanted="usual" not in sys.argv)


class FixedToken:
    """A token without a Keystone; it has the length of a Fernet token."""

    bytes = b"gAAAAA" + b"x" * 177
    deferred_headers = b""
    project_id = "0123456789abcdef0123456789abcdef"


class Unrecorded:
    """Discards all samples."""

    def add(self, *_: Any) -> None:
        """Discard a sample."""

    def close(self) -> None:
        """Write nothing."""


def session(
    url: str,
    users: int,
    folder: Path,
    recorded: bool,
    arrivals: Arrivals | None = None,
    seconds: float = 60,
) -> LoadSession:
    """A session as `calorimeter.load.run.preparation` makes it, of a scenario that only lists stacks."""
    api = Api(url=url, proxy_section="canned", backends=(Backend(name="canned", address="127.0.0.1:1"),))
    tls = Tls(ca_file=Path(os.environ[CA_FILE])) if url.startswith("https") else Tls()
    to = endpoint(api.front, api.parts.scheme, tls)
    token: Any = FixedToken()
    load = Load(mix={"list": 1.0}, template="none")
    scenario = Scenario(
        name="bench", about="", users=users, duration_s=seconds, arrivals=arrivals, rest=load
    )
    front = ApiUnderLoad(RestApi(api, to, token), to, SourceAddresses(["127.16.0.0/12"]))
    deployment = Deployment(name="bench", rest=api)
    cleaner = Cleaner.of(deployment, token)
    prepared = LoadSession(deployment, scenario, RequestTimeouts(), token, {"rest": front}, cleaner)
    recorders = Recorders(folder, "worker-00", sys.exit, PRECEDENCE)
    if not recorded:
        recorders.samples.close()
        recorders.samples = Unrecorded()  # type: ignore[assignment]
    prepared.begin(recorders)
    return prepared


def fast_user(url: str) -> type[FastHttpUser]:
    """Users of Locust's own client that send the same request."""
    path = f"{url}/{FixedToken.project_id}/stacks"
    headers = {"Accept": "application/json", "X-Auth-Token": FixedToken.bytes.decode()}

    class Lister(FastHttpUser):
        """Lists stacks."""

        host = url

        @task
        def list_stacks(self) -> None:
            """List."""
            self.client.get(path, name="list", headers=headers)

    return Lister


def measure(
    user_class: Any, users: int, seconds: float, page: Callable[[Any], None] | None = None
) -> dict[str, float]:
    """Requests per second after a warm-up, as Locust counts them, and the process's CPU share."""
    environment = Environment(user_classes=[user_class], events=events)
    runner = environment.create_local_runner()
    if page is not None:
        page(environment)
    runner.spawn_users({user_class.__name__: users})
    gevent.sleep(WARM_UP_S)
    before, started, cpu = runner.stats.total.num_requests, time.monotonic(), time.process_time()
    gevent.sleep(seconds)
    after, took = runner.stats.total.num_requests, time.monotonic() - started
    result = {"per_s": (after - before) / took, "cpu": (time.process_time() - cpu) / took}
    result["failures"] = runner.stats.total.num_failures
    runner.quit()
    return result


@contextmanager
def looked_at(folder: Path, result: dict[str, float]) -> Iterator[Callable[[Any], None]]:
    """Locust's page with the tab of a run, and what looks at it; `answers` are added to the result."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "tests.bench.page_reader", str(folder), str(port)]
    core = max(os.sched_getaffinity(os.getppid()))  # the generator has the other one
    command = ["taskset", "-c", str(core), *words]

    def page(environment: Any) -> None:
        web_ui = environment.create_web_ui("127.0.0.1", port, delayed_start=True)
        web_page.guard(web_ui, "127.0.0.1", port)
        live_tab.attach(web_ui, None)
        live_tab.show(web_ui, folder)
        web_ui.start()
        freeze_garbage()  # as a load begins after its page

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None and reader.stdout is not None
        reader.stdout.readline()
        yield page
        reader.stdin.close()
        result["answers"] = sum(json.loads(reader.stdout.read()).values())


def measure_arrivals(users: int, seconds: float) -> dict[str, float]:
    """The lag of open arrivals, in seconds, and what they cost; the first second is warm-up."""
    shared = StackUser.session
    environment = Environment(user_classes=[RestUser], events=events)
    runner = environment.create_local_runner()
    shared.arrivals = arrivals = open_arrivals(shared, DropRecorder(environment, shared).record)
    made: list[Any] = runner.spawn_users({"RestUser": users})
    stall = LoopStall()
    gevent.sleep(0.2)
    freeze_garbage()
    PRECEDENCE.take(LOOP)
    arrivals.begin(now_ns())
    gevent.sleep(WARM_UP_S)
    arrivals.take_lags()
    stall.take()
    started, cpu = time.monotonic(), time.process_time()
    total = runner.stats.total  # dropped arrivals count as failed requests
    before = arrivals.offered, arrivals.drops, total.num_requests - total.num_failures
    gevent.sleep(seconds)
    took = time.monotonic() - started
    offered, drops, requests = arrivals.offered, arrivals.drops, total.num_requests - total.num_failures
    lag = np.sort(np.array(arrivals.take_lags())) / 1e9
    result = {
        "offered": offered - before[0],
        "dropped": drops - before[1],
        "achieved": requests - before[2],
        "per_s": (requests - before[2]) / took,
        "cpu": (time.process_time() - cpu) / took,
        "lag_p50_s": float(np.quantile(lag, 0.5)),
        "lag_p99_s": float(np.quantile(lag, 0.99)),
        "lag_p999_s": float(np.quantile(lag, 0.999)),
        "lag_max_s": float(lag[-1]),
        "stall_s": stall.take(),
        "failures": total.num_failures,
    }
    shared.stopping()
    runner.quit()
    result["connections"] = sum(user.client.connections for user in made)
    return result


class LoopStall:
    """Measures the longest stall of the event loop, with a timer of one millisecond."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._due = 0.0
        self._timer = gevent.get_hub().loop.timer(0.001, repeat=0.001)
        self._timer.start(self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._due:
            self._longest = max(self._longest, now - self._due)
        self._due = now + 0.001

    def take(self) -> float:
        """The longest stall since the last call, in seconds beyond the millisecond."""
        longest, self._longest = self._longest, 0.0
        return longest


def main() -> None:
    """Measure one contender."""
    kind, url, users, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if kind == "fasthttp":
        print(json.dumps(measure(fast_user(url), users, seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rate = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
        spacing: Any = "poisson" if rate > 0 else "constant"
        arrivals = Arrivals(rate_per_s=abs(rate), spacing=spacing) if rate else None
        recorded = kind in ("calorimeter", "live")
        freeze_garbage()  # as every load begins (`calorimeter.load.run.lifecycle`)
        StackUser.session = session(url, users, Path(folder), recorded, arrivals)
        result: dict[str, float] = {}
        if kind == "live":
            with looked_at(Path(folder) / "shown", result) as page:
                result.update(measure(RestUser, users, seconds, page))
        else:
            result = measure_arrivals(users, seconds) if rate else measure(RestUser, users, seconds)
        StackUser.session.end()
        if kind == "calorimeter":
            files = list(Path(folder).glob("samples/*.parquet"))
            result["bytes"] = sum(file.stat().st_size for file in files)
            result["rows"] = sum(pq.read_metadata(file).num_rows for file in files)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
