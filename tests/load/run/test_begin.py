"""What a load notes of itself when it begins, without a deployment to load."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calorimeter.workload import catalogue

BEGUN = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from calorimeter.bench.contender import Environment
from calorimeter.load.run import lifecycle
from calorimeter.core import deployment
from calorimeter.workload import catalogue

folder = Path(sys.argv[1])
(folder / "deployment.toml").write_text(
    'name = "none"\\n[rest]\\nurl = "http://127.0.0.1:1/v1"\\nproxy_section = "rest"\\n'
    'backends = [{ name = "rest-1", address = "127.0.0.1:1" }]\\n'
)
quiet = SimpleNamespace(await_first=lambda: None)
lifecycle.tenants.make = lambda *given: None
lifecycle.WatchProcess = lambda *given: quiet
lifecycle.Lifecycle._begin = lambda *given: None
session = SimpleNamespace(
    scenario=catalogue.read(folder / "mine.toml"),
    deployment=deployment.read(folder / "deployment.toml"),
    token=None,
)
environment = Environment()
environment.create_local_runner()
environment.parsed_options = SimpleNamespace(of_command="", progress=False, with_parent=False)
life = lifecycle.Lifecycle(environment, session, folder / "runs", {})
life._end_in = lambda seconds: None
life._test_start(environment)
said = []
life.abort = said.append
for templates in (session.scenario.digests, {"tiny.yaml": "another"}):
    told = {"run": str(life._run.path), "id": "x", "worker": 0, "workers": 1, "given": {}}
    told |= {"scenario": session.scenario.path.read_text(), "templates": templates}
    life._run_message(SimpleNamespace(data=told))
print(json.dumps({"about": life._run.about, "said": said}))
"""


@pytest.mark.slow  # Locust is imported
def test_a_load_notes_its_templates(tmp_path: Path) -> None:
    """The digest in run.json is the file's beside the scenario; a worker with another one says so."""
    text = 'name = "mine"\nabout = "A test."\nusers = 1\nduration_s = 5\n[rest]\ntemplate = "tiny.yaml"\n'
    (tmp_path / "mine.toml").write_text(f"{text}[rest.mix]\nlist = 1\n")
    shutil.copy(catalogue.TEMPLATES / "tiny.yaml", tmp_path)
    with (tmp_path / "tiny.yaml").open("a") as file:
        file.write("# edited\n")
    command = [sys.executable, "-c", BEGUN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    digest = hashlib.sha256((tmp_path / "tiny.yaml").read_bytes()).hexdigest()
    assert found["about"]["templates"] == {"tiny.yaml": digest}
    assert found["about"]["clean_stop"] is False
    (line,) = found["said"]
    assert line.startswith("template tiny.yaml: this worker's file is not its master's")
