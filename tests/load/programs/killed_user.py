"""A user that is killed while it removes its stacks. Prints its ledger rows and what is unaccounted for."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from calorimeter.load.apis.stack_api import Target
from calorimeter.load.operations.operation import SoftwareConfig, Stack
from calorimeter.load.recording.recorder import LedgerRow
from tests.bench.contender import Environment, RestUser, StackUser, events, gevent, pq, session

folder = Path(tempfile.mkdtemp())
shared = session("http://127.0.0.1:1/v1", 1, folder, True)
StackUser.session = shared
user = RestUser(Environment(user_classes=[RestUser], events=events))
template: Any = SimpleNamespace()
for name in ("a", "b"):
    entry = LedgerRow(f"id-{name}", name, "rest", f"req-{name}", 1, 0, 2, "CREATE_COMPLETE")
    user.stacks.append(Stack(Target(name, f"id-{name}", f"id-{name}"), entry, template))
user.configs.append(SoftwareConfig("c"))
shared.stopping()
stopping = gevent.spawn(user.on_stop)
while not user.client.connections:
    gevent.sleep(0.01)
stopping.kill()
lost = list(shared.unaccounted)
shared.end()
rows = [row["name"] for file in folder.glob("ledger/*.parquet") for row in pq.read_table(file).to_pylist()]
print(json.dumps({"rows": sorted(rows), "lost": sorted(lost)}))
