"""What a user of a lab sees of it: its parts, their logs, and a shell as its user."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.lab import status
from tests.conftest import lab_command

SHOWN: dict[str, Any] = {
    "name": "x",
    "rest": "http://127.0.0.1:1/v1",
    "cfn": "http://127.0.0.1:2/v1",
    "deployment": None,
    "holders": [],
    "parts": [
        {
            "name": "rabbitmq",
            "state": "running",
            "pids": [7, 8, 9],
            "address": "127.0.0.1:5672",
            "version": "3.10.8",
            "memory_bytes": 3 * 2**20,
        },
        {
            "name": "engine-1",
            "state": "stopped",
            "pids": [],
            "address": None,
            "version": None,
            "memory_bytes": 0,
        },
    ],
}

TABLE = """\
lab x
  REST        http://127.0.0.1:1/v1
  CFN         http://127.0.0.1:2/v1
  deployment  not written: the lab is not up
  PART      STATE    PID   ADDRESS         VERSION  MEMORY
  rabbitmq  running  7 +2  127.0.0.1:5672  3.10.8    3 MiB
  engine-1  stopped                                  0 MiB
  all                                                3 MiB"""


def test_the_status_is_a_table() -> None:
    """A part with several processes shows the first and how many more there are."""
    assert status.table(SHOWN) == TABLE


@pytest.mark.lab
def test_status_shows_each_part_with_its_version_and_memory(lab: Deployment) -> None:
    """As JSON and as a table."""
    name = lab.path.parent.name
    (found,) = json.loads(lab_command("status", "--name", name, "--json").stdout)
    parts = {part["name"]: part for part in found["parts"]}
    assert all(part["state"] == "running" and part["pids"] and part["version"] for part in parts.values())
    assert parts["engine-1"]["version"].startswith("24.") and parts["rabbitmq"]["version"][0].isdigit()
    assert all(1 < part["memory_bytes"] / 2**20 < 400 for part in parts.values())
    assert sum(part["memory_bytes"] for part in parts.values()) < 1600 * 2**20
    table = lab_command("status", "--name", name).stdout
    assert "PART" in table and table.count("running") == len(parts)


@pytest.mark.lab
def test_logs_are_those_of_a_part(lab: Deployment) -> None:
    """The end of one, or the paths of all; an unknown part is named."""
    name = lab.path.parent.name
    paths = lab_command("logs", "--name", name).stdout.split()
    assert {Path(path).stem for path in paths} >= {"engine-1", "rest-1", "rabbitmq", "mariadb", "keystone"}
    assert len(lab_command("logs", "rabbitmq", "--name", name, "--lines", "3").stdout.splitlines()) == 3
    assert "unknown part 'engine-9'" in lab_command("logs", "engine-9", "--name", name).stderr


@pytest.mark.lab
def test_exec_runs_a_client_as_the_labs_user(lab: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other clouds have set in the environment is not in the way."""
    monkeypatch.setenv("OS_CLOUD", "elsewhere")
    done = lab_command("exec", "--name", lab.path.parent.name, "openstack", "stack", "list", "-f", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr


@pytest.mark.lab
def test_a_shell_has_the_environment_and_says_the_labs_name(lab: Deployment, tmp_path: Path) -> None:
    """Through a pipe it is a shell; on a terminal, bash has the lab's name in its prompt."""
    assert lab.identity is not None
    name = lab.path.parent.name
    command = [sys.executable, "-m", "calorimeter", "lab", "shell", "--name", name]
    state = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    environment = {**os.environ, "SHELL": "/bin/bash", "HOME": str(tmp_path), "XDG_STATE_HOME": state}
    told = "echo $OS_AUTH_URL $CALORIMETER_DEPLOYMENT; exit 7\n"
    done = subprocess.run(command, input=told, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 7
    assert done.stdout.split() == [lab.identity.auth_url, str(lab.path)]
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as shell:
        os.close(slave)
        os.set_blocking(master, False)
        seen = b""

        def prompted() -> bool:
            nonlocal seen
            with suppress(OSError):
                seen += os.read(master, 65536)
            return f"(lab {name}) ".encode() in seen

        try:
            until(prompted, 30)
            os.write(master, b"exit 5\n")
            until(lambda: shell.poll() is not None, 30)
        finally:
            shell.kill()
            os.close(master)
    assert shell.returncode == 5, seen
    assert list(tmp_path.iterdir()) in ([], [tmp_path / ".bash_history"])
