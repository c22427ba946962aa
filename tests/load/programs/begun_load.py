"""A load of FOLDER/mine.toml begins without users; then a worker gets two messages of a new run.

The second message has another template. Prints run.json as it is after the beginning, and the messages
that the worker sent to its master.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from locust.runners import WorkerRunner

from calorimeter.core import deployment
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.run.lifecycle import Lifecycle
from calorimeter.load.run.worker_messages import RUN
from calorimeter.workload import catalogue
from tests.bench.contender import Environment, LoadSession, RequestTimeouts

folder = Path(sys.argv[1])
(folder / "deployment.toml").write_text(
    'name = "none"\n[rest]\nurl = "http://127.0.0.1:1/v1"\nproxy_section = "rest"\n'
    'backends = [{ name = "rest-1", address = "127.0.0.1:1" }]\n'
)
DEPLOYMENT = deployment.read(folder / "deployment.toml")
SCENARIO = catalogue.read(folder / "mine.toml")


class Worker(WorkerRunner):
    """A worker without a connection to a master; `handlers` are called with a master's messages."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., None]] = {}
        self.sent: list[tuple[str, Any]] = []

    def register_message(self, kind: str, handler: Callable[..., None], concurrent: bool = False) -> None:
        """Keep a handler."""
        self.handlers[kind] = handler

    def send_message(self, kind: str, data: Any = None, client_id: str | None = None) -> None:
        """Keep a message."""
        self.sent.append((kind, data))

    def quit(self) -> None:
        """Nothing runs."""

    user_count = 0
    target_user_count = 0


def attach(environment: Environment, runs: Path) -> None:
    """Attach a load to a Locust environment, as the locustfile does."""
    environment.parsed_options = SimpleNamespace(
        **dict.fromkeys(("num_users", "spawn_rate", "run_time", "processes")),
        **{
            "of_command": "",
            "progress": False,
            "with_parent": False,
            "abort_on_objective": False,
            "usual_priority": False,
        },
    )
    login = SimpleNamespace(verify=True)
    token: Any = SimpleNamespace(start_renewing=lambda: None, login=login)
    unused: Any = None
    session = LoadSession(DEPLOYMENT, SCENARIO, RequestTimeouts(), token, {}, unused)
    Lifecycle(environment, session, runs, {}).attach()


single = Environment()
single.create_local_runner()
attach(single, folder / "runs")
single.events.test_start.fire(environment=single)
(run,) = (folder / "runs").iterdir()
about = RunDir.open(run).about
single.events.test_stop.fire(environment=single)


def worker_of(runs: str) -> tuple[Environment, Worker]:
    """A worker that is attached to a load."""
    environment = Environment()
    environment.runner = worker = Worker()
    attach(environment, folder / runs)
    return environment, worker


MESSAGE = {"id": run.name, "worker": 0, "workers": 1, "given": {}}
MESSAGE |= {"scenario": sha256(SCENARIO.path.read_bytes()).hexdigest(), "templates": SCENARIO.digests}
environment, worker = worker_of("elsewhere")
worker.handlers[RUN](msg=SimpleNamespace(data=MESSAGE))
environment.events.test_stop.fire(environment=environment)
worker.handlers[RUN](msg=SimpleNamespace(data=MESSAGE | {"templates": {"tiny.yaml": "ab" * 32}}))

refusals = []
for hostile in (
    {"id": "../x"},
    {"run": "/etc"},
    {"given": {"seed": 1}},
    {"workers": 10**9},
    {"worker": "0"},
):
    _, other = worker_of("hostile")
    other.handlers[RUN](msg=SimpleNamespace(data=MESSAGE | hostile))
    refusals += other.sent
made = (folder / "hostile").exists()
print(json.dumps({"about": about, "sent": worker.sent, "refusals": refusals, "made": made}))
