"""One contender in a process of its own: `python -m loadtests.bench.ours KIND URL USERS SECONDS`.

Prints one JSON object. KIND is `calorimeter` (everything on), `unrecorded` (without the recorder), or
`fasthttp` (Locust's FastHttpUser).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task  # isort: skip  # patches the standard library for gevent
import gevent
import pyarrow.parquet as pq
from locust.env import Environment

from calorimeter.deployment import Api, Backend, Deployment
from loadtests.addresses import Sources
from loadtests.client import Timeouts
from loadtests.connection import endpoint
from loadtests.rest import RestApi
from loadtests.session import Front, Recording, Session, cleaning
from loadtests.users import RestUser, StackUser
from scenarios.scenario import Load, Scenario

WARM_UP_S = 1.0


class FixedToken:
    """A token that no Keystone gave; the length is that of a Fernet token."""

    bytes = b"gAAAAA" + b"x" * 177
    project_id = "0123456789abcdef0123456789abcdef"


class Unrecorded:
    """Takes samples and forgets them."""

    def add(self, *_: Any) -> None:
        """Forget."""

    def close(self) -> None:
        """Nothing to write."""


def session(url: str, users: int, folder: Path, recorded: bool) -> Session:
    """What `loadtests.session.prepare` gives for a scenario of nothing but lists."""
    api = Api(url=url, proxy_section="canned", backends=(Backend(name="canned", address="127.0.0.1:1"),))
    to = endpoint(api.front)
    token: Any = FixedToken()
    load = Load(mix={"list": 1.0}, template="none")
    scenario = Scenario(name="bench", about="", users=users, duration_s=60, rest=load)
    front = Front(RestApi(api, to, token), to, Sources(["127.16.0.0/12"]))
    deployment = Deployment(name="bench", rest=api)
    made = Session(deployment, scenario, Timeouts(), token, {"rest": front}, cleaning(deployment, token))
    recording = Recording(folder, "worker-00", sys.exit)
    if not recorded:
        recording.samples.close()
        recording.samples = Unrecorded()  # type: ignore[assignment]
    made.begin(recording)
    return made


def fast_user(url: str) -> type[FastHttpUser]:
    """The same request, as Locust's own users send it."""
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


def measure(user_class: Any, users: int, seconds: float) -> dict[str, float]:
    """Requests a second after a warm-up, by Locust's own count, and the process's CPU."""
    environment = Environment(user_classes=[user_class], events=events)
    runner = environment.create_local_runner()
    runner.spawn_users({user_class.__name__: users})
    gevent.sleep(WARM_UP_S)
    before, started, cpu = runner.stats.total.num_requests, time.monotonic(), time.process_time()
    gevent.sleep(seconds)
    after, took = runner.stats.total.num_requests, time.monotonic() - started
    result = {"per_s": (after - before) / took, "cpu": (time.process_time() - cpu) / took}
    result["failures"] = runner.stats.total.num_failures
    runner.quit()
    return result


def main() -> None:
    """Measure one contender."""
    kind, url, users, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if kind == "fasthttp":
        print(json.dumps(measure(fast_user(url), users, seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        StackUser.session = session(url, users, Path(folder), kind == "calorimeter")
        result = measure(RestUser, users, seconds)
        StackUser.session.end()
        if kind == "calorimeter":
            files = list(Path(folder).glob("samples/*.parquet"))
            result["bytes"] = sum(file.stat().st_size for file in files)
            result["rows"] = sum(pq.read_metadata(file).num_rows for file in files)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
