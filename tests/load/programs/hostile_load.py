"""A load whose answers have the expected status and hostile bodies. Prints what was served and recorded."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

from calorimeter.workload.scenario import Load
from calorimeter.workload.template import Template
from tests.bench.contender import Environment, RestUser, StackUser, events, gevent, pq, session
from tests.load.operations.test_any_body import HOSTILE

from gevent.pywsgi import WSGIServer  # isort: skip

MIX = ("list", "list-pages", "list-filtered", "create", "config-create", "validate")
STATUSES = {"POST": "201 Created", "GET": "200 OK"}
bodies = itertools.cycle([b"", b"\xff", b"null", b"{}", *HOSTILE.values()])
served = 0


def answer(environ: Any, start: Any) -> list[bytes]:
    """The next body, with the status that the request expects, and ids that no header should have."""
    global served  # noqa: PLW0603
    served += 1
    status = "200 OK" if environ["PATH_INFO"].endswith(("software_configs", "validate")) else ""
    start(
        status or STATUSES.get(environ["REQUEST_METHOD"], "204 No Content"),
        [("X-Openstack-Request-Id", "\xe9" * (served % 3)), ("Content-Type", "application/json")],
    )
    return [next(bodies)]


server = WSGIServer(("127.0.0.1", 0), answer, log=None)
server.start()
folder = Path(tempfile.mkdtemp())
shared = session(f"http://127.0.0.1:{server.server_port}/v1", 10, folder, True)
template = Template("t", "heat_template_version: 2018-08-31", resources={"a": "OS::Heat::None"})
load = Load(mix=dict.fromkeys(MIX, 1.0), template="none")
load._templates = (template,)
shared.scenario = shared.scenario.model_copy(update={"rest": load, "think_s": (0.01, 0.02)})
StackUser.session = shared
environment = Environment(user_classes=[RestUser], events=events)
environment.stop_timeout = 10
environment.events.test_stopping.add_listener(lambda **_: shared.stopping())
runner = environment.create_local_runner()
runner.start(10, 10)
while served < 500:
    gevent.sleep(0.01)
runner.stop()
shared.end()
rows = [row for file in folder.glob("samples/*.parquet") for row in pq.read_table(file).to_pylist()]
print(
    json.dumps(
        {
            "served": served,
            "counted": runner.stats.total.num_requests,
            "errors": [row["error"] for row in rows],
            "operations": sorted({row["operation"] for row in rows}),
            "request_ids": sorted({row["request_id"] for row in rows}),
            "creates": sum(row["operation"] == "create" for row in rows),
            "unaccounted": len(shared.unaccounted),
            "crashes": len(runner.exceptions),
        }
    )
)
