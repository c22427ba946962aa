"""A load of more users than files that may be open; FOLDER is for its deployment. Prints how it ends."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from calorimeter.core import deployment
from calorimeter.load.run import locust_hooks
from calorimeter.workload import catalogue
from tests.bench.contender import Environment

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
folder = Path(sys.argv[1])
(folder / "deployment.toml").write_text(
    'name = "none"\n[rest]\nurl = "http://127.0.0.1:1/v1"\nproxy_section = "rest"\n'
    'backends = [{ name = "rest-1", address = "127.0.0.1:1" }]\n'
)
session: Any = SimpleNamespace(
    deployment=deployment.read(folder / "deployment.toml"),
    scenario=catalogue.read(catalogue.find("engine-wait")),
    fronts={"rest": None},
)
locust_hooks.prepare = lambda *_: session
environment: Any = Environment()
environment.create_local_runner()
environment.parsed_options = SimpleNamespace(
    **dict.fromkeys(("progress", "master", "processes", "rate", "duration", "run_time")),
    **{
        "deployment": str(folder / "deployment.toml"),
        "scenario": "",
        "num_users": 600,
        "abort_on_objective": False,
        "runs": str(folder),
    },
)
status: object = None
errors = folder / "errors.txt"
os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
try:
    locust_hooks.install(environment)
except SystemExit as ended:
    status = ended.code
sys.stderr.flush()
soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
users = environment.runner.user_count
print(json.dumps({"status": status, "line": errors.read_text(), "soft": soft, "users": users}))
